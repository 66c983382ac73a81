"""How far what MediaPipe shows with a model is from what it shows with its own.

An object is what `run_in_mediapipe` writes: a detector's box in pixels, or None, points, and
which of them are drawn. Points count where they are drawn with MediaPipe's own model; where a
solution gives no box, it is the one around them. A point's error is its distance over the
longer side of the box. Objects of one image are paired by their boxes, the largest overlap
first (tools.similarity.detection.matched).
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tools.similarity.detection import matched, overlaps

MIN_IOU = 0.9
MAX_ERROR = 0.03


@dataclasses.dataclass(frozen=True)
class Agreement:
    """What a user would notice, over some images.

    Attributes:
      images: in how many MediaPipe's own model shows an object.
      objects: how many it shows there.
      other_counts: the images in which there is another number of objects.
      pairs: how many objects are seen with both.
      iou_mean: of their boxes; 0 where there are none, as for the least.
      iou_min: the least.
      boxes_off: how many have an IoU below MIN_IOU.
      error_mean: of all points.
      error_max: of the worst.
      means_off: of how many objects the points are off by more than MAX_ERROR on average.
      points_off: of how many objects any point is.
    """

    images: int
    objects: int
    other_counts: tuple[str, ...]
    pairs: int
    iou_mean: float
    iou_min: float
    boxes_off: int
    error_mean: float
    error_max: float
    means_off: int
    points_off: int

    @property
    def looks_the_same(self) -> bool:
        """Whether counts, boxes and points all are as they should be."""
        return self.pairs == self.objects and not (
            self.other_counts or self.boxes_off or self.points_off
        )

    def table(self) -> str:
        """Gives the figures as text, a line each."""
        return "\n".join(
            (
                f"objects             {self.objects} in {self.images} images, {self.pairs} paired",
                f"other number in     {len(self.other_counts)} images",
                f"box IoU             mean {self.iou_mean:.3f}, least {self.iou_min:.3f}, "
                f"{self.boxes_off} below {MIN_IOU}",
                f"points off by       mean {self.error_mean:.2%}, worst {self.error_max:.2%}",
                f"objects above {MAX_ERROR:.0%}    {self.means_off} by the mean of their points, "
                f"{self.points_off} by the worst",
            )
        )


def _box(seen: Mapping, points: np.ndarray) -> list[float]:
    return seen["box"] or [*points.min(axis=0), *points.max(axis=0)]


def agreement(
    own: Mapping[str, Sequence[Mapping]], other: Mapping[str, Sequence[Mapping]]
) -> Agreement:
    """Compares.

    Args:
      own: name of an image to the objects that MediaPipe's own model shows in it.
      other: the same with another model in its place.

    Returns:
      The agreement.
    """
    ious, means, worst = [], [], []
    for name, expected in own.items():
        boxes, others = (
            np.array([_box(seen, np.array(seen["points"])) for seen in objects], float).reshape(
                -1, 4
            )
            for objects in (expected, other[name])
        )
        for one, another, _ in matched(boxes, others):
            pair = expected[one], other[name][another]
            drawn = np.array(expected[one]["drawn"])
            points = [np.array(seen["points"])[drawn] for seen in pair]
            box, changed = (np.array(_box(*each), float) for each in zip(pair, points, strict=True))
            errors = np.hypot(*(points[0] - points[1]).T) / (box[2:] - box[:2]).max()
            ious.append(overlaps(box[None], changed[None])[0, 0])
            means.append(errors.mean())
            worst.append(errors.max())
    return Agreement(
        images=sum(bool(objects) for objects in own.values()),
        objects=sum(map(len, own.values())),
        other_counts=tuple(name for name in own if len(own[name]) != len(other[name])),
        pairs=len(ious),
        iou_mean=float(np.mean(ious)) if ious else 0.0,
        iou_min=float(min(ious, default=0.0)),
        boxes_off=int((np.array(ious) < MIN_IOU).sum()),
        error_mean=float(np.mean(means)) if means else 0.0,
        error_max=float(max(worst, default=0.0)),
        means_off=int((np.array(means) > MAX_ERROR).sum()),
        points_off=int((np.array(worst) > MAX_ERROR).sum()),
    )
