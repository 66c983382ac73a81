from dataclasses import replace

import pytest

from registry.metrics import definition
from registry.record import GATES_FAILED, GATES_NOT_CHECKED, GATES_PASSED, read_record
from tests.refused import refused
from tests.registry.registration_files import write_files, written
from tools.documents.document import read_document, to_json, write_document
from tools.documents.latency import Latency
from tools.documents.report import Report

_TARGET = "//models:face_int8"


def _read(files, **changes):
    return read_record(replace(files, **changes), "face", _TARGET, "7.7.1")


def test_numbers_become_metrics(tmp_path):
    record = _read(write_files(tmp_path))

    metrics = record.metrics
    assert metrics["size_bytes"] == len(b"an int8 model")
    assert metrics["size_reduction"] == 0.75
    assert metrics["cosine_mean/regressors"] == 0.99
    assert metrics["cosine_mean/classificators"] == 0.98
    assert metrics["cosine_min/classificators"] == 0.990726
    assert metrics["cosine_p5/regressors"] == 0.995484
    assert metrics["scale_error/regressors"] == 0.00143224
    assert metrics["layer_correlation_min"] == 0.979683
    assert metrics["float_tensors"] == 10
    assert metrics["latency_p50_ms"] == 2.0
    assert metrics["latency_p90_ms"] == 2.5
    assert metrics["fps"] == 500
    assert metrics["speedup"] == 1.5
    assert metrics["task/detection/score_error_max"] == 0.0570625
    assert metrics["task/detection/box_error_px_max"] == 1.2792
    assert record.float_metrics["latency_p50_ms"] == 3.0
    assert record.float_metrics["size_bytes"] == 52


def test_what_is_no_number_is_no_metric(tmp_path):
    metrics = _read(write_files(tmp_path)).metrics

    assert metrics["sqnr_db/regressors"] == 23.359
    assert "sqnr_db/classificators" not in metrics
    assert "task/detection/type" not in metrics


def _read_real(tmp_path, name, change=None):
    """Reads what is recorded of a report as a tool wrote it, but for the models' digests."""
    report = written(f"{name}.report.json", Report)
    report = change(report) if change else report
    fields = ("similarity", "float_tensors", "min_runtime")
    changes = {field: getattr(report, field) for field in fields}
    return _read(write_files(tmp_path, report_changes=changes))


def _under_jpeg(task):
    return {f"jpeg/{key}": value for key, value in task.get("jpeg", {}).items()}


@pytest.mark.parametrize("name", ["face_int8", "iris_landmark_int8", "pose_landmark_full_int8"])
def test_every_figure_of_every_task_is_recorded(tmp_path, name):
    metrics = _read_real(tmp_path, name).metrics

    expected = {
        f"task/{task['name']}/{key}": value
        for task in to_json(written(f"{name}.report.json", Report).similarity.tasks)
        for key, value in (task | _under_jpeg(task)).items()
        if isinstance(value, int | float)
    }
    assert {key: metrics[key] for key in metrics if key.startswith("task/")} == expected
    assert all(definition(metric) for metric in metrics)


def test_tasks_after_the_first(tmp_path):
    iris = _read_real(tmp_path / "iris", "iris_landmark_int8").metrics
    pose = _read_real(tmp_path / "pose", "pose_landmark_full_int8").metrics

    assert iris["task/eye/landmark_error_px_mean"] == 0.183515
    assert iris["task/iris/landmark_error_px_mean"] == 0.284164
    assert pose["task/landmarks/recall"] == 0.925
    assert pose["task/segmentation/iou_mean"] == 0.758119
    assert pose["task/segmentation/jpeg/iou_mean"] == 0.924555


def test_tasks_with_names_that_mlflow_refuses(tmp_path):
    def rename(report):
        tasks = tuple(
            replace(task, name=name)
            for task, name in zip(report.similarity.tasks, ("a/b", ".."), strict=True)
        )
        return replace(report, similarity=replace(report.similarity, tasks=tasks))

    metrics = _read_real(tmp_path, "iris_landmark_int8", rename).metrics

    assert metrics["task/a_b/landmark_error_px_mean"] == 0.183515
    assert metrics["task/__/landmark_error_px_mean"] == 0.284164


def test_oldest_runtime_becomes_a_tag(tmp_path):
    def add_unknown(report):
        unknown = ("Convolution2DTransposeBias", "MaxPool")
        return replace(report, min_runtime=replace(report.min_runtime, unknown=unknown))

    known = _read_real(tmp_path / "known", "face_int8")
    unknown = _read_real(tmp_path / "unknown", "face_int8", add_unknown)

    assert known.tags["min_runtime"] == "2.7.0"
    assert "min_runtime_unknown" not in known.tags
    assert unknown.tags["min_runtime_unknown"] == "Convolution2DTransposeBias, MaxPool"


def test_identity_becomes_tags_and_settings_become_params(tmp_path):
    record = _read(write_files(tmp_path))

    assert record.tags["target"] == _TARGET
    assert record.tags["artifact_sha256"] == record.artifact.sha256
    assert record.tags["float_master_sha256"] == record.float_master.sha256
    assert record.tags["source_sha256"] == record.source_sha256
    data = written("face_int8.report.json", Report).data
    assert record.tags["test_data_sha256"] == data.test.digest
    assert record.tags["calibration_data_sha256"] == data.calibration.digest
    assert record.tags["device"] == "host"
    assert record.tags["device_cpu"] == "AMD EPYC"
    assert record.tags["device_disturbed"] == "11 rounds"
    assert record.tags["bazel_version"] == "7.7.1"
    assert record.tags["tool.litert-quantizer"] == "0.11.0"
    assert record.params["scheme"] == "int8"
    assert record.params["version"] == "1.0.0"
    assert len(record.params["recipe_sha256"]) == 64


def test_outputs_with_names_that_mlflow_refuses(tmp_path):
    outputs = ("a/b;c:0", "a/b;c_0", "StatefulPartitionedCall:0")
    metrics = _read(write_files(tmp_path, outputs=outputs)).metrics

    named = sorted(key for key in metrics if key.startswith("cosine_mean/"))
    assert named == [
        "cosine_mean/StatefulPartitionedCall_0",
        "cosine_mean/a_b_c_0",
        "cosine_mean/a_b_c_0_2",
    ]


@pytest.mark.parametrize("name", ["model", "float_model", "source_model", "recipe"])
def test_a_file_of_another_build_is_refused(tmp_path, name):
    files = write_files(tmp_path)
    path = getattr(files, name)
    path.write_bytes(path.read_bytes() + b" ")

    with refused("document.other", f"{path.name}: its sha256 is"):
        _read(files)


@pytest.mark.parametrize("key", ["artifact", "float_master"])
def test_a_measurement_of_another_model_is_refused(tmp_path, key):
    files = write_files(tmp_path)
    latency = read_document(files.latency, Latency)
    other = replace(getattr(latency, key), sha256="0" * 64)
    write_document(files.latency, replace(latency, **{key: other}))

    with refused("document.other", "measured another"):
        _read(files)


@pytest.mark.parametrize(
    ("name", "text", "code", "says"),
    [
        ("latency", "{", "document.syntax", "not JSON"),
        (
            "latency",
            "{}",
            "document.kind",
            'kind is null, not "rules_quantize.latency"; make the latency again',
        ),
        (
            "latency",
            '{"kind": "rules_quantize.latency", "schema_version": 1}',
            "document.field",
            "is missing",
        ),
        (
            "verdict",
            "[]",
            "document.kind",
            r"it is \[\], not an object; make the verdict again with check_gates",
        ),
    ],
)
def test_a_file_that_is_something_else(tmp_path, name, text, code, says):
    files = write_files(tmp_path)
    getattr(files, name).write_text(text)

    with refused(code, says):
        _read(files)


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "face.float"])
def test_a_name_that_cannot_be_registered(tmp_path, name):
    with refused("registry.name", "--registered_model"):
        read_record(write_files(tmp_path), name, _TARGET)


def test_gates(tmp_path):
    assert _read(write_files(tmp_path)).gates == GATES_PASSED
    assert _read(write_files(tmp_path), verdict=None).gates == GATES_NOT_CHECKED

    refused = _read(write_files(tmp_path, passed=False))
    assert refused.gates == GATES_FAILED
    assert refused.failures == ("max_score_error of detection: 0.04 against a threshold of 0.02",)

    twice = _read(write_files(tmp_path, passed=False, latency_passed=False))
    assert [failure.split()[0] for failure in twice.failures] == ["max_score_error", "min_fps:"]

    slow = _read(write_files(tmp_path, latency_passed=False))
    assert slow.gates == GATES_FAILED
    assert slow.failures == ("min_fps: 500 against a threshold of 200",)


def test_equal_content_is_equal_wherever_it_lies(tmp_path):
    first = _read(write_files(tmp_path / "a"))
    again = _read(write_files(tmp_path / "b"))
    slower = _read(write_files(tmp_path / "c", p50_ms=4.0))

    assert first.digest == again.digest
    assert first.digest != slower.digest
