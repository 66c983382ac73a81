"""Ways to one range from what a tensor did: from samples' extremes, or from its values.

A range [low, high] is cut into 255 steps by int8. What lies outside is clipped to it; what
lies inside is rounded, with an error of up to half a step. Wide ranges clip little and
round coarsely; each estimator strikes that balance in its own way. All are equivariant:
values k times as large (k > 0) get a range k times as wide.
"""

import dataclasses

import numpy as np

# Bins on either side of zero; Migacz's count.
HALF_BINS = 2048

_STEPS = 255
# Candidates are looked at for every so many bins: a 256th of the largest magnitude.
_STRIDE = 8
# Levels of int8 on one side of zero, when there are values on both.
_SIGNED_LEVELS = 128


@dataclasses.dataclass(frozen=True)
class Histogram:
    """How often values of all samples fell where.

    Attributes:
      magnitude: M, at least the largest magnitude that occurs; more than 0.
      counts: int64 [2 * HALF_BINS]; bin i holds the values from M * (i / HALF_BINS - 1) up
        to, but without, M * ((i + 1) / HALF_BINS - 1), the last one M as well.
      zeros: how many of the values are exactly 0. Every int8 quantizer has a step for 0, so
        these have no error in any range.
    """

    magnitude: float
    counts: np.ndarray
    zeros: int

    @property
    def edges(self) -> np.ndarray:
        """float64 [2 * HALF_BINS + 1], of the bins."""
        return self.magnitude * (np.arange(2 * HALF_BINS + 1) / HALF_BINS - 1)

    @property
    def nonzero(self) -> np.ndarray:
        """The counts without the values that are exactly 0."""
        counts = self.counts.copy()
        counts[HALF_BINS] -= self.zeros
        return counts


def min_max(lowest: np.ndarray, highest: np.ndarray) -> tuple[float, float]:
    """Takes the extremes of all samples.

    low = min_i lowest_i, high = max_i highest_i. Nothing that calibration saw is clipped;
    one sample that explodes takes the bits from all others.

    Args:
      lowest: [samples], the smallest value in each sample.
      highest: [samples], the largest.

    Returns:
      (low, high).
    """
    return float(lowest.min()), float(highest.max())


def extremes_percentile(
    lowest: np.ndarray, highest: np.ndarray, percentile: float
) -> tuple[float, float]:
    """Leaves the most extreme samples outside.

    low is the p-th percentile of the samples' minima, high the (100 - p)-th of their maxima,
    interpolated between samples. A few samples on which activations explode (pictures
    without the object, most often) do not take the bits from all others, whatever their
    share of the values. p = 0 is `min_max`.

    Args:
      lowest: [samples], the smallest value in each sample.
      highest: [samples], the largest.
      percentile: p, 0 to 50.

    Returns:
      (low, high).
    """
    low, high = np.percentile(lowest, percentile), np.percentile(highest, 100 - percentile)
    return float(low), float(high)


def extremes_mean(lowest: np.ndarray, highest: np.ndarray) -> tuple[float, float]:
    """Averages the extremes of the samples: low = mean_i lowest_i, high = mean_i highest_i.

    Args:
      lowest: [samples], the smallest value in each sample.
      highest: [samples], the largest.

    Returns:
      (low, high).
    """
    return float(np.mean(lowest, dtype=np.float64)), float(np.mean(highest, dtype=np.float64))


def moving_average(
    lowest: np.ndarray, highest: np.ndarray, smoothing: float
) -> tuple[float, float]:
    """Averages the extremes of the samples, later samples counting for more.

    r_1 = e_1, r_i = s r_{i-1} + (1 - s) e_i, with e the extremes in the order of the samples
    (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", section 3.1, for batches in training). It depends on
    the order, which is that of the samples' names; `extremes_mean` does not.

    Args:
      lowest: [samples], the smallest value in each sample.
      highest: [samples], the largest.
      smoothing: s, 0 to 1; 0 takes the last sample only, 1 the first.

    Returns:
      (low, high).
    """
    low, high = float(lowest[0]), float(highest[0])
    for next_low, next_high in zip(lowest[1:].tolist(), highest[1:].tolist(), strict=True):
        low = smoothing * low + (1 - smoothing) * next_low
        high = smoothing * high + (1 - smoothing) * next_high
    return low, high


def value_percentile(histogram: Histogram, percentile: float) -> tuple[float, float]:
    """Leaves the most extreme values outside, whichever samples they are from.

    low is the p-th percentile of all values, high the (100 - p)-th, values spread evenly
    within their bins (Wu et al. 2020, "Integer Quantization for Deep Learning Inference",
    section 3.4, which uses 99.9% to 99.9999% of the magnitudes).

    Args:
      histogram: of the values.
      percentile: p, 0 to 50.

    Returns:
      (low, high).
    """
    share = np.concatenate([[0], np.cumsum(histogram.counts)]) / histogram.counts.sum()

    def reached(wanted: float, end: int) -> float:
        within = (wanted - share[end - 1]) / (share[end] - share[end - 1])
        return float(histogram.edges[end - 1] + within * histogram.magnitude / HALF_BINS)

    # The bin in which the share is passed, which is not empty.
    low = reached(percentile / 100, int(np.searchsorted(share, percentile / 100, "right")))
    wanted = 1 - percentile / 100
    high = reached(wanted, int(np.searchsorted(share, wanted, "left")))
    # With half of the values on either side of empty bins, both edges are the median.
    return low, max(low, high)


def mse(histogram: Histogram) -> tuple[float, float]:
    """Takes the range with the smallest mean squared error.

    Of the ranges that hold 0, that of the smallest

        E(low, high) = sum_{x < low} (low - x)^2 + sum_{x > high} (x - high)^2
                       + n(low, high) step^2 / 12,     step = (high - low) / 255

    over the values x: what clipping costs, and what rounding costs the n values inside,
    whose errors are spread evenly over a step (Banner et al. 2019, "Post training 4-bit
    quantization of convolutional networks for rapid-deployment", eq. 5, with the measured
    histogram in the place of a fitted distribution). Values that are exactly 0 have no
    error. It weighs all values alike: where few large values decide what comes out, as
    scores do, it clips too much.

    Args:
      histogram: of the values.

    Returns:
      (low, high), low at most 0 and high at least 0.
    """
    counts, edges = histogram.nonzero.astype(np.float64), histogram.edges
    occupied = np.flatnonzero(counts)
    if not occupied.size:
        return 0.0, 0.0
    centres = (edges[:-1] + edges[1:]) / 2
    lows, low_costs = _clipping(counts[:HALF_BINS][::-1], -centres[:HALF_BINS][::-1])
    highs, high_costs = _clipping(counts[HALF_BINS:], centres[HALF_BINS:])
    scale = histogram.magnitude / HALF_BINS
    below = np.concatenate([[0], np.cumsum(counts[:HALF_BINS][::-1])])[lows]
    above = np.concatenate([[0], np.cumsum(counts[HALF_BINS:])])[highs]
    step = (lows[:, None] + highs[None, :]) * scale / _STEPS
    cost = low_costs[:, None] + high_costs[None, :]
    cost = cost + (below[:, None] + above[None, :]) * step**2 / 12
    # Of equal ones the widest; argmin takes the first.
    best = np.unravel_index(np.argmin(cost[::-1, ::-1]), cost.shape)
    low, high = lows[::-1][best[0]], highs[::-1][best[1]]
    return float(-low * scale), float(high * scale)


def _clipping(counts: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Says what clipping one side costs, by the bin where it clips.

    Args:
      counts: [HALF_BINS], from zero outward.
      centres: of the bins, the same way, positive.

    Returns:
      Candidates as numbers of bins kept, and the cost of each: the sum over what is outside
      of its squared distance.
    """
    last = int(np.flatnonzero(counts)[-1]) + 1 if counts.any() else 0
    kept = np.unique(np.append(np.arange(0, last, _STRIDE), last))
    edge = kept * (centres[0] * 2)
    # Sums over all bins from each candidate on.
    moments = [
        np.concatenate([np.cumsum((counts * centres**power)[::-1])[::-1], [0]])[kept]
        for power in range(3)
    ]
    return kept, moments[2] - 2 * edge * moments[1] + edge**2 * moments[0]


def entropy(histogram: Histogram) -> tuple[float, float]:
    """Takes the range that keeps most of the information, as TensorRT's calibrator does.

    Migacz 2017, "8-bit Inference with TensorRT" (GTC): of thresholds T on the magnitudes,
    that of the smallest Kullback-Leibler divergence

        D(P || Q) = sum_i P_i log(P_i / Q_i)

    between the distribution P of the magnitudes up to T, those beyond counted into its last
    bin, and Q, what is left of it in as many levels as int8 has up to T: bins merged
    evenly into levels, each level's count spread evenly over its bins that are not empty.
    Thresholds are looked at for every 8th of the 2048 bins. Levels are 128, as published,
    where values have both signs, and 256 where they have one, which int8 with a zero point
    then has for it. Values that are exactly 0 have no error and are left out.

    Args:
      histogram: of the values.

    Returns:
      (low, high): the values' own extremes (to the bin), cut at -T and T.
    """
    counts = histogram.nonzero
    occupied = np.flatnonzero(counts)
    if not occupied.size:
        return 0.0, 0.0
    edges = histogram.edges
    low, high = min(edges[occupied[0]], 0.0), max(edges[occupied[-1] + 1], 0.0)
    levels = _SIGNED_LEVELS if low < 0 < high else 2 * _SIGNED_LEVELS
    magnitudes = (counts[HALF_BINS:] + counts[:HALF_BINS][::-1]).astype(np.float64)
    best, threshold = np.inf, HALF_BINS
    for bins in range(levels, HALF_BINS + 1, _STRIDE):
        divergence = _divergence(magnitudes, bins, levels)
        # Of equal ones the widest.
        if divergence <= best:
            best, threshold = divergence, bins
    limit = threshold * histogram.magnitude / HALF_BINS
    return float(max(low, -limit)), float(min(high, limit))


def _divergence(counts: np.ndarray, bins: int, levels: int) -> float:
    """Gives D(P || Q) for a threshold at `bins`; infinite where Q misses what P has."""
    inside = counts[:bins]
    reference = inside.copy()
    reference[-1] += counts[bins:].sum()
    starts = np.arange(levels) * bins // levels
    lengths = np.diff(np.append(starts, bins))
    filled = np.add.reduceat((inside > 0).astype(np.float64), starts)
    level = np.add.reduceat(inside, starts) / np.maximum(filled, 1)
    expanded = np.repeat(level, lengths) * (inside > 0)
    total, kept = reference.sum(), expanded.sum()
    used = reference > 0
    if not kept or (expanded[used] == 0).any():
        return np.inf
    shares, approximations = reference[used] / total, expanded[used] / kept
    return float((shares * np.log(shares / approximations)).sum())
