"""The tables of gates: each can pass and can fail, and takes what means something."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, strategies

from tests.refused import refused
from tests.similarity.report_documents import (
    CLASSIFICATION,
    DETECTION,
    LANDMARKS,
    SEGMENTATION,
    report_of,
)
from tools.documents.metrics import GATED_METRICS
from tools.documents.models import FileIdentity
from tools.gate_definition import COUNT, NUMBER, SWITCH, VERSION, near
from tools.latency.gate_definitions import SPEED_GATES
from tools.similarity.gate_definitions import (
    DEFAULTS,
    QUALITY_GATES,
    check_settings,
)
from tools.similarity.gates import Evidence, check_gates, failure_lines

_GATES = QUALITY_GATES | SPEED_GATES
_UNITS = {
    " dB": "_db",
    " bytes": "_bytes",
    " mm": "_mm",
    " ms": "_ms",
    " px": "_px",
    "%": "_percent",
}


def _document(source_bytes=2000):
    """A report of a model with a task of every type, none of whose values is perfect."""
    document = report_of(DETECTION, LANDMARKS, SEGMENTATION, CLASSIFICATION)
    return replace(document, source=FileIdentity(source_bytes, "c" * 64))


def _thresholds(gate):
    """Gives the loosest and the strictest threshold that a gate takes."""
    if gate.kind == VERSION:
        return "99.0", "1.0"
    low = -1e9 if gate.least is None else gate.least
    high = 1e9 if gate.most is None else gate.most
    if gate.kind == COUNT:
        low, high = int(low), int(high)
    loose, strict = (low, high) if gate.at_least else (high, low)
    if not getattr(gate, "by_metric", False):
        return loose, strict
    return dict.fromkeys(gate.metrics(), loose), dict.fromkeys(gate.metrics(), strict)


def _judged(gate, threshold, **document):
    verdict = check_gates(Evidence.of(_document(**document)), {gate.name: threshold})
    return verdict, [one for one in verdict.gates if one.name == gate.name]


@pytest.mark.parametrize("gate", QUALITY_GATES.values(), ids=list(QUALITY_GATES))
def test_every_gate_can_pass_and_can_fail(gate):
    if gate.kind == SWITCH:
        loose = strict = True
        verdict, failed = _judged(gate, strict, source_bytes=1)
    else:
        loose, strict = _thresholds(gate)
        verdict, failed = _judged(gate, strict)
    _, passed = _judged(gate, loose)
    assert passed
    assert all(one.passed for one in passed), passed
    assert not any(one.passed for one in failed), failed
    for one in failed:
        said = failure_lines(replace(verdict, gates=(one,)), "r")[1]
        assert said.startswith(f"  {gate.name}")
        assert "{" not in said


@pytest.mark.parametrize(
    "gate",
    [gate for gate in QUALITY_GATES.values() if gate.by_name],
    ids=[gate.name for gate in QUALITY_GATES.values() if gate.by_name],
)
@given(data=strategies.data())
def test_a_gate_passes_where_its_value_is_on_the_right_side(gate, data):
    low = -1e9 if gate.least is None else gate.least
    high = 1e9 if gate.most is None else gate.most
    threshold = data.draw(strategies.floats(low, high))
    _, judged = _judged(gate, threshold)
    assert judged
    for one in judged:
        right = one.value >= threshold if gate.at_least else one.value <= threshold
        assert one.passed == right
        kind = "output" if gate.of_outputs else "task"
        assert getattr(one, kind), one


@pytest.mark.parametrize("gate", _GATES.values(), ids=list(_GATES))
def test_a_gate_takes_no_threshold_that_means_nothing(gate):
    for threshold in (math.nan, math.inf, -math.inf, "many", [], b"1"):
        assert not gate.permits(threshold), threshold
        with refused("gate.value", re.escape(f"x = {threshold!r}; give {gate.wanted}")):
            gate.check(threshold, "x")
    if gate.kind == SWITCH:
        assert gate.permits(True)
        assert not gate.permits(1)
        return
    assert not gate.permits(True)
    if gate.kind == VERSION:
        assert not gate.permits(2.7)
        return
    assert gate.permits(1.5) == (gate.kind == NUMBER and (gate.most is None or gate.most > 1))
    if gate.least is not None:
        assert not gate.permits(gate.least - 1)
        assert gate.permits(gate.least) != gate.above_least
    if gate.most is not None:
        assert not gate.permits(gate.most + 1e-9)
        assert gate.permits(gate.most)


@pytest.mark.parametrize("gate", _GATES.values(), ids=list(_GATES))
def test_a_default_is_a_threshold(gate):
    assert gate.default is None or gate.permits(gate.default)


@pytest.mark.parametrize("gate", QUALITY_GATES.values(), ids=list(QUALITY_GATES))
def test_a_unit_is_in_the_name(gate):
    unit = gate.unit or (gate.held.unit if gate.held else "")
    wanted = _UNITS.get(unit, "")
    if gate.kind != SWITCH and wanted:
        assert gate.name.endswith(wanted)
    assert not any(gate.name.endswith(end) for end in set(_UNITS.values()) - {wanted})


def test_a_gate_holds_its_metric_in_the_metrics_direction():
    held = [gate for gate in QUALITY_GATES.values() if gate.held]
    assert {gate.metric for gate in held} == set(GATED_METRICS)
    for gate in held:
        assert gate.at_least == (gate.held.higher_is_better and not gate.below_one)


def test_the_defaults_are_of_the_table():
    assert DEFAULTS == {
        "max_scale_error": 0.2,
        "min_layer_correlation": 0.5,
        "min_positives": 1,
        "tolerance": 0.05,
    }
    check_settings(DEFAULTS, "defaults")


def test_a_threshold_of_a_type_of_tasks_goes_after_a_tasks_own():
    eye, iris = (replace(LANDMARKS, name=name) for name in ("eye", "iris"))
    evidence = Evidence.of(report_of(eye, iris, DETECTION))
    verdict = check_gates(evidence, {"min_recall": {"iris": 0.7, "landmarks": 0.9}})
    judged = {gate.task: gate.threshold for gate in verdict.gates if gate.name == "min_recall"}
    assert judged == {"eye": 0.9, "iris": 0.7}


@pytest.mark.parametrize(
    ("spelt", "said"),
    [
        ("min_recal", "near it: min_recall"),
        ("max_size", "near it: max_size_bytes"),
        ("brightness", "there are max_abs_error, "),
    ],
)
def test_a_misspelt_name_is_told_what_is_near(spelt, said):
    assert near(spelt, QUALITY_GATES).startswith(said)
