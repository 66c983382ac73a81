"""Scenes with hands: other gestures, views, cameras and photographs for each set."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from scenes.hand import (
    HandView,
    draw_hand,
    free_pose,
    gesture_pose,
    render_hand,
    turned,
)
from scenes.photographs import background, photographed
from scenes.rendered_scenes import place_person
from scenes.shading import draw_lighting

# The sets share the open hand, which is what most hands that a camera sees look like.
GESTURES_OF = {
    "calibration": ("open", "together", "relaxed", "four", "victory", "fist", "call", "ring"),
    "test": ("open", "three", "point", "thumb", "horns", "claw", "gun"),
}
_FREE = {"calibration": 0.2, "test": 0.4}
_SIZES = ((256, 256), (288, 288), (320, 240), (240, 320), (320, 240), (224, 288))


def _roll(rng: np.random.Generator) -> float:
    kind = rng.uniform()
    if kind < 0.72:
        return rng.normal(0, 0.5)
    if kind < 0.87:
        return rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, 0.35)
    return rng.uniform(-np.pi, np.pi)


def _place(scene: np.ndarray, rng: np.random.Generator, chosen: str, centre, palm: float, hand):
    """Puts a hand into a scene; `palm` is its length in pixels, `centre` its middle."""
    height, width, _ = scene.shape
    pose = (
        free_pose(rng) if rng.uniform() < _FREE[chosen] else gesture_pose(rng, GESTURES_OF[chosen])
    )
    # The palm to the camera, or the back of the hand.
    yaw = (np.pi if rng.uniform() < 0.4 else 0.0) + rng.normal(0, 0.42)
    view = HandView(
        turn=turned(_roll(rng), yaw, float(np.clip(rng.normal(0, 0.35), -0.9, 0.9))),
        is_left=bool(rng.uniform() < 0.5),
        scale=palm / 9.5,
        centre=(float(centre[0]), float(centre[1])),
        distance=float(np.exp(rng.uniform(np.log(28), np.log(120)))),
    )
    color, cover = render_hand(hand, pose, view, draw_lighting(rng), (width, height))
    return scene + (color - scene) * cover[..., None]


def hand_scene(
    photographs: Mapping[str, Image.Image], rng: np.random.Generator, chosen: str
) -> np.ndarray:
    """Renders a scene with one hand, sometimes two, sometimes in front of a person.

    In the test set that person is on one of the photographs.

    Args:
      photographs: name to photograph without a hand.
      rng: what decides everything.
      chosen: "calibration" or "test".

    Returns:
      uint8 [height, width, 3], sRGB.
    """
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    width, height = size
    scene = background(photographs, rng, size, softest=4)
    short = min(size)
    if chosen == "calibration" and rng.uniform() < 0.25:
        face = (width * rng.uniform(0.25, 0.75), height * rng.uniform(0.3, 0.5))
        scene = place_person(scene, rng, face, short * rng.uniform(0.14, 0.3))
    hand = draw_hand(rng)
    if rng.uniform() < 0.25:
        for middle in (0.27, 0.73):
            place = (width * (middle + rng.uniform(-0.06, 0.06)), height * rng.uniform(0.35, 0.7))
            scene = _place(scene, rng, chosen, place, short * rng.uniform(0.14, 0.28), hand)
    else:
        palm = short * float(np.exp(rng.uniform(np.log(0.14), np.log(0.45))))
        place = [side / 2 + rng.uniform(-0.8, 0.8) * max(side / 2 - palm, 0) for side in size]
        scene = _place(scene, rng, chosen, place, palm, hand)
    return photographed(scene, rng, hardest=0.85)


def empty_scene(
    photographs: Mapping[str, Image.Image], rng: np.random.Generator, chosen: str
) -> np.ndarray:
    """Makes a scene without a hand; arguments and result as `hand_scene`."""
    del chosen
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    return photographed(background(photographs, rng, size, softest=3), rng)
