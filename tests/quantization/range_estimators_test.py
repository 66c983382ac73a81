import numpy as np
import pytest
from hypothesis import given, settings, strategies

from tools.quantization.range_estimators import (
    HALF_BINS,
    Histogram,
    entropy,
    extremes_mean,
    extremes_percentile,
    min_max,
    moving_average,
    mse,
    value_percentile,
)


def histogram_of(values: np.ndarray) -> Histogram:
    """Counts values by the definition of the bins."""
    magnitude = float(np.abs(values).max())
    bins = np.floor(values / magnitude * HALF_BINS).astype(int) + HALF_BINS
    counts = np.bincount(np.minimum(bins, 2 * HALF_BINS - 1), minlength=2 * HALF_BINS)
    return Histogram(magnitude, counts, int((values == 0).sum()))


def drawn(kind: str, seed: int = 0, count: int = 20000) -> np.ndarray:
    """Values that are spread as activations are."""
    rng = np.random.default_rng(seed)
    return {
        "normal": rng.normal(0, 3, count),
        "relu": np.maximum(rng.normal(-1, 2, count), 0),
        "heavy": rng.standard_t(2, count),
        "skewed": rng.gamma(2, 1, count) - 0.5,
        "uniform": rng.uniform(-2, 5, count),
        "spike": np.append(rng.normal(0, 0.1, count), [40, -3]),
        "negative": -rng.exponential(2, count),
    }[kind]


KINDS = ("normal", "relu", "heavy", "skewed", "uniform", "spike", "negative")
FROM_VALUES = {
    "value_percentile": lambda histogram: value_percentile(histogram, 0.1),
    "mse": mse,
    "entropy": entropy,
}
FROM_EXTREMES = {
    "min_max": min_max,
    "extremes_percentile": lambda low, high: extremes_percentile(low, high, 2),
    "extremes_mean": extremes_mean,
    "moving_average": lambda low, high: moving_average(low, high, 0.9),
}


def test_bins_have_the_edges_that_are_documented():
    histogram = histogram_of(np.array([-2.0, -1e-9, 0, 0, 0.5, 2]))
    assert histogram.edges[0] == -2
    assert histogram.edges[HALF_BINS] == 0
    assert histogram.edges[-1] == 2
    occupied = {int(i): int(histogram.counts[i]) for i in np.flatnonzero(histogram.counts)}
    assert occupied == {
        0: 1,
        HALF_BINS - 1: 1,
        HALF_BINS: 2,
        HALF_BINS * 5 // 4: 1,
        2 * HALF_BINS - 1: 1,
    }
    assert histogram.nonzero[HALF_BINS] == 0


def test_min_max_is_of_all_samples():
    assert min_max(np.array([-1, -5, 0]), np.array([2, 1, 9])) == (-5, 9)


def test_extremes_mean_weighs_samples_alike():
    assert extremes_mean(np.array([-1, -5, 0]), np.array([2, 1, 9])) == (-2, 4)


def test_moving_average_is_the_recurrence():
    lowest, highest = np.array([-1.0, -5.0, 0.0]), np.array([2.0, 1.0, 9.0])
    low = 0.75 * (0.75 * -1 + 0.25 * -5) + 0.25 * 0
    high = 0.75 * (0.75 * 2 + 0.25 * 1) + 0.25 * 9
    assert moving_average(lowest, highest, 0.75) == pytest.approx((low, high))
    assert moving_average(lowest, highest, 0) == (0, 9)
    assert moving_average(lowest, highest, 1) == (-1, 2)


@pytest.mark.parametrize("percentile", [0, 1, 12.5, 50])
def test_extremes_percentile_interpolates_between_samples(percentile):
    rng = np.random.default_rng(3)
    lowest, highest = -rng.exponential(1, 57), rng.exponential(1, 57)

    def interpolated(values, share):
        place = share * (len(values) - 1)
        before = int(place)
        after = min(before + 1, len(values) - 1)
        return values[before] + (place - before) * (values[after] - values[before])

    expected = (
        interpolated(np.sort(lowest), percentile / 100),
        interpolated(np.sort(highest), 1 - percentile / 100),
    )
    assert extremes_percentile(lowest, highest, percentile) == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("percentile", [0, 0.01, 1, 20])
def test_value_percentile_is_that_of_the_values_but_for_the_bins(kind, percentile):
    values = drawn(kind)
    histogram = histogram_of(values)
    low, high = value_percentile(histogram, percentile)
    bin_width = histogram.magnitude / HALF_BINS
    # Half of one value more or less, where values are sparse.
    share = 100 / values.size
    for found, place, side in ((low, percentile, "lower"), (high, 100 - percentile, "higher")):
        least = np.percentile(values, max(place - share, 0), method="lower")
        most = np.percentile(values, min(place + share, 100), method="higher")
        assert least - bin_width <= found <= most + bin_width, side


def true_error(values: np.ndarray, low: float, high: float) -> float:
    """The mean squared error of quantizing values to 255 steps of a range, for real."""
    step = (high - low) / 255
    if not step:
        return float((values**2).mean())
    zero = np.round(-low / step)
    quantized = np.clip(np.round(values / step) + zero, 0, 255)
    return float((((quantized - zero) * step - values) ** 2).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_mse_has_the_smallest_error_of_all_ranges_tried(kind):
    values = drawn(kind)
    low, high = mse(histogram_of(values))
    least = min(
        true_error(values, one, other)
        for one in np.linspace(min(values.min(), 0), 0, 41)
        for other in np.linspace(0, max(values.max(), 0), 41)
        if one < other
    )
    assert true_error(values, low, high) <= 1.05 * least


def test_mse_clips_what_is_rare_and_not_what_is_common():
    # (40 - T)^2 once against T^2 / 255^2 / 12 for each of 20,000: the least is at T = 39.
    assert mse(histogram_of(drawn("spike")))[1] == pytest.approx(39, abs=0.2)
    many = np.append(np.random.default_rng(0).normal(0, 3, 1_000_000), [60.0])
    assert mse(histogram_of(many))[1] < 30
    values = drawn("uniform")
    assert mse(histogram_of(values)) == pytest.approx((-2, 5), rel=0.02)


def divergence(values: np.ndarray, magnitude: float, bins: int, levels: int) -> float:
    """D(P || Q) by the published steps, one bin after the other."""
    counts, _ = np.histogram(np.abs(values[values != 0]), HALF_BINS, (0, magnitude))
    reference = counts[:bins].astype(float)
    reference[bins - 1] += counts[bins:].sum()
    approximation = np.zeros(bins)
    for level in range(levels):
        members = [i for i in range(bins) if level * bins // levels <= i]
        members = [i for i in members if i < (level + 1) * bins // levels]
        filled = [i for i in members if counts[i]]
        for i in filled:
            approximation[i] = counts[members].sum() / len(filled)
    reference /= reference.sum()
    approximation /= approximation.sum()
    total = 0.0
    for p, q in zip(reference, approximation, strict=True):
        if p:
            total += p * np.log(p / q) if q else np.inf
    return total


@pytest.mark.parametrize("kind", ["heavy", "relu", "skewed"])
def test_entropy_has_the_smallest_divergence(kind):
    values = drawn(kind, count=3000)
    histogram = histogram_of(values)
    low, high = entropy(histogram)
    levels = 128 if values.min() < 0 else 256
    thresholds = range(levels, HALF_BINS + 1, 8)
    some = [*list(thresholds)[::24], thresholds[-1]]
    chosen = round(max(-low, high) / histogram.magnitude * HALF_BINS)
    found = divergence(values, histogram.magnitude, chosen, levels)
    assert chosen in thresholds
    assert found <= min(divergence(values, histogram.magnitude, t, levels) for t in some) + 1e-12


def test_entropy_cuts_a_long_tail():
    low, high = entropy(histogram_of(drawn("heavy")))
    values = drawn("heavy")
    assert high < 0.5 * values.max()
    assert low > 0.5 * values.min()


def test_nothing_but_zeros_has_no_width():
    counts = np.zeros(2 * HALF_BINS, np.int64)
    counts[HALF_BINS] = 100
    histogram = Histogram(1.0, counts, 100)
    assert mse(histogram) == entropy(histogram) == (0, 0)


_values = strategies.tuples(strategies.sampled_from(KINDS), strategies.integers(0, 99)).map(
    lambda pair: drawn(*pair, count=500)
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(_values, strategies.sampled_from(sorted(FROM_VALUES)), strategies.integers(-20, 20))
def test_ranges_from_values_are_inside_them_and_scale_with_them(values, name, exponent):
    histogram = histogram_of(values)
    low, high = FROM_VALUES[name](histogram)
    bin_width = histogram.magnitude / HALF_BINS
    assert min(values.min(), 0) - bin_width <= low <= high
    assert high <= max(values.max(), 0) + bin_width
    larger = FROM_VALUES[name](histogram_of(values * 2.0**exponent))
    assert larger == pytest.approx((low * 2.0**exponent, high * 2.0**exponent), rel=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    strategies.lists(
        strategies.tuples(*[strategies.floats(-1e6, 1e6, width=32)] * 2), min_size=1, max_size=40
    ),
    strategies.sampled_from(sorted(FROM_EXTREMES)),
    strategies.floats(1e-3, 1e3),
)
def test_ranges_from_extremes_are_inside_them_and_scale_with_them(pairs, name, factor):
    lowest = np.array([min(pair) for pair in pairs])
    highest = np.array([max(pair) for pair in pairs])
    low, high = FROM_EXTREMES[name](lowest, highest)
    rounding = 1e-9 * max(np.abs(lowest).max(), np.abs(highest).max())
    assert lowest.min() - rounding <= low <= high + rounding
    assert high <= highest.max() + rounding
    widest = min_max(lowest, highest)
    assert widest[0] <= low + rounding
    assert high - rounding <= widest[1]
    larger = FROM_EXTREMES[name](lowest * factor, highest * factor)
    assert larger == pytest.approx((low * factor, high * factor), abs=factor * rounding)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(_values, strategies.floats(0, 50), strategies.floats(0, 50))
def test_a_smaller_percentile_of_the_values_is_wider(values, one, other):
    histogram = histogram_of(values)
    (low, high), (low_inside, high_inside) = (
        value_percentile(histogram, share) for share in sorted((one, other))
    )
    assert low <= low_inside
    assert high >= high_inside
