"""validate_quantized_model on bundles of MediaPipe's models."""

import json
import shutil
from pathlib import Path

import pytest

from tests.model_files import model_path
from tests.scenes.photo_files import photo_path
from tests.tools.commands import refusal, run_command
from tools import quantize_model, validate_quantized_model
from tools.bundle.task_bundle import Member, read_task_bundle, task_bundle_bytes

_DETECTOR, _LANDMARKS = "face_detector.tflite", "inner.task/hand_landmarks_detector.tflite"
# There is no hand in the photographs, and little to agree on.
_LOOSE = ("--tolerance=0.5", "--max_scale_error=9")


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory) -> Path:
    """float.task with a model, a model in a bundle in it and a text; int8.task made of it."""
    folder = tmp_path_factory.mktemp("bundles")
    landmarks = Member("hand_landmarks_detector.tflite", _model("hand_landmark_lite"))
    members = [
        Member(_DETECTOR, _model("face_detection_short_range")),
        Member("inner.task", task_bundle_bytes([landmarks])),
        Member("labels.txt", b"hand"),
    ]
    (folder / "float.task").write_bytes(task_bundle_bytes(members))
    for name in ("astronaut", "coffee"):
        (folder / name).mkdir()
        shutil.copy(photo_path(f"{name}.png"), folder / name)
    _quantize(folder, "int8.task", f"--summary_output={folder}/summary.json")
    _quantize(folder, "kept.task", f"--member={_LANDMARKS}=keep")
    return folder


def _model(name: str) -> bytes:
    return model_path(name).read_bytes()


def _quantize(folder: Path, output: str, *more: str) -> None:
    done = run_command(
        quantize_model,
        f"--input_model={folder}/float.task",
        f"--output_model={folder}/{output}",
        "--quantization_type=WEIGHT_ONLY_INT8",
        *more,
    )
    assert (done.returncode, done.stderr) == (0, "")


def _validate(folder: Path, quantized: str, *more: str, command=run_command):
    return command(
        validate_quantized_model,
        "--float_model=float.task",
        f"--quantized_model={quantized}",
        *more,
        where=folder,
    )


def _with(folder: Path, output: Path, change) -> str:
    """Writes int8.task with other members; gives its path."""
    members = read_task_bundle((folder / "int8.task").read_bytes())
    output.write_bytes(task_bundle_bytes(change(members)))
    return str(output)


def test_each_model_is_compared_on_its_own_data(folder, tmp_path):
    done = _validate(
        folder,
        "int8.task",
        f"--test_data={_DETECTOR}=astronaut",
        f"--test_data={_LANDMARKS}=astronaut",
        f"--test_data={_LANDMARKS}=coffee",
        *_LOOSE,
        "--summary=summary.json",
        f"--report={tmp_path}/report.json",
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].endswith("smaller than float.task")
    assert f"{_DETECTOR}: passed" in lines
    assert f"{_LANDMARKS}: passed" in lines
    assert lines[-1] == "labels.txt: as it was"
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["kind"] == "rules_quantize.bundle_report"
    assert (report["name"], report["kept"], report["other_files"]) == ("int8", ["labels.txt"], [])
    assert list(report["members"]) == [_DETECTOR, _LANDMARKS]
    samples = {path: one["similarity"]["samples"] for path, one in report["members"].items()}
    assert samples == {_DETECTOR: 1, _LANDMARKS: 2}
    assert {one["scheme"] for one in report["members"].values()} == {"weight_only_int8"}


def test_the_report_of_a_member_is_the_one_of_its_model_alone(folder, tmp_path):
    def report_of(name: str, *flags: str) -> dict:
        flags += ("--test_data=astronaut", f"--report={tmp_path}/{name}", "--report_only")
        done = run_command(validate_quantized_model, *flags, where=folder)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return json.loads((tmp_path / name).read_text())

    bundle = report_of("bundle.json", "--float_model=float.task", "--quantized_model=int8.task")
    (tmp_path / "float.tflite").write_bytes(_model("face_detection_short_range"))
    members = read_task_bundle((folder / "int8.task").read_bytes())
    (tmp_path / "int8.tflite").write_bytes(members[0].content)
    alone = report_of(
        "alone.json",
        f"--float_model={tmp_path}/float.tflite",
        f"--quantized_model={tmp_path}/int8.tflite",
    )
    assert bundle["members"][_DETECTOR] == alone | {"name": f"int8/{_DETECTOR}"}


def test_one_verdict_names_the_models_that_fail(folder, tmp_path):
    (tmp_path / "gates.json").write_text('{"max_size_bytes": 10}')
    flags = ("--test_data=astronaut", *_LOOSE, f"--report={tmp_path}/report.json")
    done = _validate(folder, "int8.task", *flags, f"--member={_LANDMARKS}={tmp_path}/gates.json")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "int8: refused, 1 of 2 models failed"
    assert lines[1].startswith(f"int8/{_LANDMARKS}: refused, 1 of ")
    assert lines[2].startswith("  max_size_bytes: ")
    assert lines[3] == f"  all values: {tmp_path}/report.json"
    assert len(lines) == 4
    assert f"{_DETECTOR}: passed" in done.stdout
    assert f"{_LANDMARKS}: REFUSED" in done.stdout
    done = _validate(folder, "int8.task", *flags, "--max_size_bytes=10")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "int8: refused, 2 of 2 models failed"
    assert [line.split(":")[0] for line in lines if line.startswith("int8/")] == [
        f"int8/{_DETECTOR}", f"int8/{_LANDMARKS}",
    ]  # fmt: skip


def test_a_model_that_stayed_needs_no_data(folder):
    done = _validate(folder, "kept.task", f"--test_data={_DETECTOR}=astronaut")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{_LANDMARKS}: as it was" in done.stdout.splitlines()


def test_a_file_that_is_no_model_may_change_and_is_named(folder, tmp_path):
    quantized = _with(
        folder, tmp_path / "a.task", lambda members: [*members[:2], Member("labels.txt", b"face")]
    )
    done = _validate(folder, quantized, "--test_data=astronaut", *_LOOSE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "labels.txt: no model, and not as it was"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda members: members[1:], f"member {_DETECTOR} is missing; float.task has it"),
        (
            lambda members: [members[0], members[2]],
            f"member {_LANDMARKS} is missing; float.task has it",
        ),
        (
            lambda members: [*members, Member("new.txt", b"")],
            "member new.txt is one that float.task does not have",
        ),
        (
            lambda members: [*members, Member("new.tflite", members[0].content)],
            "member new.tflite is one that float.task does not have",
        ),
    ],
)
def test_bundles_of_other_members_are_refused(folder, tmp_path, change, message):
    quantized = _with(folder, tmp_path / "other.task", change)
    line = _validate(folder, quantized, "--test_data=none", command=refusal)
    assert line.startswith(f"{quantized}: {message}")


@pytest.mark.parametrize(
    ("quantized", "flags", "message"),
    [
        ("astronaut/astronaut.png", [], "astronaut/astronaut.png: not a task bundle (it does not"),
        ("float.task", [], "float.task: every model in it is to the byte the one of float.task; "),
        (
            "int8.task",
            [f"--test_data={_LANDMARKS}=coffee"],
            f"int8.task: no test data for member {_DETECTOR}; give --test_data={_DETECTOR}=PATH",
        ),
        (
            "int8.task",
            ["--test_data=hand.tflite=coffee"],
            "int8.task: --test_data names the member hand.tflite; its models are face_detector.tf",
        ),
        (
            "int8.task",
            ["--test_data=none"],
            f"member {_DETECTOR}: none: no such file or folder",
        ),
        (
            "int8.task",
            ["--test_data=coffee", "--calibration_data=coffee"],
            f"member {_DETECTOR}: test sample coffee.png is calibration sample coffee.png",
        ),
        (
            "int8.task",
            ["--test_data=coffee", "--member=hand.tflite=gates.json"],
            "int8.task: --member names the member hand.tflite; its models are face_detector.tfl",
        ),
        (
            "int8.task",
            ["--test_data=coffee", "--task=task.json"],
            "--task=task.json: give NAME=VALUE",
        ),
        (
            "int8.task",
            ["--test_data=coffee", "--source_model=float.task"],
            "int8.task: --source_model is about one model and this is a bundle; ",
        ),
        (
            "kept.task",
            ["--test_data=coffee", "--summary=summary.json"],
            "kept.task: the summary is of another artifact; quantize again",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(folder, tmp_path, quantized, flags, message):
    flags = [*(flags or ["--test_data=coffee"]), f"--report={tmp_path}/report.json"]
    assert _validate(folder, quantized, *flags, command=refusal).startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_model_against_a_bundle_is_refused(folder, tmp_path):
    (tmp_path / "face.tflite").write_bytes(_model("face_detection_short_range"))
    line = _validate(folder, f"{tmp_path}/face.tflite", "--test_data=coffee", command=refusal)
    assert line.startswith(f"{tmp_path}/face.tflite: not a task bundle")
    line = refusal(
        validate_quantized_model,
        f"--float_model={tmp_path}/face.tflite",
        f"--quantized_model={tmp_path}/face.tflite",
        f"--member={_DETECTOR}=gates.json",
        "--test_data=coffee",
    )
    assert line == f"{tmp_path}/face.tflite: no task bundle, so it has no --member"
