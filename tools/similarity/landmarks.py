"""What a landmark model's outputs mean: points of a crop, and whether their object is there.

Points are decoded as MediaPipe's TensorsToLandmarksCalculator does: so many values a point,
of which the first are x and y in pixels of the crop, and z in the same scale. With a the
float model's and b the artifact's, a point's error is the distance |a - b| in x and y:

* in pixels of the crop;
* normalised by the box: over the longer side of the box around the float model's points of
  the sample, so that it is a share of the object's size, however large the object is.

Points in space are in metres, as MediaPipe's models give them, and their errors, the distances
|a - b| of all coordinates, in millimetres.

Only samples in which the float model finds its object count: elsewhere the points are noise.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tools.documents.json_file import rounded
from tools.documents.report import LandmarkFigures
from tools.errors import InputError
from tools.similarity.task_outputs import Firing, Presence, required_size, text_field

_MM_PER_METRE = 1000.0


@dataclasses.dataclass(frozen=True)
class LandmarkTask:
    """How landmarks are decoded.

    Attributes:
      name: of the task, in reports and gates.
      points: name of the output with the points, [1, points * values] or any shape of as
        many values.
      count: how many points.
      values: values of a point in the output: x, y, and what else the model gives.
      dims: how many of them are coordinates, 2 or 3.
      crop_size: (width, height) of the input in pixels.
      normalized: whether coordinates are shares of the crop instead of pixels.
      presence: how it says whether the object is there, or None.
      world: name of the output with the points in space in metres, `dims` values a point, or
        None.
    """

    name: str
    points: str
    count: int
    values: int
    dims: int
    crop_size: tuple[float, float]
    normalized: bool
    presence: Presence | None
    world: str | None


def read_landmark_task(task: Mapping[str, Any], where: str) -> LandmarkTask:
    """Reads a task as `landmarks(...)` in a BUILD file writes it.

    Args:
      task: from JSON.
      where: how messages name it.

    Returns:
      The task.

    Raises:
      InputError: when a field is missing, of another type, or means nothing.
    """
    try:
        dims = int(task.get("dims", 3))
        width, height = task["crop_size"]
        result = LandmarkTask(
            name=str(task.get("name", "landmarks")),
            points=text_field(task, "points"),
            count=int(task["count"]),
            values=int(task.get("values") or dims),
            dims=dims,
            crop_size=(float(width), float(height)),
            normalized=bool(task.get("normalized", False)),
            presence=Presence.read(task),
            world=text_field(task, "world") if task.get("world") else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "task.field", f"{where}: not a landmarks task ({error}); see landmarks()"
        ) from None
    for wrong, reason in (
        (result.count < 1, f"count is {result.count}"),
        (result.dims not in (2, 3), f"dims is {result.dims}, not 2 or 3"),
        (result.values < result.dims, f"values is {result.values}, less than dims"),
        (min(result.crop_size) <= 0, f"crop_size is {list(result.crop_size)}"),
    ):
        if wrong:
            raise InputError(
                "task.field", f"{where}: not a landmarks task ({reason}); see landmarks()"
            )
    return result


class LandmarkSimilarity:
    """Gathers how far an artifact's landmarks are from the float model's."""

    def __init__(self, task: LandmarkTask, shapes: Mapping[str, tuple[int, ...]], where: str):
        """Starts with no samples.

        Args:
          task: how outputs are decoded.
          shapes: of the float model's outputs, by name.
          where: how messages name the model.

        Raises:
          InputError: when the model has no such outputs, or they have other sizes.
        """
        required_size(task.points, task.count * task.values, shapes, task.name, where)
        if task.presence:
            required_size(task.presence.output, 1, shapes, task.name, where)
        if task.world:
            required_size(task.world, task.count * task.dims, shapes, task.name, where)
        self._task = task
        self._firing = Firing(task.presence.threshold) if task.presence else None
        self._samples = 0
        # Of each sample that counts: its name, and the error of each point.
        self._names: list[str] = []
        self._pixels: list[np.ndarray] = []
        self._relative: list[np.ndarray] = []
        self._depth: list[float] = []
        self._world: list[np.ndarray] = []

    def _points(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Decodes the points, float64 [count, dims] in pixels of the crop."""
        task = self._task
        values = outputs[task.points].astype(np.float64).reshape(task.count, task.values)
        points = values[:, : task.dims].copy()
        if task.normalized:
            width, height = task.crop_size
            # z is in the scale of x.
            points *= np.array([width, height, width][: task.dims])
        return points

    def add(
        self, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], sample: str = ""
    ) -> None:
        """Compares the landmarks of one sample.

        Args:
          expected: the float model's outputs by name, float32.
          actual: the artifact's, under the same names.
          sample: its name.
        """
        task = self._task
        self._samples += 1
        if task.presence and self._firing:
            truth, found = map(task.presence.probability, (expected, actual))
            if not self._firing.add(truth, found):
                return
        points, others = self._points(expected), self._points(actual)
        distance = np.hypot(*(points - others)[:, :2].T)
        # Where all points are one, the error is a share of a pixel.
        side = max(float(np.ptp(points[:, :2], axis=0).max()), 1.0)
        self._names.append(sample)
        self._pixels.append(distance)
        self._relative.append(distance / side)
        if task.dims == 3:
            self._depth.append(float(np.abs(points - others)[:, 2].mean()))
        if task.world:
            shape = (task.count, task.dims)
            space = expected[task.world].reshape(shape).astype(np.float64)
            apart = space - actual[task.world].reshape(shape)
            self._world.append(np.linalg.norm(apart, axis=1) * _MM_PER_METRE)

    def figures(self) -> LandmarkFigures:
        """Sums up for a report.

        Means are over all points of the positive samples, the worst is one point; the worst
        sample is that with the largest mean. Presence is compared on all samples; precision
        and recall take the float model's firing as truth. What no sample defines, or what the
        model has no output for, is None. A model without a presence output counts every
        sample as positive.
        """
        task = self._task
        result: dict[str, Any] = {
            "depth_error_px_mean": rounded(np.mean(self._depth)) if self._depth else None,
            "name": task.name,
        }
        for name, errors in (
            ("landmark_error_px", self._pixels),
            ("landmark_error", self._relative),
            ("world_error_mm", self._world),
        ):
            result[f"{name}_mean"] = rounded(np.mean(errors)) if errors else None
            result[f"{name}_max"] = rounded(np.max(errors)) if errors else None
        worst = int(np.argmax([errors.mean() for errors in self._pixels])) if self._pixels else None
        result["worst_sample"] = None if worst is None else self._names[worst]
        positives, found, both = len(self._pixels), 0, 0
        result["presence_error_mean"] = result["presence_error_max"] = None
        result["presence_agreement"] = None
        if self._firing:
            positives, found, both = self._firing.counts()
            presence_errors = self._firing.errors()
            result["presence_error_mean"] = rounded(presence_errors.mean())
            result["presence_error_max"] = rounded(presence_errors.max())
            result["presence_agreement"] = rounded(self._firing.agreement())
        result["positives"] = positives
        result["negatives"] = self._samples - positives
        result["precision"] = rounded(both / found) if found else None
        result["recall"] = rounded(both / positives) if task.presence and positives else None
        return LandmarkFigures(**result)
