"""Measures in a few seconds whether an artifact is slower than the float model on this machine.

Both run in turns, one thread each, on inputs that they can take. A ratio of two times measured
side by side says little alone; the median of many says enough to warn by. It decides nothing:
speed gates (tools/latency/decision.py) do that, with rounds enough.
"""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from tools.errors import InputError
from tools.graph.child_process import in_child
from tools.latency.host import invoker, made_up_inputs, timed
from tools.latency.host_profile import host_operator_times

# What a machine that does other work as well gives by chance.
_SLOWER = 1.1
# Of the rounds, in which it must be slower.
_MOST_ROUNDS_AGREE = 0.9
# A difference below, in milliseconds, nobody notices.
_LEAST_MS = 0.01
_MOST_ROUNDS = 15
_LEAST_ROUNDS = 3
# Of the seconds, for warming up.
_WARM_UP = 0.2


@dataclasses.dataclass(frozen=True)
class ShortMeasurement:
    """What a few seconds say.

    Attributes:
      ratio: how many times as long the artifact takes as the float model, the median of the
        rounds.
      is_slower: whether nearly all rounds say that it is slower, and by more than chance gives.
      float_ms: of the float model, the median of the rounds.
      artifact_ms: of the artifact.
    """

    ratio: float
    is_slower: bool
    float_ms: float
    artifact_ms: float

    @classmethod
    def of(cls, times: np.ndarray) -> "ShortMeasurement":
        """Sums up.

        Args:
          times: milliseconds, float64 [rounds, 2]: of the float model and of the artifact.
        """
        ratios = times[:, 1] / times[:, 0]
        ratio = float(np.median(ratios))
        in_float, artifact = (float(value) for value in np.median(times, axis=0))
        agree = float((ratios > 1).mean()) >= _MOST_ROUNDS_AGREE
        is_slower = ratio > _SLOWER and agree and artifact - in_float > _LEAST_MS
        return cls(ratio, is_slower, in_float, artifact)


def _rounds(models: Sequence[tuple[bytes, str]], seconds: float) -> np.ndarray | None:
    invokes = [invoker(*model, 1, made_up_inputs(*model)) for model in models]
    each = []
    for invoke in invokes:
        start, done = time.perf_counter(), 0
        while done < 2 or time.perf_counter() - start < seconds * _WARM_UP / len(models):
            invoke()
            done += 1
        each.append((time.perf_counter() - start) / done)
    left = seconds * (1 - _WARM_UP)
    rounds = int(min(_MOST_ROUNDS, left / sum(each)))
    if rounds < _LEAST_ROUNDS:
        return None
    count = max(1, int(left / rounds / sum(each)))
    found = np.empty((rounds, len(models)))
    for number in range(rounds):
        # Neither is always the first.
        for place in (0, 1) if number % 2 else (1, 0):
            times, waited = timed(invokes[place], count, 1)
            # While it waits for a processor, the clock runs on.
            found[number, place] = np.median(np.where(waited, times[1], times[0]))
    return found


def measure_shortly(
    float_model: tuple[bytes, str], artifact: tuple[bytes, str], seconds: float
) -> ShortMeasurement | None:
    """Measures both in turns, in a process of its own.

    Args:
      float_model: a whole .tflite file, and how messages name it.
      artifact: the same of what was made from it.
      seconds: that it may take, about; opening the models comes on top.

    Returns:
      None where an inference takes too long to be repeated in that time, or a model cannot
      be run on made-up inputs.
    """
    try:
        times = in_child(lambda _: _rounds((float_model, artifact), seconds))
    except (InputError, RuntimeError):
        return None
    return None if times is None else ShortMeasurement.of(times)


def profiles(
    slow: tuple[bytes, str], fast: tuple[bytes, str]
) -> tuple[list[dict], list[dict]] | None:
    """Times the operators of both; None where this build of the runtime gives no profile."""
    try:
        return host_operator_times(*slow, 1), host_operator_times(*fast, 1)
    except InputError:
        return None
