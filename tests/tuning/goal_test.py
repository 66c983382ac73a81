"""What reaches a goal, what is chosen, and what stays on the front."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.refused import refused
from tests.similarity.report_documents import BOXES, MIN_RUNTIME
from tools.documents.report import Similarity
from tools.documents.verdict import JudgedGate
from tools.tuning.goal import (
    Candidate,
    Goal,
    Made,
    chosen,
    judge,
    missed_by,
    pareto_front,
    share_used,
)


def similarity(**cosines: float) -> Similarity:
    outputs = tuple(
        replace(BOXES, name=name, cosine_mean=cosine, cosine_min=cosine)
        for name, cosine in cosines.items()
    )
    return Similarity(layers=None, outputs=outputs, samples=4, tasks=())


def made(**cosines: float) -> Made:
    return Made(50, "a" * 64, similarity(**cosines), MIN_RUNTIME)


def candidate(name: str = "c", size: int = 100, loss: float = 0.5, **others) -> Candidate:
    values = {"missed": [], "speedup": 1.0, "fps": 100.0} | others
    return Candidate(name, {}, size, name, similarity(a=0.99), loss, loss, **values)


@pytest.mark.parametrize(
    ("name", "value", "threshold", "share"),
    [
        ("tolerance", 0.01, 0.05, 0.2),
        ("min_sqnr_db", 20, 10, 0.5),
        ("max_size_bytes", 1, 2, None),
        ("tolerance", 0.1, 0, float("inf")),
        ("tolerance", 0.0, 0, 0),
        ("oldest_runtime", "2.9.0", "2.10", None),
    ],
)
def test_shares_of_thresholds(name, value, threshold, share):
    assert share_used(JudgedGate(name, True, threshold, value)) == pytest.approx(share)


def test_strain_is_the_worst_and_loss_the_mean():
    goal = Goal({"tolerance": 0.1})
    strain, loss, missed = judge(goal, made(a=0.98, b=0.94), 100, None)
    assert strain == pytest.approx(0.6)
    assert loss == pytest.approx(0.4)
    assert missed == []


def test_every_gate_that_does_not_hold_is_named():
    goal = Goal({"tolerance": 0.01, "max_size_bytes": 40, "smaller_than_source": True})
    _, _, missed = judge(goal, made(a=0.98), 100, 45)
    assert missed == ["max_size_bytes", "smaller_than_source", "tolerance"]


def test_a_source_that_is_not_known_is_not_compared_with():
    _, _, missed = judge(Goal({"smaller_than_source": True}), made(a=1.0), 100, None)
    assert missed == []


def test_speed_counts_only_when_it_was_measured():
    goal = Goal({}, min_speedup=1.5, min_fps=200)
    assert missed_by(goal, candidate(speedup=2.0, fps=300.0)) == []
    assert missed_by(goal, candidate(speedup=None, fps=None)) == ["min_speedup", "min_fps"]
    undecided = candidate(missed=["tolerance"], speedup=1.6, missed_speed=["min_speedup"])
    assert missed_by(goal, undecided) == ["tolerance", "min_speedup"]


@pytest.mark.parametrize(
    ("optimise", "expected"), [("size", "small"), ("speed", "fast"), ("similarity", "alike")]
)
def test_the_best_of_those_that_reach_the_goal(optimise, expected):
    candidates = [
        candidate("small", 10, 0.9, speedup=1.0),
        candidate("fast", 30, 0.8, speedup=3.0),
        candidate("alike", 50, 0.1, speedup=0.9),
        candidate("smallest", 1, 0.9, missed=["tolerance"]),
        candidate("untimed", 1, 0.0, speedup=None),
    ]
    assert chosen(Goal({}, optimise=optimise), candidates).name == expected


def test_nothing_is_chosen_when_nothing_reaches_the_goal():
    goal = Goal({}, min_speedup=9.0)
    assert chosen(goal, [candidate(missed_speed=["min_speedup"])]) is None


def test_what_to_optimise_must_be_known():
    with refused("flag.value", "beauty; choose one of size"):
        Goal({}, optimise="beauty")


_SMALL = st.integers(1, 4)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(_SMALL, _SMALL, _SMALL), max_size=12))
def test_the_front_beats_all_others_and_none_of_itself(points):
    candidates = [
        candidate(str(number), size, float(loss), speedup=float(speed))
        for number, (size, loss, speed) in enumerate(points)
    ]
    front = pareto_front(candidates)

    def no_worse(one: Candidate, other: Candidate) -> bool:
        return one.bytes <= other.bytes and one.loss <= other.loss and one.speedup >= other.speedup

    for one in front:
        assert not any(no_worse(other, one) for other in front if other is not one)
    for one in candidates:
        assert any(no_worse(other, one) for other in front)


def test_what_was_not_timed_may_be_on_the_front():
    slow = candidate("untimed", 200, 0.9, speedup=None)
    assert pareto_front([candidate(), slow]) == [candidate(), slow]
