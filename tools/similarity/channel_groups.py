"""Channels of one output that differ by orders of magnitude, each kind judged by itself.

A detector may give boxes in pixels and scores between 0 and 1 in one tensor. The cosine
similarity of the whole is then that of the boxes, and eight bits for 600 pixels leave no
score but 0. So channels whose largest float value is under a hundredth of the output's
largest make a group of their own, those under a hundredth of that another, and each has its
own similarities.

A channel is a position of the last dimension, or of the second where that is shorter; each must
hold several values, as a vector's single numbers may be small by chance. Channels that sum to
one are the shares of one distribution and are not parted.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

# Of 255 steps, what is under a hundredth gets two or three.
_SMALLER = 100
_MOST_CHANNELS = 4096
# How far from one the sum of a distribution may be.
_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True)
class ChannelSums:
    """Sums over one sample's channels.

    Attributes:
      signal: sum of f^2 by channel, float64 [channels].
      quantized: sum of q^2.
      product: sum of f q.
      noise: sum of (f - q)^2.
    """

    signal: np.ndarray
    quantized: np.ndarray
    product: np.ndarray
    noise: np.ndarray


class ChannelAxis:
    """Gathers the sums of the channels of one axis."""

    def __init__(self, shape: Sequence[int], axis: int):
        """Starts with no samples.

        Args:
          shape: of the output.
          axis: of the channels.
        """
        self._shape, self._axis = tuple(shape), axis
        self._peaks = np.zeros(shape[axis])
        self._is_distribution = True
        self.samples: list[ChannelSums] = []

    def fits(self, values: np.ndarray) -> bool:
        """Says whether values have the channels, at however many places."""
        sizes = values.shape
        return len(sizes) == len(self._shape) and sizes[self._axis] == self._shape[self._axis]

    def add(self, f: np.ndarray, q: np.ndarray) -> None:
        """Adds a sample.

        Args:
          f: float64, the float model's output, which fits.
          q: the artifact's, which fits; where it has another number of places, all values of
            both are error.
        """
        is_same = f.shape == q.shape
        others = tuple(axis for axis in range(f.ndim) if axis != self._axis)
        self._peaks = np.maximum(self._peaks, np.abs(f).max(axis=others, initial=0))
        sums = f.sum(axis=self._axis)
        self._is_distribution &= bool(np.abs(sums - 1).max(initial=0) < _ROUNDING)
        signal, quantized = (f * f).sum(axis=others), (q * q).sum(axis=others)
        self.samples.append(
            ChannelSums(
                signal=signal,
                quantized=quantized,
                product=(f * q).sum(axis=others) if is_same else np.zeros_like(signal),
                noise=((f - q) ** 2).sum(axis=others) if is_same else signal + quantized,
            )
        )

    def groups(self) -> list[np.ndarray]:
        """Parts the channels.

        Returns:
          The numbers of each group's channels, those of the largest values first; a channel
          that is always 0 in the float model is in none. One group where nothing is parted.
        """
        channels = np.flatnonzero(self._peaks)
        if self._is_distribution or not len(channels):
            return [channels]
        largest = self._peaks.max()
        orders = np.floor(np.log(largest / self._peaks[channels]) / math.log(_SMALLER))
        return [channels[orders == order] for order in np.unique(orders)]


def channel_axis(shape: Sequence[int]) -> ChannelAxis | None:
    """Finds which axis of an output is its channels: the last, or the second where it is shorter.

    Args:
      shape: of the output, with the batch.

    Returns:
      The axis, with no samples yet; None for an output that has no channels to part.
    """
    if len(shape) < 3:
        return None
    last = len(shape) - 1
    axis = 1 if shape[1] < shape[last] else last
    values = math.prod(size for other, size in enumerate(shape) if other not in (0, axis))
    if 2 <= shape[axis] <= _MOST_CHANNELS and values > 1:
        return ChannelAxis(shape, axis)
    return None


def in_words(channels: Iterable[int]) -> str:
    """Names channels: "0-3, 7"."""
    runs: list[list[int]] = []
    for number in map(int, channels):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)
