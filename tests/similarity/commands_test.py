"""validate_quantized_model and check_gates as commands, on the real face detector."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tools.check_gates
import tools.layer_report
import tools.quantize_model
import tools.validate_quantized_model
from tests.extent import WHOLE
from tests.model_files import model_path
from tests.scenes.photo_files import photo_path
from tests.similarity.report_documents import report
from tests.tools.commands import flags_of_printed
from tools.command_line import run
from tools.documents.document import write_document
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings


def _run(module, folder, *flags, fresh=WHOLE, **environment):
    """Runs a command in a process of its own, or in this one, where all is imported."""
    if fresh:
        return subprocess.run(
            [sys.executable, module.__file__, *flags],
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, "BUILD_WORKING_DIRECTORY": str(folder), **environment},
            check=False,
        )
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.chdir(folder)
        patch.setenv("BUILD_WORKING_DIRECTORY", str(folder))
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", [module.__file__, *flags])
        with pytest.raises(SystemExit) as ended:
            run(module.parser(), module.main)
    return subprocess.CompletedProcess(flags, ended.value.code, out.getvalue(), err.getvalue())


_AS_JSON = {"RULES_QUANTIZE_ERROR_FORMAT": "json"}


def _code(done):
    """Gives the code by which a command refused what it was given."""
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return json.loads(line)["code"]


def _validate(folder, *flags, quantized="quantized.tflite", fresh=WHOLE, time="0", **environment):
    return _run(
        tools.validate_quantized_model,
        folder,
        "--float_model=original.tflite",
        f"--quantized_model={quantized}",
        f"--time_budget={time}",
        *flags,
        fresh=fresh,
        **environment,
    )


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    original = model_path("face_detection_short_range").read_bytes()
    (folder / "original.tflite").write_bytes(original)
    master, _ = make_float_master(original)
    artifact = quantize(master, QuantizationSettings("weight_only_int8"), None).model
    (folder / "quantized.tflite").write_bytes(artifact)
    (folder / "test_images").mkdir()
    for name in ("astronaut.png", "coffee.png"):
        shutil.copy(photo_path(name), folder / "test_images" / name)
    return folder


def _one_line(result, program="validate_quantized_model"):
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{program}: error: ")
    return line


def test_prints_a_table_and_passes(folder):
    result = _validate(folder, "--test_data=test_images/", "--tolerance=0.05", fresh=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "2 samples" in result.stdout
    lines = result.stdout.splitlines()
    assert {line.split()[0] for line in lines[2:4]} == {"regressors", "classificators"}
    assert lines[4].split() == ["gate", "of", "value", "limit", "passed"]
    assert [line.split()[0] for line in lines[5:]].count("tolerance") == 2
    assert all(line.endswith("yes") for line in lines[5:])


def test_fails_beyond_the_tolerance_and_keeps_the_report(folder, tmp_path):
    path = tmp_path / "report.json"
    flags = ("--test_data=test_images/", "--tolerance=1e-9", f"--report={path}")
    result = _validate(folder, *flags, fresh=True)
    assert result.returncode == 1
    first, *reasons, where, by_layer = result.stderr.splitlines()
    assert first == "quantized: refused, 2 of 5 gates failed"
    command = by_layer.removeprefix("  error by layer: ")
    *words, page = flags_of_printed(command, "layer_report")
    layers = _run(tools.layer_report, folder, *words, f"--html={tmp_path / 'layers.html'}")
    assert layers.returncode == 0, layers.stderr
    assert page == "--html=quantized.layers.html"
    assert (tmp_path / "layers.html").exists()
    assert {reason.split(":")[0] for reason in reasons} == {
        "  tolerance of output regressors",
        "  tolerance of output classificators",
    }
    assert all("allowed 1e-09" in reason for reason in reasons)
    assert where.endswith(str(path))
    document = json.loads(path.read_text())
    assert document["similarity"]["samples"] == 2
    assert {output["name"] for output in document["similarity"]["outputs"]} == {
        "regressors",
        "classificators",
    }


def test_the_artifact_is_timed_beside_the_float_model(folder):
    result = _validate(folder, "--test_data=test_images/", time="0.5")
    assert result.returncode == 0, result.stderr
    assert re.search(
        r"^\d+\.\d{3} ms, \d+\.\d\d times the float model's time ", result.stdout, re.M
    )
    again = _validate(folder, "--test_data=test_images/")
    assert "float model's time" not in again.stdout
    refused = _validate(folder, "--test_data=test_images/", time="-1")
    assert "--time_budget=-1: 0 or more seconds are wanted" in _one_line(refused)


def test_a_report_without_judgement(folder, tmp_path):
    path = tmp_path / "report.json"
    result = _validate(folder, "--test_data=test_images/", f"--report={path}", "--report_only")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    again = tmp_path / "again.json"
    _validate(folder, "--test_data=test_images/", f"--report={again}", "--report_only")
    assert again.read_bytes() == path.read_bytes()


_DETECTION = {
    "anchors": {
        "anchor_offset": 0.5,
        "aspect_ratios": [1.0],
        "fixed_anchor_size": True,
        "input_size": [128, 128],
        "interpolated_scale_aspect_ratio": 1.0,
        "max_scale": 0.75,
        "min_scale": 0.15,
        "strides": [8, 16, 16, 16],
    },
    "boxes": "regressors",
    "keypoints": 6,
    "min_score": 0.5,
    "scores": "classificators",
    "type": "detection",
}


def test_a_task_adds_scores_and_boxes(folder, tmp_path):
    task = dict(_DETECTION)
    (tmp_path / "task.json").write_text(json.dumps(task))
    flags = ("--test_data=test_images/", f"--task={tmp_path / 'task.json'}")
    result = _validate(folder, *flags)
    assert result.returncode == 0, result.stderr
    assert "1 of 2 samples detected by the float model" in result.stdout
    task["scores"] = "logits"
    (tmp_path / "task.json").write_text(json.dumps(task))
    assert "no output logits" in _one_line(_validate(folder, *flags))


def test_jpeg_says_how_much_a_change_is(folder, tmp_path):
    (tmp_path / "task.json").write_text(json.dumps(_DETECTION))
    path = tmp_path / "report.json"
    flags = ("--test_data=test_images/", f"--task={tmp_path / 'task.json'}", f"--report={path}")
    metrics = ("box_error_px", "box_iou", "keypoint_error_px", "score_error")
    result = _validate(folder, *flags, *(f"--max_jpeg_ratio={one}=1000" for one in metrics))
    assert result.returncode == 0, result.stderr
    assert "\n  the float model on JPEG images: score error " in result.stdout
    (task,) = json.loads(path.read_text())["similarity"]["tasks"]
    assert 0 < task["jpeg"]["box_iou_mean"] < 1
    assert 0 < task["jpeg"]["score_error_mean"] < 0.1
    # 1% less than the change that was measured.
    ratio = (1 - task["box_iou_mean"]) / (1 - task["jpeg"]["box_iou_mean"])
    result = _validate(folder, *flags, f"--max_jpeg_ratio=box_iou={0.99 * ratio:.6f}")
    assert result.returncode == 1
    assert "max_jpeg_ratio of task detection: mean IoU of boxes changes" in result.stderr
    assert _validate(folder, *flags, f"--max_jpeg_ratio=box_iou={1.01 * ratio:.6f}").returncode == 0


def test_jpeg_says_nothing_of_arrays(folder, tmp_path):
    (tmp_path / "task.json").write_text(json.dumps(_DETECTION))
    image = Image.open(photo_path("astronaut.png")).convert("RGB").resize((128, 128))
    np.save(tmp_path / "face.npy", np.asarray(image, np.float32)[None] / 127.5 - 1)
    path = tmp_path / "report.json"
    flags = (
        f"--test_data={tmp_path / 'face.npy'}",
        f"--task={tmp_path / 'task.json'}",
        f"--report={path}",
    )
    assert _validate(folder, *flags).returncode == 0
    assert "jpeg" not in json.loads(path.read_text())["similarity"]["tasks"][0]
    line = _one_line(_validate(folder, *flags, "--max_jpeg_ratio=2"))
    assert "max_jpeg_ratio compares with the float model on test images saved as JPEG" in line


_GATES_OF_WEIGHTS = ("--test_data=test_images/", "--tolerance=0.05")


@pytest.mark.parametrize(
    ("flags", "refused"),
    [
        (("--worst_tolerance=0.2", "--p5_tolerance=0.2", "--min_sqnr_db=5"), None),
        (("--min_sqnr_db=90",), "min_sqnr_db of output"),
        (("--min_sqnr_db=regressors=90",), "min_sqnr_db of output regressors"),
        (("--max_abs_error=1e-9",), "max_abs_error of output"),
        (("--max_degradation=cosine=0.05", "--max_degradation=worst_cosine=0.2"), None),
        (("--max_degradation=cosine=classificators=1e-9",), "max_degradation of output class"),
        (("--max_size_bytes=10",), "max_size_bytes"),
        (("--smaller_than_source",), None),
        (("--oldest_runtime=2.99",), None),
        (("--oldest_runtime=1.5",), "oldest_runtime"),
    ],
)
def test_every_gate_is_a_flag(folder, flags, refused):
    result = _validate(folder, *_GATES_OF_WEIGHTS, *flags)
    assert result.returncode == (1 if refused else 0), result.stderr
    if refused:
        assert result.stderr.splitlines()[1].startswith(f"  {refused}")
        (row,) = [
            line
            for line in result.stdout.splitlines()
            if line.startswith(f"{refused.split()[0]} ") and line.endswith("NO")
        ][:1]
        assert f" {'at least' if refused.startswith('min_') else 'at most'} " in row
    else:
        assert result.stderr == ""


def test_gates_come_from_a_file_and_flags_go_before_it(folder, tmp_path):
    path = tmp_path / "gates.json"
    path.write_text(json.dumps({"max_size_bytes": 10, "tolerance": {"regressors": 1e-9}}))
    result = _validate(
        folder, "--test_data=test_images/", f"--gates={path}", "--max_size_bytes=10000000"
    )
    assert result.returncode == 1
    assert "1 of 5 gates failed\n  tolerance of output regressors: " in result.stderr
    path.write_text("[]")
    line = _one_line(_validate(folder, "--test_data=test_images/", f"--gates={path}"))
    assert "gates.json: not an object of thresholds" in line


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--min_recall=0.5"], "gate.not_judged"),
        (["--max_degradation_percent=recall=1"], "gate.not_judged"),
        (["--min_positives=3"], "gate.not_judged"),
        (["--min_sqnr_db=boxes=3"], "gate.unknown"),
        (["--max_size_bytes=boxes=3"], "gate.value"),
        (["--tolerance=-1"], "gate.value"),
        (["--tolerance=regressors=nan"], "gate.value"),
        (["--max_size_bytes=1.5"], "gate.value"),
        (["--max_size_bytes=" + "9" * 400], "gate.value"),
        (["--oldest_runtime=new"], "gate.value"),
        (["--max_degradation=0.1"], "gate.value"),
        (["--min_sqnr_db=boxes=many"], "gate.value"),
        (["--min_sqnr=3"], "flag.usage"),
        (["--tolerance=0.1", "--tolerance=0.2"], "flag.conflict"),
        (["--tolerance=regressors=0.1", "--tolerance=regressors=0.2"], "flag.conflict"),
        (["--report_only", "--tolerance=0.1", "--report=r.json"], "flag.conflict"),
        (["--report_only"], "flag.missing"),
    ],
)
def test_gates_that_mean_nothing_for_a_model(folder, flags, code):
    assert _code(_validate(folder, *_GATES_OF_WEIGHTS[:1], *flags, **_AS_JSON)) == code


def test_a_misspelt_gate_names_those_near_it(folder):
    assert "near it: --min_sqnr_db" in _one_line(
        _validate(folder, "--test_data=test_images/", "--min_sqnr=3")
    )


@pytest.mark.parametrize(
    ("gates", "code"),
    [
        ({"min_sqnr": 3}, "gate.unknown"),
        ({"min_sqnr_db": {"boxes": 3}}, "gate.unknown"),
        ({"tolerance": {}}, "gate.value"),
        ({"max_size_bytes": 10**18 * 9}, None),
        ({"max_size_bytes": "small"}, "gate.value"),
        ({"min_recall": 0.5}, "gate.not_judged"),
        ({"min_positives": 3}, "gate.not_judged"),
        ([], "gate.value"),
    ],
)
def test_a_refusal_of_a_file_of_gates_names_it(folder, tmp_path, gates, code):
    path = tmp_path / "my.gates.json"
    path.write_text(json.dumps(gates))
    done = _validate(folder, "--test_data=test_images/", f"--gates={path}", **_AS_JSON)
    if code is None:
        assert done.returncode == 0, done.stderr
        return
    assert _code(done) == code
    assert f"{path}: " in json.loads(done.stderr)["message"]


@pytest.mark.parametrize(
    "text", ['{"tolerance": 0.1, "tolerance": 0.2}', '{"max_size_bytes": ' + "9" * 400 + "}"]
)
def test_a_file_of_gates_that_is_no_json(folder, tmp_path, text):
    path = tmp_path / "my.gates.json"
    path.write_text(text)
    done = _validate(folder, "--test_data=test_images/", f"--gates={path}", **_AS_JSON)
    assert _code(done) == "document.syntax"
    assert json.loads(done.stderr)["message"].startswith(f"{path}: ")


def test_test_data_that_was_calibrated_with_is_refused(folder, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    # Another name, the same picture in a mirror.
    with Image.open(photo_path("coffee.png")) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize(image.size).save(data / "cup.png")
    shutil.copy(photo_path("astronaut.png"), data / "same.png")
    line = _one_line(_validate(folder, "--test_data=test_images/", f"--calibration_data={data}"))
    assert "astronaut.png is calibration sample same.png" in line
    # The same without the data, by what quantizing says of it.
    done = _run(
        tools.quantize_model,
        folder,
        "--input_model=original.tflite",
        "--quantization_type=WEIGHT_ONLY_INT8",
        f"--output_model={tmp_path / 'again.tflite'}",
        f"--calibration_data={data}",
        f"--calibration_samples_output={tmp_path / 'samples.json'}",
    )
    assert done.returncode == 0, done.stderr
    known = f"--calibration_samples={tmp_path / 'samples.json'}"
    assert _one_line(_validate(folder, "--test_data=test_images/", known)) == line
    (tmp_path / "other.json").write_text('{"kind": "rules_quantize.report", "schema_version": 1}')
    for name, said in (("cup.png", "not JSON"), ("other.json", "--calibration_samples_output=")):
        other = f"--calibration_samples={(data if name == 'cup.png' else tmp_path) / name}"
        line = _one_line(_validate(folder, "--test_data=test_images/", other))
        assert f"{name}: " in line
        assert said in line


def _nan_model(folder):
    """Makes a model whose last bias is NaN: it runs, and gives NaN."""
    model = parse_model((folder / "quantized.tflite").read_bytes())
    subgraph = model.schema.subgraphs[0]
    for operator in reversed(subgraph.operators):
        if model.operator_name(operator) == "CONV_2D":
            bias = subgraph.tensors[int(operator.inputs[2])]
            values = model.tensor_data(bias).copy()
            values[:] = np.nan
            bias.buffer = model.add_constant(values)
            return model_bytes(model)
    raise AssertionError("no convolution")


def test_nan_is_named_by_output_and_sample(folder):
    (folder / "nan.tflite").write_bytes(_nan_model(folder))
    flags = ("--test_data=test_images/",)
    result = _validate(folder, *flags, quantized="nan.tflite", fresh=True)
    line = _one_line(result)
    assert "quantized model's output" in line
    assert "is NaN on test sample astronaut.png" in line


def test_a_float_model_that_gives_nan_is_named(folder, tmp_path):
    np.save(tmp_path / "huge.npy", np.full((1, 128, 128, 3), 3e38, np.float32))
    line = _one_line(_validate(folder, f"--test_data={tmp_path / 'huge.npy'}"))
    assert "float model's output" in line
    assert "huge.npy" in line


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no model", "not a TFLite file"), (b"\x00\x00\x00\x00TFL3" * 9, "truncated or damaged")],
)
def test_what_is_no_model_is_refused(folder, content, message):
    (folder / "broken.tflite").write_bytes(content)
    line = _one_line(_validate(folder, "--test_data=test_images/", quantized="broken.tflite"))
    assert "broken.tflite" in line
    assert message in line


def test_another_models_artifact_is_refused(folder):
    shutil.copy(model_path("palm_detection_lite"), folder / "palm.tflite")
    line = _one_line(_validate(folder, "--test_data=test_images/", quantized="palm.tflite"))
    assert "give the model that it was made from" in line


def test_a_quantized_model_in_the_float_models_place_is_refused(folder, tmp_path):
    master, _ = make_float_master((folder / "original.tflite").read_bytes())
    dynamic = tmp_path / "dynamic.tflite"
    dynamic.write_bytes(quantize(master, QuantizationSettings("dynamic"), None).model)
    result = _run(
        tools.validate_quantized_model,
        folder,
        f"--float_model={dynamic}",
        "--quantized_model=quantized.tflite",
        "--test_data=test_images/",
    )
    assert "already quantized" in _one_line(result)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no images or arrays in this folder"),
        (lambda folder: (folder / "a.png").write_bytes(b"no image"), "a.png: not a readable image"),
        (
            lambda folder: np.save(folder / "a.npy", np.zeros((1, 64, 64, 3), np.float32)),
            r"a.npy: shape [1, 64, 64, 3] does not fit",
        ),
    ],
    ids=["empty", "broken", "shape"],
)
def test_data_that_cannot_be_used(folder, tmp_path, make, message):
    make(tmp_path)
    assert message in _one_line(_validate(folder, f"--test_data={tmp_path}"))


def _check(folder, gates, document=None, fresh=WHOLE):
    (folder / "report.json").write_text(json.dumps(document or report().to_json()))
    (folder / "gates.json").write_text(json.dumps(gates))
    return _run(
        tools.check_gates,
        folder,
        "--report=report.json",
        "--gates=gates.json",
        "--verdict=verdict.json",
        fresh=fresh,
    )


def test_check_gates_says_in_one_line_what_passed(tmp_path):
    result = _check(tmp_path, {"tolerance": 0.05}, fresh=True)
    assert (result.returncode, result.stderr) == (0, "")
    (line,) = result.stdout.splitlines()
    worst = min(report().similarity.outputs, key=lambda output: output.cosine_mean)
    assert line.startswith(f"{report().name}: passed all ")
    assert f"{report().artifact.bytes:,} bytes, " in line
    assert f"worst similarity {worst.cosine_mean:.4f} ({worst.name}); report: " in line
    assert line.endswith(" report.json") or line.endswith("/report.json")
    assert json.loads((tmp_path / "verdict.json").read_text())["passed"] is True


@pytest.mark.parametrize("refused", [False, True])
def test_check_gates_leaves_what_it_would_say_in_a_file(tmp_path, refused):
    write_document(tmp_path / "report.json", report())
    (tmp_path / "gates.json").write_text(json.dumps({"max_size_bytes": 900 if refused else 10**9}))
    flags = ("--report=report.json", "--gates=gates.json")
    said = _run(tools.check_gates, tmp_path, *flags)
    assert said.returncode == int(refused)
    flags += ("--verdict=verdict.json", "--refusal=refusal.txt", "--table=table.txt")
    kept = _run(tools.check_gates, tmp_path, *flags)
    assert (kept.returncode, kept.stdout, kept.stderr) == (0, said.stdout, "")
    assert bool(kept.stdout) != refused
    assert (tmp_path / "refusal.txt").read_text() == said.stderr
    assert len(said.stderr.splitlines()) == (3 if refused else 0)
    (row,) = [
        line for line in (tmp_path / "table.txt").open() if line.startswith("max_size_bytes ")
    ]
    assert row.endswith("NO\n" if refused else "yes\n")
    assert json.loads((tmp_path / "verdict.json").read_text())["passed"] is not refused


def test_check_gates_names_what_failed_and_leaves_a_verdict(tmp_path):
    result = _check(tmp_path, {"tolerance": 0.01})
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 3
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert [gate["passed"] for gate in verdict["gates"]] == [True, False, True]


@pytest.mark.parametrize(
    ("gates", "document", "message"),
    [
        ([], None, "gates.json: not an object"),
        ({"max_sise": 1}, None, "no gate max_sise"),
        (
            {},
            {"kind": "other"},
            'report.json: kind is "other", not "rules_quantize.report"; make the report',
        ),
    ],
)
def test_check_gates_refuses(tmp_path, gates, document, message):
    assert message in _one_line(_check(tmp_path, gates, document), "check_gates")
    assert not Path(tmp_path, "verdict.json").exists()
