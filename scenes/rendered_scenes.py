"""Scenes for calibration: rendered people in front of photographs without people."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from scenes.head import draw_expression, draw_half_height, draw_person, render
from scenes.photographs import background, photographed
from scenes.shading import draw_lighting

_SIZES = ((256, 256), (256, 256), (320, 240), (240, 320), (288, 192), (192, 288), (224, 224))


def place_person(
    scene: np.ndarray, rng: np.random.Generator, centre, half_height: float
) -> np.ndarray:
    """Puts a person into a scene.

    Args:
      scene: float32 [height, width, 3], linear light.
      rng: what decides everything else.
      centre: of the face, pixels.
      half_height: of the head, pixels.

    Returns:
      The scene with the person.
    """
    height, width, _ = scene.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x - np.float32(centre[0])) / half_height, (y - np.float32(centre[1])) / half_height
    roll = rng.normal(0, 0.16)
    cos, sin = np.float32(np.cos(roll)), np.float32(np.sin(roll))
    x, y = (x * cos + y * sin).astype(np.float32), (y * cos - x * sin).astype(np.float32)
    color, cover = render(
        draw_person(rng),
        draw_expression(rng),
        draw_lighting(rng),
        float(np.clip(rng.normal(0, 0.3), -0.75, 0.75)),
        float(np.clip(rng.normal(0, 0.14), -0.35, 0.35)),
        x,
        y,
    )
    return scene + (color - scene) * cover[..., None]


def face_scene(
    photographs: Mapping[str, Image.Image],
    rng: np.random.Generator,
    larger: float = 1,
    far: bool = False,
) -> np.ndarray:
    """Renders a scene with one person, sometimes two.

    Args:
      photographs: name to photograph without a person.
      rng: what decides everything.
      larger: factor on the picture's size, for crops of it.
      far: whether a person may be far away, too.

    Returns:
      uint8 [height, width, 3], sRGB.
    """
    width, height = size = tuple(
        round(side * larger) for side in _SIZES[int(rng.integers(len(_SIZES)))]
    )
    scene = background(photographs, rng, size, softest=5)
    short = min(size)
    if rng.uniform() < 0.12 and width >= height:
        half = short * rng.uniform(0.17, 0.27)
        for middle in (0.27, 0.73):
            centre = (width * (middle + rng.uniform(-0.05, 0.05)), height * rng.uniform(0.35, 0.6))
            scene = place_person(scene, rng, centre, half * rng.uniform(0.85, 1.15))
    else:
        half = short * draw_half_height(rng, far)
        room_x, room_y = max(width / 2 - half, 0), max(height / 2 - half, 0)
        centre = (
            width / 2 + rng.uniform(-0.9, 0.9) * room_x,
            height / 2 + rng.uniform(-0.9, 0.7) * room_y,
        )
        scene = place_person(scene, rng, centre, half)
    return photographed(scene, rng)


def empty_scene(photographs: Mapping[str, Image.Image], rng: np.random.Generator) -> np.ndarray:
    """Makes a scene without a person; arguments and result as `face_scene`."""
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    return photographed(background(photographs, rng, size, softest=3), rng)
