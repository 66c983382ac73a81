import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from tests import extent
from tools.latency.decision import (
    LEAST_ROUNDS,
    WRONG_VERDICTS,
    Gate,
    Verdict,
    decide,
    judge,
    looks,
    median_bounds,
    order_bounds,
    overall,
)

_REPETITIONS = extent.count(100, 200)
_TRUE_FPS = 200.0
_TRUE_SPEEDUP = 1.4


def calm(random, rounds):
    """Time of each model's round as a multiple of the true one, [2, rounds]."""
    return random.lognormal(0, 0.03, (2, rounds))


def drift(random, rounds):
    """The machine's speed walks by 2% a round, held within 6%; both models see it."""
    steps = random.normal(0, 0.02, rounds).cumsum()
    return calm(random, rounds) * np.exp(np.clip(steps, -0.06, 0.06))


def bursts(random, rounds):
    """A fifth of the time something makes rounds 1.3 to 2 times as long, some in a row."""
    busy, now = np.empty(rounds, bool), False
    for position in range(rounds):
        now = random.random() < (0.6 if now else 0.1)
        busy[position] = now
    return calm(random, rounds) * np.where(busy, random.uniform(1.3, 2, rounds), 1)


def hog(random, rounds):
    """Rounds counted by processor time: what shares the caches costs some of them 2 to 15%."""
    shared = random.random((2, rounds)) < 0.3
    return calm(random, rounds) * np.where(shared, random.uniform(1.02, 1.15, (2, rounds)), 1)


def tails(random, rounds):
    """Student's t with 2 degrees of freedom: no variance at all."""
    return np.exp(np.clip(random.standard_t(2, (2, rounds)) * 0.03, -1, 1))


def simulate(noise, gate: Gate, seed: int):
    random = np.random.default_rng(seed)
    factors = noise(random, 60)
    values = {
        "min_fps": _TRUE_FPS / factors[1],
        "min_speedup": _TRUE_SPEEDUP * factors[0] / factors[1],
    }
    (found,) = decide([gate], lambda count: {k: v[:count] for k, v in values.items()}, 11)
    return found.verdict


@pytest.mark.parametrize("noise", [calm, drift, bursts, hog, tails])
@pytest.mark.parametrize(
    ("name", "true"),
    [
        ("min_fps", _TRUE_FPS),
        ("min_speedup", _TRUE_SPEEDUP),
    ],
)
@pytest.mark.parametrize("side", [0.9, 1.1])
def test_at_most_one_wrong_verdict_in_a_hundred(noise, name, true, side):
    gate = Gate(name, true * side)
    wrong = Verdict.FAIL if side < 1 else Verdict.PASS
    verdicts = [simulate(noise, gate, seed) for seed in range(_REPETITIONS)]
    assert verdicts.count(wrong) <= WRONG_VERDICTS * _REPETITIONS
    # A rule that never decides is never wrong.
    assert verdicts.count(Verdict.INCONCLUSIVE) <= 0.2 * _REPETITIONS


def test_a_gate_at_the_true_value_is_most_often_undecided():
    """Neither side is right there: this counts how often looking again finds one."""
    gate = Gate("min_speedup", _TRUE_SPEEDUP)
    repetitions = extent.count(100, 400)
    verdicts = [simulate(calm, gate, seed) for seed in range(repetitions)]
    decided = verdicts.count(Verdict.PASS) + verdicts.count(Verdict.FAIL)
    assert decided <= 0.03 * repetitions


def test_looks():
    assert looks(11, 60) == [11, 17, 26, 39, 59, 60]
    assert looks(9, 9) == [9]
    assert looks(30, 20) == [30]


def test_bounds_hold_for_few_rounds():
    """A bootstrap alone is too narrow for nine."""
    random = np.random.default_rng(0)
    missed = 0
    for _ in range(1000):
        low, high = median_bounds(random.exponential(size=9), 0.01)
        missed += not low <= math.log(2) <= high
    assert missed <= 30


def test_the_same_values_give_the_same_bounds():
    values = np.random.default_rng(1).normal(size=20)
    assert median_bounds(values, 0.01) == median_bounds(values.copy(), 0.01)


def test_verdicts_of_values_without_noise():
    values = np.full(9, 100.0)
    for threshold, verdict in ((100, Verdict.PASS), (99, Verdict.PASS), (101, Verdict.FAIL)):
        assert judge(Gate("min_fps", threshold), values, 1).verdict is verdict
    for threshold, verdict in ((100, Verdict.PASS), (99, Verdict.FAIL), (101, Verdict.PASS)):
        assert judge(Gate("max_p50_ms", threshold, True), values, 1).verdict is verdict


def test_too_few_values_decide_nothing():
    gate = Gate("min_fps", 1)
    found = judge(gate, np.array([100.0] * 8 + [math.nan]), 1)
    assert (found.verdict, found.value) == (Verdict.INCONCLUSIVE, 100)
    nothing = judge(gate, np.full(20, math.nan), 1)
    assert nothing.verdict is Verdict.INCONCLUSIVE
    assert math.isnan(nothing.value)


def test_measures_no_longer_than_needed():
    counts = []

    def measure(count):
        counts.append(count)
        values = np.resize([90.0, 110.0], count)
        return {"clear": values, "undecided": values}

    decide([Gate("clear", 50)], measure, 9, 60)
    assert counts == [9]
    counts.clear()
    found = decide([Gate("clear", 50), Gate("undecided", 100)], measure, 9, 60)
    assert counts == looks(9, 60)
    assert [one.verdict for one in found] == [Verdict.PASS, Verdict.INCONCLUSIVE]
    counts.clear()
    assert decide([], measure, 9, 60) == []
    assert counts == [9]


def test_a_verdict_is_kept():
    """Rounds that come later, for another gate, do not take it back."""

    def measure(count):
        return {"early": np.where(np.arange(count) < 9, 110.0, 1), "late": np.resize([1, 3], count)}

    early, late = decide([Gate("early", 100), Gate("late", 2)], measure, 9, 40)
    assert early.verdict is Verdict.PASS
    assert late.verdict is Verdict.INCONCLUSIVE


def test_too_few_rounds():
    with pytest.raises(ValueError, match="8 rounds; an interval needs at least 9"):
        decide([], lambda count: {}, 8)


def test_overall():
    assert overall([]) is Verdict.PASS
    assert overall([Verdict.PASS, Verdict.INCONCLUSIVE]) is Verdict.INCONCLUSIVE
    assert overall([Verdict.INCONCLUSIVE, Verdict.FAIL]) is Verdict.FAIL


def coverage(count: int, rank: int) -> float:
    """How often the rank-th smallest and largest of `count` values enclose the median."""
    below = sum(math.comb(count, number) for number in range(rank))
    return 1 - 2 * below / 2**count


def rank_of(count: int) -> int:
    low, high = order_bounds(np.arange(1, count + 1), 0.025)
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
def test_bounds_enclose_the_median_in_any_order(values):
    low, high = order_bounds(np.array(values), 0.025)
    assert low <= np.median(values) <= high
    assert {low, high} <= set(values)
    assert order_bounds(np.array(values[::-1]), 0.025) == (low, high)


def test_one_disturbed_round_does_not_move_the_bounds():
    calm_rounds = np.full(9, 2.0)
    disturbed = calm_rounds.copy()
    disturbed[4] = 1e9
    assert order_bounds(disturbed, 0.025) == order_bounds(calm_rounds, 0.025) == (2, 2)


def test_what_lies_between_two_values_passes_above_both_and_fails_below_both():
    between = np.array([np.full(9, 1.0), np.full(9, 3.0)])
    for threshold, verdict in (
        (3, Verdict.PASS), (2.9, Verdict.INCONCLUSIVE), (1, Verdict.INCONCLUSIVE),
        (0.9, Verdict.FAIL),
    ):  # fmt: skip
        found = judge(Gate("max_p90_ms", threshold, True), between, 1)
        assert found.verdict is verdict
        assert (found.low, found.high) == (1, 3)
        assert math.isnan(found.value)
    # A round of which one bound is missing says nothing.
    between[1, 3:] = math.nan
    assert judge(Gate("max_p90_ms", 9, True), between, 1).verdict is Verdict.INCONCLUSIVE
