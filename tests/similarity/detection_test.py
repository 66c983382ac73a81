"""Anchors, decoding, and the comparison of detections, on the real face detector too."""

import numpy as np
import pytest

from tests.model_files import model_path
from tests.refused import refused
from tests.scenes.photo_files import photo_path
from tools.graph.float_master import make_float_master
from tools.samples.loading import InputSpec, Preprocessing, load_samples
from tools.similarity.detection import (
    DetectionSimilarity,
    corners_of,
    detections_of,
    matched,
    overlaps,
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
    figures = similarity.figures()
    high = 1 / (1 + np.exp(-3))
    # Left and right move by 2 pixels, top and bottom stay; the second box is equal.
    assert figures.box_error_px_mean == pytest.approx(0.5)
    assert figures.box_error_px_max == pytest.approx(1.0)
    assert figures.score_error_max == pytest.approx(2 * high - 1, rel=1e-5)
    assert figures.score_error_mean == pytest.approx((2 * high - 1) / 2, rel=1e-5)
    assert (figures.positives, figures.negatives) == (2, 2)
    assert (figures.precision, figures.recall) == (0.5, 0.5)


def _boxes(*boxes):
    """Outputs with (anchor, logit, offset in x, width): every anchor's box is 30 high."""
    outputs = _outputs(-20.0)
    outputs["regressors"][..., 3] = 30
    for anchor, logit, offset, width in boxes:
        outputs["classificators"][0, anchor, 0] = logit
        outputs["regressors"][0, anchor, 0] = offset
        outputs["regressors"][0, anchor, 2] = width
    return outputs


def _detections(outputs, **changes):
    task = read_detection_task(_TASK | changes, "face")
    return detections_of(task, outputs["regressors"], outputs["classificators"])


def test_boxes_of_one_object_become_one_averaged_by_score():
    # Anchors 4 and 5 share a cell; 200 is far away.
    found = _detections(_boxes((4, 2.0, 0.0, 30), (5, 1.0, 3.0, 30), (200, 3.0, 0.0, 30)))
    first, second = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-3.0)), first])
    x = 2.5 / 16 * 128 + 3.0 * second / (first + second)
    np.testing.assert_allclose(found.corners[1, [0, 2]], [x - 15, x + 15])
    np.testing.assert_allclose(found.keypoints[1, 0], [2.5 / 16 * 128, 0.5 / 16 * 128])


def test_boxes_that_hardly_overlap_stay_two():
    apart = _boxes((4, 2.0, 0.0, 30), (5, 1.0, 18.0, 30))
    assert len(_detections(apart).scores) == 2
    assert len(_detections(apart, max_overlap=0.2).scores) == 1
    assert len(_detections(_outputs(-3.0)).scores) == 0


def test_a_box_without_an_area_is_a_detection_too():
    assert len(_detections(_boxes((4, 2.0, 0.0, 0), (5, 1.0, 0.0, -3))).scores) == 2


def test_overlaps():
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [4, 4, 4, 4]], np.float64)
    table = overlaps(boxes, boxes)
    np.testing.assert_allclose(np.diag(table), [1, 1, 1, 0])
    assert table[0, 1] == pytest.approx(1 / 3)
    assert table[0, 2] == 0
    np.testing.assert_allclose(table, table.T)


def test_each_box_is_matched_once_the_best_pair_first():
    truth = np.array([[0, 0, 10, 10], [1, 0, 11, 10]], np.float64)
    found = np.array([[1, 0, 11, 10], [50, 50, 60, 60]], np.float64)
    assert matched(truth, found) == [(1, 0, 1.0)]
    assert matched(truth, np.zeros((0, 4))) == []


def test_all_boxes_are_compared():
    similarity = DetectionSimilarity(read_detection_task(_TASK, "face"), _SHAPES, "face")
    pair = _boxes((4, 2.0, 0.0, 30), (200, 3.0, 0.0, 30))
    similarity.add(pair, _boxes((4, 2.0, 0.0, 30), (200, 3.0, 5.0, 30)))
    # One is not found, one is found that is not there.
    similarity.add(pair, _boxes((4, 2.0, 0.0, 30), (700, 3.0, 0.0, 30)))
    figures = similarity.figures()
    assert (figures.float_boxes, figures.artifact_boxes) == (4, 4)
    assert figures.matched_boxes == 3
    assert (figures.box_precision, figures.box_recall) == (0.75, 0.75)
    assert figures.box_iou_min == pytest.approx(25 / 35, rel=1e-5)
    assert figures.box_iou_mean == pytest.approx((2 + 25 / 35) / 3, rel=1e-5)
    # Only the box moves: the keypoints stay on their anchor.
    assert figures.keypoint_error_px_mean == pytest.approx(0, abs=1e-9)
    assert figures.keypoint_error_px_max == pytest.approx(0, abs=1e-9)
    assert (figures.precision, figures.recall) == (1.0, 1.0)


def test_keypoints_of_matched_boxes_are_compared():
    similarity = DetectionSimilarity(read_detection_task(_TASK, "face"), _SHAPES, "face")
    pair = _boxes((4, 2.0, 0.0, 30), (200, 3.0, 0.0, 30))
    moved = _boxes((4, 2.0, 0.0, 30), (200, 3.0, 0.0, 30), (700, 3.0, 0.0, 30))
    # Of six keypoints of one box one moves by 3 and 4 pixels, of a box too many all.
    moved["regressors"][0, 200, 8:10] += [3, 4]
    moved["regressors"][0, 700, 4:] += 50
    similarity.add(pair, moved)
    figures = similarity.figures()
    assert figures.matched_boxes == 2
    assert figures.keypoint_error_px_max == pytest.approx(5)
    assert figures.keypoint_error_px_mean == pytest.approx(5 / 12, rel=1e-5)


def test_without_detections_there_is_no_box_error():
    similarity = DetectionSimilarity(read_detection_task(_TASK, "face"), _SHAPES, "face")
    similarity.add(_outputs(-3.0), _outputs(-3.0))
    figures = similarity.figures()
    assert figures.positives == 0
    assert figures.box_error_px_mean is None
    assert figures.recall is None
    assert figures.precision is None


@pytest.mark.parametrize(
    ("task", "code", "says"),
    [
        ({"scores": "logits"}, "task.misfit", "no output logits .* regressors, classificators"),
        (
            {"anchors": _OPTIONS | {"strides": [8]}},
            "task.misfit",
            r"shape \[1, 896, 16\].* anchors are 512",
        ),
        ({"keypoints": 7}, "task.misfit", "has 16 values an anchor; a box and 7 keypoints are 18"),
        ({"anchors": {}}, "task.field", "not a detection task"),
        ({"scores": "regressors"}, "task.misfit", "has 16 scores an anchor; .* reads one"),
    ],
)
def test_tasks_that_do_not_fit(task, code, says):
    with refused(code, says):
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
