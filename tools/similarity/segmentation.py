"""What a segmentation model's output means: each pixel's probability, and a mask of those above
a threshold.

With A the float model's mask and B the artifact's, as sets of pixels, intersection over union
is |A and B| / |A or B| = 1 - |A xor B| / |A or B|. Of two empty masks it says nothing, and
where A is nearly empty a few pixels of noise would make it 0. The union is therefore taken to
be no smaller than a floor:

    IoU = max(0, 1 - |A xor B| / max(|A or B|, floor))

with a floor of `min_area` of all pixels: two empty masks have 1, noise of a tenth of the floor
0.9, and a mask where there is none 0. Above the floor it is the usual IoU.

A mask that is blended with a background is used as probabilities. With p the float model's and
q the artifact's, soft IoU is the similarity of Ruzicka (Biologia 13, 1958), which is IoU where
every probability is 0 or 1:

    soft IoU = sum min(p, q) / sum max(p, q) = 1 - sum |p - q| / sum max(p, q)

with the same floor below the sum of max(p, q).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tools.documents.json_file import rounded
from tools.documents.report import SegmentationFigures
from tools.errors import InputError
from tools.similarity.task_outputs import (
    Presence,
    probabilities,
    required_output,
    required_size,
    text_field,
)


@dataclasses.dataclass(frozen=True)
class SegmentationTask:
    """How a mask is decoded.

    Attributes:
      name: of the task, in reports and gates.
      mask: name of the output, one value a pixel.
      logits: whether a sigmoid is still to be applied to it.
      threshold: probability from which a pixel belongs to the mask.
      min_area: share of all pixels from which a mask is one, and not noise.
      presence: how it says whether the object is there, or None.
    """

    name: str
    mask: str
    logits: bool
    threshold: float
    min_area: float
    presence: Presence | None


def read_segmentation_task(task: Mapping[str, Any], where: str) -> SegmentationTask:
    """Reads a task as `segmentation(...)` in a BUILD file writes it.

    Args:
      task: from JSON.
      where: how messages name it.

    Returns:
      The task.

    Raises:
      InputError: when a field is missing, of another type, or means nothing.
    """
    try:
        result = SegmentationTask(
            name=str(task.get("name", "segmentation")),
            mask=text_field(task, "mask"),
            logits=bool(task.get("logits", False)),
            threshold=float(task.get("threshold", 0.5)),
            min_area=float(task.get("min_area", 0.001)),
            presence=Presence.read(task),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "task.field", f"{where}: not a segmentation task ({error}); see segmentation()"
        ) from None
    for value, field in ((result.threshold, "threshold"), (result.min_area, "min_area")):
        if not 0 < value < 1:
            raise InputError(
                "task.field",
                f"{where}: not a segmentation task ({field} is {value:g}, not between 0 and 1); "
                "see segmentation()",
            )
    return result


def intersection_over_union(expected: np.ndarray, actual: np.ndarray, min_area: float) -> float:
    """Compares two masks.

    Args:
      expected: bool, the float model's.
      actual: bool of the same shape, the artifact's.
      min_area: share of all pixels that the union is taken to have at least.

    Returns:
      0 to 1; 1 for two empty masks.
    """
    union = float((expected | actual).sum())
    different = float((expected ^ actual).sum())
    return max(0.0, 1 - different / max(union, min_area * expected.size))


def soft_intersection_over_union(
    expected: np.ndarray, actual: np.ndarray, min_area: float
) -> float:
    """Compares the probabilities of two masks.

    Args:
      expected: float64, 0 to 1, the float model's.
      actual: float64 of the same shape, 0 to 1, the artifact's.
      min_area: share of all pixels that the sum of the larger ones is taken to be at least.

    Returns:
      0 to 1; 1 where both are equal.
    """
    union = float(np.maximum(expected, actual).sum())
    different = float(np.abs(expected - actual).sum())
    return max(0.0, 1 - different / max(union, min_area * expected.size))


class SegmentationSimilarity:
    """Gathers how alike an artifact's masks are to the float model's."""

    def __init__(self, task: SegmentationTask, shapes: Mapping[str, tuple[int, ...]], where: str):
        """Starts with no samples.

        Args:
          task: how outputs are decoded.
          shapes: of the float model's outputs, by name.
          where: how messages name the model.

        Raises:
          InputError: when the model has no such outputs.
        """
        required_output(task.mask, shapes, task.name, where)
        if task.presence:
            required_size(task.presence.output, 1, shapes, task.name, where)
        self._task = task
        self._samples = 0
        self._names: list[str] = []
        self._ious: list[float] = []
        self._soft_ious: list[float] = []
        self._areas: list[float] = []

    def add(
        self, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], sample: str = ""
    ) -> None:
        """Compares the masks of one sample.

        Args:
          expected: the float model's outputs by name, float32.
          actual: the artifact's, under the same names.
          sample: its name.
        """
        task = self._task
        self._samples += 1
        if task.presence and task.presence.probability(expected) < task.presence.threshold:
            return
        soft, other_soft = (
            np.clip(probabilities(outputs[task.mask], task.logits), 0, 1)
            for outputs in (expected, actual)
        )
        mask, other = soft >= task.threshold, other_soft >= task.threshold
        self._names.append(sample)
        self._areas.append(float(mask.mean()))
        self._ious.append(intersection_over_union(mask, other, task.min_area))
        self._soft_ious.append(soft_intersection_over_union(soft, other_soft, task.min_area))

    def figures(self) -> SegmentationFigures:
        """Sums up for a report.

        Positive are samples in which the float model's mask covers min_area or more; both IoUs are
        over these and over those with an empty mask, but not over those in which the float
        model finds no object at all (presence). What no sample defines is None.
        """
        ious, areas = np.array(self._ious), np.array(self._areas)
        positives = int((areas >= self._task.min_area).sum())
        return SegmentationFigures(
            area_mean=rounded(areas.mean()) if areas.size else None,
            iou_mean=rounded(ious.mean()) if ious.size else None,
            iou_min=rounded(ious.min()) if ious.size else None,
            name=self._task.name,
            negatives=self._samples - positives,
            positives=positives,
            soft_iou_mean=rounded(np.mean(self._soft_ious)) if self._soft_ious else None,
            soft_iou_min=rounded(min(self._soft_ious)) if self._soft_ious else None,
            worst_sample=self._names[int(ious.argmin())] if ious.size else None,
        )
