"""Gates: each at, above and below its threshold, and what a refusal says."""

import json

import pytest

from tests.similarity.report_documents import report
from tools.errors import InputError
from tools.similarity.gates import NOT_REPRESENTATIVE, check_gates, failure_lines


def _failed(settings, document=None):
    verdict = check_gates(document or report(), settings)
    return {(gate["name"], gate.get("output")) for gate in verdict["gates"] if not gate["passed"]}


@pytest.mark.parametrize(
    ("passing", "failing", "names"),
    [
        ({"tolerance": 0.04}, {"tolerance": 0.039}, {("tolerance", "boxes")}),
        (
            {"tolerance": 0.04},
            {"tolerance": 0.009},
            {("tolerance", "boxes"), ("tolerance", "scores")},
        ),
        ({"worst_tolerance": 0.2}, {"worst_tolerance": 0.19}, {("worst_tolerance", "boxes")}),
        ({"max_size": 1000}, {"max_size": 999}, {("max_size", None)}),
        (
            {"min_size_reduction": 0.75},
            {"min_size_reduction": 0.76},
            {("min_size_reduction", None)},
        ),
        ({"max_score_error": 0.02}, {"max_score_error": 0.019}, {("max_score_error", None)}),
        ({"max_box_error_px": 0.5}, {"max_box_error_px": 0.49}, {("max_box_error_px", None)}),
        ({"min_sqnr_db": 20}, {"min_sqnr_db": 20.1}, {("min_sqnr_db", "boxes")}),
        (
            {"tolerance": {"boxes": 0.05, "*": 0.02}},
            {"tolerance": {"boxes": 0.05, "*": 0.005}},
            {("tolerance", "scores")},
        ),
        ({"tolerance": {"scores": 0.02}}, {"tolerance": {"scores": 0}}, {("tolerance", "scores")}),
    ],
)
def test_thresholds(passing, failing, names):
    assert _failed(passing) == set()
    assert _failed(failing) == names


def test_smaller_than_source_means_smaller():
    assert _failed({"smaller_than_source": True}) == set()
    equal = report(source={"bytes": 1000, "sha256": "c" * 64})
    assert _failed({"smaller_than_source": True}, equal) == {("smaller_than_source", None)}
    assert _failed({"smaller_than_source": False}, equal) == set()


def test_gates_that_are_off_are_not_judged():
    settings = dict.fromkeys(("tolerance", "max_size", "max_box_error_px", "min_sqnr_db"))
    verdict = check_gates(report(), settings)
    assert [gate["name"] for gate in verdict["gates"]] == ["representative_data"]
    assert verdict["passed"] is True


def test_no_error_passes_any_sqnr_and_noise_without_signal_none():
    document = report()
    output = document["similarity"]["outputs"][0]
    output["sqnr_db"] = None
    assert _failed({"min_sqnr_db": 20}, document) == {("min_sqnr_db", "boxes")}
    output["max_abs_error"] = 0.0
    assert _failed({"min_sqnr_db": 20}, document) == set()


def _with_task(**changes):
    document = report()
    document["similarity"]["task"].update(changes)
    return document


def test_a_float_model_that_sees_nothing_proves_nothing():
    document = _with_task(positives=0, negatives=3, box_error_px_mean=None, box_error_px_max=None)
    verdict = check_gates(document, {"tolerance": 0.05, "max_box_error_px": 1})
    assert not verdict["passed"]
    lines = failure_lines(verdict, "report.json")
    assert NOT_REPRESENTATIVE in lines[1]
    assert len(lines) == 3


def test_a_refusal_says_the_worst_in_three_lines():
    verdict = check_gates(report(), {"tolerance": 0.03, "worst_tolerance": 0.01, "max_size": 900})
    assert failure_lines(verdict, "bazel-out/face_int8.report.json") == [
        "face_int8: refused, 4 of 6 gates failed; worst: worst_tolerance of output boxes",
        "  1 - worst cosine similarity is 0.2, allowed 0.01 (worst sample face_0003.png)",
        "  all values: bazel-out/face_int8.report.json",
    ]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_size": 900}, "1,000 bytes, allowed 900"),
        ({"min_size_reduction": 0.8}, "75.0% smaller than the float master, wanted 80.0%"),
        ({"max_score_error": 0.01}, "mean score error 0.02, allowed 0.01"),
        ({"max_box_error_px": 0.1}, "mean box error 0.5 px, allowed 0.1 px"),
        ({"min_sqnr_db": 40}, "SQNR 20 dB, wanted 40 dB"),
        ({"tolerance": 0.01}, "1 - mean cosine similarity is 0.04, allowed 0.01"),
    ],
)
def test_reasons(settings, reason):
    assert reason in failure_lines(check_gates(report(), settings), "r")[1]


@pytest.mark.parametrize(
    ("settings", "document", "message"),
    [
        ({"tolerence": 0.1}, report(), "no gate tolerence"),
        ({"tolerance": {"box": 0.1}}, report(), "names the output box; the model's are boxes, sc"),
        ({"tolerance": "0.1"}, report(), "tolerance = '0.1'; give a number"),
        ({"max_size": True}, report(), "give a number"),
        ({"smaller_than_source": True}, report(source=None), "names no source"),
        (
            {"max_score_error": 0.1},
            report(similarity=report()["similarity"] | {"task": None}),
            "task = detection",
        ),
    ],
)
def test_gates_that_cannot_be_judged(settings, document, message):
    with pytest.raises(InputError, match=message):
        check_gates(document, settings, "gates.json")


def test_a_verdict_is_json():
    verdict = check_gates(report(), {"tolerance": 0.05, "min_sqnr_db": 10})
    assert json.loads(json.dumps(verdict)) == verdict
    assert verdict["kind"] == "rules_quantize.verdict"
    assert verdict["schema_version"] == 1
