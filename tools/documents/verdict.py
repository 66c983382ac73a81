"""The verdict: what each gate found, and whether the artifact passes."""

import dataclasses

from tools.documents.document import Document


@dataclasses.dataclass(frozen=True)
class JudgedGate:
    """What a gate found.

    Attributes:
      name: of the gate.
      passed: whether the value is on the threshold's right side.
      threshold: that the gate was given; a version for oldest_runtime.
      value: that was found.
      channels: of the output that it is of, where it is not of all.
      layer: that it is of.
      metric: whose change against the float model it is.
      operator: that asks for the version.
      other_shape_samples: of an output, samples in which it has another size than the float
        model's; missing where there are none.
      output: that it is of.
      task: that it is of.
      worst_sample: name of the worst test sample.
    """

    name: str
    passed: bool
    threshold: float | str
    value: float | str
    channels: str | None = None
    layer: str | None = None
    metric: str | None = None
    operator: str | None = None
    other_shape_samples: int | None = None
    output: str | None = None
    task: str | None = None
    worst_sample: str | None = None

    @property
    def at_least(self) -> bool:
        """Whether the value must reach the threshold, not stay below it."""
        return self.name.startswith("min_")

    @property
    def subject(self) -> str:
        """What it is of: a metric, an output or a task, "METRIC of NAME"; "" of the model."""
        return " of ".join(part for part in (self.metric, self.output or self.task) if part)

    @property
    def excess(self) -> float:
        """How many times beyond its threshold the value is."""
        value, threshold = self.value, self.threshold
        if isinstance(value, str) or isinstance(threshold, str) or self.name == "min_positives":
            return float("inf")
        if self.at_least:
            value, threshold = threshold, value
        return value / threshold if threshold > 0 else float("inf")


@dataclasses.dataclass(frozen=True)
class Verdict(Document):
    """Whether an artifact passes its gates.

    Attributes:
      gates: all of them, whether they passed or not.
      name: of the artifact.
      passed: whether all of them did.
    """

    KIND = "rules_quantize.verdict"
    MADE_BY = "check_gates --verdict="

    gates: tuple[JudgedGate, ...]
    name: str
    passed: bool

    def failed(self) -> list[JudgedGate]:
        """Gives the gates that failed, the one that is furthest beyond its threshold first."""
        failed = [gate for gate in self.gates if not gate.passed]
        return sorted(failed, key=lambda gate: gate.excess, reverse=True)
