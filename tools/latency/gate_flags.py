"""The gates on speed as flags of a command, one each, by the gates' own names."""

import argparse
from collections.abc import Callable, Iterable

from tools.gate_definition import COUNT
from tools.latency.gate_definitions import SPEED_GATES, SpeedGate


def _reader(gate: SpeedGate) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            threshold = int(text) if gate.kind == COUNT else float(text)
        except ValueError:
            threshold = float("nan")
        if not gate.permits(threshold):
            raise argparse.ArgumentTypeError(f"{text!r}: give {gate.wanted}")
        return threshold

    return read


def add_speed_gate_flags(
    parser: argparse.ArgumentParser, names: Iterable[str] = tuple(SPEED_GATES)
) -> None:
    """Adds a flag for each gate on speed.

    Args:
      parser: of the command.
      names: of the gates; all by default.
    """
    for name in names:
        gate = SPEED_GATES[name]
        parser.add_argument(
            f"--{name}",
            type=_reader(gate),
            metavar="NUMBER",
            help=f"{gate.about.replace('%', '%%')} ({gate.wanted})",
        )
