import math
import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from tools.latency.interleaved import LEAST_ROUNDS, Comparison, compare, median_interval


def coverage(count: int, rank: int) -> float:
    """How often the rank-th smallest and largest of `count` values enclose the median."""
    below = sum(math.comb(count, number) for number in range(rank))
    return 1 - 2 * below / 2**count


def rank_of(count: int) -> int:
    low, high = median_interval(np.arange(1, count + 1))
    # As far from one end as from the other.
    assert low + high == count + 1
    return int(low)


@pytest.mark.parametrize(
    ("count", "rank"), [(9, 2), (10, 2), (11, 2), (12, 3), (13, 3), (14, 3), (15, 4), (25, 8)]
)
def test_ranks_from_the_book(count, rank):
    assert rank_of(count) == rank


def test_the_narrowest_interval_of_95_percent():
    for count in range(LEAST_ROUNDS, 300):
        rank = rank_of(count)
        assert coverage(count, rank) >= 0.95
        assert coverage(count, rank + 1) < 0.95


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    strategies.lists(
        strategies.floats(-1e6, 1e6, allow_subnormal=False), min_size=LEAST_ROUNDS, max_size=60
    )
)
def test_interval_encloses_the_median_in_any_order(values):
    low, high = median_interval(np.array(values))
    assert low <= np.median(values) <= high
    assert {low, high} <= set(values)
    assert median_interval(np.array(values[::-1])) == (low, high)


def test_interval_holds_for_a_skewed_distribution():
    """Latencies have a long tail; the median of this one is ln 2."""
    rng = np.random.default_rng(0)
    found = [median_interval(rng.exponential(size=11)) for _ in range(4000)]
    share = np.mean([low <= math.log(2) <= high for low, high in found])
    assert share == pytest.approx(coverage(11, 2), abs=0.01)


def test_one_disturbed_round_does_not_move_the_interval():
    calm = np.full(9, 2.0)
    disturbed = calm.copy()
    disturbed[4] = 1e9
    assert median_interval(disturbed) == median_interval(calm) == (2, 2)


class Recorder:
    """Stands for a model that takes some time; notes in which order it is run."""

    def __init__(self, name: str, seconds: float, log: list[str]):
        self.name, self.seconds, self.log = name, seconds, log

    def __call__(self) -> None:
        self.log.append(self.name)
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            pass


@pytest.fixture(scope="module")
def measured() -> tuple[Comparison, list[str]]:
    log: list[str] = []
    return compare(Recorder("f", 0.02, log), Recorder("a", 0.01, log), 9), log


def test_counts(measured):
    comparison, log = measured
    assert comparison.float_ms.shape == comparison.artifact_ms.shape
    rounds, invokes = comparison.float_ms.shape
    assert rounds == 9
    # 0.15 seconds of the slower one; fewer where the machine is busy, never under 5.
    assert 5 <= invokes <= 8
    assert log.count("f") >= rounds * invokes + 5
    assert log.count("a") >= rounds * invokes + 5


def test_turns_alternate(measured):
    comparison, log = measured
    rounds, invokes = comparison.float_ms.shape
    turns = "".join(log[-2 * rounds * invokes :])
    one, other = "f" * invokes + "a" * invokes, "a" * invokes + "f" * invokes
    assert turns == "".join(one if number % 2 == 0 else other for number in range(rounds))
    # Before that, each warms up by itself.
    assert "".join(log[: -2 * rounds * invokes]).lstrip("f").strip("a") == ""


def test_times_and_ratios(measured):
    comparison, _ = measured
    assert comparison.float_ms.min() >= 20
    assert comparison.artifact_ms.min() >= 10
    assert 1 < np.median(comparison.round_speedups) < 4
    assert 5 < np.median(comparison.round_fps) <= 100


def test_ratios_are_of_medians():
    float_ms = np.array([[4.0, 6.0, 100.0], [8.0, 8.0, 8.0]])
    artifact_ms = np.array([[3.0, 2.0, 50.0], [4.0, 1.0, 16.0]])
    comparison = Comparison(float_ms, artifact_ms)
    np.testing.assert_array_equal(comparison.round_speedups, [2, 2])
    np.testing.assert_array_equal(comparison.round_fps, [1000 / 3, 250])


def test_too_few_rounds():
    with pytest.raises(ValueError, match="8 rounds; a median's interval needs at least 9"):
        compare(lambda: None, lambda: None, 8)


def test_a_fast_model_is_run_a_bounded_number_of_times():
    comparison = compare(lambda: None, lambda: None, 9)
    assert comparison.float_ms.shape == (9, 2000)
