"""Gates: each at, above and below its threshold, and what a refusal says."""

import json
import math
import re
from dataclasses import replace

import pytest

from tests.refused import refused
from tests.similarity.report_documents import (
    BOXES,
    CLASSIFICATION,
    DETECTION,
    LANDMARKS,
    LAYERS,
    SCORES,
    SEGMENTATION,
    report,
    report_of,
    report_with,
)
from tools.documents.document import read_document, write_document
from tools.documents.models import FileIdentity
from tools.documents.report import ChannelGroupFigures, MinRuntime, OperatorRuntime
from tools.documents.verdict import Verdict
from tools.similarity.gate_definitions import QUALITY_GATES
from tools.similarity.gates import (
    NOT_REPRESENTATIVE,
    Evidence,
    answers_alone,
    check_gates,
    failure_lines,
    table_lines,
)


def _judged(settings, document=None):
    return check_gates(Evidence.of(document or report()), settings, "gates.json")


def _failed(settings, document=None):
    return {(gate.name, gate.output) for gate in _judged(settings, document).failed()}


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
        ({"max_size_bytes": 1000}, {"max_size_bytes": 999}, {("max_size_bytes", None)}),
        (
            {"min_size_reduction": 0.75},
            {"min_size_reduction": 0.76},
            {("min_size_reduction", None)},
        ),
        ({"max_score_error": 0.02}, {"max_score_error": 0.019}, {("max_score_error", None)}),
        ({"max_box_error_px": 0.5}, {"max_box_error_px": 0.49}, {("max_box_error_px", None)}),
        ({"min_sqnr_db": 20}, {"min_sqnr_db": 20.1}, {("min_sqnr_db", "boxes")}),
        ({"p5_tolerance": 0.1}, {"p5_tolerance": 0.09}, {("p5_tolerance", "boxes")}),
        ({"max_scale_error": 0.05}, {"max_scale_error": 0.04}, {("max_scale_error", "boxes")}),
        ({"max_abs_error": 3}, {"max_abs_error": 2.9}, {("max_abs_error", "boxes")}),
        (
            {"max_mean_abs_error": {"boxes": 0.5, "scores": 0.1}},
            {"max_mean_abs_error": {"boxes": 0.4}},
            {("max_mean_abs_error", "boxes")},
        ),
        (
            {"max_keypoint_error_px": 0.4},
            {"max_keypoint_error_px": 0.39},
            {("max_keypoint_error_px", None)},
        ),
        (
            {"max_worst_keypoint_error_px": 1.6},
            {"max_worst_keypoint_error_px": 1.5},
            {("max_worst_keypoint_error_px", None)},
        ),
        ({"min_box_iou": 0.9}, {"min_box_iou": 0.91}, {("min_box_iou", None)}),
        ({"min_precision": 0.75}, {"min_precision": 0.76}, {("min_precision", None)}),
        ({"min_recall": 0.6}, {"min_recall": 0.61}, {("min_recall", None)}),
        ({"min_positives": 2}, {"min_positives": 3}, {("min_positives", None)}),
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


def _failed_tasks(settings, *tasks):
    verdict = _judged(settings, report_of(*tasks))
    return {(gate.name, gate.task) for gate in verdict.failed()}


@pytest.mark.parametrize(
    ("gate", "threshold", "beyond"),
    [
        ("max_landmark_error", 0.02, 0.019),
        ("max_landmark_error_px", 1.5, 1.4),
        ("max_worst_landmark_error", 0.2, 0.19),
        ("max_worst_landmark_error_px", 9, 8.9),
        ("max_world_error_mm", 5, 4.9),
        ("max_worst_world_error_mm", 20, 19),
        ("max_presence_error", 0.04, 0.03),
        ("min_precision", 0.9, 0.91),
        ("min_recall", 0.8, 0.81),
        ("min_segmentation_iou", 0.95, 0.96),
        ("min_soft_iou", 0.94, 0.95),
        ("min_top1_agreement", 0.9, 0.91),
        ("min_top5_agreement", 0.99, 0.995),
        ("min_accuracy", 0.76, 0.77),
    ],
)
def test_gates_of_tasks(gate, threshold, beyond):
    tasks = (LANDMARKS, SEGMENTATION, CLASSIFICATION)
    assert _failed_tasks({gate: threshold}, *tasks) == set()
    ((name, task),) = _failed_tasks({gate: beyond}, *tasks)
    assert name == gate
    assert task in {"landmarks", "segmentation", "classification"}


def test_two_tasks_of_a_kind_have_thresholds_of_their_own():
    eye, iris = (replace(LANDMARKS, name=name) for name in ("eye", "iris"))
    gate = "max_landmark_error"
    assert _failed_tasks({gate: {"eye": 0.01}}, eye, iris) == {(gate, "eye")}
    assert _failed_tasks({gate: {"eye": 0.03, "*": 0.01}}, eye, iris) == {(gate, "iris")}
    with refused("gate.unknown", "task nose; the model's are eye, iris"):
        _failed_tasks({gate: {"nose": 0.01}}, eye, iris)


@pytest.mark.parametrize(
    ("passing", "failing"),
    [
        # (0.8 - 0.76), and in percent of 0.8.
        ({"max_degradation": {"accuracy": 0.041}}, {"max_degradation": {"accuracy": 0.039}}),
        (
            {"max_degradation_percent": {"accuracy": 5.01}},
            {"max_degradation_percent": {"accuracy": 4.99}},
        ),
        # The float model's own cosine, recall and IoU are 1, its errors 0.
        ({"max_degradation": {"cosine": 0.041}}, {"max_degradation": {"cosine": 0.039}}),
        (
            {"max_degradation_percent": {"recall": 20.1}},
            {"max_degradation_percent": {"recall": 19.9}},
        ),
        (
            {"max_degradation": {"segmentation_iou": 0.051, "landmark_error": 0.02}},
            {"max_degradation": {"segmentation_iou": 0.051, "landmark_error": 0.019}},
        ),
        (
            {"max_degradation": {"cosine": {"scores": 0.02}}},
            {"max_degradation": {"cosine": {"scores": 0.02, "*": 0.01}}},
        ),
    ],
)
def test_degradation_is_against_the_float_models_own_value(passing, failing):
    tasks = (LANDMARKS, SEGMENTATION, CLASSIFICATION)
    assert _failed_tasks(passing, *tasks) == set()
    ((name, _),) = _failed_tasks(failing, *tasks)
    assert {name} == set(failing)
    verdict = _judged(failing, report_of(*tasks))
    assert "is worse than the float model's by" in failure_lines(verdict, "r")[1]


def test_a_better_artifact_has_not_degraded():
    better = replace(CLASSIFICATION, accuracy=0.9)
    settings = {"max_degradation": {"accuracy": 0}, "max_degradation_percent": {"accuracy": 0}}
    assert _failed_tasks(settings, better) == set()


_TASKS = (CLASSIFICATION, DETECTION, LANDMARKS, SEGMENTATION)


@pytest.mark.parametrize("metric", QUALITY_GATES["max_jpeg_ratio"].metrics())
def test_a_metric_may_change_so_many_times_as_much_as_by_jpeg(metric):
    # report_documents: each changes by twice as much.
    document = report_of(*_TASKS)
    verdict = _judged({"max_jpeg_ratio": {metric: 2}}, document)
    judged = [gate for gate in verdict.gates if gate.name == "max_jpeg_ratio"]
    assert judged
    assert verdict.passed
    for gate in judged:
        assert (gate.metric, gate.value) == (metric, 2)
    verdict = _judged({"max_jpeg_ratio": {metric: 1.99}}, document)
    assert {(gate.name, gate.metric) for gate in verdict.failed()} == {("max_jpeg_ratio", metric)}


def test_a_refusal_says_how_many_times_jpeg_it_is():
    verdict = _judged({"max_jpeg_ratio": {"box_iou": 1.5}})
    assert failure_lines(verdict, "r")[1] == (
        "  max_jpeg_ratio of task detection: mean IoU of boxes changes 2 times as much as by "
        "saving the images as JPEG, allowed 1.5"
    )
    (row,) = [line for line in table_lines(verdict) if line.startswith("max_jpeg_ratio")]
    assert row.split("  ")[1].strip() == "box_iou of task detection"


def _ratios(setting, *tasks):
    gates = _judged({"max_jpeg_ratio": setting}, report_of(*tasks)).gates
    return {(gate.metric, gate.task) for gate in gates if gate.name == "max_jpeg_ratio"}


def test_a_number_is_of_every_metric_that_a_task_has():
    of_masks = {("segmentation_iou", "segmentation"), ("soft_iou", "segmentation")}
    assert _ratios(2, SEGMENTATION) == of_masks
    assert len(_ratios(2, *_TASKS)) == 2 + 2 + 6 + 6
    # A detector without keypoints has none, and is judged by the rest.
    none = {"keypoint_error_px_max": None, "keypoint_error_px_mean": None}
    without = replace(DETECTION, jpeg=DETECTION.jpeg | none, **none)
    assert len(_ratios(2, without)) == 5


def test_what_is_named_goes_before_the_others():
    assert _ratios({"soft_iou": 2}, *_TASKS) == {("soft_iou", "segmentation")}
    assert _ratios({"*": 2, "soft_iou": None}, SEGMENTATION) == {
        ("segmentation_iou", "segmentation")
    }
    assert _failed_tasks({"max_jpeg_ratio": {"*": 1, "soft_iou": 3}}, SEGMENTATION) == {
        ("max_jpeg_ratio", "segmentation")
    }
    by_task = {"*": {"landmarks": 2}, "soft_iou": {"segmentation": 2}}
    assert {task for _, task in _ratios(by_task, *_TASKS)} == {"landmarks", "segmentation"}
    with refused("gate.unknown", "max_jpeg_ratio names the task nose"):
        _ratios({"*": {"nose": 2}}, *_TASKS)


def test_no_change_is_no_multiple_of_jpegs():
    perfect = replace(SEGMENTATION, iou_mean=1.0, soft_iou_mean=1.0)
    assert _failed_tasks({"max_jpeg_ratio": 0}, perfect) == set()
    same = replace(perfect, jpeg=dict.fromkeys(SEGMENTATION.jpeg, 1.0))
    assert _failed_tasks({"max_jpeg_ratio": 0}, same) == set()


def test_an_artifact_that_finds_nothing_changes_as_much_as_can_be():
    document = _with_task(artifact_boxes=0, box_precision=None, box_iou_mean=None, box_recall=0.0)
    verdict = _judged({"max_jpeg_ratio": {"box_iou": 2}}, document)
    # 1 - 0 against 1 - 0.95.
    assert [gate.value for gate in verdict.failed()] == [20]


def test_an_artifact_that_finds_nothing_has_no_precision():
    document = _with_task(artifact_boxes=0, box_precision=None, box_iou_mean=None, box_recall=0.0)
    for gate in ("min_precision", "min_box_iou", "min_recall"):
        assert _failed({gate: 0.5}, document) == {(gate, None)}


def test_the_keypoints_of_boxes_that_are_not_there_are_far_off():
    document = _with_task(keypoint_error_px_max=None, keypoint_error_px_mean=None, matched_boxes=0)
    for gate in ("max_keypoint_error_px", "max_worst_keypoint_error_px"):
        assert _failed({gate: 50}, document) == {(gate, None)}
    # A detector that finds its boxes and has no keypoints is not judged by them.
    document = _with_task(keypoint_error_px_mean=None)
    with refused("gate.not_judged", "max_keypoint_error_px needs keypoint_error_px_mean"):
        _failed({"max_keypoint_error_px": 50}, document)


def test_the_worst_layer():
    assert _failed({"min_layer_correlation": 0.9}) == set()
    verdict = _judged({"min_layer_correlation": 0.91})
    assert (
        "layer conv2d_5 has a correlation of 0.9 with the float model's, wanted 0.91"
        in (failure_lines(verdict, "r")[1])
    )
    # An artifact from elsewhere has other names.
    for layers in (None, replace(LAYERS, correlation_min=None, worst=None)):
        assert _failed({"min_layer_correlation": 0.5}, report_with(layers=layers)) == set()
        with refused("gate.not_judged", "min_layer_correlation"):
            _judged({"min_layer_correlation": 0.91}, report_with(layers=layers))


def test_a_gate_that_judges_nothing_is_refused():
    with refused("gate.not_judged", "min_positives"):
        _judged({"min_positives": 3}, report_of())
    # As does a rule, which writes what holds by default.
    assert _judged({"min_positives": 1}, report_of()).passed
    assert _judged({"min_positives": None}, report_of()).passed


@pytest.mark.parametrize(
    "settings",
    [
        {"tolerance": {}},
        {"min_recall": {}},
        {"max_degradation": {}},
        {"max_degradation": {"cosine": {}}},
        {"max_jpeg_ratio": {"recall": {}}},
    ],
)
def test_an_object_without_a_threshold_is_refused(settings):
    with refused("gate.value", next(iter(settings))):
        _judged(settings)


@pytest.mark.parametrize("gate", ["tolerance", "max_size_bytes", "min_sqnr_db", "max_abs_error"])
def test_a_threshold_of_hundreds_of_digits_is_refused(gate):
    with refused("gate.value", gate):
        _judged({gate: 10**400})


def test_a_change_beyond_every_number_fails():
    huge = replace(BOXES, max_abs_error=1e308, mean_abs_error=1e308)
    verdict = _judged({"max_degradation": {"max_abs_error": 1}}, report_with(outputs=(huge,)))
    assert not verdict.passed
    assert json.loads(verdict.text())["passed"] is False
    assert failure_lines(verdict, "r")


def test_zero_has_no_sign():
    exact = replace(BOXES, cosine_mean=1.0)
    verdict = _judged({"tolerance": -0.0}, report_with(outputs=(exact,)))
    assert verdict.passed
    assert "-0" not in "\n".join(table_lines(verdict))


def _needing(version, *unknown):
    operators = (OperatorRuntime("CONV_2D", version, 3),) if version else ()
    return report(min_runtime=MinRuntime(operators, unknown, version))


@pytest.mark.parametrize(
    ("needed", "wanted", "passed"),
    [
        ("2.9.0", "2.10.0", True),
        ("2.10.0", "2.9.0", False),
        ("2.10.0", "2.10", True),
        ("1.14.0", "2.0", True),
        (None, "1.5.0", True),
    ],
)
def test_oldest_runtime_orders_versions_by_their_numbers(needed, wanted, passed):
    verdict = _judged({"oldest_runtime": wanted}, _needing(needed))
    (gate,) = [gate for gate in verdict.gates if gate.name == "oldest_runtime"]
    assert gate.passed == passed
    if not passed:
        lines = failure_lines(verdict, "r")
        assert lines[1] == (
            f"  oldest_runtime: CONV_2D needs TensorFlow Lite {needed}, wanted {wanted} or older"
        )


@pytest.mark.parametrize(
    ("document", "wanted", "code", "says"),
    [
        (
            _needing("2.9.0"),
            2.9,
            "gate.value",
            'oldest_runtime = 2.9; give a version such as "2.7.0"',
        ),
        (_needing("2.9.0"), "new", "gate.value", "oldest_runtime = 'new'; give a version"),
        (
            _needing("2.9.0", "Bias"),
            "2.9.0",
            "gate.not_judged",
            "nobody says since when TensorFlow Lite has Bias",
        ),
    ],
)
def test_oldest_runtime_that_cannot_be_judged(document, wanted, code, says):
    with refused(code, re.escape(says)):
        _judged({"oldest_runtime": wanted}, document)


def test_smaller_than_source_means_smaller():
    assert _failed({"smaller_than_source": True}) == set()
    equal = report(source=FileIdentity(1000, "c" * 64))
    assert _failed({"smaller_than_source": True}, equal) == {("smaller_than_source", None)}
    assert _failed({"smaller_than_source": False}, equal) == set()


def test_gates_that_are_off_are_not_judged():
    settings = dict.fromkeys(("tolerance", "max_size_bytes", "max_box_error_px", "min_sqnr_db"))
    verdict = _judged(settings)
    assert [gate.name for gate in verdict.gates] == ["min_positives"]
    assert verdict.passed is True


def test_channels_that_are_orders_of_magnitude_smaller_are_judged_too():
    groups = (
        ChannelGroupFigures("0-3", 0.999, 0.99, 0.999, "face_0001.png"),
        ChannelGroupFigures("4-83", 0.9, 0.2, 0.3, "face_0002.png"),
    )
    document = report_with(outputs=(replace(SCORES, channel_groups=groups),))
    for name, loss in (("tolerance", "0.1"), ("worst_tolerance", "0.8"), ("p5_tolerance", "0.7")):
        verdict = _judged({name: 0.05}, document)
        (failed,) = [gate for gate in verdict.failed() if gate.channels]
        assert (failed.output, failed.channels) == ("scores", "4-83")
        (line,) = [line for line in failure_lines(verdict, "r") if "channels" in line]
        assert line.startswith(f"  {name} of output scores, channels 4-83: ")
        assert f"is {loss}, allowed 0.05 (worst sample face_0002.png)" in line
    assert _judged({"tolerance": 0.2}, document).passed


def test_no_error_passes_any_sqnr_and_noise_without_signal_none():
    noisy = replace(BOXES, sqnr_db=None)
    for output, failed in (
        (noisy, {("min_sqnr_db", "boxes")}),
        (replace(noisy, max_abs_error=0.0), set()),
    ):
        assert _failed({"min_sqnr_db": 20}, report_with(outputs=(output, SCORES))) == failed


def _with_task(**changes):
    return report_of(replace(DETECTION, **changes))


def test_a_float_model_that_sees_nothing_proves_nothing():
    document = _with_task(positives=0, negatives=3, box_error_px_mean=None, box_error_px_max=None)
    verdict = _judged({"tolerance": 0.05, "max_box_error_px": 1}, document)
    assert not verdict.passed
    lines = failure_lines(verdict, "report.json")
    assert NOT_REPRESENTATIVE in lines[1]
    assert len(lines) == 3


_REFUSED = {"tolerance": 0.03, "worst_tolerance": 0.01, "max_size_bytes": 900}


def test_a_refusal_names_every_failed_gate_the_worst_first():
    lines = failure_lines(_judged(_REFUSED), "bazel-out/face_int8.report.json")
    assert lines[:2] == [
        "face_int8: refused, 4 of 6 gates failed",
        "  worst_tolerance of output boxes: 1 - worst cosine similarity is 0.2, allowed 0.01 "
        "(worst sample face_0003.png)",
    ]
    assert [line.split(":")[0] for line in lines[1:5]] == [
        "  worst_tolerance of output boxes",
        "  worst_tolerance of output scores",
        "  tolerance of output boxes",
        "  max_size_bytes",
    ]
    assert lines[4:] == [
        "  max_size_bytes: 1,000 bytes, allowed 900 bytes",
        "  all values: bazel-out/face_int8.report.json",
    ]


def test_a_refusal_names_the_command_for_the_layers():
    command = "bazel build --output_groups=layers //:face_int8"
    lines = failure_lines(_judged(_REFUSED), "r", command)
    assert lines[-2:] == ["  all values: r", f"  error by layer: {command}"]


def test_a_table_holds_every_gate():
    settings = _REFUSED | {
        "max_degradation": {"cosine": {"boxes": 0.5}},
        "min_layer_correlation": 0.5,
        "min_size_reduction": 0.8,
        "oldest_runtime": "2.17",
    }
    document = _needing("2.10.0")
    verdict = _judged(settings, document)
    first, *rows = table_lines(verdict)
    assert first.split() == ["gate", "of", "value", "limit", "passed"]
    assert [row.split()[0] for row in rows] == [gate.name for gate in verdict.gates]
    assert [row.endswith("yes") for row in rows] == [gate.passed for gate in verdict.gates]
    cells = {row.split()[0]: re.split(" {2,}", row)[1:] for row in rows}
    assert cells["max_size_bytes"] == ["1,000 bytes", "at most 900 bytes", "NO"]
    assert cells["min_size_reduction"] == ["75.0%", "at least 80.0%", "NO"]
    assert cells["oldest_runtime"] == ["2.10.0", "at most 2.17", "yes"]
    assert cells["min_layer_correlation"] == ["layer conv2d_5", "0.9", "at least 0.5", "yes"]
    assert cells["max_degradation"][0] == "cosine of output boxes"


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        ({"max_score_error": 0.019999}, "mean score error 0.02, allowed 0.019999"),
        ({"min_size_reduction": 0.7501}, "75.00% smaller than the float master, wanted 75.01%"),
    ],
)
def test_a_value_just_beyond_its_threshold_does_not_read_as_equal(bound, words):
    assert words in failure_lines(_judged(bound), "r")[1]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_size_bytes": 900}, "1,000 bytes, allowed 900 bytes"),
        ({"min_size_reduction": 0.8}, "75.0% smaller than the float master, wanted 80.0%"),
        ({"max_score_error": 0.01}, "mean score error 0.02, allowed 0.01"),
        ({"max_box_error_px": 0.1}, "mean box error 0.5 px, allowed 0.1 px"),
        ({"min_sqnr_db": 40}, "SQNR 20 dB, wanted 40 dB"),
        ({"tolerance": 0.01}, "1 - mean cosine similarity is 0.04, allowed 0.01"),
    ],
)
def test_reasons(settings, reason):
    assert reason in failure_lines(_judged(settings), "r")[1]


@pytest.mark.parametrize(
    ("settings", "document", "code", "says"),
    [
        ({"tolerence": 0.1}, report(), "gate.unknown", "no gate tolerence; near it: tolerance"),
        (
            {"tolerance": {"box": 0.1}},
            report(),
            "gate.unknown",
            "names the output box; the model's are boxes, sc",
        ),
        ({"tolerance": "0.1"}, report(), "gate.value", "tolerance = '0.1'; give a number"),
        (
            {"max_size_bytes": True},
            report(),
            "gate.value",
            "max_size_bytes = True; give a whole number from 1",
        ),
        ({"max_size_bytes": 1.5}, report(), "gate.value", "give a whole number from 1"),
        (
            {"min_positives": 0},
            report(),
            "gate.value",
            "min_positives = 0; give a whole number from 1",
        ),
        ({"tolerance": -1}, report(), "gate.value", "tolerance = -1; give a number from 0 to 2"),
        ({"tolerance": 5}, report(), "gate.value", "tolerance = 5; give a number from 0 to 2"),
        (
            {"tolerance": {"boxes": math.nan}},
            report(),
            "gate.value",
            "tolerance of boxes = nan; give a number",
        ),
        (
            {"min_box_iou": 1.5},
            report(),
            "gate.value",
            "min_box_iou = 1.5; give a number from 0 to 1",
        ),
        (
            {"smaller_than_source": 1},
            report(),
            "gate.value",
            "smaller_than_source = 1; give True or False",
        ),
        ({"smaller_than_source": True}, report(source=None), "gate.not_judged", "names no source"),
        (
            {"max_score_error": 0.1},
            report_of(),
            "gate.not_judged",
            r"give the float_model task = detection\(",
        ),
        (
            {"min_segmentation_iou": 0.9},
            report_of(LANDMARKS),
            "gate.not_judged",
            r"task = segmentation\(",
        ),
        (
            {"max_world_error_mm": 1},
            report_of(replace(LANDMARKS, world_error_mm_mean=None)),
            "gate.not_judged",
            "needs world",
        ),
        (
            {"min_precision": 1},
            report_of(replace(LANDMARKS, precision=None, presence_error_mean=None)),
            "gate.not_judged",
            "needs precision, which the landmarks task of this model does not give",
        ),
        ({"max_degradation": 0.1}, report(), "gate.value", "give a dict of thresholds by metric"),
        (
            {"max_jpeg_ratio": 2},
            report_of(),
            "gate.not_judged",
            "max_jpeg_ratio needs to know how outputs are decoded",
        ),
        (
            {"max_jpeg_ratio": 2},
            report_of(replace(SEGMENTATION, jpeg=None)),
            "gate.not_judged",
            "the test data are no images; leave the gate out",
        ),
        (
            {"max_jpeg_ratio": 2},
            report_of(replace(SEGMENTATION, jpeg=SEGMENTATION.jpeg | {"iou_mean": 1.0})),
            "gate.not_judged",
            "max_jpeg_ratio of segmentation_iou of the segmentation task cannot be judged: saving "
            "the test images as JPEG does not change it",
        ),
        (
            {"max_jpeg_ratio": 2},
            report_of(replace(DETECTION, jpeg=DETECTION.jpeg | {"keypoint_error_px_mean": None})),
            "gate.not_judged",
            "keypoint_error_px of the detection task cannot be judged: .* leaves nothing",
        ),
        (
            {"max_jpeg_ratio": {"soft_iou": 2}},
            report_of(DETECTION),
            "gate.not_judged",
            r"task = segmentation\(",
        ),
        ({"max_jpeg_ratio": -1}, report(), "gate.value", "max_jpeg_ratio = -1; give a number"),
        (
            {"max_jpeg_ratio": {"soft_io": 2}},
            report(),
            "gate.unknown",
            "max_jpeg_ratio: no metric soft_io; near it: soft_iou",
        ),
        (
            {"max_jpeg_ratio": {"accuracy": 2}},
            report(),
            "gate.not_judged",
            "max_jpeg_ratio of accuracy: it holds means of tasks that are perfect where both",
        ),
        (
            {"max_jpeg_ratio": {"*": "x"}},
            report(),
            "gate.value",
            r"max_jpeg_ratio of \* = 'x'; give a number",
        ),
        (
            {"max_degradation": {"recal": 0.1}},
            report(),
            "gate.unknown",
            "max_degradation: no metric recal; near it: recall",
        ),
        (
            {"max_degradation": {"recall": "x"}},
            report(),
            "gate.value",
            "of recall = 'x'; give a number",
        ),
        (
            {"max_degradation": {"sqnr_db": 1}},
            report(),
            "gate.not_judged",
            "own sqnr_db is infinite",
        ),
        (
            {"max_degradation_percent": {"box_error_px": 1}},
            report(),
            "gate.not_judged",
            "own box_error_px is 0",
        ),
        (
            {"min_positives": "all"},
            report(),
            "gate.value",
            "min_positives = 'all'; give a whole number from 1",
        ),
    ],
)
def test_gates_that_cannot_be_judged(settings, document, code, says):
    with refused(code, says):
        _judged(settings, document)


def test_a_verdict_is_read_as_it_was_written(tmp_path):
    verdict = _judged({"max_size_bytes": 1, "oldest_runtime": "2.9", "tolerance": 0.05})
    write_document(tmp_path / "verdict.json", verdict)
    assert read_document(tmp_path / "verdict.json", Verdict) == verdict


def test_gates_of_the_file_are_not_of_what_it_answers():
    settings = {
        "max_size_bytes": 1,
        "min_layer_correlation": 0.9999,
        "min_size_reduction": 0.99,
        "oldest_runtime": "1.0.0",
        "smaller_than_source": True,
        "tolerance": 0.04,
    }
    assert len({name for name, _ in _failed(settings)}) > 3
    kept = {gate.name for gate in _judged(answers_alone(settings)).gates}
    assert kept == {"min_positives", "tolerance"}
    assert _failed(answers_alone(settings | {"tolerance": 0.009})) == {
        ("tolerance", "boxes"),
        ("tolerance", "scores"),
    }
    with refused("gate.unknown"):
        _judged(answers_alone({"tolerence": 1}))


@pytest.mark.parametrize(("share", "least"), [(1, 8), (0.5, 4), (0.3, 2), (0.01, 1)])
def test_of_fewer_samples_fewer_must_show_something(share, least):
    assert answers_alone({"min_positives": 8}, share)["min_positives"] == least
