"""What a detector's outputs mean: scores and boxes, as MediaPipe's graphs decode them.

Anchors follow the options of MediaPipe's SsdAnchorsCalculator, decoding those of its
TensorsToDetectionsCalculator with sigmoid_score, score_clipping_thresh 100 and
reverse_output_order: a box is (x, y, width, height) in input pixels, the centre
relative to its anchor.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tools.errors import InputError
from tools.report import rounded

_SCORE_CLIP = 100.0


@dataclasses.dataclass(frozen=True)
class DetectionTask:
    """How a detector is decoded.

    Attributes:
      boxes: name of the output with boxes and keypoints, [1, anchors, 4 + 2 keypoints].
      scores: name of the output with a logit an anchor, [1, anchors, 1].
      anchors: float64 [anchors, 4]: centre x, centre y, width, height, relative to the
        input.
      input_size: (width, height) in pixels.
      min_score: score, after the sigmoid, from which a box counts.
    """

    boxes: str
    scores: str
    anchors: np.ndarray
    input_size: tuple[int, int]
    min_score: float


def _scale(options: Mapping[str, Any], layer: int, layers: int) -> float:
    low, high = options["min_scale"], options["max_scale"]
    if layers == 1:
        return (low + high) / 2
    return low + (high - low) * layer / (layers - 1)


def ssd_anchors(options: Mapping[str, Any]) -> np.ndarray:
    """Makes the anchors of a single-shot detector.

    Layers that follow each other with the same stride share their cells, as in
    SsdAnchorsCalculator.

    Args:
      options: input_size ([width, height] in pixels), strides, min_scale, max_scale,
        aspect_ratios, interpolated_scale_aspect_ratio, anchor_offset, fixed_anchor_size.

    Returns:
      float64 [anchors, 4]: centre x, centre y, width, height, relative to the input.
    """
    width, height = options["input_size"]
    strides = options["strides"]
    anchors = []
    layer = 0
    while layer < len(strides):
        sizes = []
        stride = strides[layer]
        while layer < len(strides) and strides[layer] == stride:
            scale = _scale(options, layer, len(strides))
            sizes += [
                (scale * math.sqrt(ratio), scale / math.sqrt(ratio))
                for ratio in options["aspect_ratios"]
            ]
            between = options["interpolated_scale_aspect_ratio"]
            if between > 0:
                following = (
                    1.0 if layer == len(strides) - 1 else _scale(options, layer + 1, len(strides))
                )
                mean = math.sqrt(scale * following)
                sizes.append((mean * math.sqrt(between), mean / math.sqrt(between)))
            layer += 1
        if options["fixed_anchor_size"]:
            sizes = [(1.0, 1.0)] * len(sizes)
        rows, columns = math.ceil(height / stride), math.ceil(width / stride)
        offset = options["anchor_offset"]
        for row in range(rows):
            for column in range(columns):
                center = ((column + offset) / columns, (row + offset) / rows)
                anchors += [(*center, *size) for size in sizes]
    return np.array(anchors, dtype=np.float64)


def read_detection_task(task: Mapping[str, Any], where: str) -> DetectionTask:
    """Reads a task as `detection(...)` in a BUILD file writes it.

    Args:
      task: from JSON.
      where: how messages name it.

    Returns:
      The task.

    Raises:
      InputError: when a field is missing or of another type.
    """
    try:
        if task["type"] != "detection":
            raise InputError(f"{where}: task type {task['type']}; detection is the only one known")
        return DetectionTask(
            boxes=str(task["boxes"]),
            scores=str(task["scores"]),
            anchors=ssd_anchors(task["anchors"]),
            input_size=tuple(task["anchors"]["input_size"]),
            min_score=float(task["min_score"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: not a detection task ({error}); see detection()") from None


def scores_of(logits: np.ndarray) -> np.ndarray:
    """Applies the sigmoid to clipped logits; float64, flattened."""
    clipped = np.clip(logits.astype(np.float64).ravel(), -_SCORE_CLIP, _SCORE_CLIP)
    return 1 / (1 + np.exp(-clipped))


def corners_of(task: DetectionTask, boxes: np.ndarray, anchor: int) -> np.ndarray:
    """Decodes one box.

    Args:
      task: how.
      boxes: float32 [1, anchors, 4 or more].
      anchor: which.

    Returns:
      float64 [4]: left, top, right, bottom in input pixels.
    """
    raw = boxes.reshape(task.anchors.shape[0], -1)[anchor, :4].astype(np.float64)
    x, y, width, height = task.anchors[anchor]
    center = np.array(
        [raw[0] * width + x * task.input_size[0], raw[1] * height + y * task.input_size[1]]
    )
    half = np.array([raw[2] * width, raw[3] * height]) / 2
    return np.concatenate([center - half, center + half])


class DetectionSimilarity:
    """Gathers how far an artifact's detections are from the float model's."""

    def __init__(self, task: DetectionTask, shapes: Mapping[str, tuple[int, ...]], where: str):
        """Starts with no samples.

        Args:
          task: how outputs are decoded.
          shapes: of the float model's outputs, by name.
          where: how messages name the model.

        Raises:
          InputError: when the model has no such outputs, or another number of anchors.
        """
        count = task.anchors.shape[0]
        for name in (task.boxes, task.scores):
            if name not in shapes:
                raise InputError(
                    f"{where}: no output {name} for its detection task; its outputs are "
                    f"{', '.join(shapes)}"
                )
            if len(shapes[name]) < 2 or shapes[name][1] != count:
                raise InputError(
                    f"{where}: output {name} has the shape {list(shapes[name])}; the task's "
                    f"anchors are {count}, check strides and aspect_ratios"
                )
        self._task = task
        self._scores: list[tuple[float, float]] = []
        self._boxes: list[float] = []

    def add(self, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]) -> None:
        """Compares the best detection of one sample.

        Args:
          expected: the float model's outputs by name, float32.
          actual: the artifact's, under the same names.
        """
        best = []
        for outputs in (expected, actual):
            scores = scores_of(outputs[self._task.scores])
            anchor = int(scores.argmax())
            best.append((scores[anchor], corners_of(self._task, outputs[self._task.boxes], anchor)))
        (score, box), (artifact_score, artifact_box) = best
        self._scores.append((score, artifact_score))
        if score >= self._task.min_score:
            self._boxes.append(float(np.abs(box - artifact_box).mean()))

    def summary(self) -> dict:
        """Sums up for a report.

        Returns:
          {"type", "positives", "negatives", "score_error_mean", "score_error_max",
          "box_error_px_mean", "box_error_px_max", "precision", "recall"}. Scores are the
          best of each sample after the sigmoid, over all samples; boxes are compared where
          the float model's best score reaches min_score, by the mean difference of left,
          top, right and bottom in input pixels. Precision and recall take the float
          model's firing as truth. What no sample defines is None.
        """
        scores = np.array(self._scores)
        errors = np.abs(scores[:, 0] - scores[:, 1])
        truth, found = (scores >= self._task.min_score).T
        both = int((truth & found).sum())
        boxes = np.array(self._boxes)
        return {
            "box_error_px_max": rounded(boxes.max()) if boxes.size else None,
            "box_error_px_mean": rounded(boxes.mean()) if boxes.size else None,
            "negatives": int((~truth).sum()),
            "positives": int(truth.sum()),
            "precision": rounded(both / found.sum()) if found.any() else None,
            "recall": rounded(both / truth.sum()) if truth.any() else None,
            "score_error_max": rounded(errors.max()),
            "score_error_mean": rounded(errors.mean()),
            "type": "detection",
        }
