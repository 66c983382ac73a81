"""The gates on size and similarity as flags of a command, one each, by the gates' own names."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.command_line import user_path
from tools.documents.json_file import read_json
from tools.errors import InputError
from tools.gate_definition import COUNT, SWITCH, VERSION
from tools.similarity.gate_definitions import (
    CHANGE,
    DEFAULTS,
    OTHERS,
    QUALITY_GATES,
    QualityGate,
    check_settings,
)


def _reader(gate: QualityGate) -> Callable[[str], tuple[str, Any]]:
    """Makes what reads NUMBER, or NAME=NUMBER; "*" is every name."""

    def read(text: str) -> tuple[str, Any]:
        name, _, word = text.rpartition("=")
        threshold: Any = word
        if gate.kind != VERSION:
            try:
                threshold = int(word) if gate.kind == COUNT else float(word)
            except ValueError:
                threshold = float("nan")
        if not gate.permits(threshold):
            raise InputError("gate.value", f"{text!r}: give {gate.wanted}")
        if gate.of == CHANGE and not name:
            raise InputError("gate.value", f"{text!r}: give METRIC=NUMBER, or METRIC=NAME=NUMBER")
        if name and not gate.by_name and not gate.by_metric:
            raise InputError(
                "gate.value", f"{text!r}: it is of the whole model; give {gate.wanted}"
            )
        return name or "*", threshold

    return read


def _metavar(gate: QualityGate) -> str:
    if gate.of == CHANGE:
        return "METRIC=[NAME=]NUMBER"
    if gate.by_metric:
        return "[METRIC=[NAME=]]NUMBER"
    if gate.kind == VERSION:
        return "VERSION"
    return "[NAME=]NUMBER" if gate.by_name else "NUMBER"


def add_gate_flags(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for every gate, and --gates for a file of them."""
    group = parser.add_argument_group("gates", "see docs/reference/gates.md")
    group.add_argument(
        "--gates", type=user_path, help="JSON: thresholds by name; flags go before it"
    )
    for gate in QUALITY_GATES.values():
        text = gate.about.replace("%", "%%")
        if gate.kind == SWITCH:
            group.add_argument(f"--{gate.name}", action="store_true", default=None, help=text)
            continue
        default = "" if gate.default is None else f"; default: {gate.default:g}"
        group.add_argument(
            f"--{gate.name}",
            action="append",
            type=_reader(gate),
            metavar=_metavar(gate),
            help=f"{text} ({gate.wanted}{default})",
        )


def _setting(gate: QualityGate, given: list[tuple[str, Any]]) -> Any:
    names = [name for name, _ in given]
    for name in names:
        if names.count(name) > 1:
            of = "" if name == OTHERS else f" for {name}"
            raise InputError("flag.conflict", f"--{gate.name} is given twice{of}; give one of them")
    by_name = dict(given)
    if not gate.by_metric:
        return by_name["*"] if set(by_name) == {"*"} else by_name
    result: dict[str, dict[str, float]] = {}
    for name, number in given:
        metric, _, of = name.partition("=")
        result.setdefault(metric, {})[of or OTHERS] = number
    return result


def read_gates(path: Path) -> dict[str, Any]:
    """Reads a file of thresholds.

    Args:
      path: of a JSON file.

    Returns:
      Thresholds by the names in `tools.similarity.gate_definitions.QUALITY_GATES`.

    Raises:
      InputError: with the file, when it is no object, names no gate, or a threshold means
        nothing.
      OSError: when it cannot be read.
    """
    document = read_json(path)
    if not isinstance(document, dict):
        raise InputError("gate.value", f"{path}: not an object of thresholds by name")
    check_settings(document, str(path))
    return document


def gate_flags_given(arguments: argparse.Namespace) -> list[str]:
    """Names the flags of `add_gate_flags` that a command line has."""
    names = ["gates", *QUALITY_GATES]
    return [f"--{name}" for name in names if getattr(arguments, name) is not None]


def gates_of_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """Gives the thresholds that a command line asks for.

    Args:
      arguments: with the flags of `add_gate_flags`.

    Returns:
      Thresholds by the names in `tools.similarity.gate_definitions.QUALITY_GATES`: of the
      flags, else of the file, else the defaults.

    Raises:
      InputError: when the file cannot be used, or a flag says two things of one name.
    """
    settings: dict[str, Any] = dict(DEFAULTS)
    if arguments.gates:
        settings |= read_gates(arguments.gates)
    for name, gate in QUALITY_GATES.items():
        given = getattr(arguments, name)
        if given is not None:
            settings[name] = _setting(gate, given) if isinstance(given, list) else given
    return settings
