"""Whether one version is better than another by a metric, and which differences are noise.

A device does not run alike in any two sessions: the float master itself may be a tenth slower in
one. So latency and frames a second of two sessions are not judged, but the speedup is. It is
measured against the float master in the same session, in turns, and has a 95% interval.
"""

from collections.abc import Mapping

from registry.metrics import definition, is_on_device
from tools.documents.metrics import HIGHER

BETTER = "better"
WORSE = "worse"
SAME = "same within noise"

SPEEDUP = "speedup"
_LOW, _HIGH = "speedup_low", "speedup_high"


def judge_change(
    metric: str, before: Mapping[str, float], after: Mapping[str, float], of_one_master: bool
) -> str | None:
    """Says which of two versions is better by a metric.

    Args:
      metric: its full name.
      before: one version's metrics, those of a device included.
      after: the other's.
      of_one_master: whether both were made from the same float master. Speedups against
        different ones are not comparable.

    Returns:
      BETTER, WORSE or SAME for `after`; None where nothing can be said: the values are equal,
      one is missing, neither direction is better, or two sessions are between them.
    """
    known = definition(metric)
    if known is None or known.better is None or metric not in before or metric not in after:
        return None
    if metric == SPEEDUP:
        return _judge_speedup(before, after) if of_one_master else None
    old, new = before[metric], after[metric]
    if is_on_device(metric) or old == new:
        return None
    return BETTER if (new > old) == (known.better == HIGHER) else WORSE


def _judge_speedup(before: Mapping[str, float], after: Mapping[str, float]) -> str | None:
    if not {_LOW, _HIGH} <= before.keys() & after.keys():
        return None
    if after[_LOW] > before[_HIGH]:
        return BETTER
    return WORSE if after[_HIGH] < before[_LOW] else SAME


def is_regression(
    metric: str, before: Mapping[str, float], after: Mapping[str, float], share: float
) -> bool:
    """Says whether a version is worse than another by more than a share.

    Args:
      metric: its full name, of a metric with a direction that both versions have.
      before: one version's metrics, those of a device included.
      after: the other's.
      share: of the value before, by which it may be worse. A speedup is worse where its
        interval is below that of the one before, less the share.

    Raises:
      ValueError: for another metric.
    """
    known = definition(metric)
    if known is None or known.better is None:
        raise ValueError(f"{metric} has no direction")
    old, new = before[metric], after[metric]
    if metric == SPEEDUP:
        old, new = before.get(_LOW, old), after.get(_HIGH, new)
    if known.higher_is_better:
        return new < old - abs(old) * share
    return new > old + abs(old) * share
