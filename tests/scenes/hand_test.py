import dataclasses

import numpy as np
import pytest

from scenes.float_models import ModelOnPictures
from scenes.hand import (
    GESTURES,
    HandView,
    draw_hand,
    free_pose,
    gesture_pose,
    render_hand,
    turned,
)
from scenes.regions import crop, palm_region, to_picture
from scenes.shading import Lighting
from tests.model_files import model_path
from tests.scenes.pictures import before_wall
from tools.graph.float_master import make_float_master

SOFT = Lighting(
    direction=np.float32([-0.3, -0.4, 0.866]),
    lamp=np.full(3, 0.7, np.float32),
    above=np.full(3, 0.5, np.float32),
    below=np.full(3, 0.35, np.float32),
    gloss=0.1,
)
SIZE = (256, 256)
# Landmarks of MediaPipe's hand: the wrist, and the tips of the five fingers.
WRIST, TIPS = 0, (4, 8, 12, 16, 20)


def shown(seed: int, pose, view: HandView) -> np.ndarray:
    hand = dataclasses.replace(draw_hand(np.random.default_rng(seed)), sleeve_from=60.0)
    color, cover = render_hand(hand, pose, view, SOFT, SIZE)
    return before_wall(color, cover, (70, 95, 90))


def view(roll=0.0, yaw=0.0, pitch=0.0, is_left=False, centre=(128, 150)) -> HandView:
    return HandView(turned(roll, yaw, pitch), is_left, 8.5, centre, 70)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")

    def opened(name: str, kind: str) -> ModelOnPictures:
        master, _ = make_float_master(model_path(name).read_bytes())
        path = folder / f"{name}.tflite"
        path.write_bytes(master)
        return ModelOnPictures(path, kind)

    return (
        opened("palm_detection_full", "palm"),
        opened("hand_landmark_full", "hand_landmark"),
    )


def seen(models, picture: np.ndarray):
    """What the models see: (palm score, presence, is a right hand, landmarks in pixels)."""
    palm, landmark = models
    found = palm.detect(picture)
    region = palm_region(found.box, found.keypoints)
    (outputs,) = landmark.outputs([crop(picture, region, 224)])
    points = to_picture(region, landmark.landmarks(outputs))
    return found.score, landmark.score(outputs), float(outputs["Identity_2"].ravel()[0]), points


def open_hand(seed: int):
    return gesture_pose(np.random.default_rng(seed), ["open"])


@pytest.mark.parametrize("roll", [0.0, 0.8, -1.4])
def test_models_find_the_fingers_where_they_were_rendered(roll, models):
    for seed in range(4):
        score, presence, _, points = seen(models, shown(seed, open_hand(seed), view(roll)))
        assert score > 0.5
        assert presence > 0.5
        # The middle of the palm is where it was put, and the fingers point where turned.
        assert np.hypot(*((points[WRIST] + points[9]) / 2 - (128, 150))) < 12
        away = points[list(TIPS[1:])].mean(0) - points[WRIST]
        assert abs(np.arctan2(away[0], -away[1]) - roll) < 0.15


def test_left_hand_is_the_mirror_image_of_the_right(models):
    for seed in (3, 4):
        pose = open_hand(seed)
        flat = dataclasses.replace(SOFT, direction=np.float32([0, 0, 1]))
        hand = dataclasses.replace(draw_hand(np.random.default_rng(seed)), sleeve_from=60.0)
        right, _ = render_hand(hand, pose, view(centre=(127.5, 150)), flat, SIZE)
        left, _ = render_hand(hand, pose, view(is_left=True, centre=(127.5, 150)), flat, SIZE)
        # Grain apart, which lies on the picture as it comes.
        assert np.abs(left[:, ::-1] - right).mean() < 0.01
    rights = [seen(models, shown(s, open_hand(s), view()))[2] for s in range(4)]
    lefts = [seen(models, shown(s, open_hand(s), view(is_left=True)))[2] for s in range(4)]
    # The model calls a hand right as it looks in a mirror.
    assert max(rights) < 0.5 < min(lefts) or max(lefts) < 0.5 < min(rights)


def test_bent_fingers_bring_their_tips_to_the_palm(models):
    def reach(gesture: str) -> float:
        pose = gesture_pose(np.random.default_rng(5), [gesture])
        _, presence, _, points = seen(models, shown(5, pose, view()))
        assert presence > 0.5
        knuckles = points[[5, 9, 13, 17]].mean(0)
        tips = points[list(TIPS[1:])].mean(0)
        return float(np.hypot(*(tips - points[WRIST])) / np.hypot(*(knuckles - points[WRIST])))

    assert reach("open") > 1.5
    assert reach("fist") < 1.3


def test_every_pose_renders_finite_colours_inside_the_picture():
    for seed in range(12):
        rng = np.random.default_rng(seed)
        pose = free_pose(rng) if seed % 2 else gesture_pose(rng, sorted(GESTURES))
        where = dataclasses.replace(
            view(rng.uniform(-3, 3), rng.uniform(-3, 3), rng.uniform(-0.9, 0.9)), distance=25
        )
        color, cover = render_hand(draw_hand(rng), pose, where, SOFT, SIZE)
        assert color.dtype == cover.dtype == np.float32
        assert np.isfinite(color).all()
        assert color.min() >= 0
        assert cover.min() >= 0
        assert cover.max() == 1
        assert cover[145:155, 123:133].mean() > 0.5


def test_hand_outside_the_picture_leaves_it_empty():
    _, cover = render_hand(
        draw_hand(np.random.default_rng(1)), open_hand(1), view(centre=(128, -2000)), SOFT, (64, 48)
    )
    assert cover.shape == (48, 64)
    assert not cover.any()
