"""Scenes with people from head to foot; the test set has two real ones among them."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from scenes.figure import ARMS, LEGS, FigurePose, FigureView, draw_build, render_figure
from scenes.hand import draw_hand, free_pose, gesture_pose
from scenes.head import draw_expression, draw_person
from scenes.photographs import background, photographed, side_light
from scenes.shading import draw_lighting, to_linear

ARMS_OF = {
    "calibration": ("down", "down", "akimbo", "greeting", "high", "level", "folded", "offering"),
    "test": ("down", "down", "behind", "phone", "flexed", "forward", "high"),
}
LEGS_OF = {
    "calibration": ("straight", "straight", "apart", "ahead", "raised", "seated"),
    "test": ("straight", "straight", "apart", "behind", "squatting", "bent"),
}
# Real people among the test's photographs: who is in it, as left, top, right and bottom of
# what must be in the picture, and the share of the photograph's height that fits.
REAL = {
    "astronaut.png": ((130, 0, 330, 330), 0.72),
    "camera.png": ((20, 40, 340, 420), 0.85),
}
_REAL_SHARE = 0.4
_TOGETHER = ("seated", "squatting")
_SIZES = ((256, 256), (240, 320), (240, 320), (216, 288), (320, 240))


def _pose(rng: np.random.Generator, chosen: str, yaw: float) -> FigurePose:
    first, second = (str(rng.choice(LEGS_OF[chosen])) for _ in range(2))
    if first in _TOGETHER or second in _TOGETHER:
        first = second = first if first in _TOGETHER else second
    elif rng.uniform() < 0.4:
        second = first
    arms = [str(rng.choice(ARMS_OF[chosen])) for _ in range(2)]
    hands = tuple(
        free_pose(rng) if rng.uniform() < 0.3 else gesture_pose(rng, ["open", "relaxed", "fist"])
        for _ in range(2)
    )
    return FigurePose(
        arms=np.float32([ARMS[name] for name in arms]) + rng.normal(0, 0.13, (2, 3, 3)),
        legs=np.float32([LEGS[name] for name in (first, second)]) + rng.normal(0, 0.08, (2, 2, 3)),
        lean=rng.normal(0, [0.09, 0.1]).astype(np.float32),
        hands=hands,
        head=(
            float(np.clip(yaw * 0.7 + rng.normal(0, 0.22), -0.7, 0.7)),
            float(np.clip(rng.normal(0.02, 0.12), -0.3, 0.3)),
        ),
        head_roll=rng.normal(0, 0.08),
    )


def _place(
    scene: np.ndarray, rng: np.random.Generator, chosen: str, tall: float, centre
) -> np.ndarray:
    """Puts a person into a scene: `tall` pixels from head to foot, hips at `centre`."""
    height, width, _ = scene.shape
    person = draw_person(rng)
    yaw = float(np.clip(rng.normal(0, 0.4), -1.1, 1.1))
    colors = to_linear(rng.uniform(5, 235, (2, 3)) * np.array([[1], [0.6]]))
    hand = draw_hand(rng, person.skin)
    color, cover = render_figure(
        person,
        draw_expression(rng),
        draw_build(rng, person.clothes, colors),
        hand,
        _pose(rng, chosen, yaw),
        FigureView(
            yaw=yaw,
            pitch=float(np.clip(rng.normal(0.03, 0.12), -0.3, 0.35)),
            roll=rng.normal(0, 0.08) if rng.uniform() < 0.93 else rng.uniform(-1.6, 1.6),
            scale=tall / 173,
            centre=(float(centre[0]), float(centre[1])),
            distance=float(np.exp(rng.uniform(np.log(160), np.log(600)))),
        ),
        draw_lighting(rng),
        (width, height),
    )
    return scene + (color - scene) * cover[..., None]


def _rendered(photographs, rng: np.random.Generator, chosen: str) -> np.ndarray:
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    width, height = size
    scene = background(photographs, rng, size, softest=4)
    kind = rng.uniform()
    if kind < 0.12 and width >= height:
        for middle in (0.27, 0.73):
            tall = height * rng.uniform(0.6, 0.92)
            place = (width * (middle + rng.uniform(-0.05, 0.05)), height * rng.uniform(0.46, 0.56))
            scene = _place(scene, rng, chosen, tall, place)
    elif kind < 0.6:
        tall = height * rng.uniform(0.45, 0.98)
        room = max((height - tall) / 2, 0)
        # Seen from head to foot: the hips are a little above the middle.
        place = (
            width * rng.uniform(0.3, 0.7),
            height / 2 - 0.03 * tall + rng.uniform(-0.9, 0.9) * room,
        )
        scene = _place(scene, rng, chosen, tall, place)
    else:
        tall = height * rng.uniform(1.0, 2.2)
        # The picture ends somewhere between the knees and the waist.
        head = height * rng.uniform(0.04, 0.2)
        place = (width * rng.uniform(0.35, 0.65), head + 0.47 * tall)
        scene = _place(scene, rng, chosen, tall, place)
    return photographed(scene, rng, hardest=0.85)


def _real(photographs, rng: np.random.Generator) -> np.ndarray:
    """Shows a real person where the photograph was taken: cut, mirrored, relit."""
    names = sorted(set(photographs) & set(REAL))
    name = names[int(rng.integers(len(names)))]
    photograph = photographs[name]
    (left, top, right, bottom), smallest = REAL[name]
    whole_width, whole_height = photograph.size
    width, height = _SIZES[int(rng.integers(len(_SIZES)))]
    high = whole_height * rng.uniform(smallest, 1)
    wide = min(high * width / height, whole_width)
    # Any place from which the whole person is seen.
    x = rng.uniform(max(right - wide, 0), min(left, whole_width - wide))
    y = rng.uniform(max(bottom - high, 0), min(top, whole_height - high))
    part = photograph.resize(
        (round(height * wide / high), height), Image.Resampling.BILINEAR, (x, y, x + wide, y + high)
    )
    if rng.uniform() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return photographed(side_light(to_linear(np.asarray(part)), rng), rng, hardest=0.8)


def person_scene(
    photographs: Mapping[str, Image.Image], rng: np.random.Generator, chosen: str
) -> np.ndarray:
    """Renders a scene with one person, sometimes two; in the test set, or shows a real one.

    Args:
      photographs: name to photograph.
      rng: what decides everything.
      chosen: "calibration" or "test".

    Returns:
      uint8 [height, width, 3], sRGB.
    """
    if chosen == "test" and set(photographs) & set(REAL) and rng.uniform() < _REAL_SHARE:
        return _real(photographs, rng)
    behind = {name: image for name, image in photographs.items() if name not in REAL}
    return _rendered(behind, rng, chosen)


def empty_scene(
    photographs: Mapping[str, Image.Image], rng: np.random.Generator, chosen: str
) -> np.ndarray:
    """Makes a scene without a person; arguments and result as `person_scene`."""
    del chosen
    photographs = {name: image for name, image in photographs.items() if name not in REAL}
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    return photographed(background(photographs, rng, size, softest=3), rng)
