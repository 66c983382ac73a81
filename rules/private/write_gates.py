"""Writes what BUILD files and docs say of gates from the tables that define them.

rules/gates.bzl is written whole, docs/reference/gates.md between marks.
"""

import argparse
import inspect
import json
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from tools.command_line import bazel_command, new_parser, run, user_path, whole_file
from tools.documents.metrics import TASK_TYPES
from tools.errors import InputError
from tools.gate_definition import GateDefinition
from tools.latency.gate_definitions import SPEED_GATES, SpeedGate
from tools.similarity.gate_definitions import (
    CHANGE,
    JPEG,
    QUALITY_GATES,
    QualityGate,
    scope_of,
)

_CONSTRUCTORS = Path("rules/gates.bzl")
_PAGE = Path("docs/reference/gates.md")

_EXAMPLES = """\
  bazel run //rules:write_gates              # writes rules/gates.bzl and the tables of gates.md
  bazel run //rules:write_gates -- --check   # fails when one is not current
"""

_HEAD = '''\
"""quality_gates, speed_gates: what an artifact must reach.

Written by `bazel run //rules:write_gates` from tools/similarity/gate_definitions.py and
tools/latency/gate_definitions.py; edit those.
"""

load("//rules/private:gate_values.bzl", "quality_thresholds", "speed_thresholds")
'''

_QUALITY_ABOUT = """\
Gates on size and similarity, for `quantized_model(quality = ...)`.

A threshold of outputs is a number, or a dict by the outputs' names, in which "*" stands for
those not named: tolerance = {"boxes": 0.03, "*": 0.05}. The gates of tasks are given in a
dict for each type of task, detection = {"min_recall": 0.98}, and there a threshold may be a
dict by the tasks' own names, landmarks = {"min_recall": {"iris": 0.9, "*": 0.98}}. None
switches a gate off."""

_QUALITY_RETURNS = """\
Dict from a gate's name to its threshold as JSON. A select() may choose between such dicts."""

_SPEED_ABOUT = """\
Gates on speed and memory, and how they are measured, for `quantized_model(speed = ...)`."""

_SPEED_RETURNS = """\
A struct. It makes targets, so no select() may choose between two."""

# Of no gate: name to default and description.
_MEASURING = {
    "allow_inconclusive": (
        "False",
        "whether a gate that stays undecided passes with a warning.",
    ),
    "threads": (
        "1",
        "of the interpreter that measures, for NAME.tune and NAME.register as well.",
    ),
    "test_tags": (
        "[]",
        'further tags of NAME_fps_test: ["manual"] keeps it out of `bazel test //...`.',
    ),
}

_UNKNOWN = "refused, with the names that are near it."


def _text(value: object) -> str:
    """Writes a value as Starlark does."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return repr(value)


def _known(gate: GateDefinition) -> dict[str, object]:
    """Gives what Starlark has to know of a gate."""
    known: dict[str, object] = {"kind": gate.kind, "wanted": gate.wanted}
    for field in ("default", "least", "most"):
        if getattr(gate, field) is not None:
            known[field] = getattr(gate, field)
    if gate.above_least:
        known["above_least"] = True
    if isinstance(gate, QualityGate):
        if gate.by_name:
            known["by_name"] = True
        if gate.tasks:
            known["tasks"] = gate.tasks
        if gate.by_metric:
            known["metrics"] = gate.metrics()
        if gate.of == JPEG:
            known["of_all_metrics"] = True
    return known


def _table(name: str, gates: Iterable[GateDefinition]) -> list[str]:
    """Writes what Starlark has to know of gates."""
    lines = [f"{name} = {{"]
    for gate in gates:
        known = _known(gate)
        pairs = ", ".join(f"{_text(key)}: {_text(value)}" for key, value in sorted(known.items()))
        lines.append(f"    {_text(gate.name)}: {{{pairs}}},")
    return [*lines, "}"]


def _about(gate: GateDefinition) -> str:
    wanted = "" if gate.kind == "switch" else f" ({gate.wanted})"
    return f"{gate.about}{wanted}."


def _function(
    name: str,
    parameters: dict[str, tuple[str, str]],
    about: str,
    returns: str,
    body: list[str],
) -> list[str]:
    """Writes a function whose parameters are given by name; (default, description) of each."""

    def wrapped(text: str, indent: str, further: str) -> list[str]:
        return textwrap.wrap(
            text,
            96,
            initial_indent=indent,
            subsequent_indent=further,
            break_long_words=False,
            break_on_hyphens=False,
        )

    lines = [f"def {name}(", "        *,"]
    lines += [f"        {one} = {default}," for one, (default, _) in parameters.items()]
    lines += ["        **unknown):"]
    start, *rest = textwrap.indent(about, "    ").splitlines()
    lines += ['    """' + start.strip(), *rest, "", "    Args:"]
    for one, (_, described) in [*parameters.items(), ("**unknown", ("", _UNKNOWN))]:
        lines += wrapped(f"{one}: {described}", " " * 6, " " * 8)
    lines += ["", "    Returns:", *wrapped(returns, " " * 6, " " * 6), '    """', *body]
    return lines


def _constructors() -> str:
    """Writes rules/gates.bzl."""
    quality = {}
    for gate in QUALITY_GATES.values():
        if not gate.tasks:
            empty = "{}" if gate.of == CHANGE else "False" if gate.kind == "switch" else "None"
            default = empty if gate.default is None else _text(gate.default)
            quality[gate.name] = (default, _about(gate))
    tasks = {
        task: (
            "{}",
            f"gates of every {task} task, by name: "
            + ", ".join(one.name for one in QUALITY_GATES.values() if task in one.tasks)
            + ".",
        )
        for task in TASK_TYPES
    }
    of_speed = {gate.name: ("None", _about(gate)) for gate in SPEED_GATES.values()}
    of_speed["min_fps"] = (
        "{}",
        'inferences a second by device: ":host", the machine that runs the test, or the label '
        "of a latency_device.",
    )
    given = [name for name in of_speed if name != "min_fps"]

    def handed(names: Iterable[str], indent: int) -> list[str]:
        return [f"{' ' * indent}{_text(name)}: {name}," for name in names]

    lines = [
        _HEAD,
        *_table("_QUALITY_GATES", QUALITY_GATES.values()),
        "",
        *_table("_SPEED_GATES", SPEED_GATES.values()),
        "",
        *_function(
            "quality_gates",
            quality | tasks,
            _QUALITY_ABOUT,
            _QUALITY_RETURNS,
            [
                "    return quality_thresholds(",
                '        "quality_gates",',
                "        _QUALITY_GATES,",
                "        {",
                *handed(quality, 12),
                "        },",
                "        {",
                *handed(tasks, 12),
                "        },",
                "        unknown,",
                "    )",
            ],
        ),
        "",
        *_function(
            "speed_gates",
            of_speed | _MEASURING,
            _SPEED_ABOUT,
            _SPEED_RETURNS,
            [
                "    return speed_thresholds(",
                '        "speed_gates",',
                "        _SPEED_GATES,",
                "        min_fps,",
                "        {",
                *handed(given, 12),
                "        },",
                "        unknown,",
                *[f"        {name} = {name}," for name in _MEASURING],
                "    )",
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _limits(gate: GateDefinition) -> str:
    default = "" if gate.default is None else f" (default {gate.default:g})"
    return f"{gate.wanted}{default}"


def _quality_table() -> str:
    return _markdown(
        ("gate", "what it holds", "of", "threshold"),
        [
            (f"`{gate.name}`", gate.about, scope_of(gate), _limits(gate))
            for gate in QUALITY_GATES.values()
        ],
    )


def _speed_table() -> str:
    def row(gate: SpeedGate) -> tuple[str, ...]:
        when = "in rounds" if gate.measured else "before"
        return f"`{gate.name}`", gate.about, when, _limits(gate)

    return _markdown(
        ("gate", "what it holds", "judged", "threshold"), map(row, SPEED_GATES.values())
    )


def _metrics(gate: str) -> str:
    """Names the metrics whose change a gate can hold."""
    names = ", ".join(f"`{name}`" for name in QUALITY_GATES[gate].metrics())
    lines = textwrap.wrap(f"Metrics: {names}.", 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _page(text: str, where: Path) -> str:
    """Writes the tables into docs/reference/gates.md."""
    parts = {
        "quality gates": _quality_table(),
        "metrics": _metrics("max_degradation"),
        "metrics of JPEG": _metrics("max_jpeg_ratio"),
        "speed gates": _speed_table(),
    }
    for name, table in parts.items():
        start, end = f"<!-- {name}: {_WRITTEN} -->\n", f"<!-- end of {name} -->"
        if start not in text or end not in text:
            raise InputError(
                "page.incomplete",
                f"{where}: has no place for the {name}; mark it with {start.rstrip()} and {end}",
            )
        written = f"{start}{table}\n{end}".replace("\\", r"\\")
        text = re.sub(re.escape(start) + ".*?" + re.escape(end), written, text, flags=re.DOTALL)
    return text


_WRITTEN = "written by `bazel run //rules:write_gates`"


def written(root: Path) -> dict[Path, str]:
    """Makes what is written.

    Args:
      root: the workspace.

    Returns:
      Text by file, relative to `root`.

    Raises:
      InputError: docs/reference/gates.md has not the marks.
    """
    return {
        _CONSTRUCTORS: _constructors(),
        _PAGE: _page((root / _PAGE).read_text(encoding="utf-8"), root / _PAGE),
    }


def parser() -> argparse.ArgumentParser:
    """Makes the command's parser."""
    result = new_parser("write_gates", inspect.cleandoc(__doc__), _EXAMPLES)
    result.add_argument(
        "--root", type=user_path, default=user_path("."), help="the workspace; default: this one"
    )
    result.add_argument("--check", action="store_true", help="only say whether all is current")
    return result


def main(arguments: argparse.Namespace) -> int:
    """Writes the files, or compares them."""
    for name, text in written(arguments.root).items():
        path = arguments.root / name
        if not arguments.check:
            with whole_file(path, "w") as output:
                output.write(text)
            print(f"wrote {path}")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            command = bazel_command("run", "//rules:write_gates")
            raise InputError("page.stale", f"{path}: not current; write it with `{command}`")
    return 0


if __name__ == "__main__":
    run(parser(), main)
