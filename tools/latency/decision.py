"""Decides whether a measurement clears a threshold: PASS, FAIL or INCONCLUSIVE.

A gate is judged by an interval of the median over rounds. PASS when the whole interval is
on the right side of the threshold, FAIL when the whole interval is on the wrong one, else
more rounds are measured up to a limit, and what is undecided then is INCONCLUSIVE.

Looking again and again would find a wrong side sooner or later. So the looks share the
error that is allowed: of `WRONG_VERDICTS` in all, each look spends an equal part on either
side (Bonferroni; it holds whatever the dependence between looks).

The interval is the wider of two at that level, on each side:

- a bootstrap of the median over circular blocks of rounds (Politis and Romano, "A circular
  block-resampling procedure for stationary data", 1992), blocks because neighbouring rounds
  are alike: a burst of load lasts longer than one;
- by order statistics (Hahn and Meeker, "Statistical Intervals", 5.2), which holds for few
  rounds and any distribution, where a bootstrap is too narrow.

What a device does not tell may still be known to lie between two values that it does tell:
the 90th percentile lies between the median and the 95th. The interval then reaches from the
lower end of the one to the upper end of the other.
"""

import dataclasses
import enum
import math
from collections.abc import Callable, Sequence

import numpy as np

LEAST_ROUNDS = 9
MOST_ROUNDS = 60

# Share of verdicts, PASS or FAIL, that may be wrong by chance.
WRONG_VERDICTS = 0.01

_GROWTH = 1.5
_RESAMPLES = 2000


class Verdict(enum.StrEnum):
    """What is known of a gate, or of all of them."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclasses.dataclass(frozen=True)
class Gate:
    """A threshold on what is measured.

    Attributes:
      name: such as "min_fps".
      threshold: in the unit of the values.
      smaller_is_better: whether a value may be at most, and not at least, the threshold.
    """

    name: str
    threshold: float
    smaller_is_better: bool = False


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A gate with what was found.

    Attributes:
      gate: the gate.
      verdict: PASS, FAIL or INCONCLUSIVE.
      value: median over rounds; NaN where only bounds of it are known.
      low: lower end of the interval that decided.
      high: upper end.
    """

    gate: Gate
    verdict: Verdict
    value: float
    low: float
    high: float


def looks(first: int, most: int) -> list[int]:
    """Says after how many rounds gates are judged.

    Args:
      first: rounds of the first look, at least 9.
      most: rounds of the last.

    Returns:
      Rising numbers, each half as many again as the one before; the last is `most`, or
      `first` where that is larger.
    """
    found = [first]
    while found[-1] < most:
        found.append(min(most, math.ceil(found[-1] * _GROWTH)))
    return found


def order_bounds(values: np.ndarray, tail: float) -> tuple[float, float]:
    """Bounds a median by order statistics.

    The k-th smallest and k-th largest of n independent values are beyond the median with
    probability P(Binomial(n, 1/2) < k) on each side, whatever the distribution. k is the
    largest for which that is at most `tail`, and at least 1.

    Args:
      values: float64 [rounds].
      tail: probability, on each side, that the median is beyond the bound.

    Returns:
      (low, high), two of the values. For 9 values and 0.025 these are the 2nd and the 8th.
    """
    ordered = np.sort(values)
    count = ordered.size
    below, term, rank = 0.0, 0.5**count, 0
    while rank < count // 2 and below + term <= tail:
        below += term
        rank += 1
        term *= (count - rank + 1) / rank
    rank = max(rank, 1)
    return float(ordered[rank - 1]), float(ordered[count - rank])


def median_bounds(values: np.ndarray, tail: float) -> tuple[float, float]:
    """Bounds the median that rounds have on average.

    Args:
      values: float64 [rounds], in the order of time.
      tail: probability, on each side, that the median is beyond the bound.

    Returns:
      (low, high). The same values give the same bounds.
    """
    values = np.asarray(values, float)
    count = values.size
    length = max(1, round(count ** (1 / 3)))
    blocks = -(-count // length)
    random = np.random.default_rng(count)
    starts = random.integers(count, size=(_RESAMPLES, blocks, 1))
    places = (starts + np.arange(length)).reshape(_RESAMPLES, -1)[:, :count] % count
    low, high = np.quantile(np.median(values[places], axis=1), [tail, 1 - tail])
    by_order = order_bounds(values, tail)
    return float(min(low, by_order[0])), float(max(high, by_order[1]))


def judge(gate: Gate, values: np.ndarray | Sequence[float], look_count: int) -> Judgement:
    """Judges a gate at one of several looks.

    Args:
      gate: the gate.
      values: float64 [rounds], one number a round in the order of time, or [2, rounds],
        two between which it lies. Those that are not finite are left out, with their round.
        Under 9 give no verdict.
      look_count: how often the gate may be judged in all.

    Returns:
      The judgement. Without any value its numbers are NaN.
    """
    lower, upper = np.broadcast_to(values, (2, np.shape(values)[-1])).astype(float)
    there = np.isfinite(lower) & np.isfinite(upper)
    lower, upper = lower[there], upper[there]
    if not lower.size:
        return Judgement(gate, Verdict.INCONCLUSIVE, math.nan, math.nan, math.nan)
    tail = WRONG_VERDICTS / look_count
    low, high = median_bounds(lower, tail)
    exact = np.array_equal(lower, upper)
    if not exact:
        high = median_bounds(upper, tail)[1]
    verdict = Verdict.INCONCLUSIVE
    if lower.size >= LEAST_ROUNDS:
        if gate.smaller_is_better:
            right, wrong = high <= gate.threshold, low > gate.threshold
        else:
            right, wrong = low >= gate.threshold, high < gate.threshold
        verdict = Verdict.PASS if right else Verdict.FAIL if wrong else verdict
    value = float(np.median(lower)) if exact else math.nan
    return Judgement(gate, verdict, value, low, high)


def decide(
    gates: Sequence[Gate],
    measure: Callable[[int], dict[str, np.ndarray]],
    first: int,
    most: int = MOST_ROUNDS,
) -> list[Judgement]:
    """Measures until every gate is decided, or the limit is reached.

    A gate keeps the verdict of the look that decided it.

    Args:
      gates: what is judged. Without any, the first look's rounds are measured all the same.
      measure: given how many rounds there should be in all, measures those that are missing
        and returns the values of all rounds, as `judge` takes them, by the name of the gate.
      first: rounds of the first look, at least 9.
      most: rounds after which what is undecided stays so.

    Returns:
      A judgement for each gate, in order.
    """
    if first < LEAST_ROUNDS:
        raise ValueError(f"{first} rounds; an interval needs at least {LEAST_ROUNDS}")
    counts = looks(first, most)
    found: dict[Gate, Judgement] = {}
    for count in counts:
        values = measure(count)
        for gate in gates:
            if gate not in found or found[gate].verdict is Verdict.INCONCLUSIVE:
                found[gate] = judge(gate, values[gate.name], len(counts))
        if all(one.verdict is not Verdict.INCONCLUSIVE for one in found.values()):
            break
    return [found[gate] for gate in gates]


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """FAIL when one fails, else INCONCLUSIVE when one is, else PASS."""
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS
