"""Bundles made, unpacked and quantized by the commands."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.model_files import model_path
from tests.random_models import run_model, tiny_model
from tests.tools.commands import refusal, run_command
from tools import make_task_bundle, quantize_model, unpack_task_bundle
from tools.bundle.task_bundle import Member, models_of, read_task_bundle, task_bundle_bytes
from tools.graph.flatbuffer import parse_model
from tools.graph.model_metadata import normalization, read_metadata

_DETECTOR, _LANDMARKS = "hand_detector.tflite", "inner.task/hand_landmarks_detector.tflite"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """hands.task with two models, one in a bundle in it, and images."""
    path = tmp_path_factory.mktemp("given")
    inner = task_bundle_bytes(
        [Member("hand_landmarks_detector.tflite", tiny_model(1, 64)), Member("labels.txt", b"one")]
    )
    bundle = task_bundle_bytes(
        [
            Member("hand_detector.tflite", tiny_model(0, 64)),
            Member("inner.task", inner),
            Member("geometry.binarypb", b"\x08\x01"),
        ]
    )
    (path / "hands.task").write_bytes(bundle)
    (path / "images").mkdir()
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(path / "images" / f"{seed}.png")
    return path


def _quantize(folder: Path, output: Path, *more: str, command=run_command):
    return command(
        quantize_model, f"--input_model={folder}/hands.task", f"--output_model={output}", *more
    )


def _members(path: Path) -> dict[str, bytes]:
    return {member.name: member.content for member in read_task_bundle(path.read_bytes())}


def test_every_model_of_a_bundle_is_quantized_and_all_else_stays(folder, tmp_path):
    output = tmp_path / "out.task"
    done = _quantize(folder, output, "--quantization_type=DYNAMIC")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0] for line in done.stdout.splitlines() if line[0] != " "] == [
        str(output), _DETECTOR, _LANDMARKS,
    ]  # fmt: skip
    before, after = _members(folder / "hands.task"), _members(output)
    assert list(after) == list(before)
    assert after["geometry.binarypb"] == before["geometry.binarypb"]
    originals, artifacts = (
        models_of(read_task_bundle(path.read_bytes())) for path in (folder / "hands.task", output)
    )
    assert list(artifacts) == [_DETECTOR, _LANDMARKS]
    for path, artifact in artifacts.items():
        assert len(artifact) < 0.35 * len(originals[path])
        (expected,), (found,) = run_model(originals[path]), run_model(artifact)
        assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)
    with zipfile.ZipFile(io.BytesIO(after["inner.task"])) as inner:
        assert inner.read("labels.txt") == b"one"


def test_each_member_by_its_own_scheme_and_data(folder, tmp_path):
    settings = tmp_path / "float16.txt"
    settings.write_text(
        '{"kind": "rules_quantize.settings", "schema_version": 1, "scheme": "float16"}'
    )
    summary = tmp_path / "summary.json"
    done = _quantize(
        folder,
        tmp_path / "out.task",
        "--quantization_type=INT8",
        f"--member={_LANDMARKS}={settings}",
        f"--calibration_data={_DETECTOR}={folder}/images",
        f"--summary_output={summary}",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    told = json.loads(summary.read_text())
    schemes = {path: member["scheme"] for path, member in told["members"].items()}
    assert schemes == {_DETECTOR: "int8", _LANDMARKS: "float16"}
    assert told["members"][_DETECTOR]["calibration"]["samples"] == 2
    assert told["artifact"]["bytes"] == (tmp_path / "out.task").stat().st_size
    alone = tmp_path / "alone.tflite"
    (tmp_path / "detector.tflite").write_bytes(_members(folder / "hands.task")[_DETECTOR])
    done = run_command(
        quantize_model,
        f"--input_model={tmp_path}/detector.tflite",
        f"--output_model={alone}",
        "--quantization_type=INT8",
        f"--calibration_data={folder}/images",
    )
    assert done.returncode == 0
    assert _members(tmp_path / "out.task")[_DETECTOR] == alone.read_bytes()


def test_a_kept_member_stays_to_the_byte(folder, tmp_path):
    output = tmp_path / "out.task"
    done = _quantize(
        folder,
        output,
        "--quantization_type=INT8",
        f"--member={_LANDMARKS}=keep",
        "--calibration_data=images",
    )
    assert done.returncode == 2
    done = _quantize(
        folder,
        output,
        "--quantization_type=INT8",
        f"--member={_LANDMARKS}=keep",
        f"--calibration_data={folder}/images",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{_LANDMARKS}: kept" in done.stdout
    assert _members(output)["inner.task"] == _members(folder / "hands.task")["inner.task"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--member=hand.tflite=INT8"], "{}: --member names the member hand.tflite; its models "),
        ([f"--member={_DETECTOR}"], f"--member={_DETECTOR}: give NAME=VALUE"),
        (
            [f"--member={_DETECTOR}=INT8"] * 2,
            "--member names hand_detector.tflite twice",
        ),
        (["--calibration_data=a.tflite=b"], "{}: --calibration_data names the member a.tflite; "),
        ([f"--calibration_data={_LANDMARKS}=none"], "{}/hand_detector.tflite: int8 needs a repr"),
        (["--calibration_data=none"], "none: no such file or folder (--member=hand_detector.tfli"),
        (["--keep_float=a"], "{}: --keep_float is about one model and this is a bundle; "),
        (["--recipe_output=r.json"], "{}: --recipe_output is about one model and this is a bund"),
        (["--quantization_type=INT3"], "no quantization type INT3; choose one of INT8, "),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(folder, tmp_path, more, message):
    output = tmp_path / "out.task"
    scheme = [] if more[0].startswith("--quantization_type") else ["--quantization_type=INT8"]
    line = _quantize(folder, output, *scheme, *more, command=refusal)
    assert line.startswith(message.format(folder / "hands.task"))
    assert list(tmp_path.iterdir()) == []


def test_a_member_of_no_bundle(tmp_path):
    (tmp_path / "net.tflite").write_bytes(tiny_model())
    line = refusal(
        quantize_model,
        f"--input_model={tmp_path}/net.tflite",
        f"--output_model={tmp_path}/out.tflite",
        "--member=net.tflite=INT8",
    )
    assert line == f"{tmp_path}/net.tflite: no task bundle, so it has no --member"


def test_a_bundle_from_loose_models_says_how_inputs_are_normalised(tmp_path):
    """pose_landmark_full has no metadata, pose_detection has."""
    detector, landmarks = model_path("pose_detection"), model_path("pose_landmark_full")
    output = tmp_path / "pose_landmarker.task"
    done = run_command(
        make_task_bundle,
        f"--output_bundle={output}",
        f"--member=pose_detector.tflite={detector}",
        f"--member=pose_landmarks_detector.tflite={landmarks}",
        "--input_normalization=pose_detector.tflite=1,2",
        "--input_normalization=pose_landmarks_detector.tflite=0,255",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    members = _members(output)
    assert members["pose_detector.tflite"] == detector.read_bytes()
    made = members["pose_landmarks_detector.tflite"]
    assert normalization(made) == (0, 255)
    told = read_metadata(parse_model(made)).inputs[0]
    assert (told.minimum, told.maximum) == ((0,), (1,))
    for expected, found in zip(run_model(landmarks.read_bytes()), run_model(made), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_members_are_replaced_where_they_lie(folder, tmp_path):
    other = tmp_path / "other.tflite"
    other.write_bytes(tiny_model(7))
    (tmp_path / "new.txt").write_bytes(b"new")
    output = tmp_path / "out.task"
    done = run_command(
        make_task_bundle,
        f"--input_bundle={folder}/hands.task",
        f"--output_bundle={output}",
        f"--member={_LANDMARKS}={other}",
        f"--member=new.txt={tmp_path}/new.txt",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(_members(output)) == [_DETECTOR, "inner.task", "geometry.binarypb", "new.txt"]
    models = models_of(read_task_bundle(output.read_bytes()))
    assert models[_LANDMARKS] == other.read_bytes()
    listed = run_command(unpack_task_bundle, f"--input_bundle={output}").stdout
    assert [line.split()[1] for line in listed.splitlines()] == [
        _DETECTOR, "inner.task", "geometry.binarypb", "new.txt", _LANDMARKS,
    ]  # fmt: skip
    run_command(unpack_task_bundle, f"--input_bundle={output}", f"--output_folder={tmp_path}/un")
    assert {p.name: p.read_bytes() for p in (tmp_path / "un").iterdir()} == _members(output)
    run_command(
        unpack_task_bundle,
        f"--input_bundle={output}",
        f"--member={_LANDMARKS}",
        f"--output={tmp_path}/one.tflite",
    )
    assert (tmp_path / "one.tflite").read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        (make_task_bundle, [], "{out}: a bundle of nothing; give it members"),
        (make_task_bundle, ["--member=a.txt"], "--member=a.txt: give NAME=VALUE"),
        (make_task_bundle, ["--member=a.txt={png}", "--member=a.txt={png}"], "--member names a.tx"),
        (make_task_bundle, ["--member=a.tflite={png}"], "{out}: member a.tflite is no TFLite mod"),
        (make_task_bundle, ["--member=a.txt=none"], "none: No such file or directory"),
        (make_task_bundle, ["--member=../a={png}"], "{out}: member '../a' is no name of a file b"),
        (
            make_task_bundle,
            ["--member=b.task/a.txt={png}", "--input_bundle={task}"],
            "{out}: --member names b.task/a.txt, and no bundle in the bundle has it",
        ),
        (
            make_task_bundle,
            ["--member=a.txt={png}", "--input_normalization=a.txt=0,255"],
            "{out}: --input_normalization names a.txt, which is no model in it",
        ),
        (
            make_task_bundle,
            ["--input_bundle={task}", f"--input_normalization={_DETECTOR}=0,0"],
            f"--input_normalization={_DETECTOR}=0,0: give MEAN,STD such as 127.5,127.5",
        ),
        (unpack_task_bundle, ["--input_bundle={png}"], "{png}: not a task bundle (it does not b"),
        (
            unpack_task_bundle,
            ["--input_bundle={task}", "--member=a", "--output={out}"],
            "{task}: no member a; there are geometry.binarypb, hand_detector.tflite, inner.task, ",
        ),
        (unpack_task_bundle, ["--input_bundle={task}", "--member=a"], "--member and --output bel"),
    ],
)
def test_refusals(folder, tmp_path, command, flags, message):
    names = {
        "out": tmp_path / "out.task",
        "png": folder / "images" / "0.png",
        "task": folder / "hands.task",
    }
    given = [flag.format(**names) for flag in flags]
    if command is make_task_bundle:
        given.append(f"--output_bundle={names['out']}")
    assert refusal(command, *given).startswith(message.format(**names))
    assert list(tmp_path.iterdir()) == []
