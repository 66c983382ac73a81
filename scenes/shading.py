"""Light, colours and textures that everything rendered shares.

Colours are linear light, 0 to 1, float32 [..., 3]. Directions have x to the viewer's
right, y down and z towards the viewer.
"""

import dataclasses
import functools

import numpy as np

# sRGB 0 to 255, from light to dark; what lies between two of them is mixed.
SKIN = (
    (247, 219, 200),
    (234, 192, 165),
    (212, 160, 125),
    (172, 118, 82),
    (120, 78, 54),
    (70, 45, 34),
)


def to_linear(srgb) -> np.ndarray:
    """Turns sRGB 0 to 255 into linear light 0 to 1, by the usual exponent of 2.2."""
    return (np.asarray(srgb, np.float32) / np.float32(255)) ** np.float32(2.2)


def angle_of(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Computes the angle of points, in radians, in float32.

    C libraries round arctan2 of float32 in two ways. It is computed in float64 and rounded
    once, so that the same scenes have the same pixels under each.
    """
    return np.arctan2(y.astype(np.float64), x.astype(np.float64)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Lighting:
    """One lamp and the light from all around.

    Attributes:
      direction: float32 [3], unit vector to the lamp.
      lamp, above, below: colours.
      gloss: of the skin, 0 to 1.
    """

    direction: np.ndarray
    lamp: np.ndarray
    above: np.ndarray
    below: np.ndarray
    gloss: float


def mixed(colors, position: float) -> np.ndarray:
    """Reads a ramp of sRGB colours at 0 to 1, as linear light."""
    place = position * (len(colors) - 1)
    lower = min(int(place), len(colors) - 2)
    ramp = to_linear(colors)
    return ramp[lower] + (ramp[lower + 1] - ramp[lower]) * np.float32(place - lower)


def draw_lighting(rng: np.random.Generator) -> Lighting:
    """Draws lighting at random, from a flat sky to a hard lamp at the side."""
    direction = np.float32([rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.25), rng.uniform(0.35, 1)])
    hardness = rng.uniform(0.35, 0.9)
    warmth = rng.uniform(-0.15, 0.2)
    tint = np.float32([1 + warmth, 1, 1 - warmth])
    sky = np.float32([1 - warmth / 2, 1, 1 + warmth / 2])
    return Lighting(
        direction=direction / np.linalg.norm(direction),
        lamp=tint * np.float32(1.25 * hardness),
        above=sky * np.float32(1.05 * (1 - hardness) + 0.12),
        below=sky * np.float32(0.75 * (1 - hardness) + 0.05) * np.float32([1.1, 1, 0.9]),
        gloss=rng.uniform(0.0, 0.5),
    )


def bump(x, y, width: float, height: float) -> np.ndarray:
    return np.exp(-np.square(x / np.float32(width)) - np.square(y / np.float32(height)))


def step(low: float, high: float, value) -> np.ndarray:
    """Rises smoothly from 0 at `low` to 1 at `high`; falls when `high` is the smaller."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def lit(lighting: Lighting, normal: np.ndarray, wrap: float = 0.15) -> np.ndarray:
    """Light that falls on surfaces with these normals (the viewer's coordinates)."""
    toward = np.clip((normal @ lighting.direction + wrap) / (1 + wrap), 0, 1)[..., None]
    up = (0.5 - 0.5 * normal[..., 1])[..., None]
    return lighting.lamp * toward + lighting.below + (lighting.above - lighting.below) * up


@functools.lru_cache(maxsize=256)
def _noise_table(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (64, 64)).astype(np.float32)


def noise(seed: int, x: np.ndarray, y: np.ndarray, frequency: float) -> np.ndarray:
    """Smooth noise of about -1 to 1: bilinear in a table of random numbers."""
    table = _noise_table(seed)
    u, v = x * np.float32(frequency) + 32, y * np.float32(frequency) + 32
    i, j = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    fu, fv = (u - i).astype(np.float32), (v - j).astype(np.float32)
    i0, i1, j0, j1 = i & 63, (i + 1) & 63, j & 63, (j + 1) & 63
    top = table[j0, i0] * (1 - fu) + table[j0, i1] * fu
    return top * (1 - fv) + (table[j1, i0] * (1 - fu) + table[j1, i1] * fu) * fv
