"""Crops of photographs, procedural backgrounds, and what a camera does to a scene.

Colours are linear light, 0 to 1, float32 [height, width, 3].
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from scenes.shading import to_linear
from tools.errors import InputError


def read_photograph(path: Path) -> Image.Image:
    """Reads a photograph in 8-bit RGB.

    Raises:
      InputError: when it is not an image.
    """
    try:
        with Image.open(path) as file:
            return file.convert("RGB")
    except FileNotFoundError:
        raise InputError(
            "file.missing", f"{path}: no such file; --photos takes one photograph each"
        ) from None
    except (OSError, SyntaxError, ValueError):
        raise InputError(
            "data.unreadable", f"{path}: not a readable image; give a photograph"
        ) from None


def cropped(
    photograph: Image.Image, rng: np.random.Generator, size: tuple[int, int], smallest: float = 0.3
) -> np.ndarray:
    """Takes a random part of a photograph, mirrored or not.

    Args:
      photograph: to cut from.
      rng: what decides.
      size: width and height of the result, pixels.
      smallest: of the part, as a share of the largest one that fits.

    Returns:
      uint8 [height, width, 3].
    """
    width, height = size
    scale = min(photograph.width / width, photograph.height / height) * rng.uniform(smallest, 1)
    left = rng.uniform(0, photograph.width - width * scale)
    top = rng.uniform(0, photograph.height - height * scale)
    box = (left, top, left + width * scale, top + height * scale)
    part = photograph.resize(size, Image.Resampling.BILINEAR, box)
    if rng.uniform() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(part)


def gradient(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Makes a wall: two colours that run into each other, a lamp's spot, sometimes stripes."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    along = np.clip(0.5 + x * np.cos(angle) + y * np.sin(angle), 0, 1)[..., None]
    first, second = to_linear(rng.uniform(5, 250, (2, 3)))
    wall = first + (second - first) * along
    spot = np.exp(
        -(np.square(x - rng.uniform(-0.5, 0.5)) + np.square(y - rng.uniform(-0.5, 0.5))) * 6
    )
    wall = wall * (0.7 + rng.uniform(0, 0.9) * spot[..., None])
    if rng.uniform() < 0.4:
        waves = np.sin((x * np.sin(angle) - y * np.cos(angle)) * rng.uniform(10, 70))
        wall = wall * (1 + rng.uniform(0.1, 0.6) * np.sign(waves)[..., None] * 0.5)
    if rng.uniform() < 0.4:
        for _ in range(int(rng.integers(1, 6))):
            left, top = rng.uniform(-0.5, 0.4, 2)
            wide, high = rng.uniform(0.05, 0.6, 2)
            inside = (x > left) & (x < left + wide) & (y > top) & (y < top + high)
            wall = np.where(inside[..., None], to_linear(rng.uniform(0, 255, 3)), wall)
    return wall.astype(np.float32)


def blurred(colors: np.ndarray, radius: float) -> np.ndarray:
    """Blurs sRGB pixels uint8 [height, width, 3] by a Gaussian of this radius, pixels."""
    if radius <= 0:
        return colors
    return np.asarray(Image.fromarray(colors).filter(ImageFilter.GaussianBlur(radius)))


def background(
    photographs: Mapping[str, Image.Image], rng: np.random.Generator, size, softest: float
) -> np.ndarray:
    """Makes what is behind a subject: part of a photograph, tinted and blurred, or a wall.

    Args:
      photographs: name to photograph.
      rng: what decides everything.
      size: width and height, pixels.
      softest: largest radius of the blur, pixels.

    Returns:
      float32 [height, width, 3], linear light.
    """
    if rng.uniform() < 0.3:
        return gradient(rng, size)
    name = sorted(photographs)[int(rng.integers(len(photographs)))]
    part = cropped(photographs[name], rng, size)
    part = blurred(part, rng.uniform(0, softest) if rng.uniform() < 0.7 else 0)
    # Brick and grass are grey photographs: tint them as a lamp would.
    tint = rng.uniform(0.55, 1.25, 3) if rng.uniform() < 0.5 else rng.uniform(0.95, 1.05, 3)
    return to_linear(part) * (tint * rng.uniform(0.4, 1.6)).astype(np.float32)


def side_light(colors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lights a scene more from one side than from the other."""
    height, width, _ = colors.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    strength = rng.uniform(0, 1.3)
    return colors * np.exp(np.float32(strength) * along.astype(np.float32))[..., None]


def photographed(colors: np.ndarray, rng: np.random.Generator, hardest: float = 1.0) -> np.ndarray:
    """Does what a camera does: exposure, white balance, contrast, blur, noise.

    Args:
      colors: the scene.
      rng: what decides.
      hardest: how far from a good picture it may go; 0 leaves the scene as it is.

    Returns:
      uint8 [height, width, 3], sRGB.
    """
    exposure = 2 ** rng.uniform(-1.4 * hardest, 0.9 * hardest)
    balance = 1 + rng.uniform(-0.15, 0.15, 3).astype(np.float32) * np.float32(hardest)
    pixels = np.clip(colors * np.float32(exposure) * balance, 0, 1) ** np.float32(1 / 2.2)
    contrast = np.float32(1 + rng.uniform(-0.35, 0.35) * hardest)
    lift = np.float32(rng.uniform(-0.05, 0.1) * hardest)
    pixels = (pixels - np.float32(0.5)) * contrast + np.float32(0.5) + lift
    if rng.uniform() < 0.12 * hardest:
        pixels = np.broadcast_to(pixels.mean(-1, keepdims=True), pixels.shape)
    sharp = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    soft = blurred(sharp, rng.uniform(0.3, 2.2) * hardest if rng.uniform() < 0.6 else 0)
    noise = rng.normal(0, 1, soft.shape).astype(np.float32)
    strength = np.float32(rng.uniform(0.5, 9) * hardest if rng.uniform() < 0.6 else 0.5 * hardest)
    return np.clip(np.rint(soft + noise * strength), 0, 255).astype(np.uint8)
