"""How much of a long test runs: a part of it by default, the whole of it in //tests:nightly.

A test that makes sense only as a whole is marked `@pytest.mark.nightly` instead.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")

# Set by python_test(whole = True).
WHOLE = os.environ.get("TEST_EXTENT") == "whole"


def part_of(items: Sequence[_T], step: int) -> Sequence[_T]:
    """Takes every step-th of a test's cases, or all of them in the nightly run.

    Args:
      items: the cases in their order.
      step: how many cases stand for one by default; the first is always taken.
    """
    return items if WHOLE else items[::step]


def count(default: int, nightly: int) -> int:
    """Chooses how many cases a test makes up."""
    return nightly if WHOLE else default
