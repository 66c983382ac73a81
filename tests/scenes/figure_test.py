import dataclasses

import numpy as np
import pytest

from scenes.crops import person_crops
from scenes.figure import (
    ARMS,
    LEGS,
    FigurePose,
    FigureView,
    draw_build,
    render_figure,
)
from scenes.float_models import ModelOnPictures
from scenes.hand import draw_hand, gesture_pose
from scenes.head import Expression, draw_person
from scenes.regions import crop, pose_region, to_picture
from scenes.shading import Lighting, to_linear
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
NEUTRAL = Expression(smile=0.2, mouth_open=0, eyes_open=1, brows_raised=0, gaze=0)
SIZE = (240, 320)
# Landmarks of MediaPipe's pose: a person's left side is on the viewer's right.
NOSE, SHOULDERS, WRISTS, HIPS, KNEES = 0, (11, 12), (15, 16), (23, 24), (25, 26)


def pose(arms=("down", "down"), legs=("straight", "straight"), head=(0.0, 0.0)) -> FigurePose:
    rng = np.random.default_rng(0)
    return FigurePose(
        arms=np.float32([ARMS[name] for name in arms]),
        legs=np.float32([LEGS[name] for name in legs]),
        lean=np.zeros(2, np.float32),
        hands=tuple(gesture_pose(rng, ["open"]) for _ in range(2)),
        head=head,
        head_roll=0.0,
    )


def view(**changes) -> FigureView:
    whole = FigureView(yaw=0.0, pitch=0.0, roll=0.0, scale=1.5, centre=(120, 165), distance=400)
    return dataclasses.replace(whole, **changes)


def rendered(seed: int, does: FigurePose, where: FigureView):
    rng = np.random.default_rng(seed)
    person = dataclasses.replace(draw_person(rng), glasses="none")
    build = dataclasses.replace(
        draw_build(rng, person.clothes, to_linear([[50, 60, 90]] * 2)), skirt=0
    )
    hand = draw_hand(rng, person.skin)
    return render_figure(person, NEUTRAL, build, hand, does, where, SOFT, SIZE)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, ModelOnPictures]:
    folder = tmp_path_factory.mktemp("models")

    def opened(name: str, kind: str) -> ModelOnPictures:
        master, _ = make_float_master(model_path(name).read_bytes())
        path = folder / f"{name}.tflite"
        path.write_bytes(master)
        return ModelOnPictures(path, kind)

    return {
        "detector": opened("pose_detection", "pose"),
        "float_model": opened("pose_landmark_full", "pose_landmark"),
    }


def landmarks(models, seed: int, does: FigurePose, where: FigureView) -> np.ndarray:
    """Where the models find the body, in pixels; both must see it."""
    color, cover = rendered(seed, does, where)
    picture = before_wall(color, cover, (150, 140, 120))
    found = models["detector"].detect(picture)
    assert found.score > 0.5
    region = pose_region(found.keypoints)
    model = models["float_model"]
    (outputs,) = model.outputs([crop(picture, region, model.kind.size)])
    assert model.score(outputs) > 0.5
    assert len(person_crops(picture, models)) == 1
    return to_picture(region, model.landmarks(outputs))


@pytest.mark.parametrize("seed", range(3))
def test_models_find_the_body_where_it_was_rendered(seed, models):
    points = landmarks(models, seed, pose(), view())
    assert np.hypot(*(points[list(HIPS)].mean(0) - (120, 165))) < 16
    assert np.abs(points[NOSE] - (120, 165 - 1.5 * 68)).max() < 14
    left, right = points[SHOULDERS[0]], points[SHOULDERS[1]]
    assert 25 < left[0] - right[0] < 80
    assert points[list(KNEES), 1].min() > points[list(HIPS), 1].max() + 30


def test_raised_arm_is_on_the_side_it_says(models):
    first = landmarks(models, 1, pose(arms=("high", "down")), view())
    second = landmarks(models, 1, pose(arms=("down", "high")), view())
    assert first[WRISTS[0], 1] < first[NOSE, 1] < first[WRISTS[1], 1]
    assert second[WRISTS[1], 1] < second[NOSE, 1] < second[WRISTS[0], 1]


def test_roll_turns_the_body_in_the_picture(models):
    points = landmarks(models, 2, pose(), view(roll=0.5, scale=1.3))
    up = points[list(SHOULDERS)].mean(0) - points[list(HIPS)].mean(0)
    assert np.arctan2(up[0], -up[1]) == pytest.approx(0.5, abs=0.2)


def test_arm_before_the_face_hides_it():
    across = pose(arms=("phone", "down"))
    reach = across.arms.copy()
    reach[0] = ((0.1, 0.35, 1), (-0.6, 1, 0.25), (0, 0, -1))
    hidden, _ = rendered(
        3, dataclasses.replace(across, arms=reach), view(scale=3, centre=(120, 300))
    )
    free, _ = rendered(3, pose(), view(scale=3, centre=(120, 300)))
    face = (slice(60, 130), slice(90, 150))
    assert np.abs(hidden[face] - free[face]).max(-1).mean() > 0.02


def test_every_pose_renders_finite_colours():
    rng = np.random.default_rng(4)
    for number, (arm, leg) in enumerate(zip(sorted(ARMS), sorted(LEGS) * 2, strict=False)):
        where = view(yaw=rng.uniform(-1.1, 1.1), pitch=rng.uniform(-0.3, 0.3), distance=180)
        color, cover = rendered(number, pose((arm, "down"), (leg, "straight")), where)
        assert color.dtype == cover.dtype == np.float32
        assert color.shape == (320, 240, 3)
        assert np.isfinite(color).all()
        assert color.min() >= 0
        assert 0 <= cover.min() <= cover.max() <= 1
        assert cover[160:170, 115:125].mean() > 0.5


def test_figure_outside_the_picture_leaves_it_empty():
    _, cover = rendered(5, pose(), view(centre=(-900, 100)))
    assert not cover.any()
