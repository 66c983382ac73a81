import math

import numpy as np
import pytest

from scenes.regions import (
    Region,
    crop,
    eye_region,
    face_region,
    palm_region,
    pose_region,
    to_picture,
)


def turned(points, angle: float, centre) -> np.ndarray:
    """Turns points clockwise in the picture about a centre."""
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = (np.asarray(points, float) - centre).T
    return np.stack([x * cos - y * sin, x * sin + y * cos], -1) + centre


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)


def test_crop_of_whole_pixels_is_the_pixels(picture):
    cut = crop(picture, Region(25.0, 20.0, 16.0, 0.0), 16)
    assert np.array_equal(cut, picture[12:28, 17:33])
    mirrored = crop(picture, Region(25.0, 20.0, 16.0, 0.0), 16, mirrored=True)
    assert np.array_equal(mirrored, cut[:, ::-1])


def test_crop_turned_by_quarters_is_the_picture_turned(picture):
    for quarters in range(4):
        cut = crop(picture, Region(25.0, 20.0, 16.0, quarters * math.pi / 2), 16)
        # What was turned clockwise is turned back.
        assert np.array_equal(cut, np.rot90(picture[12:28, 17:33], quarters))


def test_crop_beyond_the_edge_repeats_it(picture):
    cut = crop(picture, Region(0.0, 20.0, 20.0, 0.0), 20)
    assert np.array_equal(cut[:, :10], np.repeat(picture[10:30, :1], 10, axis=1))


def test_crop_between_pixels_is_their_mean():
    steps = np.arange(20, dtype=np.uint8)[None, :, None].repeat(20, 0).repeat(3, 2) * 10
    cut = crop(steps, Region(10.5, 10.0, 8.0, 0.0), 8)
    assert np.array_equal(cut[0, :, 0], (np.arange(8) + 6.5) * 10)


def test_points_of_a_crop_lie_where_their_pixels_came_from():
    picture = np.zeros((80, 90, 3), np.uint8)
    picture[30, 50] = 255
    region = Region(45.0, 35.0, 40.0, 0.7)
    cut = crop(picture, region, 160)
    row, column = np.unravel_index(cut[..., 0].argmax(), cut.shape[:2])
    (x, y) = to_picture(region, np.array([[(column + 0.5) / 160, (row + 0.5) / 160]]))[0]
    assert (x, y) == pytest.approx((50.5, 30.5), abs=0.3)


@pytest.mark.parametrize("angle", [0.0, 0.6, -2.0, 3.1])
def test_palm_region_follows_the_fingers(angle):
    wrist, knuckle = np.array([50.0, 80.0]), np.array([50.0, 50.0])
    keypoints = turned([wrist, wrist, knuckle, wrist, wrist, wrist, wrist], angle, (50, 65))
    region = palm_region((30, 50, 70, 80), keypoints)
    assert region.angle == pytest.approx(angle)
    assert region.size == pytest.approx(2.6 * 40)
    # Half of the box's height further on, towards the fingers.
    ahead = turned([(50, 65 - 15)], angle, (50, 65))[0]
    assert (region.x, region.y) == pytest.approx(tuple(ahead))


@pytest.mark.parametrize("angle", [0.0, -0.4, 1.5])
def test_pose_region_is_the_circle_around_the_body(angle):
    keypoints = turned([(60, 60), (60, 20), (0, 0), (0, 0)], angle, (60, 60))
    region = pose_region(keypoints)
    assert (region.x, region.y, region.size) == pytest.approx((60, 60, 1.25 * 80))
    assert region.angle == pytest.approx(angle)


def test_face_region_has_level_eyes():
    eyes = turned([(40, 50), (60, 50)], 0.3, (50, 50))
    region = face_region((30, 35, 70, 80), np.concatenate([eyes, np.zeros((4, 2))]))
    assert region.angle == pytest.approx(0.3)
    assert (region.x, region.y, region.size) == pytest.approx((50, 57.5, 1.5 * 45))


def test_eye_region_is_about_its_corners():
    region = eye_region((40.0, 50.0), (60.0, 50.0))
    assert region == Region(50.0, 50.0, pytest.approx(46.0), pytest.approx(0.0))
    assert eye_region((40.0, 50.0), (60.0, 60.0)).angle == pytest.approx(math.atan2(10, 20))
