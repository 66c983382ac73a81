"""Similarity of outputs: formulas, outputs that are nearly zero, and NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.refused import refused
from tools.similarity.metrics import NEAR_ZERO, OutputSimilarity

_VECTORS = arrays.arrays(np.float32, (3, 8), elements=st.floats(-1e3, 1e3, width=32))


def _similarity(expected, actual):
    result = OutputSimilarity("scores", expected.shape[1:])
    for number, (f, q) in enumerate(zip(expected, actual, strict=True)):
        result.add(f"sample_{number}", f, q)
    return result


def test_formulas():
    generator = np.random.default_rng(1)
    expected = generator.normal(size=(5, 2, 3)).astype(np.float32)
    actual = expected + generator.normal(scale=0.1, size=expected.shape).astype(np.float32)
    figures = _similarity(expected, actual).figures()
    f, q = (values.reshape(5, -1).astype(np.float64) for values in (expected, actual))
    cosines = (f * q).sum(1) / np.linalg.norm(f, axis=1) / np.linalg.norm(q, axis=1)
    assert figures.cosine_mean == pytest.approx(cosines.mean(), abs=1e-6)
    assert figures.cosine_min == pytest.approx(cosines.min(), abs=1e-6)
    assert figures.worst_sample == f"sample_{cosines.argmin()}"
    assert figures.sqnr_db == pytest.approx(
        10 * np.log10((f**2).sum() / ((f - q) ** 2).sum()), rel=1e-4
    )
    assert figures.max_abs_error == pytest.approx(np.abs(f - q).max(), rel=1e-5)
    assert figures.mean_abs_error == pytest.approx(np.abs(f - q).mean(), rel=1e-5)
    assert figures.shape == (2, 3)
    assert figures.near_zero_samples == 0


def test_equal_outputs_have_no_ratio_to_noise():
    values = np.ones((2, 4), np.float32)
    figures = _similarity(values, values).figures()
    assert figures.sqnr_db is None
    assert figures.cosine_min == 1.0
    assert figures.max_abs_error == 0


@settings(max_examples=80, deadline=None, derandomize=True)
@given(_VECTORS, _VECTORS)
def test_cosines_stay_in_range_and_order_of_samples_does_not_matter(expected, actual):
    forward = _similarity(expected, actual).cosines()
    backward = _similarity(expected[::-1], actual[::-1]).cosines()[::-1]
    assert (forward >= -1).all()
    assert (forward <= 1).all()
    np.testing.assert_allclose(forward, backward, atol=1e-12)


def _with_an_empty_sample(noise: float):
    """One sample with a signal of length 1, one with nothing but noise of a length."""
    expected = np.zeros((2, 4), np.float32)
    expected[0, 0] = 1
    actual = expected.copy()
    actual[1, 1] = noise
    return _similarity(expected, actual)


def test_noise_where_there_is_nothing_does_not_fail_a_model():
    similarity = _with_an_empty_sample(noise=1e-4)
    assert similarity.cosines()[1] > 0.999
    assert similarity.figures().near_zero_samples == 1


def test_something_where_there_is_nothing_does_not_pass():
    assert _with_an_empty_sample(noise=0.5).cosines()[1] == -1.0


def test_the_two_formulas_meet_at_the_floor():
    # One long sample sets the floor; the other lies just below or just above it.
    generator = np.random.default_rng(4)
    direction = generator.normal(size=64)
    direction /= np.linalg.norm(direction)
    across = generator.normal(size=64)
    across -= (across @ direction) * direction
    across /= np.linalg.norm(across)
    angle = 0.2
    turned = np.cos(angle) * direction + np.sin(angle) * across
    # With two samples of lengths 1 and n the floor is NEAR_ZERO sqrt((1 + n^2) / 2).
    length = NEAR_ZERO / np.sqrt(2 - NEAR_ZERO**2)
    values = []
    for factor in (0.999, 1.001):
        expected = np.stack([direction, direction * length * factor])
        actual = np.stack([direction, turned * length * factor])
        values.append(_similarity(expected, actual).cosines()[1])
    assert values[0] == pytest.approx(values[1], abs=1e-3)
    assert values[1] == pytest.approx(np.cos(angle), abs=1e-9)


def test_a_float_model_that_gives_only_zeros():
    zeros, ones = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    assert (_similarity(zeros, zeros).cosines() == 1).all()
    assert (_similarity(zeros, ones).cosines() == 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("whose", ["float", "quantized"])
def test_what_is_no_number_is_named(value, whose):
    good, bad = np.ones(3, np.float32), np.array([1, value, 1], np.float32)
    pair = (bad, good) if whose == "float" else (good, bad)
    with refused("model.value", rf"{whose} model's output scores is .* sample face\.png"):
        OutputSimilarity("scores", (3,)).add("face.png", *pair)


def test_scores_beside_boxes_are_judged_by_themselves():
    """The whole says that all is well, and every score is lost."""
    random = np.random.default_rng(0)
    similarity = OutputSimilarity("detections", (1, 50, 6))
    for number in range(4):
        expected = random.uniform(0, 600, (1, 50, 6)).astype(np.float32)
        expected[..., 4:] = random.uniform(0, 1, (1, 50, 2))
        actual = expected + random.uniform(-1, 1, expected.shape).astype(np.float32)
        actual[..., 4:] = 0
        similarity.add(f"sample {number}", expected, actual)
    figures = similarity.figures()
    assert figures.cosine_mean > 0.999
    boxes, scores = figures.channel_groups
    assert (boxes.channels, scores.channels) == ("0-3", "4-5")
    assert boxes.cosine_min > 0.999
    assert scores.cosine_mean == scores.cosine_min == scores.cosine_p5 == 0
    assert scores.worst_sample == "sample 0"


def test_channels_of_one_size_have_no_groups():
    similarity = OutputSimilarity("detections", (1, 50, 6))
    expected = np.random.default_rng(0).uniform(0, 1, (1, 50, 6)).astype(np.float32)
    similarity.add("sample", expected, expected)
    assert similarity.figures().channel_groups is None


def test_an_output_of_another_size_counts_as_error_alone():
    similarity = OutputSimilarity("boxes", (1, 4))
    boxes = np.arange(1, 9, dtype=np.float32).reshape(2, 4)
    similarity.add("same", boxes, boxes)
    similarity.add("one box more", boxes[:1], boxes)
    similarity.add("none", boxes, boxes[:0])
    figures = similarity.figures()
    assert similarity.cosines().tolist() == [1, 0, 0]
    assert figures.other_shape_samples == 2
    assert figures.max_abs_error == 8
    squares = np.square(boxes)
    signal, noise = 2 * squares.sum() + squares[0].sum(), 2 * squares.sum() + squares[0].sum()
    assert figures.sqnr_db == pytest.approx(10 * np.log10(signal / noise), abs=1e-4)


def test_nothing_in_place_of_zeros_is_no_likeness():
    similarity = OutputSimilarity("boxes", (1, 4))
    similarity.add("sample", np.zeros((1, 4), np.float32), np.zeros((0, 4), np.float32))
    assert similarity.figures().cosine_mean == 0


def test_sizes_that_change_from_sample_to_sample_are_compared_as_any():
    random = np.random.default_rng(0)
    similarity = OutputSimilarity("detections", (1, 50, 6))
    for number in (50, 3, 0):
        expected = random.uniform(0, 600, (1, number, 6)).astype(np.float32)
        expected[..., 4:] /= 600
        actual = expected.copy()
        actual[..., 4:] = 0
        similarity.add(f"{number} boxes", expected, actual)
    figures = similarity.figures()
    assert figures.other_shape_samples is None
    assert [group.channels for group in figures.channel_groups] == ["0-3", "4-5"]
    assert figures.channel_groups[1].worst_sample == "50 boxes"
    similarity.add("another rank", np.zeros(3, np.float32), np.zeros(3, np.float32))
    assert similarity.figures().channel_groups is None
