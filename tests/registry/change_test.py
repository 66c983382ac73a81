import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.change import BETTER, SAME, WORSE, is_regression, judge_change


def _speedup(low, high):
    return {"speedup": (low + high) / 2, "speedup_low": low, "speedup_high": high}


@pytest.mark.parametrize(
    ("before", "after", "judged"),
    [
        (_speedup(1.4, 1.6), _speedup(1.7, 1.9), BETTER),
        (_speedup(1.4, 1.6), _speedup(1.0, 1.3), WORSE),
        # A median of 1.5 became one of 1.65, and both may be 1.6.
        (_speedup(1.4, 1.6), _speedup(1.55, 1.75), SAME),
        ({"speedup": 1.5}, {"speedup": 3.0}, None),
    ],
)
def test_speedups_are_judged_by_their_intervals(before, after, judged):
    assert judge_change("speedup", before, after, of_one_master=True) == judged
    # The float master of another architecture may be of another speed.
    assert judge_change("speedup", before, after, of_one_master=False) is None


@pytest.mark.parametrize("metric", ["fps", "latency_p50_ms", "latency_p90_ms"])
def test_two_sessions_say_nothing_of_latency(metric):
    assert judge_change(metric, {metric: 4.0}, {metric: 2.0}, of_one_master=True) is None


@pytest.mark.parametrize(
    ("metric", "old", "new", "judged"),
    [
        ("size_bytes", 10, 9, BETTER),
        ("size_bytes", 10, 11, WORSE),
        ("cosine_mean/scores", 0.9, 0.91, BETTER),
        ("task/mask/iou_mean", 0.9, 0.8, WORSE),
        ("cosine_mean/scores", 0.9, 0.9, None),
        ("task/boxes/positives", 3, 4, None),
        ("no_such_metric", 3, 4, None),
    ],
)
def test_what_is_computed_is_judged_exactly(metric, old, new, judged):
    assert judge_change(metric, {metric: old}, {metric: new}, of_one_master=False) == judged
    assert judge_change(metric, {}, {metric: new}, of_one_master=False) is None


def test_a_regression_is_one_of_the_whole_interval():
    before = _speedup(1.9, 2.1)
    assert not is_regression("speedup", before, _speedup(1.7, 1.8), 0.1)
    assert is_regression("speedup", before, _speedup(1.5, 1.7), 0.1)
    assert is_regression("size_bytes", {"size_bytes": 100}, {"size_bytes": 111}, 0.1)
    assert not is_regression("size_bytes", {"size_bytes": 100}, {"size_bytes": 110}, 0.1)
    with pytest.raises(ValueError, match="no direction"):
        is_regression("task/boxes/positives", {}, {}, 0.1)


_INTERVALS = st.tuples(st.floats(0.1, 10), st.floats(0, 5)).map(
    lambda pair: _speedup(pair[0], pair[0] + pair[1])
)


@given(before=_INTERVALS, after=_INTERVALS)
def test_what_is_worse_one_way_is_better_the_other(before, after):
    there = judge_change("speedup", before, after, of_one_master=True)
    back = judge_change("speedup", after, before, of_one_master=True)
    assert {there, back} in ({BETTER, WORSE}, {SAME})
    assert is_regression("speedup", before, after, 0.0) == (there == WORSE)
