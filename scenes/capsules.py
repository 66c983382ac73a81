"""Renders bodies made of rounded cones: what a sphere sweeps that moves and grows.

A rounded cone is seen along the viewer's axis, so the height of its surface over a pixel
p is that of the highest sphere there: the maximum over s in [0, 1] of
z(s) + sqrt(q(s)), q(s) = r(s)^2 - |p - c(s)|^2 with centre c, z and radius r linear in s.
q is a parabola A s^2 + 2 B s + C. Where A < 0, setting the derivative
z' + (A s + B) / sqrt(q) to zero gives A s + B = -z' sqrt((B^2 - A C) / (z'^2 - A)),
clipped to where the parabola is not negative. Where A >= 0 one end hides the other, and
the ends' spheres are enough.

Cones that meet run into each other: at a pixel each weighs exp((height - highest) /
softness), and normals and colours are the weighted means.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from scenes.shading import Lighting, lit

# How many times as fine as the picture capsules are rendered, for soft edges.
FINER = 2
# Heights of what is not there.
NOTHING = np.float32(-1e6)


@dataclasses.dataclass(frozen=True)
class Hits:
    """Points of one cone's surface that the viewer may see; arrays of the same length.

    Attributes:
      along: place on the axis, 0 at the start to 1 at the end.
      normal: float32 [n, 3], x right, y down, z to the viewer.
      position: float32 [n, 3], pixels.
    """

    along: np.ndarray
    normal: np.ndarray
    position: np.ndarray


@dataclasses.dataclass(frozen=True)
class Capsule:
    """A rounded cone.

    Attributes:
      start, end: float32 [3], centres of the ends, pixels: x right, y down, z to the
        viewer.
      start_radius, end_radius: pixels.
      softness: how many pixels of height apart it still runs into others.
      paint: gives points of its surface their colours, float32 [n, 3].
    """

    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float
    softness: float
    paint: Callable[[Hits], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Surface:
    """What is seen of all capsules, pixel by pixel.

    Attributes:
      height: float32 [height, width], NOTHING where there is none.
      normal: float32 [height, width, 3].
      color: float32 [height, width, 3], before light falls on it.
    """

    height: np.ndarray
    normal: np.ndarray
    color: np.ndarray


def _hits(capsule: Capsule, shape: tuple[int, int]):
    """Finds the pixels that a capsule covers: (rows, columns, height, Hits), or None."""
    (ax, ay, az), (bx, by, bz) = (capsule.start.astype(float), capsule.end.astype(float))
    ra, rb = float(capsule.start_radius), float(capsule.end_radius)
    left = max(int(np.floor(min(ax - ra, bx - rb))), 0)
    right = min(int(np.ceil(max(ax + ra, bx + rb))) + 1, shape[1])
    top = max(int(np.floor(min(ay - ra, by - rb))), 0)
    bottom = min(int(np.ceil(max(ay + ra, by + rb))) + 1, shape[0])
    if left >= right or top >= bottom:
        return None
    rows, columns = np.mgrid[top:bottom, left:right]
    x, y = columns.astype(np.float32) - np.float32(ax), rows.astype(np.float32) - np.float32(ay)
    dx, dy, dz, dr = bx - ax, by - ay, bz - az, rb - ra
    a = dr * dr - dx * dx - dy * dy
    b = (x * np.float32(dx) + y * np.float32(dy)) + np.float32(ra * dr)
    c = np.float32(ra * ra) - x * x - y * y
    if a < -1e-6:
        a = np.float32(a)
        root = b * b - a * c
        seen = root > 0
        with np.errstate(invalid="ignore"):
            half = np.sqrt(root) / -a
        first, last = np.maximum(b / -a - half, 0), np.minimum(b / -a + half, 1)
        seen &= first <= last
        x, y, b, c, rows, columns = (v[seen] for v in (x, y, b, c, rows, columns))
        best = (-np.float32(dz) * np.sqrt(root[seen] / np.float32(dz * dz - a)) - b) / a
        along = np.clip(best, first[seen], last[seen])
    else:
        heights = [
            np.where(q > 0, z + np.sqrt(np.maximum(q, 0)), NOTHING)
            for q, z in ((c, np.float32(0)), (np.float32(a) + 2 * b + c, np.float32(dz)))
        ]
        seen = np.maximum(*heights) > NOTHING
        x, y, b, c, rows, columns = (v[seen] for v in (x, y, b, c, rows, columns))
        along = (heights[1][seen] > heights[0][seen]).astype(np.float32)
        a = np.float32(a)
    up = np.sqrt(np.maximum((a * along + 2 * b) * along + c, 0))
    radius = np.float32(ra) + along * np.float32(dr)
    normal = np.stack([x - along * np.float32(dx), y - along * np.float32(dy), up], -1)
    normal /= np.maximum(radius, np.float32(1e-6))[:, None]
    height = np.float32(az) + along * np.float32(dz) + up
    position = np.stack([columns, rows, height], -1).astype(np.float32)
    return rows, columns, height, Hits(along, normal, position)


def render_capsules(capsules: Sequence[Capsule], shape: tuple[int, int]) -> Surface:
    """Renders capsules.

    Args:
      capsules: in any order.
      shape: height and width of the picture, pixels.

    Returns:
      The surface that is seen.
    """
    found = [(capsule, _hits(capsule, shape)) for capsule in capsules]
    found = [(capsule, hits) for capsule, hits in found if hits is not None]
    highest = np.full(shape, NOTHING, np.float32)
    for _, (rows, columns, height, _) in found:
        highest[rows, columns] = np.maximum(highest[rows, columns], height)
    total = np.zeros(shape, np.float32)
    normal = np.zeros((*shape, 3), np.float32)
    color = np.zeros((*shape, 3), np.float32)
    for capsule, (rows, columns, height, hits) in found:
        below = (height - highest[rows, columns]) / np.float32(capsule.softness)
        near = below > -6
        rows, columns = rows[near], columns[near]
        hits = Hits(hits.along[near], hits.normal[near], hits.position[near])
        weight = np.exp(below[near])
        total[rows, columns] += weight
        normal[rows, columns] += weight[:, None] * hits.normal
        color[rows, columns] += weight[:, None] * capsule.paint(hits)
    color /= np.maximum(total, np.float32(1e-12))[..., None]
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + np.float32(1e-12)
    return Surface(highest, normal, color)


def _shifted(values: np.ndarray, down: int, right: int) -> np.ndarray:
    """Reads values at (row + down, column + right); the edge's beyond the edge."""
    height, width = values.shape
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    return values[rows][:, columns]


def shadowed(surface: Surface, direction: np.ndarray, reach: float) -> np.ndarray:
    """Finds what lies in the shadow of something higher.

    Args:
      surface: what is seen.
      direction: float32 [3], unit vector to the lamp.
      reach: how far a shadow falls, pixels.

    Returns:
      float32 [height, width], 0 in the light to 1 in full shadow.
    """
    flat = max(float(np.hypot(direction[0], direction[1])), 1e-3)
    rise = float(direction[2]) / flat
    shadow = np.zeros(surface.height.shape, np.float32)
    for part in (0.15, 0.3, 0.5, 0.75, 1.0):
        distance = reach * part
        right = round(distance * float(direction[0]) / flat)
        down = round(distance * float(direction[1]) / flat)
        over = _shifted(surface.height, down, right) - surface.height - np.float32(distance * rise)
        # A lamp has a size: the further the edge, the softer its shadow.
        shadow = np.maximum(shadow, np.clip(over / np.float32(0.25 * distance + 1), 0, 1))
    return shadow


def occluded(surface: Surface, radius: float) -> np.ndarray:
    """Finds what lies lower than its surroundings, where less light comes from all around.

    Args:
      surface: what is seen.
      radius: of the surroundings, pixels.

    Returns:
      float32 [height, width], 0 in the open to 1 in a crevice.
    """
    result = np.zeros(surface.height.shape, np.float32)
    for angle in np.arange(8) * (np.pi / 4):
        down, right = round(radius * np.sin(angle)), round(radius * np.cos(angle))
        over = _shifted(surface.height, down, right) - surface.height
        result += np.clip(over / np.float32(radius), 0, 1)
    return result / 8


def _window(capsules: Sequence[Capsule], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Finds the part of a picture that capsules may cover: left, top, right, bottom."""
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for capsule in capsules:
        for place, radius in (
            (capsule.start, capsule.start_radius),
            (capsule.end, capsule.end_radius),
        ):
            low = np.minimum(low, place[:2] - radius)
            high = np.maximum(high, place[:2] + radius)
    left, top = (max(int(np.floor(edge / FINER)) - 1, 0) for edge in low)
    right, bottom = (
        min(int(np.ceil(edge / FINER)) + 2, side) for edge, side in zip(high, size, strict=True)
    )
    return left, top, right, bottom


def picture_of(
    capsules: Sequence[Capsule], lighting: Lighting, size: tuple[int, int], reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Renders and lights capsules.

    Args:
      capsules: FINER times as large as in the picture.
      lighting: of the scene.
      size: width and height of the picture, pixels.
      reach: how far a shadow falls, in the capsules' pixels. Surroundings that keep
        light from a point are a quarter of that.

    Returns:
      (colour float32 [height, width, 3] in linear light, coverage float32
      [height, width]).
    """
    width, height = size
    all_colors = np.zeros((height, width, 3), np.float32)
    all_cover = np.zeros((height, width), np.float32)
    left, top, right, bottom = _window(capsules, size)
    if left >= right or top >= bottom:
        return all_colors, all_cover
    corner = np.float32([left * FINER, top * FINER, 0])
    wide, high = right - left, bottom - top
    moved = [
        dataclasses.replace(
            capsule,
            start=capsule.start - corner,
            end=capsule.end - corner,
            paint=lambda hits, paint=capsule.paint: paint(
                dataclasses.replace(hits, position=hits.position + corner)
            ),
        )
        for capsule in capsules
    ]
    surface = render_capsules(moved, (high * FINER, wide * FINER))
    seen = surface.height > NOTHING
    normal = surface.normal[seen]
    shadow = shadowed(surface, lighting.direction, reach)[seen][:, None]
    crevice = occluded(surface, reach / 4)[seen][:, None]
    toward = np.clip((normal @ lighting.direction + 0.15) / 1.15, 0, 1)[:, None]
    light = lit(lighting, normal) - 0.8 * shadow * lighting.lamp * toward
    # Light that comes from a crevice has met the skin there, and is redder.
    light = light * (1 - np.float32([0.55, 0.65, 0.68]) * crevice) * surface.color[seen]
    half = lighting.direction + np.float32([0, 0, 1])
    half /= np.linalg.norm(half)
    shine = np.clip(normal @ half, 0, 1) ** 16 * np.float32(0.16 * lighting.gloss)
    light = light + shine[:, None] * lighting.lamp * (1 - shadow)
    color = np.zeros((high * FINER, wide * FINER, 3), np.float32)
    color[seen] = np.clip(light, 0, 4)
    cover = seen.astype(np.float32).reshape(high, FINER, wide, FINER).mean((1, 3))
    color = color.reshape(high, FINER, wide, FINER, 3).mean((1, 3))
    all_colors[top:bottom, left:right] = color / np.maximum(cover, np.float32(0.25))[..., None]
    all_cover[top:bottom, left:right] = cover
    return all_colors, all_cover
