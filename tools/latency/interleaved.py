"""Measures two models against each other in one process.

A shared machine's speed drifts by tens of percent within seconds, for both models
alike. So the models take turns: each round runs both, in an order that alternates, and
gives one ratio. The ratio of a round does not see the drift; the median over rounds
does not see a round that was disturbed.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np

LEAST_ROUNDS = 9

# A round long enough that the clock's step and a single interruption do not show.
_ROUND_SECONDS = 0.15
_WARM_UP_SECONDS = 0.5
_MOST_INVOKES = 2000


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What was measured. Times are in milliseconds.

    Attributes:
      float_ms: float64 [rounds, invokes], the float master's.
      artifact_ms: float64 [rounds, invokes], the artifact's.
    """

    float_ms: np.ndarray
    artifact_ms: np.ndarray

    @property
    def round_speedups(self) -> np.ndarray:
        """Ratio of the medians of each round, float64 [rounds]; over 1 is faster."""
        return np.median(self.float_ms, axis=1) / np.median(self.artifact_ms, axis=1)

    @property
    def round_fps(self) -> np.ndarray:
        """Inferences a second by each round's median, float64 [rounds]."""
        return 1000.0 / np.median(self.artifact_ms, axis=1)


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Bounds a median by order statistics.

    The k-th smallest and k-th largest of n independent values enclose the median with
    probability 1 - 2 P(Binomial(n, 1/2) < k), whatever the distribution (Hahn and Meeker,
    "Statistical Intervals", 5.2). k is the largest for which that is at least 95%.

    Args:
      values: at least 9.

    Returns:
      (low, high). For 9 values these are the 2nd and the 8th.
    """
    ordered = np.sort(values)
    count = ordered.size
    below, term, rank = 0.0, 0.5**count, 0
    while rank < count // 2 and below + term <= 0.025:
        below += term
        rank += 1
        term *= (count - rank + 1) / rank
    rank = max(rank, 1)
    return float(ordered[rank - 1]), float(ordered[count - rank])


def compare(
    invoke_float: Callable[[], None], invoke_artifact: Callable[[], None], rounds: int
) -> Comparison:
    """Runs two models in turns.

    Args:
      invoke_float: runs the float master once.
      invoke_artifact: runs the artifact once.
      rounds: at least 9; fewer give no interval for a median.

    Returns:
      Every time that was measured, after a warm-up of at least half a second a model.
    """
    float_ms, artifact_ms = measure_in_turns([invoke_float, invoke_artifact], rounds)
    return Comparison(float_ms, artifact_ms)


def measure_in_turns(invokes: Sequence[Callable[[], None]], rounds: int) -> np.ndarray:
    """Times any number of models in turns; the order turns round from round to round.

    Args:
      invokes: each runs a model once.
      rounds: at least 9; fewer give no interval for a median.

    Returns:
      float64 [models, rounds, invokes], milliseconds, after a warm-up of at least half
      a second a model. Every model is run equally often in a round.
    """
    if rounds < LEAST_ROUNDS:
        raise ValueError(f"{rounds} rounds; a median's interval needs at least {LEAST_ROUNDS}")
    count = _MOST_INVOKES
    for invoke in invokes:
        start, done = time.perf_counter(), 0
        while done < 5 or time.perf_counter() - start < _WARM_UP_SECONDS:
            invoke()
            done += 1
        each = (time.perf_counter() - start) / done
        count = min(count, max(5, round(_ROUND_SECONDS / each)))
    times = np.empty((len(invokes), rounds, count))
    turns = list(enumerate(invokes))
    for number in range(rounds):
        for which, invoke in turns if number % 2 == 0 else turns[::-1]:
            for position in range(count):
                start = time.perf_counter_ns()
                invoke()
                times[which, number, position] = (time.perf_counter_ns() - start) / 1e6
    return times
