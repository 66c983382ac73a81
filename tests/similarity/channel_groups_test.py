"""Which channels of an output are judged by themselves."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from tools.similarity.channel_groups import channel_axis, in_words


def groups_of(values: np.ndarray) -> list[list[int]]:
    """Parts the channels of one sample; [] where nothing is parted."""
    axis = channel_axis(values.shape)
    if axis is None:
        return []
    axis.add(values, values)
    groups = axis.groups()
    return [group.tolist() for group in groups] if len(groups) > 1 else []


def output(*peaks: float, positions: int = 16) -> np.ndarray:
    """Makes [1, positions, channels] whose channels have these largest values."""
    values = np.random.default_rng(0).uniform(-1, 1, (1, positions, len(peaks)))
    return values / np.abs(values).max(axis=(0, 1)) * np.array(peaks)


def test_boxes_in_pixels_and_scores():
    assert groups_of(output(600, 590, 500, 0.9, 0.5)) == [[0, 1, 2], [3, 4]]


def test_three_orders():
    assert groups_of(output(1, 1e3, 1e-6, 0)) == [[1], [0], [2]]


@pytest.mark.parametrize("peaks", [(1, 0.02), (5, 5), (640, 7)])
def test_channels_of_one_order_are_not_parted(peaks):
    assert groups_of(output(*peaks)) == []


def test_channels_that_come_first():
    values = np.swapaxes(output(600, 0.9, 0.8), 1, 2)
    assert groups_of(values) == [[0], [1, 2]]
    image = output(600, 0.9, positions=64).reshape(1, 8, 8, 2)
    assert groups_of(image) == [[0], [1]]
    assert groups_of(np.moveaxis(image, -1, 1)) == [[0], [1]]


def test_a_vector_is_not_parted():
    """The wrist's own depth is nearly 0 in every hand."""
    assert groups_of(np.array([[100, 1e-4, 3]])) == []
    assert groups_of(np.array([[[[100, 1e-4, 3]]]])) == []


def test_rows_of_a_mask_are_no_channels():
    mask = np.zeros((1, 16, 16, 1)) + 1e-5
    mask[:, 8:] = 1
    assert groups_of(mask) == []


def test_a_distribution_is_not_parted():
    values = np.full((1, 8, 8, 3), 1e-5)
    values[..., 0] = 1 - 2e-5
    assert groups_of(values) == []
    assert groups_of(values * 2) == [[0], [1, 2]]


def test_zeros():
    assert groups_of(np.zeros((1, 4, 3))) == []


def test_sums_are_by_channel():
    f, q = output(600, 0.9), output(600, 0.9) * 0.5
    axis = channel_axis(f.shape)
    axis.add(f, q)
    (sums,) = axis.samples
    np.testing.assert_allclose(sums.signal, (f[0] ** 2).sum(axis=0))
    np.testing.assert_allclose(sums.product, sums.signal / 2)
    np.testing.assert_allclose(sums.quantized, sums.signal / 4)
    np.testing.assert_allclose(sums.noise, sums.signal / 4)


@pytest.mark.parametrize(
    ("channels", "words"),
    [([0], "0"), ([0, 1, 2, 5], "0-2, 5"), ([3, 5, 6], "3, 5-6"), ([], "")],
)
def test_channels_in_words(channels, words):
    assert in_words(channels) == words


@settings(max_examples=50, deadline=None, derandomize=True)
@given(strategies.lists(strategies.floats(1e-9, 1e9), min_size=2, max_size=8))
def test_every_channel_is_in_one_group_and_larger_ones_come_first(peaks):
    groups = groups_of(output(*peaks))
    if not groups:
        assert max(peaks) / min(peaks) <= 100 * 1.001
        return
    assert sorted(channel for group in groups for channel in group) == list(range(len(peaks)))
    largest = [max(peaks[channel] for channel in group) for group in groups]
    assert largest == sorted(largest, reverse=True)
