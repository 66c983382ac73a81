"""Masks: intersection over union, with empty and nearly empty ones."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra import numpy as arrays

from tests.refused import refused
from tools.similarity.segmentation import (
    SegmentationSimilarity,
    intersection_over_union,
    read_segmentation_task,
    soft_intersection_over_union,
)

_SIZE = 100
_TASK = {"mask": "mask", "min_area": 0.01, "type": "segmentation"}
_SHAPES = {"mask": (1, _SIZE, _SIZE, 1), "presence": (1, 1)}
_MASKS = arrays.arrays(bool, (8, 8))
# Steps of an 8-bit mask: what differs does so by more than a rounding.
_SOFT_MASKS = arrays.arrays(np.float64, (8, 8), elements=strategies.integers(0, 255)).map(
    lambda pixels: pixels / 255
)


def _mask(pixels):
    mask = np.zeros(_SIZE * _SIZE, bool)
    mask[pixels] = True
    return mask


def _outputs(pixels, presence=0.9):
    values = np.where(_mask(pixels), 0.8, 0.2).astype(np.float32)
    return {
        "mask": values.reshape(1, _SIZE, _SIZE, 1),
        "presence": np.full((1, 1), presence, np.float32),
    }


def _similarity(**changes):
    task = read_segmentation_task(_TASK | changes, "selfie")
    return SegmentationSimilarity(task, _SHAPES, "selfie")


def test_empty_masks_are_equal_and_noise_is_weighed_against_the_floor():
    empty = _mask([])
    assert intersection_over_union(empty, empty, 0.01) == 1.0
    # 1% of 10,000 pixels are 100.
    assert intersection_over_union(empty, _mask(slice(10)), 0.01) == pytest.approx(0.9)
    assert intersection_over_union(empty, _mask(slice(100)), 0.01) == 0.0
    assert intersection_over_union(empty, _mask(slice(5000)), 0.01) == 0.0
    assert intersection_over_union(_mask(slice(5000)), empty, 0.01) == 0.0


@settings(max_examples=100, deadline=None, derandomize=True)
@given(_MASKS, _MASKS)
def test_above_the_floor_it_is_the_usual_one(expected, actual):
    union = (expected | actual).sum()
    # A floor of one pixel is below every union that is not empty.
    found = intersection_over_union(expected, actual, 1 / 64)
    assert found == pytest.approx((expected & actual).sum() / union if union else 1.0)
    assert found == intersection_over_union(actual, expected, 1 / 64)
    assert intersection_over_union(expected, actual, 0.5) >= found - 1e-12


@settings(max_examples=100, deadline=None, derandomize=True)
@given(_SOFT_MASKS, _SOFT_MASKS, strategies.sampled_from([0.001, 1 / 64, 0.5]))
def test_soft_iou_is_a_similarity(expected, actual, floor):
    found = soft_intersection_over_union(expected, actual, floor)
    assert 0 <= found <= 1
    assert (found == 1) == np.array_equal(expected, actual)
    assert found == soft_intersection_over_union(actual, expected, floor)
    assert soft_intersection_over_union(expected, expected, floor) == 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(_MASKS, _MASKS)
def test_soft_iou_of_certain_pixels_is_iou(expected, actual):
    soft = soft_intersection_over_union(expected.astype(float), actual.astype(float), 1 / 64)
    assert soft == intersection_over_union(expected, actual, 1 / 64)


def test_soft_iou_by_hand():
    expected, actual = np.array([0.5, 0.25, 0.0, 1.0]), np.array([0.25, 0.5, 0.0, 1.0])
    # 1 - (0.25 + 0.25) / (0.5 + 0.5 + 1)
    assert soft_intersection_over_union(expected, actual, 0.01) == pytest.approx(0.75)
    # The sum of the larger ones is taken to be 4 pixels of 4.
    assert soft_intersection_over_union(expected, actual, 1.0) == pytest.approx(0.875)
    assert soft_intersection_over_union(np.zeros(4), np.zeros(4), 0.01) == 1
    assert soft_intersection_over_union(np.zeros(4), np.ones(4), 0.01) == 0


def test_soft_iou_sees_what_the_threshold_hides():
    similarity = _similarity()
    outputs = _outputs(slice(5000))
    fainter = {"mask": np.where(outputs["mask"] > 0.5, 0.6, 0.2).astype(np.float32)}
    similarity.add(outputs, outputs, "a")
    similarity.add(outputs, fainter, "b")
    figures = similarity.figures()
    assert figures.iou_min == 1
    # Half of the pixels lose 0.2 of 0.8, and the other half has 0.2.
    assert figures.soft_iou_min == pytest.approx(0.8)
    assert figures.soft_iou_mean == pytest.approx(0.9)


def test_a_mask_of_logits_is_compared_after_the_sigmoid():
    similarity = _similarity(logits=True)
    one, other = (
        {"mask": np.full((1, _SIZE, _SIZE, 1), logit, np.float32)} for logit in (0, np.log(3))
    )
    similarity.add(one, other)
    # Probabilities of 1/2 and 3/4.
    assert similarity.figures().soft_iou_mean == pytest.approx(2 / 3, rel=1e-5)


def test_figures():
    similarity = _similarity()
    similarity.add(_outputs(slice(1000)), _outputs(slice(800)), "a")
    similarity.add(_outputs([]), _outputs([]), "b")
    figures = similarity.figures()
    assert figures.iou_mean == pytest.approx(0.9)
    assert figures.iou_min == pytest.approx(0.8)
    assert figures.worst_sample == "a"
    assert (figures.positives, figures.negatives) == (1, 1)
    assert figures.area_mean == pytest.approx(0.05)


def test_masks_of_an_object_that_is_not_there_do_not_count():
    similarity = _similarity(presence="presence")
    similarity.add(_outputs(slice(1000), presence=0.1), _outputs([]))
    figures = similarity.figures()
    assert (figures.positives, figures.negatives) == (0, 1)
    assert figures.iou_mean is None
    assert figures.soft_iou_mean is None
    assert figures.worst_sample is None


def test_logits_and_threshold():
    # The probability of a logit of 0.8 is 0.69, that of 0.2 is 0.55.
    for changes, area in (({}, 0.1), ({"logits": True}, 1.0), ({"threshold": 0.9}, 0.0)):
        similarity = _similarity(**changes)
        similarity.add(_outputs(slice(1000)), _outputs(slice(1000)))
        assert similarity.figures().area_mean == pytest.approx(area)


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"mask": "person"}, "task.misfit", "no output person for its segmentation task"),
        ({"presence": "mask"}, "task.misfit", "wants 1 values"),
        ({"mask": ""}, "task.field", "not a segmentation task"),
        ({"threshold": 1.5}, "task.field", "threshold is 1.5, not between 0 and 1"),
        ({"min_area": 0}, "task.field", "min_area is 0"),
        ({"threshold": "half"}, "task.field", "not a segmentation task"),
    ],
)
def test_tasks_that_do_not_fit(changes, code, says):
    with refused(code, says):
        _similarity(**changes)
