"""Landmarks: distances, presence, and where they are not defined; on real models too."""

import numpy as np
import pytest

from tests.refused import refused
from tools.similarity.landmarks import LandmarkSimilarity, read_landmark_task

_TASK = {
    "count": 3,
    "crop_size": [100, 50],
    "points": "points",
    "presence": "presence",
    "type": "landmarks",
    "world": "world",
}
_SHAPES = {"points": (1, 9), "presence": (1, 1), "world": (1, 9)}
# A box of 20 by 40 pixels.
_POINTS = np.array([[10, 0, 5], [30, 40, 5], [20, 20, 5]], np.float32)


def _outputs(points=_POINTS, presence=0.9, world=0.0):
    return {
        "points": np.asarray(points, np.float32).reshape(1, -1),
        "presence": np.full((1, 1), presence, np.float32),
        "world": np.full((1, 9), world, np.float32),
    }


def _similarity(shapes=_SHAPES, **changes):
    return LandmarkSimilarity(read_landmark_task(_TASK | changes, "hand"), shapes, "hand")


def test_distances():
    similarity = _similarity()
    similarity.add(_outputs(), _outputs(_POINTS + np.array([3, 4, 1])), "a")
    moved = _POINTS.copy()
    moved[2, 0] += 30
    similarity.add(_outputs(), _outputs(moved, world=0.1), "b")
    figures = similarity.figures()
    assert figures.landmark_error_px_mean == pytest.approx((5 * 3 + 30) / 6)
    assert figures.landmark_error_px_max == pytest.approx(30)
    # The longer side of the box is 40 pixels.
    assert figures.landmark_error_mean == pytest.approx((5 * 3 + 30) / 6 / 40)
    assert figures.landmark_error_max == pytest.approx(30 / 40)
    assert figures.depth_error_px_mean == pytest.approx(0.5)
    # In the second sample every point moves by 0.1 m along each of three axes.
    assert figures.world_error_mm_mean == pytest.approx(100 * np.sqrt(3) / 2, rel=1e-5)
    assert figures.world_error_mm_max == pytest.approx(100 * np.sqrt(3), rel=1e-5)
    assert figures.worst_sample == "b"


def test_points_where_the_float_model_sees_nothing_do_not_count():
    similarity = _similarity()
    similarity.add(_outputs(), _outputs(presence=0.8))
    similarity.add(_outputs(presence=0.1), _outputs(_POINTS + 1000, presence=0.7))
    similarity.add(_outputs(), _outputs(presence=0.4))
    figures = similarity.figures()
    assert (figures.positives, figures.negatives) == (2, 1)
    assert figures.landmark_error_px_max == 0
    assert (figures.precision, figures.recall) == (0.5, 0.5)
    assert figures.presence_agreement == pytest.approx(1 / 3, rel=1e-5)
    assert figures.presence_error_max == pytest.approx(0.6, rel=1e-5)
    assert figures.presence_error_mean == pytest.approx((0.1 + 0.6 + 0.5) / 3, rel=1e-5)


def test_nothing_seen_defines_nothing():
    similarity = _similarity()
    similarity.add(_outputs(presence=0.1), _outputs(presence=0.1))
    figures = similarity.figures()
    assert figures.positives == 0
    for field in ("landmark_error_px_mean", "world_error_mm_max", "recall", "worst_sample"):
        assert getattr(figures, field) is None
    assert figures.presence_agreement == 1.0


def test_presence_as_a_logit():
    similarity = _similarity(presence_logits=True)
    similarity.add(_outputs(presence=22.0), _outputs(presence=0.0))
    similarity.add(_outputs(presence=-0.1), _outputs(presence=-1e4))
    figures = similarity.figures()
    assert (figures.positives, figures.negatives) == (1, 1)
    assert figures.presence_error_max == pytest.approx(0.5, rel=1e-4)


def test_without_presence_every_sample_counts():
    similarity = _similarity(presence=None, world=None)
    similarity.add(_outputs(presence=0.0), _outputs(presence=0.0))
    figures = similarity.figures()
    assert (figures.positives, figures.negatives) == (1, 0)
    for field in ("presence_error_mean", "precision", "recall", "world_error_mm_mean"):
        assert getattr(figures, field) is None


def test_points_with_more_values_than_coordinates_and_shares_of_the_crop():
    values = np.zeros((3, 5), np.float32)
    values[:, :2] = [[0.1, 0.0], [0.3, 0.8], [0.2, 0.4]]
    other = values.copy()
    other[:, 3:] = 7.0
    other[0, 1] = 0.1
    shapes = {"points": (1, 1, 1, 15)}
    similarity = _similarity(shapes, values=5, dims=2, normalized=True, presence=None, world=None)
    similarity.add(*({"points": points.reshape(1, 1, 1, 15)} for points in (values, other)))
    figures = similarity.figures()
    assert figures.landmark_error_px_max == pytest.approx(5, rel=1e-5)
    assert figures.landmark_error_max == pytest.approx(5 / 40, rel=1e-5)
    assert figures.depth_error_px_mean is None


def test_points_that_are_all_one_are_compared_in_pixels():
    similarity = _similarity(presence=None, world=None)
    same = np.tile([50.0, 20.0, 0.0], (3, 1))
    similarity.add(_outputs(same), _outputs(same + np.array([0, 2, 0])))
    assert similarity.figures().landmark_error_max == pytest.approx(2)


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        (
            {"points": "dots"},
            "task.misfit",
            "no output dots for its landmarks task; its outputs are points",
        ),
        (
            {"count": 4},
            "task.misfit",
            r"output points has the shape \[1, 9\]; its landmarks task wants 12 values",
        ),
        ({"presence": "world"}, "task.misfit", "output world has .* wants 1 values"),
        ({"world": "presence"}, "task.misfit", "output presence has .* wants 9 values"),
        ({"points": None}, "task.field", "not a landmarks task"),
        ({"count": "many"}, "task.field", "not a landmarks task"),
        ({"count": 0}, "task.field", "count is 0"),
        ({"dims": 4}, "task.field", "dims is 4, not 2 or 3"),
        ({"values": 2}, "task.field", "values is 2, less than dims"),
        ({"crop_size": [0, 5]}, "task.field", "crop_size is"),
        ({"crop_size": 5}, "task.field", "not a landmarks task"),
    ],
)
def test_tasks_that_do_not_fit(changes, code, says):
    with refused(code, says):
        _similarity(**changes)
