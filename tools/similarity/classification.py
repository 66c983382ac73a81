"""What a classifier's output means: which class it prefers.

Top-1 agreement is the share of samples for which both models prefer the same class, top-5
agreement the share for which the float model's class is among the artifact's five best.
Where the samples' true classes are known, the accuracy of each model is the share of samples
whose class it prefers: the one metric here that is not relative to the float model.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tools.documents.json_file import rounded
from tools.documents.report import ClassificationFigures
from tools.errors import InputError
from tools.similarity.task_outputs import required_output, text_field


@dataclasses.dataclass(frozen=True)
class ClassificationTask:
    """How classes are decoded.

    Attributes:
      name: of the task, in reports and gates.
      scores: name of the output, one value a class.
      labels: class by the name of a sample, empty where none is known.
      classes: names of the classes in the order of their numbers, where each is the folder
        that a sample's name begins with; empty where that says nothing.
      min_score: value of the output that the preferred class must reach for the float
        model to have seen something, or None where any counts.
    """

    name: str
    scores: str
    labels: Mapping[str, int]
    min_score: float | None
    classes: tuple[str, ...] = ()

    def label(self, sample: str) -> int | None:
        """Looks up the class of a sample, None where it has none."""
        folder = sample.split("/")[0]
        if folder in self.classes:
            return self.classes.index(folder)
        return self.labels.get(sample, self.labels.get(sample.rpartition("/")[2]))


def read_classification_task(task: Mapping[str, Any], where: str) -> ClassificationTask:
    """Reads a task as `classification(...)` in a BUILD file writes it.

    Args:
      task: from JSON.
      where: how messages name it.

    Returns:
      The task.

    Raises:
      InputError: when a field is missing or of another type.
    """
    try:
        labels = {str(name): int(label) for name, label in (task.get("labels") or {}).items()}
        least = task.get("min_score")
        return ClassificationTask(
            name=str(task.get("name", "classification")),
            scores=text_field(task, "scores"),
            labels=labels,
            min_score=None if least is None else float(least),
            classes=tuple(str(name) for name in task.get("classes") or ()),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "task.field", f"{where}: not a classification task ({error}); see classification()"
        ) from None


class ClassificationSimilarity:
    """Gathers how often an artifact prefers the float model's classes."""

    def __init__(self, task: ClassificationTask, shapes: Mapping[str, tuple[int, ...]], where: str):
        """Starts with no samples.

        Args:
          task: how outputs are decoded.
          shapes: of the float model's outputs, by name.
          where: how messages name the model.

        Raises:
          InputError: when the model has no such output, a single class, or fewer classes
            than a label says.
        """
        classes = int(np.prod(required_output(task.scores, shapes, "classification", where)))
        if classes < 2:
            raise InputError(
                "task.misfit", f"{where}: output {task.scores} has {classes} value, not classes"
            )
        if len(task.classes) > classes:
            raise InputError(
                "task.misfit",
                f"{where}: its classification task names {len(task.classes)} classes; output "
                f"{task.scores} has {classes}",
            )
        for sample, label in task.labels.items():
            if not 0 <= label < classes:
                raise InputError(
                    "task.misfit",
                    f"{where}: the label of {sample} is {label}; output {task.scores} has "
                    f"{classes} classes",
                )
        self._task = task
        self._where = where
        self._fires: list[bool] = []
        self._top1: list[bool] = []
        self._top5: list[bool] = []
        self._labelled: list[tuple[bool, bool]] = []

    def add(
        self, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], sample: str = ""
    ) -> None:
        """Compares the classes of one sample.

        Args:
          expected: the float model's outputs by name, float32.
          actual: the artifact's, under the same names.
          sample: its name; its label is looked up by it.
        """
        scores, others = (outputs[self._task.scores].ravel() for outputs in (expected, actual))
        least = self._task.min_score
        self._fires.append(least is None or float(scores.max()) >= least)
        # A stable sort of equal scores prefers the lower class in both models.
        order = np.argsort(-others, kind="stable")
        best = int(scores.argmax())
        self._top1.append(best == int(order[0]))
        self._top5.append(best in order[:5])
        if self._task.labels or self._task.classes:
            label = self._task.label(sample)
            if label is None:
                raise InputError(
                    "data.label", f"{self._where}: its classification task has no label of {sample}"
                )
            self._labelled.append((best == label, int(order[0]) == label))

    def figures(self) -> ClassificationFigures:
        """Sums up for a report.

        Agreement and accuracy are over all samples, whether or not the float model's best
        score reaches min_score.
        """
        accuracies = np.array(self._labelled, float).mean(axis=0) if self._labelled else None
        return ClassificationFigures(
            accuracy=None if accuracies is None else rounded(accuracies[1]),
            float_accuracy=None if accuracies is None else rounded(accuracies[0]),
            name=self._task.name,
            negatives=self._fires.count(False),
            positives=self._fires.count(True),
            top1_agreement=rounded(np.mean(self._top1)),
            top5_agreement=rounded(np.mean(self._top5)),
        )
