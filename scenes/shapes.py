"""Pictures of flat shapes, from loud to barely visible: a task for a small classifier.

A shape of one of eight kinds lies somewhere on two colours that run into each other. Its
contrast is drawn evenly over orders of magnitude, 3% to 50% of the range of a pixel: in the
faint ones little is left when activations are rounded coarsely.
"""

import numpy as np

CLASSES = ("circle", "crescent", "cross", "hexagon", "ring", "square", "star", "triangle")
SIZE = 48

_OVERSAMPLING = 2
_SIDES = {"hexagon": 6, "square": 4, "triangle": 3}


def _outside(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Says how far points lie outside a shape of radius 1; negative inside."""
    radius = np.hypot(x, y)
    if shape == "circle":
        return radius - 0.95
    if shape == "ring":
        return np.abs(radius - 0.75) - 0.25
    if shape == "crescent":
        return np.maximum(radius - 1, 0.85 - np.hypot(x - 0.45, y))
    if shape == "cross":
        bars = [np.maximum(np.abs(a) - 0.35, np.abs(b) - 1) for a, b in ((x, y), (y, x))]
        return np.minimum(*bars)
    angle = np.arctan2(y, x)
    if shape == "star":
        # A fifth of it, mirrored: the line from an inner corner at (0.5, 0) to a tip.
        angle = np.abs(angle % (2 * np.pi / 5) - np.pi / 5)
        along, across = radius * np.cos(angle), radius * np.sin(angle)
        tip_x, tip_y = np.cos(np.pi / 5), np.sin(np.pi / 5)
        return ((along - 0.5) * tip_y - across * (tip_x - 0.5)) / np.hypot(tip_x - 0.5, tip_y)
    sides = _SIDES[shape]
    sector = 2 * np.pi / sides
    return radius * np.cos(angle % sector - sector / 2) - np.cos(np.pi / sides)


def render(rng: np.random.Generator, shape: str) -> np.ndarray:
    """Draws one picture.

    Args:
      rng: what place, size, turn, colours and contrast are drawn from.
      shape: one of CLASSES.

    Returns:
      [SIZE, SIZE, 3], uint8.
    """
    fine = SIZE * _OVERSAMPLING
    grid = (np.arange(fine) + 0.5) / fine * 2 - 1
    columns, rows = np.meshgrid(grid, grid)
    radius, turn, stretch = (
        rng.uniform(0.4, 0.75),
        rng.uniform(0, 2 * np.pi),
        rng.uniform(0.85, 1.15),
    )
    across, down = rng.uniform(-0.25, 0.25, 2)
    columns, rows = columns - across, rows - down
    x = (columns * np.cos(turn) + rows * np.sin(turn)) / radius * stretch
    y = (rows * np.cos(turn) - columns * np.sin(turn)) / radius / stretch
    inside = (_outside(shape, x, y) < 0).astype(np.float32)
    inside = inside.reshape(SIZE, _OVERSAMPLING, SIZE, _OVERSAMPLING).mean((1, 3))

    first, second = rng.uniform(0.15, 0.85, (2, 3))
    direction = rng.uniform(0, 2 * np.pi)
    grid = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    columns, rows = np.meshgrid(grid, grid)
    share = 0.5 + 0.5 * np.clip(columns * np.cos(direction) + rows * np.sin(direction), -1, 1)
    picture = first * (1 - share[..., None]) + second * share[..., None]
    contrast = np.exp(rng.uniform(np.log(0.03), np.log(0.5)))
    colour = rng.normal(size=3)
    picture = picture + contrast * colour / np.abs(colour).max() * inside[..., None]
    picture = picture + rng.normal(0, 0.006, picture.shape)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def shapes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws a set, every class as often.

    Args:
      count: of pictures.
      seed: another one draws others.

    Returns:
      ([count, SIZE, SIZE, 3] uint8, [count] class numbers).
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    return np.stack([render(rng, CLASSES[label]) for label in labels]), labels
