"""Measures rounds on a device until gates are decided: what every command measures with."""

from collections.abc import Sequence

import numpy as np

from tools.latency.backend import Backend, Round
from tools.latency.decision import Gate, Judgement, decide
from tools.latency.gate_definitions import SPEED_GATES

# In which order a backend is given the models.
FLOAT_MASTER, ARTIFACT = 0, 1


def gates_of(thresholds: dict[str, float | None]) -> list[Gate]:
    """Makes the gates that rounds are measured for; None and other names are left out."""
    return [
        Gate(name, threshold, not gate.at_least)
        for name, gate in SPEED_GATES.items()
        if gate.measured and (threshold := thresholds.get(name)) is not None
    ]


def values_of(rounds: Sequence[Round]) -> dict[str, np.ndarray]:
    """Reads what gates judge.

    Args:
      rounds: of float master and artifact.

    Returns:
      By the name of the gate float64 [rounds], or [2, rounds] where the device only tells
      between what it lies.
    """

    def column(model: int, name: str) -> np.ndarray:
        return np.array([getattr(one.runs[model], name) for one in rounds])

    p50, p90 = column(ARTIFACT, "p50_ms"), column(ARTIFACT, "p90_ms")
    if not np.isfinite(p90).any():
        p90 = np.array([p50, column(ARTIFACT, "p95_ms")])
    return {
        "min_fps": 1000 / p50,
        "min_speedup": column(FLOAT_MASTER, "p50_ms") / p50,
        "max_p90_ms": p90,
        "max_load_ms": column(ARTIFACT, "load_ms"),
        "max_first_inference_ms": column(ARTIFACT, "first_inference_ms"),
        "max_memory_mb": column(ARTIFACT, "memory_mb"),
    }


def measure_and_decide(
    backend: Backend, gates: Sequence[Gate], first: int, most: int
) -> tuple[list[Judgement], list[Round]]:
    """Measures until every gate is decided, or the limit is reached.

    Args:
      backend: with float master and artifact on it.
      gates: from `gates_of`; without any, the first look's rounds are measured all the same.
      first: rounds of the first look, at least 9.
      most: rounds after which what is undecided stays so.

    Returns:
      (a judgement for each gate, all rounds).
    """
    rounds: list[Round] = []

    def measure(count: int) -> dict[str, np.ndarray]:
        while len(rounds) < count:
            rounds.append(backend.measure_round(len(rounds)))
        return values_of(rounds)

    return decide(gates, measure, first, most), rounds
