"""Channels of several tensors that share a fate: sets of (tensor, channel)."""

from collections.abc import Mapping

import numpy as np


class TiedChannels:
    """Sets of channels, each of one channel at first.

    Every channel has a number, those of a tensor one after another.

    Attributes:
      sizes: tensor index to its number of channels.
      count: channels in all.
    """

    def __init__(self, sizes: Mapping[int, int]):
        self.sizes = dict(sizes)
        self._first: dict[int, int] = {}
        self.count = 0
        for tensor, size in self.sizes.items():
            self._first[tensor] = self.count
            self.count += size
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self._roots: np.ndarray | None = None

    def tie(self, one: int, other: int, before: int = 0) -> None:
        """Joins each channel of a tensor with one of another.

        Args:
          one: a tensor.
          other: another, with at least so many channels.
          before: of the other's channels, how many stand before the first that is joined.
        """
        channels = np.arange(self.sizes[one])
        self._pairs.append((self._first[one] + channels, self._first[other] + before + channels))
        self._roots = None

    def roots(self, tensor: int) -> np.ndarray:
        """Gives int64 [channels], the number of one channel of the set that each is in."""
        if self._roots is None:
            self._roots = self._joined()
        start = self._first[tensor]
        return self._roots[start : start + self.sizes[tensor]]

    def _joined(self) -> np.ndarray:
        """Finds the smallest number in each channel's set, int64 [count]."""
        roots = np.arange(self.count)
        if not self._pairs:
            return roots
        ones, others = (np.concatenate(ends) for ends in zip(*self._pairs, strict=True))
        while (roots[ones] != roots[others]).any():
            least = np.minimum(roots[ones], roots[others])
            for ends in (ones, others):
                np.minimum.at(roots, roots[ends], least)
            while (roots[roots] != roots).any():
                roots = roots[roots]
        return roots
