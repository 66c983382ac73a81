"""Says which operators make one model slower than another."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tools.errors import InputError
from tools.latency.backend import Backend

# So many kinds of operators are named, those that cost most.
_NAMED = 3
# What is not worth a word, as a share of the time lost.
_SMALL = 0.1


def _by_kind(operators: Iterable[Mapping]) -> tuple[Counter, set[str]]:
    """Adds up milliseconds by kind; also the kinds that run outside a delegate."""
    times: Counter = Counter()
    outside = set()
    for one in operators:
        # A delegate tells types behind the kind: "Fully Connected (NC, QS8) GEMM".
        kind = re.sub(r"[^a-z0-9]+", "_", one["kind"].partition(" (")[0].lower()).strip("_")
        times[kind] += one["ms"]
        if not one["delegated"]:
            outside.add(kind)
    return times, outside


def costlier_kinds(slow: Sequence[Mapping], fast: Sequence[Mapping]) -> list[str]:
    """Names the kinds of operators in which a model loses time against another.

    Args:
      slow: operators of the slower model, as
        tools.latency.operator_profile.read_operator_profile gives them.
      fast: of the other.

    Returns:
      "batch_matmul 3.10 ms against 0.20, outside the delegate", those that lose most first.
    """
    (ours, outside), (theirs, _) = _by_kind(slow), _by_kind(fast)
    lost = {kind: ms - theirs[kind] for kind, ms in ours.items() if ms > theirs[kind]}
    whole = sum(lost.values())
    found = []
    for kind, more in sorted(lost.items(), key=lambda one: (-one[1], one[0]))[:_NAMED]:
        if more >= _SMALL * whole:
            where = ", outside the delegate" if kind in outside else ""
            found.append(f"{kind} {ours[kind]:.2f} ms against {theirs[kind]:.2f}{where}")
    return found


def profiles_of(backend: Backend) -> list[list[dict]] | None:
    """Profiles a device's models; None where it gives no profile of them."""
    try:
        return backend.operator_times()
    except InputError:
        return None


def slowdown_warning(slow: Path, fast: Path, ratio: float, profiles: Sequence | None) -> str:
    """Warns of a model that is slower than another.

    Args:
      slow: the slower model's file.
      fast: the other's.
      ratio: how many times as long it takes.
      profiles: (operators of the slower, of the other), where the device gives them.

    Returns:
      One line.
    """
    line = f"warning: {slow.name} takes {ratio:.2f} times as long as {fast.name}"
    costs = costlier_kinds(*profiles) if profiles else []
    if not costs:
        return line
    return f"{line}; what costs more: {'; '.join(costs)}; keep such operators in float"
