"""Writes the reference of everything that a BUILD, WORKSPACE or MODULE file may load.

The Starlark files are run as Python, which they are by their syntax, with stand-ins for what
Bazel defines; so the reference shows what they hold, whatever expression made it.
"""

import argparse
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, SimpleNamespace

from tools.command_line import bazel_command, new_parser, run, user_path, whole_file
from tools.errors import InputError

# Files, in the order of the page, with what it says about each.
PAGES = {
    "rules/defs.bzl": "What a BUILD file loads.",
    "rules/dependencies.bzl": "What a WORKSPACE file loads.",
    "rules/extensions.bzl": "What a MODULE.bazel file uses.",
    "rules/python_env.bzl": "Python environments of your own.",
    "rules/wheel_files.bzl": "Files out of Python packages.",
    "rules/npm_packages.bzl": "Packages of the npm registry.",
}

_EXAMPLES = """\
  bazel run //rules:document                # writes docs/reference/rules.md again
  bazel run //rules:document -- --check     # fails when it is not current
"""


@dataclass
class _Attribute:
    kind: str
    doc: str = ""
    default: object = None
    mandatory: bool = False
    values: list = field(default_factory=list)


@dataclass
class _Definition:
    """A rule, provider, repository rule, tag class or module extension."""

    kind: str
    doc: str
    attributes: Mapping[str, _Attribute]
    tags: Mapping[str, "_Definition"] = field(default_factory=dict)


class _AttributeModule:
    """Stands in for `attr`."""

    def __getattr__(self, kind):
        def attribute(doc="", default=None, mandatory=False, values=(), **_):
            return _Attribute(kind, doc, default, mandatory, list(values))

        return attribute


def _definition(kind):
    def define(implementation=None, doc="", attrs=None, **_):
        return _Definition(kind, doc, attrs or {})

    return define


def _provider(doc="", fields=(), **_):
    described = fields if isinstance(fields, dict) else dict.fromkeys(fields, "")
    return _Definition(
        "provider", doc, {name: _Attribute("field", text) for name, text in described.items()}
    )


def _module_extension(implementation=None, doc="", tag_classes=None, **_):
    return _Definition("module extension", doc, {}, tag_classes or {})


class _Repository:
    """Runs the Starlark files of a workspace, each once."""

    def __init__(self, root: Path):
        self._root = root
        self._modules: dict[str, dict] = {}

    def module(self, path: str) -> dict:
        """Runs a file and returns its globals, without those that Bazel defines."""
        if path not in self._modules:
            bazel = self._bazel(path)
            namespace = dict(bazel)
            source = (self._root / path).read_text()
            exec(compile(source, path, "exec"), namespace)
            self._modules[path] = {
                name: value
                for name, value in namespace.items()
                if name not in bazel and not name.startswith("__")
            }
            for value in self._modules[path].values():
                if isinstance(value, FunctionType) and value.__globals__ is namespace:
                    value.__module__ = path
        return self._modules[path]

    def hands_on(self, path: str, name: str) -> bool:
        """Says whether a file defines a name, and does not just load it to use it."""
        source = (self._root / path).read_text()
        return re.search(rf"^{name} = ", source, flags=re.MULTILINE) is not None

    def _bazel(self, path):
        namespace = {
            "Label": str,
            "attr": _AttributeModule(),
            "config": SimpleNamespace(bool=lambda **_: None, string=lambda **_: None),
            "module_extension": _module_extension,
            "provider": _provider,
            "repository_rule": _definition("repository rule"),
            "rule": _definition("rule"),
            "tag_class": _definition("tag"),
        }

        def load(label, *names, **renamed):
            loaded = self.module(self._path(path, label))
            wanted = {name: name for name in names} | renamed
            frame = inspect.currentframe().f_back.f_globals
            frame.update({here: loaded[there] for here, there in wanted.items()})

        namespace["load"] = load
        return namespace

    @staticmethod
    def _path(loading, label):
        package, _, name = label.rpartition(":")
        folder = package.removeprefix("//") if package else str(Path(loading).parent)
        return f"{folder}/{name}"


def _parameters(function, path):
    """Reads a docstring in Google's style.

    Returns:
      (text, {target: description}, {parameter: description}, what it returns or "").

    Raises:
      InputError: for a function without one, or a parameter that it does not describe.
    """
    text = inspect.cleandoc(function.__doc__ or "")
    if not text:
        raise InputError("page.incomplete", f"{path}: {function.__name__} has no docstring")
    sections = re.split(r"^(Targets|Args|Returns):\n", text, flags=re.MULTILINE)
    found = dict(zip(sections[1::2], sections[2::2], strict=True))
    targets, described = _named(found.get("Targets", "")), _named(found.get("Args", ""))
    for parameter in _signature(function):
        if parameter not in described:
            raise InputError(
                "page.incomplete", f"{path}: {function.__name__}: {parameter} is not described"
            )
    returns = " ".join(found.get("Returns", "").split())
    return sections[0].strip(), targets, described, returns


def _named(section):
    """Reads lines such as `name: what it is`, each with what follows it."""
    described = {}
    for line in inspect.cleandoc(section).splitlines():
        start = re.match(r"(\*{0,2}[\w.]+): (.*)", line)
        if start:
            name = start[1]
            described[name] = start[2]
        elif line.strip():
            described[name] += " " + line.strip()
    return described


def _signature(function):
    """Lists parameters, as they are written, with the text of their defaults or ""."""
    parameters = {}
    for parameter in inspect.signature(function).parameters.values():
        stars = {parameter.VAR_KEYWORD: "**", parameter.VAR_POSITIONAL: "*"}
        default = "" if parameter.default is parameter.empty else _text(parameter.default)
        parameters[stars.get(parameter.kind, "") + parameter.name] = default
    return parameters


def _text(value):
    """Writes a value as Starlark does."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def _table(head, rows):
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _of_function(name, function, path):
    text, targets, described, returns = _parameters(function, path)
    rows = [
        (f"`{parameter}`", f"`{default}`" if default else "", described[parameter])
        for parameter, default in _signature(function).items()
    ]
    lines = [f"### {name}", "", text, ""]
    if targets:
        made = [(f"`{target}`", about) for target, about in targets.items()]
        lines += [*_table(("target", "what it does"), made), ""]
    if rows:
        lines += [*_table(("parameter", "default", "what it is"), rows), ""]
    if returns:
        lines += [f"Returns: {returns}", ""]
    return lines


def _of_definition(name, definition, path):
    if not definition.doc:
        raise InputError("page.incomplete", f"{path}: {name} has no doc")
    lines = [f"### {name}", "", f"*{definition.kind}*", "", inspect.cleandoc(definition.doc), ""]
    rows = []
    for attribute, about in sorted(definition.attributes.items()):
        if attribute.startswith("_"):
            continue
        if not about.doc:
            raise InputError("page.incomplete", f"{path}: {name}: {attribute} has no doc")
        if definition.kind == "provider":
            rows.append((f"`{attribute}`", about.doc))
            continue
        default = "needed" if about.mandatory else ""
        if about.default not in (None, "", [], {}):
            default = f"`{_text(about.default)}`"
        values = " One of " + ", ".join(f"`{one}`" for one in about.values) + "."
        rows.append(
            (f"`{attribute}`", about.kind, default, about.doc + (values if about.values else ""))
        )
    if rows:
        head = ("field", "what it is")
        if definition.kind != "provider":
            head = ("attribute", "type", "default", "what it is")
        lines += [*_table(head, rows), ""]
    for tag, about in definition.tags.items():
        lines += _of_definition(f"{name}.{tag}", about, path)
    return lines


def reference(root: Path, pages: Mapping[str, str] = PAGES) -> str:
    """Makes the reference.

    Args:
      root: the workspace.
      pages: what is said of each Starlark file, by its path.

    Returns:
      Markdown.

    Raises:
      InputError: something public has no documentation.
    """
    repository = _Repository(root)
    lines = [
        "# Reference of the rules",
        "",
        "<!-- Written by `bazel run //rules:document`; edit the Starlark files instead. -->",
        "",
        "Rules also take what Bazel gives to every rule (`name`, `tags`, `visibility`, ...).",
        "How they are used is in [Quantize a model](../how-to/quantize_a_model.md).",
        "",
    ]
    for path, about in pages.items():
        lines += [f"## @rules_quantize//{path.replace('/', ':', 1)}", "", about, ""]
        definitions = {
            name: value
            for name, value in repository.module(path).items()
            if not name.startswith("_")
        }
        for name, value in sorted(definitions.items(), key=lambda item: item[0].lower()):
            if isinstance(value, FunctionType) and (
                value.__module__ == path or repository.hands_on(path, name)
            ):
                lines += _of_function(name, value, path)
            elif isinstance(value, _Definition) and repository.hands_on(path, name):
                lines += _of_definition(name, value, path)
    return "\n".join(lines).rstrip() + "\n"


def parser() -> argparse.ArgumentParser:
    """Makes the command's parser."""
    result = new_parser("document", __doc__, _EXAMPLES)
    result.add_argument(
        "--root", type=user_path, default=user_path("."), help="the workspace; default: this one"
    )
    result.add_argument("--check", action="store_true", help="only say whether it is current")
    return result


def main(arguments: argparse.Namespace) -> int:
    """Writes docs/reference/rules.md, or compares it."""
    page = arguments.root / "docs/reference/rules.md"
    text = reference(arguments.root)
    if arguments.check:
        if page.read_text() != text:
            command = bazel_command("run", "//rules:document")
            raise InputError("page.stale", f"{page}: not current; write it with `{command}`")
        return 0
    with whole_file(page, "w") as output:
        output.write(text)
    print(f"wrote {page}")
    return 0


if __name__ == "__main__":
    run(parser(), main)
