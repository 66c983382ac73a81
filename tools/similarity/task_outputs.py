"""What every task needs of a model's outputs: that they are there, and probabilities."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tools.errors import InputError

# MediaPipe's graphs clip here too; beyond it the sigmoid is 0 or 1 in float64.
_LOGIT_CLIP = 100.0


def required_output(
    name: str, shapes: Mapping[str, tuple[int, ...]], task: str, where: str
) -> tuple[int, ...]:
    """Finds the shape of an output that a task decodes.

    Args:
      name: of the output.
      shapes: of the float model's outputs, by name.
      task: how messages name the task.
      where: how messages name the model.

    Returns:
      The output's shape, with the batch.

    Raises:
      InputError: when the model has no such output.
    """
    if name not in shapes:
        raise InputError(
            "task.misfit",
            f"{where}: no output {name} for its {task} task; its outputs are {', '.join(shapes)}",
        )
    return shapes[name]


def required_size(
    name: str, size: int, shapes: Mapping[str, tuple[int, ...]], task: str, where: str
) -> None:
    """Refuses an output that is missing, or has another number of values.

    Args:
      name: of the output.
      size: values that it must have.
      shapes: of the float model's outputs, by name.
      task: how messages name the task.
      where: how messages name the model.

    Raises:
      InputError: says what is there, and what was wanted.
    """
    shape = required_output(name, shapes, task, where)
    if int(np.prod(shape)) != size:
        raise InputError(
            "task.misfit",
            f"{where}: output {name} has the shape {list(shape)}; its {task} task wants "
            f"{size} values",
        )


def probabilities(values: np.ndarray, logits: bool) -> np.ndarray:
    """Gives an output's probabilities.

    Args:
      values: of any shape.
      logits: whether a sigmoid is still to be applied, as MediaPipe's graph does it for
        some models; others end with it.

    Returns:
      float64 of the same shape.
    """
    values = values.astype(np.float64)
    if not logits:
        return values
    return 1 / (1 + np.exp(-np.clip(values, -_LOGIT_CLIP, _LOGIT_CLIP)))


def text_field(task: Mapping[str, Any], field: str) -> str:
    """Reads a name from a task's JSON.

    Raises:
      KeyError: when it is missing.
      TypeError: when it is no text.
    """
    value = task[field]
    if not isinstance(value, str) or not value:
        raise TypeError(f"{field} is no name")
    return value


@dataclasses.dataclass(frozen=True)
class Presence:
    """An output that says whether the object is there at all.

    Attributes:
      output: its name; it has one value.
      logits: whether a sigmoid is still to be applied to it.
      threshold: probability from which the object is there.
    """

    output: str
    logits: bool
    threshold: float

    @classmethod
    def read(cls, task: Mapping[str, Any]) -> "Presence | None":
        """Reads presence, presence_logits and min_presence of a task's JSON.

        Returns:
          What they say, or None where the task names no such output.

        Raises:
          TypeError, ValueError: when one is of another type.
        """
        if not task.get("presence"):
            return None
        return cls(
            text_field(task, "presence"),
            bool(task.get("presence_logits", False)),
            float(task.get("min_presence", 0.5)),
        )

    def probability(self, outputs: Mapping[str, np.ndarray]) -> float:
        """Decodes a sample's outputs: the probability that the object is there."""
        return float(probabilities(outputs[self.output].ravel(), self.logits)[0])


class Firing:
    """Counts where a model reports something, the float model's word taken as truth."""

    def __init__(self, threshold: float):
        """Starts with no samples.

        Args:
          threshold: probability from which something is there.
        """
        self.threshold = threshold
        self._pairs: list[tuple[float, float]] = []

    def add(self, expected: float, actual: float) -> bool:
        """Adds one sample's probabilities; says whether the float model fires."""
        self._pairs.append((expected, actual))
        return expected >= self.threshold

    def errors(self) -> np.ndarray:
        """Gives the absolute differences of the probabilities, float64 [samples]."""
        return np.abs(np.subtract(*np.array(self._pairs).T))

    def counts(self) -> tuple[int, int, int]:
        """Gives how many samples fire in the float model, the artifact, and both."""
        truth, found = (np.array(self._pairs) >= self.threshold).T
        return int(truth.sum()), int(found.sum()), int((truth & found).sum())

    def agreement(self) -> float:
        """Gives the share of samples on which both models say the same, 0 to 1."""
        truth, found = (np.array(self._pairs) >= self.threshold).T
        return float((truth == found).mean())
