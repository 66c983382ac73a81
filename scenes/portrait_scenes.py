"""Scenes for testing: the portrait of an astronaut, and photographs without people."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from scenes.head import draw_half_height
from scenes.photographs import blurred, cropped, photographed, side_light
from scenes.shading import to_linear

PORTRAIT = "astronaut.png"
_SIZES = ((256, 256), (256, 256), (320, 240), (240, 320), (300, 200), (200, 300), (192, 192))
# How often she is in front of another photograph: where she was, she is near.
_ELSEWHERE, _FAR_ELSEWHERE = 0.5, 0.8
# Of the portrait, in its pixels: the face's centre, and half of its height with the hair.
_FACE = (227.0, 112.0)
_HALF_HEIGHT = 80.0
# Parts of it without the face: left, top, right, bottom.
_EMPTY = ((310, 0, 512, 330), (0, 210, 512, 512), (0, 0, 145, 512), (300, 0, 512, 512))
# Her outline, drawn by hand.
_OUTLINE = (
    (154, 92), (153, 72), (161, 52), (176, 36), (194, 23), (226, 14), (256, 20), (280, 38),
    (296, 62), (301, 86), (296, 108), (283, 124), (276, 137), (268, 150), (258, 174), (292, 205),
    (303, 235), (322, 247), (340, 266), (352, 300), (360, 340), (362, 360), (320, 385),
    (290, 430), (280, 512), (20, 512), (22, 420), (42, 290), (75, 250), (118, 222), (113, 190),
    (125, 165), (150, 152), (188, 150), (184, 135), (176, 118), (163, 108),
)  # fmt: skip


def _outline(size: tuple[int, int]) -> Image.Image:
    """Makes the portrait's matte, soft over about two pixels."""
    matte = Image.new("L", size, 0)
    ImageDraw.Draw(matte).polygon(_OUTLINE, fill=255)
    return matte.filter(ImageFilter.GaussianBlur(1.6))


def _view(half_height: float, centre, roll: float, mirror: bool):
    """Makes the affine map from a scene's pixels to the portrait's, for Image.transform."""
    scale = _HALF_HEIGHT / half_height
    cos, sin = np.cos(roll) * scale, np.sin(roll) * scale
    a, b, d, e = cos, sin, -sin, cos
    if mirror:
        a, b = -a, -b
    return (
        a, b, _FACE[0] - a * centre[0] - b * centre[1],
        d, e, _FACE[1] - d * centre[0] - e * centre[1],
    )  # fmt: skip


def _inside(matrix, size, whole) -> bool:
    """Whether a scene shows nothing beyond the portrait's edges."""
    a, b, c, d, e, f = matrix
    corners = [(x, y) for x in (0, size[0]) for y in (0, size[1])]
    return all(
        0 <= a * x + b * y + c <= whole[0] and 0 <= d * x + e * y + f <= whole[1]
        for x, y in corners
    )


def face_scene(
    photographs: Mapping[str, Image.Image],
    rng: np.random.Generator,
    larger: float = 1,
    far: bool = False,
) -> np.ndarray:
    """Shows the astronaut: where she was, or in front of another photograph.

    Args:
      photographs: name to photograph; PORTRAIT among them.
      rng: what decides everything.
      larger: factor on the picture's size, for crops of it.
      far: whether she may be far away, too.

    Returns:
      uint8 [height, width, 3], sRGB.
    """
    portrait = photographs[PORTRAIT]
    others = sorted(set(photographs) - {PORTRAIT})
    elsewhere = bool(others) and rng.uniform() < (_FAR_ELSEWHERE if far else _ELSEWHERE)
    mirror = rng.uniform() < 0.5
    while True:
        size = tuple(round(side * larger) for side in _SIZES[int(rng.integers(len(_SIZES)))])
        half = min(size) * float(draw_half_height(rng, far))
        centre = [side / 2 + rng.uniform(-0.9, 0.9) * max(side / 2 - half, 0) for side in size]
        roll = rng.normal(0, 0.25 if elsewhere else 0.12)
        matrix = _view(half, centre, roll, mirror)
        if elsewhere or _inside(matrix, size, portrait.size):
            break
    # Shrinking by a transform alone skips pixels; blur by what is left out.
    shrink = _HALF_HEIGHT / half
    source = portrait.filter(ImageFilter.GaussianBlur(max(0.45 * (shrink - 1), 0)))
    shown = source.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    scene = to_linear(np.asarray(shown))
    if elsewhere:
        matte = _outline(portrait.size).filter(
            ImageFilter.GaussianBlur(max(0.45 * (shrink - 1), 0))
        )
        matte = matte.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        cover = (np.asarray(matte, np.float32) / 255)[..., None]
        name = others[int(rng.integers(len(others)))]
        behind = blurred(cropped(photographs[name], rng, size), rng.uniform(0, 4))
        behind = to_linear(behind) * np.float32(rng.uniform(0.5, 1.5))
        scene = behind + (scene - behind) * cover
    return photographed(side_light(scene, rng), rng, hardest=0.8)


def empty_scene(photographs: Mapping[str, Image.Image], rng: np.random.Generator) -> np.ndarray:
    """Makes a scene without a face; arguments and result as `face_scene`."""
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    names = sorted(photographs)
    name = names[int(rng.integers(len(names)))]
    photograph = photographs[name]
    if name == PORTRAIT:
        photograph = photograph.crop(_EMPTY[int(rng.integers(len(_EMPTY)))])
    part = blurred(cropped(photograph, rng, size), rng.uniform(0, 2))
    return photographed(side_light(to_linear(part), rng), rng, hardest=0.8)
