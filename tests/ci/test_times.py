#!/usr/bin/env python3
"""Prints the slowest targets of a `bazel test`, and those that are near their time limit.

    bazel test //... --build_event_json_file=events.json
    tests/ci/test_times.py events.json

A target's size must leave it four times what it takes here: then it passes on a machine
that is three times slower too. It needs nothing but Python's own library.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

# Seconds that .bazelrc gives a test of each size.
LIMITS = {"SMALL": 180, "MEDIUM": 600, "LARGE": 1800, "ENORMOUS": 7200}
ROOM = 4


@dataclass(frozen=True)
class TestTime:
    """How long a test took.

    Attributes:
      label: of the target.
      size: as declared, such as "SMALL".
      seconds: of all its runs together.
    """

    label: str
    size: str
    seconds: float

    @property
    def is_near_its_limit(self) -> bool:
        return self.seconds * ROOM > LIMITS[self.size]


def read_test_times(text: str) -> list[TestTime]:
    """Reads a build event file.

    Args:
      text: of the file, a JSON object a line.

    Returns:
      The tests that ran, the slowest first. A test whose result came from the cache counts
      with the time that it took when it ran.

    Raises:
      ValueError: when the text is no build event file.
    """
    sizes = {}
    seconds = {}
    for line in text.splitlines():
        event = json.loads(line)
        if "configured" in event:
            label = event["id"]["targetConfigured"]["label"]
            sizes[label] = event["configured"].get("testSize", "")
        summary = event.get("testSummary")
        if summary and "totalRunDurationMillis" in summary:
            label = event["id"]["testSummary"]["label"]
            seconds[label] = int(summary["totalRunDurationMillis"]) / 1000
    times = [TestTime(label, sizes[label], took) for label, took in seconds.items()]
    return sorted(times, key=lambda time: (-time.seconds, time.label))


def describe(times: list[TestTime], count: int = 10) -> str:
    """Writes the slowest targets, a line each, and then those near their limit."""
    total = sum(time.seconds for time in times)
    lines = [f"{len(times)} tests, {total:.0f} s in all; the slowest:"]
    lines += [
        f"{time.seconds:8.1f} s  {time.size.lower():8}  {time.label}" for time in times[:count]
    ]
    near = [time for time in times if time.is_near_its_limit]
    if near:
        lines.append(f"less than {ROOM} times as long is allowed; give a larger size to:")
        lines += [
            f"{time.seconds:8.1f} s  {time.size.lower():8}  {time.label} "
            f"(limit {LIMITS[time.size]} s)"
            for time in near
        ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Prints the slowest targets of a `bazel test`, and those near their limit.",
        allow_abbrev=False,
    )
    parser.add_argument("events", type=Path, help="what --build_event_json_file wrote")
    arguments = parser.parse_args()
    try:
        times = read_test_times(arguments.events.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError) as error:
        print(f"{arguments.events}: no build event file: {error}", file=sys.stderr)
        return 2
    print(describe(times))
    return 0


if __name__ == "__main__":
    sys.exit(main())
