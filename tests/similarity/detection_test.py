"""Anchors, decoding, and the comparison of detections, on the real face detector too."""

import numpy as np
import pytest

from tests.model_files import model_path
from tests.scenes.photo_files import photo_path
from tools.errors import InputError
from tools.graph.float_master import make_float_master
from tools.samples.loading import InputSpec, Preprocessing, load_samples
from tools.similarity.detection import (
    DetectionSimilarity,
    corners_of,
    read_detection_task,
    scores_of,
    ssd_anchors,
)
from tools.similarity.model_outputs import ModelOutputs

_OPTIONS = {
    "anchor_offset": 0.5,
    "aspect_ratios": [1.0],
    "fixed_anchor_size": True,
    "input_size": [128, 128],
    "interpolated_scale_aspect_ratio": 1.0,
    "max_scale": 0.75,
    "min_scale": 0.1484375,
    "strides": [8, 16, 16, 16],
}
_TASK = {
    "anchors": _OPTIONS,
    "boxes": "regressors",
    "keypoints": 6,
    "min_score": 0.5,
    "scores": "classificators",
    "type": "detection",
}
_SHAPES = {"regressors": (1, 896, 16), "classificators": (1, 896, 1)}


# What MediaPipe's graphs state for their models.
@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 896),
        ({"input_size": [192, 192], "strides": [4], "interpolated_scale_aspect_ratio": 0.0}, 2304),
        ({"input_size": [192, 192]}, 2016),
        ({"input_size": [224, 224], "strides": [8, 16, 32, 32, 32]}, 2254),
    ],
    ids=["face_short_range", "face_full_range", "palm", "pose"],
)
def test_number_of_anchors(changes, count):
    assert ssd_anchors(_OPTIONS | changes).shape == (count, 4)


def test_anchors_are_the_centres_of_their_cells():
    anchors = ssd_anchors(_OPTIONS)
    np.testing.assert_allclose(anchors[0], [0.5 / 16, 0.5 / 16, 1, 1])
    np.testing.assert_allclose(anchors[1], anchors[0])
    np.testing.assert_allclose(anchors[2], [1.5 / 16, 0.5 / 16, 1, 1])
    np.testing.assert_allclose(anchors[512], [0.5 / 8, 0.5 / 8, 1, 1])
    np.testing.assert_allclose(anchors[-1], [7.5 / 8, 7.5 / 8, 1, 1])


def test_anchors_of_several_sizes():
    anchors = ssd_anchors(
        _OPTIONS | {"fixed_anchor_size": False, "strides": [64, 128], "aspect_ratios": [1.0, 4.0]}
    )
    # Per cell: both ratios at the layer's scale, then the mean of it and the next.
    low, high = 0.1484375, 0.75
    np.testing.assert_allclose(anchors[0, 2:], [low, low])
    np.testing.assert_allclose(anchors[1, 2:], [low * 2, low / 2])
    np.testing.assert_allclose(anchors[2, 2:], [np.sqrt(low * high)] * 2)
    np.testing.assert_allclose(anchors[-1, 2:], [np.sqrt(high)] * 2)
    assert anchors.shape == (4 * 3 + 3, 4)


def test_decoding_a_box():
    task = read_detection_task(_TASK, "face")
    boxes = np.zeros((1, 896, 16), np.float32)
    boxes[0, 3, :4] = [2.0, -3.0, 40.0, 20.0]
    x, y = 1.5 / 16 * 128 + 2, 0.5 / 16 * 128 - 3
    np.testing.assert_allclose(corners_of(task, boxes, 3), [x - 20, y - 10, x + 20, y + 10])


def test_scores_are_clipped_before_the_sigmoid():
    np.testing.assert_allclose(scores_of(np.array([[-1e4, 0.0, 1e4]])), [0, 0.5, 1], atol=1e-40)


def _outputs(logit, anchor=5, shift=0.0):
    scores = np.full((1, 896, 1), -20, np.float32)
    scores[0, anchor, 0] = logit
    boxes = np.zeros((1, 896, 16), np.float32)
    boxes[..., 2:4] = 30
    boxes[..., 0] = shift
    return {"classificators": scores, "regressors": boxes}


def test_comparison():
    similarity = DetectionSimilarity(read_detection_task(_TASK, "face"), _SHAPES, "face")
    similarity.add(_outputs(3.0), _outputs(3.0, shift=2.0))
    similarity.add(_outputs(3.0), _outputs(-3.0))
    similarity.add(_outputs(-3.0), _outputs(3.0))
    similarity.add(_outputs(-3.0), _outputs(-3.0, shift=50))
    summary = similarity.summary()
    high = 1 / (1 + np.exp(-3))
    # Left and right move by 2 pixels, top and bottom stay; the second box is equal.
    assert summary["box_error_px_mean"] == pytest.approx(0.5)
    assert summary["box_error_px_max"] == pytest.approx(1.0)
    assert summary["score_error_max"] == pytest.approx(2 * high - 1, rel=1e-5)
    assert summary["score_error_mean"] == pytest.approx((2 * high - 1) / 2, rel=1e-5)
    assert (summary["positives"], summary["negatives"]) == (2, 2)
    assert (summary["precision"], summary["recall"]) == (0.5, 0.5)


def test_without_detections_there_is_no_box_error():
    similarity = DetectionSimilarity(read_detection_task(_TASK, "face"), _SHAPES, "face")
    similarity.add(_outputs(-3.0), _outputs(-3.0))
    summary = similarity.summary()
    assert summary["positives"] == 0
    assert summary["box_error_px_mean"] is None
    assert summary["recall"] is None
    assert summary["precision"] is None


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"scores": "logits"}, "no output logits .* regressors, classificators"),
        ({"anchors": _OPTIONS | {"strides": [8]}}, r"shape \[1, 896, 16\].* anchors are 512"),
        ({"type": "segmentation"}, "task type segmentation"),
        ({"anchors": {}}, "not a detection task"),
    ],
)
def test_tasks_that_do_not_fit(task, message):
    with pytest.raises(InputError, match=message):
        DetectionSimilarity(read_detection_task(_TASK | task, "face"), _SHAPES, "face")


def test_finds_the_face_in_a_photograph():
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    model = ModelOutputs(master, "face")
    inputs = [InputSpec("input", (1, 128, 128, 3), np.dtype(np.float32))]
    (sample,) = load_samples([photo_path("astronaut.png")], inputs, Preprocessing(127.5, 127.5))
    outputs = dict(zip(model.outputs, model(sample), strict=True))
    task = read_detection_task(_TASK, "face")
    scores = scores_of(outputs["classificators"])
    assert scores.max() > 0.5
    # The face of the photograph (512 x 512) spans about 175..275 by 70..190.
    left, top, right, bottom = corners_of(task, outputs["regressors"], scores.argmax()) * 4
    assert left < 200 < 250 < right
    assert top < 110 < 170 < bottom
    assert right - left < 160
