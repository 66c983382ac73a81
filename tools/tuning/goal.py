"""What a search is for: gates that must hold, and what to improve beyond them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tools.documents.report import MinRuntime, Similarity
from tools.documents.verdict import JudgedGate
from tools.errors import InputError
from tools.similarity.gates import Evidence, check_gates

OPTIMISE = ("size", "speed", "similarity")

# Gates that say nothing of how like the float model an artifact is.
_NO_MEASURES = frozenset(
    {
        "max_size_bytes",
        "min_positives",
        "min_size_reduction",
        "oldest_runtime",
        "smaller_than_source",
    }
)


@dataclasses.dataclass(frozen=True)
class Goal:
    """What an artifact must reach.

    Attributes:
      gates: thresholds of size and similarity, by the names in QUALITY_GATES.
      min_speedup: times as fast as the float master, or None.
      min_fps: inferences a second on the device, or None.
      optimise: among the candidates that reach all that, the best is the smallest
        ("size"), the fastest ("speed") or the one most like the float model
        ("similarity").
    """

    gates: Mapping[str, Any]
    min_speedup: float | None = None
    min_fps: float | None = None
    optimise: str = "size"

    def __post_init__(self):
        if self.optimise not in OPTIMISE:
            raise InputError(
                "flag.value",
                f"nothing to optimise called {self.optimise}; choose one of {', '.join(OPTIMISE)}",
            )


@dataclasses.dataclass
class Candidate:
    """One way to quantize the model, and what came of it.

    Attributes:
      name: what is special about it, in a few words.
      settings: in the JSON form of tools.quantization.settings.
      bytes: of the artifact.
      sha256: of the artifact.
      similarity: as in a report, on the held-out part of the calibration data.
      strain: the largest share of a similarity gate's threshold that is used up; over 1
        is beyond it.
      loss: the mean of those shares, by which candidates are ordered: it falls when any
        output improves.
      missed: names of the gates of size and similarity that do not hold.
      speedup: times as fast as the float master; None until it is measured.
      speedup_interval: (low, high), 95%.
      fps: inferences a second.
      missed_speed: names of the gates on speed that were not shown to hold.
    """

    name: str
    settings: dict
    bytes: int
    sha256: str
    similarity: Similarity
    strain: float
    loss: float
    missed: list[str]
    speedup: float | None = None
    speedup_interval: tuple[float, float] | None = None
    fps: float | None = None
    missed_speed: list[str] = dataclasses.field(default_factory=list)

    @property
    def cosine(self) -> float:
        """The worst output's mean cosine similarity."""
        return min(output.cosine_mean for output in self.similarity.outputs)


def share_used(gate: JudgedGate) -> float | None:
    """Says how much of a similarity gate's threshold is used up.

    Args:
      gate: of a verdict.

    Returns:
      value / threshold of an error, threshold / value of what must be large; None for
      a gate that is not about similarity.
    """
    if gate.name in _NO_MEASURES:
        return None
    value, threshold = float(gate.value), float(gate.threshold)
    if gate.at_least:
        value, threshold = threshold, value
    if value <= 0:
        return 0.0
    return value / threshold if threshold > 0 else float("inf")


@dataclasses.dataclass(frozen=True)
class Made:
    """What is known of a candidate's artifact.

    Attributes:
      bytes: of the artifact.
      sha256: of the artifact.
      similarity: on the held-out part of the calibration data.
      min_runtime: the TensorFlow Lite that it needs.
    """

    bytes: int
    sha256: str
    similarity: Similarity
    min_runtime: MinRuntime


def judge(
    goal: Goal, made: Made, master_bytes: int, source_bytes: int | None
) -> tuple[float, float, list[str]]:
    """Holds an artifact's size and similarity to the goal.

    Args:
      goal: what is wanted.
      made: the artifact.
      master_bytes: of the float master.
      source_bytes: of the file that the master was made from, where it is known.

    Returns:
      (strain, loss, names of the gates that do not hold); see `Candidate`.

    Raises:
      InputError: when a gate is unknown or does not fit the model.
    """
    evidence = Evidence(
        name="candidate",
        bytes=made.bytes,
        source_bytes=source_bytes,
        reduction=1 - made.bytes / master_bytes,
        similarity=made.similarity,
        min_runtime=made.min_runtime,
    )
    gates = dict(goal.gates)
    if not source_bytes:
        gates.pop("smaller_than_source", None)
    verdict = check_gates(evidence, gates, "goal")
    shares = [share for share in map(share_used, verdict.gates) if share is not None]
    missed = sorted({gate.name for gate in verdict.failed()})
    if not shares:
        return 0.0, 0.0, missed
    return max(shares), sum(shares) / len(shares), missed


def missed_by(goal: Goal, candidate: Candidate) -> list[str]:
    """Names all that a candidate does not reach; one that was not measured has no speed."""
    if candidate.speedup is not None:
        return [*candidate.missed, *candidate.missed_speed]
    wanted = {"min_speedup": goal.min_speedup, "min_fps": goal.min_fps}
    return [*candidate.missed, *(name for name, value in wanted.items() if value is not None)]


def chosen(goal: Goal, candidates: list[Candidate]) -> Candidate | None:
    """Picks the best of the measured candidates that reach the goal.

    Args:
      goal: what is wanted.
      candidates: measured ones.

    Returns:
      The best by `goal.optimise`, None when no candidate reaches the goal.
    """
    reached = [c for c in candidates if c.speedup is not None and not missed_by(goal, c)]
    if not reached:
        return None
    order = {
        "size": lambda c: (c.bytes, c.loss),
        "speed": lambda c: (-c.speedup, c.bytes),
        "similarity": lambda c: (c.loss, c.bytes),
    }[goal.optimise]
    return min(reached, key=order)


def pareto_front(candidates: list[Candidate]) -> list[Candidate]:
    """Keeps the candidates that no other one beats in every respect.

    One candidate beats another when it is no larger, no slower (where both are
    measured) and loses no more, and is better in one of these.

    Args:
      candidates: of one model.

    Returns:
      The front, smallest file first. Of equals the first stays.
    """

    def beats(one: Candidate, other: Candidate) -> bool:
        pairs = [(one.bytes, other.bytes), (one.loss, other.loss)]
        if one.speedup is not None and other.speedup is not None:
            pairs.append((-one.speedup, -other.speedup))
        elif one.speedup is None or other.speedup is None:
            # What was not measured may be faster.
            return False
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    kept = []
    for number, candidate in enumerate(candidates):
        twin = any(
            (c.bytes, c.loss, c.speedup) == (candidate.bytes, candidate.loss, candidate.speedup)
            for c in candidates[:number]
        )
        if not twin and not any(beats(other, candidate) for other in candidates):
            kept.append(candidate)
    return sorted(kept, key=lambda c: (c.bytes, c.loss))
