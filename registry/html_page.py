"""HTML without scripts or links, so that MLflow's artifact viewer shows it as it is."""

import html
from collections.abc import Sequence

_STYLE = """\
body { font-family: sans-serif; font-size: 14px; color: #1b1b1b; margin: 16px; }
h1 { font-size: 20px; } h2 { font-size: 16px; margin-top: 24px; }
table { border-collapse: collapse; margin-top: 8px; }
th, td { text-align: left; padding: 3px 12px 3px 0; border-bottom: 1px solid #e4e4e4; }
td.number, th.number { text-align: right; }
.charts { display: flex; flex-wrap: wrap; gap: 12px; }
.failed { color: #b00020; font-weight: bold; }
code { font-size: 12px; }
"""


class Right(str):
    """A cell that stands at the right."""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Writes a table.

    Args:
      heads: of its columns.
      rows: cells as plain text; one that is a `Right` stands at the right.

    Returns:
      HTML.
    """

    def line(kind: str, cells: Sequence[str], like: Sequence[str]) -> str:
        parts = []
        for cell, column in zip(cells, like, strict=True):
            css = ' class="number"' if isinstance(column, Right) else ""
            parts.append(f"<{kind}{css}>{html.escape(cell)}</{kind}>")
        return "<tr>" + "".join(parts) + "</tr>"

    lines = ["<table>", line("th", heads, rows[0] if rows else heads)]
    lines += [line("td", row, row) for row in rows]
    return "\n".join([*lines, "</table>"])


def page(title: str, body: Sequence[str]) -> str:
    """Writes a page.

    Args:
      title: of the page, as plain text.
      body: pieces of HTML.

    Returns:
      HTML.
    """
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            f"<style>\n{_STYLE}</style></head><body>",
            *body,
            "</body></html>\n",
        ]
    )
