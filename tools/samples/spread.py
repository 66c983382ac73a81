"""A part of test data, for devices that are slow."""

from collections.abc import Iterator

import numpy as np

from tools.samples.loading import SampleSet


class SpreadSamples:
    """Samples that lie evenly over a set, in its order.

    Attributes:
      names: of each sample.
    """

    def __init__(self, samples: SampleSet, most: int):
        """Chooses samples.

        Args:
          samples: all of them.
          most: how many at most; 0 is all.
        """
        total = len(samples)
        count = min(most, total) or total
        self._samples = samples
        self._numbers = [number * total // count for number in range(count)]
        self.names = tuple(samples.names[number] for number in self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for number in self._numbers:
            yield self._samples[number]
