"""HTML pages from templates: whole in themselves, the same bytes for the same values.

A page loads no script and nothing from elsewhere, so that a file viewer shows it as it is.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
      heads: of its columns.
      rows: cells as plain text, as many as heads.
      numbers: heads of the columns that stand at the right.
      names: heads of the columns that hold long names, which may be broken anywhere.
      marked: CSS class by the row's number, from 0.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Collection[str] = ()
    names: Collection[str] = ()
    marked: Mapping[int, str] = field(default_factory=dict)

    def kind_of(self, head: str) -> Markup:
        """Writes the class attribute of a column's cells, or nothing."""
        kind = "number" if head in self.numbers else "name" if head in self.names else ""
        return Markup(' class="{}"').format(kind) if kind else Markup()


@functools.cache
def _environment() -> Environment:
    # Templates are named from the folder that holds this repository's packages.
    folder = Path(__file__).parents[2]
    return Environment(
        autoescape=True,
        keep_trailing_newline=True,
        loader=FileSystemLoader(folder),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )


def render(template: str, **values: object) -> str:
    """Fills a template in.

    Args:
      template: its path in this repository, such as "registry/dashboard.html"; it extends
        tools/pages/base.html.
      **values: by name. Text is escaped; `Markup`, such as a chart, is not.

    Returns:
      The page.

    Raises:
      jinja2.UndefinedError: when the template names a value that is not given.
    """
    return _environment().get_template(template).render(values)
