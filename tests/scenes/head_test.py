import dataclasses

import numpy as np
import pytest

from scenes.head import (
    Expression,
    draw_expression,
    draw_person,
    render,
)
from scenes.shading import Lighting, draw_lighting
from tests.model_files import model_path
from tests.scenes.pictures import before_wall
from tools.graph.float_master import make_float_master
from tools.graph.runtime import open_interpreter

NEUTRAL = Expression(smile=0.2, mouth_open=0, eyes_open=1, brows_raised=0, gaze=0)
FRONTAL = Lighting(
    direction=np.float32([0, 0, 1]),
    lamp=np.full(3, 0.6, np.float32),
    above=np.full(3, 0.4, np.float32),
    below=np.full(3, 0.3, np.float32),
    gloss=0.1,
)


def grid(size: int, centre: tuple[float, float], half_height: float):
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    return (x - np.float32(centre[0])) / half_height, (y - np.float32(centre[1])) / half_height


@pytest.fixture(scope="module")
def detect():
    """Finds the best box in a square sRGB image: (score, x and y of its centre in pixels).

    The detector's 896 anchors: 2 in each cell of 8 pixels, then 6 in each of 16.
    """
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    runner = open_interpreter(master, "face").get_signature_runner()
    centres = np.array(
        [
            ((column + 0.5) * stride, (row + 0.5) * stride)
            for stride, anchors in ((8, 2), (16, 6))
            for row in range(128 // stride)
            for column in range(128 // stride)
            for _ in range(anchors)
        ]
    )

    def find(pixels: np.ndarray) -> tuple[float, float, float]:
        outputs = runner(input=(pixels[None].astype(np.float32) - 127.5) / 127.5)
        logits = outputs["classificators"].ravel()
        best = int(logits.argmax())
        x, y = centres[best] + outputs["regressors"][0, best, :2]
        return 1 / (1 + np.exp(-float(logits[best]))), x, y

    return find


@pytest.mark.parametrize("centre", [(64, 56), (44, 60), (86, 66)])
def test_detector_finds_the_face_where_it_was_rendered(centre, detect):
    found = 0
    for seed in range(6):
        person = dataclasses.replace(draw_person(np.random.default_rng(seed)), glasses="none")
        color, cover = render(person, NEUTRAL, FRONTAL, 0, 0, *grid(128, centre, 28))
        score, x, y = detect(before_wall(color, cover, (120, 130, 140)))
        # A box spans from the brows to the chin: its centre is near the nose.
        close = abs(x - centre[0]) < 5 and abs(y - centre[1] - 28 * 0.3) < 7
        found += score > 0.5 and close
    assert found >= 5


def test_render_is_finite_and_covers_the_head():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        color, cover = render(
            draw_person(rng),
            draw_expression(rng),
            draw_lighting(rng),
            rng.uniform(-0.75, 0.75),
            rng.uniform(-0.35, 0.35),
            *grid(96, (48, 40), 24),
        )
        assert color.dtype == np.float32
        assert np.isfinite(color).all()
        assert color.min() >= 0
        assert cover.min() >= 0
        assert cover.max() <= 1
        assert cover[40, 48] > 0.99
        assert cover[0, 0] == cover[0, -1] == 0


def test_light_from_one_side_brightens_that_side():
    person = dataclasses.replace(
        draw_person(np.random.default_rng(1)), hair="bald", beard=0.0, glasses="none"
    )
    left = dataclasses.replace(FRONTAL, direction=np.float32([-0.8, 0, 0.6]))
    color, _ = render(person, NEUTRAL, left, 0, 0, *grid(96, (47.5, 48), 30))
    cheek = slice(54, 60)
    assert color[cheek, 32:40].mean() > 1.5 * color[cheek, 56:64].mean()


def test_yaw_turns_the_face_to_the_side_it_says():
    """Dark lenses mark where the eyes are."""
    person = dataclasses.replace(
        draw_person(np.random.default_rng(2)), hair="bald", beard=0.0, glasses="dark"
    )

    def eyes(yaw: float) -> float:
        color, cover = render(person, NEUTRAL, FRONTAL, yaw, 0, *grid(96, (47.5, 48), 30))
        band = (color.mean(-1) < 0.04) & (cover > 0.9)
        return float(np.nonzero(band[44:56])[1].mean()) - 47.5

    assert abs(eyes(0)) < 1
    assert eyes(0.4) > 4
    assert eyes(-0.4) < -4
