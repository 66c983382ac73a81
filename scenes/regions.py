"""Regions that MediaPipe's graphs hand from a detector to a landmark model, and their crops.

A region is a square, turned. Its angle follows DetectionsToRectsCalculator: the vector
between two keypoints turns to a target angle; RectTransformationCalculator (square_long)
then scales it and shifts it along its own axes. The crop is ImageToTensorCalculator's:
bilinear, the picture's edge repeated beyond it.
"""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Region:
    """A turned square of a picture.

    Attributes:
      x, y: of its centre, pixels; 0 is the left (upper) edge of the first pixel.
      size: of its sides, pixels.
      angle: radians; positive turns it clockwise.
    """

    x: float
    y: float
    size: float
    angle: float


def _angle(start, end, target: float) -> float:
    """Finds how far the vector between two points is turned from its target angle."""
    angle = target - math.atan2(-(end[1] - start[1]), end[0] - start[0])
    return angle - 2 * math.pi * math.floor((angle + math.pi) / (2 * math.pi))


def palm_region(box, keypoints) -> Region:
    """Makes the region that the hand landmark model sees.

    Args:
      box: (left, top, right, bottom) of a palm, pixels.
      keypoints: [7, 2]; 0 is the wrist, 2 the middle finger's knuckle.

    Returns:
      The palm's box with its long side on all sides, turned so that the hand points up,
      2.6 times as large, half of its own (unscaled) size further towards the fingers.
    """
    left, top, right, bottom = box
    angle = _angle(keypoints[0], keypoints[2], math.pi / 2)
    height = bottom - top
    x = (left + right) / 2 + 0.5 * height * math.sin(angle)
    y = (top + bottom) / 2 - 0.5 * height * math.cos(angle)
    return Region(x, y, 2.6 * max(right - left, height), angle)


def pose_region(keypoints) -> Region:
    """Makes the region that the pose landmark model sees.

    Args:
      keypoints: [4, 2]; 0 is between the hips, 1 lies on the circle around the body.

    Returns:
      The square around that circle, 1.25 times as large, turned so that the body stands.
    """
    (x, y), (edge_x, edge_y) = keypoints[0], keypoints[1]
    size = 2 * math.hypot(edge_x - x, edge_y - y)
    return Region(x, y, 1.25 * size, _angle(keypoints[0], keypoints[1], math.pi / 2))


def face_region(box, keypoints) -> Region:
    """Makes the region that the face landmark model sees.

    Args:
      box: (left, top, right, bottom) of a face, pixels.
      keypoints: [6, 2]; 0 and 1 are the eyes, from the picture's left to right.

    Returns:
      The box with its long side on all sides, 1.5 times as large, the eyes level.
    """
    left, top, right, bottom = box
    side = 1.5 * max(right - left, bottom - top)
    angle = _angle(keypoints[0], keypoints[1], 0.0)
    return Region((left + right) / 2, (top + bottom) / 2, side, angle)


def eye_region(first, second) -> Region:
    """Makes the region that the iris landmark model sees.

    Args:
      first: x and y of the eye's corner that is further to the picture's left, pixels.
      second: of the other corner.

    Returns:
      The square around both, 2.3 times as large, the corners level.
    """
    width, height = abs(second[0] - first[0]), abs(second[1] - first[1])
    return Region(
        (first[0] + second[0]) / 2,
        (first[1] + second[1]) / 2,
        2.3 * max(width, height),
        _angle(first, second, 0.0),
    )


def to_picture(region: Region, points: np.ndarray) -> np.ndarray:
    """Takes points of a crop to the picture.

    Args:
      region: of the crop.
      points: [n, 2], relative to the crop: 0 to 1.

    Returns:
      float64 [n, 2], pixels.
    """
    x, y = ((np.asarray(points, np.float64) - 0.5) * region.size).T
    cos, sin = math.cos(region.angle), math.sin(region.angle)
    return np.stack([region.x + x * cos - y * sin, region.y + x * sin + y * cos], -1)


def crop(picture: np.ndarray, region: Region, size: int, mirrored: bool = False) -> np.ndarray:
    """Cuts a region out of a picture.

    Args:
      picture: uint8 [height, width, 3].
      region: what to cut; it may reach beyond the picture.
      size: of the result, pixels.
      mirrored: whether left and right are exchanged.

    Returns:
      uint8 [size, size, 3].
    """
    height, width, _ = picture.shape
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size
    if mirrored:
        x = 1 - x
    place = to_picture(region, np.stack([x.ravel(), y.ravel()], -1)) - 0.5
    left, top = np.floor(place).T
    right_share, lower_share = (place - np.stack([left, top], -1)).T.astype(np.float32)[..., None]

    def read(columns, rows):
        columns = np.clip(columns, 0, width - 1).astype(np.intp)
        rows = np.clip(rows, 0, height - 1).astype(np.intp)
        return picture[rows, columns].astype(np.float32)

    upper = read(left, top) * (1 - right_share) + read(left + 1, top) * right_share
    lower = read(left, top + 1) * (1 - right_share) + read(left + 1, top + 1) * right_share
    mixed = upper * (1 - lower_share) + lower * lower_share
    return np.rint(mixed).astype(np.uint8).reshape(size, size, 3)
