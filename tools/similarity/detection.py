"""What a detector's outputs mean: scores and boxes, as MediaPipe's graphs decode them.

Anchors follow the options of MediaPipe's SsdAnchorsCalculator, decoding those of its
TensorsToDetectionsCalculator with sigmoid_score, score_clipping_thresh 100 and
reverse_output_order: a box is (x, y, width, height) in input pixels, the centre
relative to its anchor. Boxes that show the same object become one as in its
NonMaxSuppressionCalculator with algorithm WEIGHTED: the best-scored box takes in all whose
IoU with it is above a threshold, and their coordinates are averaged by score.

The float model's boxes are the truth. Boxes of both models are matched one to one, the pair
with the largest IoU first, down to an IoU of 0.5; precision is the share of the artifact's
boxes that are matched, recall that of the float model's.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tools.documents.json_file import rounded
from tools.documents.report import DetectionFigures
from tools.errors import InputError
from tools.similarity.task_outputs import probabilities, required_output

_MATCHING_IOU = 0.5


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
      keypoints: how many keypoints follow a box.
      max_overlap: IoU above which two boxes show the same object.
      name: of the task, in reports and gates.
    """

    boxes: str
    scores: str
    anchors: np.ndarray
    input_size: tuple[int, int]
    min_score: float
    keypoints: int = 0
    max_overlap: float = 0.3
    name: str = "detection"


@dataclasses.dataclass(frozen=True)
class Detections:
    """What a detector finds in one picture, the best first.

    Attributes:
      scores: float64 [detections], 0 to 1.
      corners: float64 [detections, 4]: left, top, right, bottom in input pixels.
      keypoints: float64 [detections, keypoints, 2]: x, y in input pixels.
    """

    scores: np.ndarray
    corners: np.ndarray
    keypoints: np.ndarray


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
        return DetectionTask(
            boxes=str(task["boxes"]),
            scores=str(task["scores"]),
            anchors=ssd_anchors(task["anchors"]),
            input_size=tuple(task["anchors"]["input_size"]),
            min_score=float(task["min_score"]),
            keypoints=int(task.get("keypoints", 0)),
            max_overlap=float(task.get("max_overlap", 0.3)),
            name=str(task.get("name", "detection")),
        )
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            "task.field", f"{where}: not a detection task ({error}); see detection()"
        ) from None


def scores_of(logits: np.ndarray) -> np.ndarray:
    """Applies the sigmoid to clipped logits; float64, flattened."""
    return probabilities(logits.ravel(), logits=True)


def corners_of(task: DetectionTask, boxes: np.ndarray, anchor: int) -> np.ndarray:
    """Decodes one box.

    Args:
      task: how.
      boxes: float32 [1, anchors, 4 or more].
      anchor: which.

    Returns:
      float64 [4]: left, top, right, bottom in input pixels.
    """
    return _decoded(task, boxes, np.array([anchor]))[0][0]


def _decoded(
    task: DetectionTask, boxes: np.ndarray, anchors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes the corners [n, 4] and keypoints [n, keypoints, 2] of some anchors."""
    raw = boxes.reshape(task.anchors.shape[0], -1)[anchors].astype(np.float64)
    position, size = task.anchors[anchors, :2], task.anchors[anchors, 2:]
    origin = position * np.array(task.input_size, np.float64)
    center = raw[:, :2] * size + origin
    half = raw[:, 2:4] * size / 2
    corners = np.concatenate([center - half, center + half], axis=1)
    points = raw[:, 4 : 4 + 2 * task.keypoints].reshape(len(anchors), task.keypoints, 2)
    return corners, points * size[:, None] + origin[:, None]


def overlaps(corners: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Gives the intersection over union of boxes with boxes.

    Args:
      corners: float64 [n, 4]: left, top, right, bottom.
      others: float64 [m, 4].

    Returns:
      float64 [n, m], 0 to 1; 0 where both are empty.
    """
    low = np.maximum(corners[:, None, :2], others[None, :, :2])
    high = np.minimum(corners[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(c[:, 2:] - c[:, :2], 0, None), axis=1) for c in (corners, others)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def detections_of(task: DetectionTask, boxes: np.ndarray, logits: np.ndarray) -> Detections:
    """Decodes all that a detector finds in one picture.

    Args:
      task: how.
      boxes: float32 [1, anchors, 4 + 2 keypoints or more].
      logits: float32 [1, anchors, 1].

    Returns:
      The detections whose score reaches min_score, one for each object.
    """
    scores = scores_of(logits)
    # A stable sort: equal scores stay in the order of their anchors.
    order = np.argsort(-scores, kind="stable")
    anchors = order[scores[order] >= task.min_score]
    scores = scores[anchors]
    corners, points = _decoded(task, boxes, anchors)
    overlap = overlaps(corners, corners)
    left = np.ones(len(anchors), bool)
    best, merged_corners, merged_points = [], [], []
    while left.any():
        first = int(left.argmax())
        same = left & (overlap[first] > task.max_overlap)
        # A box without an area overlaps with nothing, itself among it.
        same[first] = True
        weights = scores[same] / scores[same].sum()
        best.append(scores[first])
        merged_corners.append(weights @ corners[same])
        merged_points.append(np.tensordot(weights, points[same], axes=1))
        left &= ~same
    return Detections(
        scores=np.array(best),
        corners=np.array(merged_corners).reshape(-1, 4),
        keypoints=np.array(merged_points).reshape(len(best), task.keypoints, 2),
    )


def matched(expected: np.ndarray, actual: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs boxes one to one, the largest overlap first.

    Args:
      expected: float64 [n, 4]: left, top, right, bottom of the float model's.
      actual: float64 [m, 4] of the artifact's.

    Returns:
      (which of the float model's, which of the artifact's, IoU) of each pair with an IoU
      of 0.5 or more.
    """
    table = overlaps(expected, actual)
    pairs = []
    while table.size and table.max() >= _MATCHING_IOU:
        row, column = (int(n) for n in np.unravel_index(table.argmax(), table.shape))
        pairs.append((row, column, float(table[row, column])))
        table[row] = table[:, column] = -1.0
    return pairs


class DetectionSimilarity:
    """Gathers how far an artifact's detections are from the float model's."""

    def __init__(self, task: DetectionTask, shapes: Mapping[str, tuple[int, ...]], where: str):
        """Starts with no samples.

        Args:
          task: how outputs are decoded.
          shapes: of the float model's outputs, by name.
          where: how messages name the model.

        Raises:
          InputError: when the model has no such outputs, another number of anchors, or several
            scores for each.
        """
        count = task.anchors.shape[0]
        for name in (task.boxes, task.scores):
            shape = required_output(name, shapes, "detection", where)
            if len(shape) < 2 or shape[1] != count:
                raise InputError(
                    "task.misfit",
                    f"{where}: output {name} has the shape {list(shape)}; the task's "
                    f"anchors are {count}, check strides and aspect_ratios",
                )
        classes = int(np.prod(shapes[task.scores])) // count
        if classes != 1:
            raise InputError(
                "task.misfit",
                f"{where}: output {task.scores} has {classes} scores an anchor; a detection task "
                "reads one. Leave the task out, and hold the outputs to tolerance",
            )
        values = int(np.prod(shapes[task.boxes])) // count
        if values < 4 + 2 * task.keypoints:
            raise InputError(
                "task.misfit",
                f"{where}: output {task.boxes} has {values} values an anchor; a box and "
                f"{task.keypoints} keypoints are {4 + 2 * task.keypoints}",
            )
        self._task = task
        self._scores: list[tuple[float, float]] = []
        self._boxes: list[float] = []
        # Over all pictures: boxes of the float model, of the artifact, and their pairs.
        self._expected = self._found = 0
        self._ious: list[float] = []
        # Of each pair: the distance of each keypoint.
        self._keypoints: list[np.ndarray] = []

    def add(
        self, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], sample: str = ""
    ) -> None:
        """Compares the best detection of one sample, and all of its detections.

        Args:
          expected: the float model's outputs by name, float32.
          actual: the artifact's, under the same names.
          sample: its name.
        """
        task = self._task
        best = []
        for outputs in (expected, actual):
            scores = scores_of(outputs[task.scores])
            anchor = int(scores.argmax())
            best.append((scores[anchor], corners_of(task, outputs[task.boxes], anchor)))
        (score, box), (artifact_score, artifact_box) = best
        self._scores.append((score, artifact_score))
        if score >= task.min_score:
            self._boxes.append(float(np.abs(box - artifact_box).mean()))
        truth, found = (
            detections_of(task, outputs[task.boxes], outputs[task.scores])
            for outputs in (expected, actual)
        )
        self._expected += len(truth.scores)
        self._found += len(found.scores)
        for one, other, iou in matched(truth.corners, found.corners):
            self._ious.append(iou)
            if task.keypoints:
                apart = truth.keypoints[one] - found.keypoints[other]
                self._keypoints.append(np.hypot(*apart.T))

    def figures(self) -> DetectionFigures:
        """Sums up for a report.

        Scores are the best of each sample after the sigmoid, over all samples; boxes are
        compared where the float model's best score reaches min_score. Precision and recall
        take the float model's firing as truth, sample by sample. What counts boxes is over
        all boxes of all samples, after non-maximum suppression. What no sample defines is
        None.
        """
        scores = np.array(self._scores)
        errors = np.abs(scores[:, 0] - scores[:, 1])
        truth, found = (scores >= self._task.min_score).T
        both = int((truth & found).sum())
        boxes = np.array(self._boxes)
        pairs = len(self._ious)
        return DetectionFigures(
            artifact_boxes=self._found,
            box_error_px_max=rounded(boxes.max()) if boxes.size else None,
            box_error_px_mean=rounded(boxes.mean()) if boxes.size else None,
            box_iou_mean=rounded(np.mean(self._ious)) if pairs else None,
            box_iou_min=rounded(min(self._ious)) if pairs else None,
            box_precision=rounded(pairs / self._found) if self._found else None,
            box_recall=rounded(pairs / self._expected) if self._expected else None,
            float_boxes=self._expected,
            keypoint_error_px_max=rounded(np.max(self._keypoints)) if self._keypoints else None,
            keypoint_error_px_mean=rounded(np.mean(self._keypoints)) if self._keypoints else None,
            matched_boxes=pairs,
            name=self._task.name,
            negatives=int((~truth).sum()),
            positives=int(truth.sum()),
            precision=rounded(both / found.sum()) if found.any() else None,
            recall=rounded(both / truth.sum()) if truth.any() else None,
            score_error_max=rounded(errors.max()),
            score_error_mean=rounded(errors.mean()),
        )
