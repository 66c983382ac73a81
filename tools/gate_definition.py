"""What is known of a gate before a value is there: its name, what it holds, and what it may be.

The tables are tools/similarity/gate_definitions.py and tools/latency/gate_definitions.py.
`bazel run //rules:write_gates` writes rules/gates.bzl and the tables of the docs from them.
"""

import dataclasses
import difflib
import math
import re
import sys
from collections.abc import Iterable

from tools.errors import InputError

# Kinds of thresholds.
NUMBER = "number"
COUNT = "count"
SWITCH = "switch"
VERSION = "version"


@dataclasses.dataclass(frozen=True)
class GateDefinition:
    """A gate.

    Attributes:
      name: in BUILD files, flags, files of gates, verdicts and messages. A unit is its end.
        With min_ the value must reach the threshold, else it must not exceed it.
      about: what the threshold is, without a full stop.
      kind: of a threshold: NUMBER, COUNT (a whole number), SWITCH (True or False) or VERSION
        (of TensorFlow Lite).
      least: smallest threshold that means something, or None.
      most: largest one, or None.
      above_least: whether `least` itself means nothing.
      default: threshold where nothing is said; None for no gate.
    """

    name: str
    about: str
    kind: str = NUMBER
    least: float | None = None
    most: float | None = None
    above_least: bool = False
    default: float | None = None

    @property
    def at_least(self) -> bool:
        """Whether a value must reach the threshold."""
        return self.name.startswith("min_")

    @property
    def wanted(self) -> str:
        """Says which thresholds mean something."""
        if self.kind == SWITCH:
            return "True or False"
        if self.kind == VERSION:
            return 'a version such as "2.7.0"'
        number = "a whole number" if self.kind == COUNT else "a number"
        if self.least is None:
            return number
        if self.most is None:
            return f"{number} {'above' if self.above_least else 'from'} {self.least:g}"
        return f"{number} from {self.least:g} to {self.most:g}"

    def permits(self, threshold: object) -> bool:
        """Says whether a threshold means something."""
        if self.kind == SWITCH:
            return isinstance(threshold, bool)
        if self.kind == VERSION:
            return isinstance(threshold, str) and bool(
                re.fullmatch(r"[0-9]+\.[0-9]+(\.[0-9]+)?", threshold)
            )
        numbers = int if self.kind == COUNT else int | float
        if isinstance(threshold, bool) or not isinstance(threshold, numbers):
            return False
        # An int of hundreds of digits is no float.
        if abs(threshold) > sys.float_info.max or not math.isfinite(threshold):
            return False
        if self.least is not None and threshold < self.least:
            return False
        if self.above_least and threshold == self.least:
            return False
        return self.most is None or threshold <= self.most

    def check(self, threshold: object, where: str) -> None:
        """Refuses a threshold that means nothing.

        Args:
          threshold: of any type.
          where: how a message names it, such as "gates.json: tolerance".

        Raises:
          InputError: it is none of `wanted`.
        """
        if not self.permits(threshold):
            raise InputError("gate.value", f"{where} = {threshold!r}; give {self.wanted}")


def near(name: str, known: Iterable[str]) -> str:
    """Says which names a misspelt one is near to, or which there are."""
    known = sorted(known)
    begun = [one for one in known if one.startswith(name)]
    close = begun or difflib.get_close_matches(name, known)
    return f"near it: {', '.join(close)}" if close else f"there are {', '.join(known)}"
