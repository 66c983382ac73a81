"""Bazel itself in this workspace: what must build, what must not, and how it says so.

Run by `bazel run //tests/e2e:end_to_end_test`, with tests/e2e/consumer_test.py.
"""

import hashlib
import json
import os
import sys

import pytest

from tests.e2e.workspaces import HERE, bazel, info

pytestmark = pytest.mark.skipif(not HERE, reason="starts Bazel: use bazel run")


def _bin():
    return info("bazel-bin")


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _refused(target):
    result = bazel("build", f"//tests/e2e:{target}", "--color=no", "--curses=no")
    assert result.returncode == 1, result.stderr
    return result.stderr.splitlines()


def _said_by(lines, program):
    """Finds the one line of a program's error."""
    assert not any(line.startswith("Traceback") for line in lines), lines
    (line,) = [line for line in lines if line.startswith(f"{program}: error: ")]
    return line


def test_a_bazel_that_a_test_starts_makes_no_environment_anew():
    folder = os.stat(sys.prefix).st_ino
    result = bazel("build", "@rules_quantize_litert//:env")
    assert result.returncode == 0, result.stderr
    assert os.stat(sys.prefix).st_ino == folder


def test_an_artifact_beyond_its_gates_fails_the_build_and_its_report_is_there():
    lines = _refused("beyond_tolerance")
    (start,) = [n for n, line in enumerate(lines) if line.startswith("beyond_tolerance: refused")]
    assert lines[start].endswith("3 of 7 gates failed"), lines[start]
    failed = lines[start + 1 : start + 4]
    assert [line.split(": ")[0] for line in failed] == [
        "  tolerance of output classificators",
        "  tolerance of output regressors",
        "  max_size_bytes",
    ]
    for line in failed[:2]:
        assert "1 - mean cosine similarity is" in line
        assert "allowed 0.0001 (worst sample " in line
    assert "bytes, allowed 100,000 bytes" in failed[2]
    where = lines[start + 4].removeprefix("  all values: ")
    report = json.loads((_bin().parent.parent.parent / where).read_text())
    assert report["name"] == "beyond_tolerance"
    assert report["artifact"]["bytes"] > 100000
    value = 1 - min(output["cosine_mean"] for output in report["similarity"]["outputs"])
    assert f"{value:.3g}" in lines[start + 1]


def test_the_command_of_a_refusal_writes_the_layers():
    (line,) = [line for line in _refused("beyond_tolerance") if "  error by layer: " in line]
    program, *words = line.removeprefix("  error by layer: ").split()
    assert (program, words[-1]) == ("bazel", "//tests/e2e:beyond_tolerance")
    page = _bin() / "tests/e2e/beyond_tolerance.layers.html"
    page.unlink(missing_ok=True)
    result = bazel(*words)
    assert result.returncode == 0, result.stderr
    assert "beyond_tolerance.layers.html" in result.stderr
    assert page.exists()


def test_an_artifact_that_misses_far_faces_is_refused():
    lines = _refused("far_faces_missed")
    assert any("far_faces_missed: refused, 2 of " in line for line in lines), lines
    report = json.loads((_bin() / "tests/e2e/far_faces_missed.report.json").read_text())
    (faces,) = report["similarity"]["tasks"]
    assert faces["score_error_mean"] > 0.031
    assert faces["box_iou_mean"] < 0.95


def test_the_similarity_test_of_a_refused_artifact_does_not_pass():
    target = "//tests/e2e:beyond_tolerance_similarity_test"
    result = bazel("test", target, "--color=no")
    assert result.returncode != 0
    assert "PASSED" not in result.stdout + result.stderr
    # The test says the same where the build does not judge.
    result = bazel("test", "--noexperimental_run_validations", target, "--color=no")
    assert result.returncode == 3
    lines = (result.stdout + result.stderr).splitlines()
    assert any(line.startswith("beyond_tolerance: refused, 3 of 7 gates") for line in lines), lines
    assert any(line.startswith("max_size_bytes ") and line.endswith("NO") for line in lines), lines
    verdict = json.loads((_bin() / "tests/e2e/beyond_tolerance.verdict.json").read_text())
    assert verdict["passed"] is False
    assert len(verdict["gates"]) == 7


def test_a_similarity_test_needs_no_python():
    target = "tests/e2e/beyond_tolerance_similarity_test"
    held = (_bin() / f"{target}.runfiles_manifest").read_text().splitlines()
    assert sorted(line.split()[0].rpartition("/")[2] for line in held) == [
        "beyond_tolerance.gates.txt",
        "beyond_tolerance.refusal.txt",
        "beyond_tolerance_similarity_test",
        "hold_to_gates.sh",
    ]


def test_images_that_the_model_sees_nothing_in_prove_nothing():
    lines = _refused("nothing_seen")
    assert any(
        "the float model sees nothing in these images, similarity is meaningless" in line
        for line in lines
    )


def test_test_data_that_was_calibrated_with_is_refused():
    line = _said_by(_refused("tested_with_calibration_data"), "validate_quantized_model")
    assert "test sample face_0001.png is calibration sample face_0001.png and 79 more" in line


def test_an_empty_data_set_is_refused_before_anything_runs():
    assert any(
        "//tests/e2e:without_test_data: test_data holds no files" in line
        for line in _refused("without_test_data")
    )


def test_a_tolerance_for_an_output_that_is_not_there_is_refused():
    line = _said_by(_refused("unknown_output"), "check_gates")
    assert "names the output boxes; the model's are regressors, classificators" in line


def test_scheme_auto_says_what_makes_its_settings():
    assert any(
        "`bazel run //tests/e2e:not_tuned_yet.tune` searches for the best" in line
        for line in _refused("not_tuned_yet")
    )


def test_a_pattern_that_matches_no_operator_is_refused():
    line = _said_by(_refused("pattern_of_nothing"), "quantize_model")
    assert "face.tflite: layers: atention.* matches none of " in line
    assert "; near it: " in line


def test_layers_in_a_file_are_layers_in_the_build_file():
    result = bazel("build", "//tests/e2e:layers_in_build", "//tests/e2e:layers_in_file")
    assert result.returncode == 0, result.stderr
    made = [_bin() / "tests/e2e" / name for name in ("layers_in_build", "layers_in_file")]
    assert _digest(made[0].with_suffix(".tflite")) == _digest(made[1].with_suffix(".tflite"))
    report = json.loads(made[1].with_suffix(".report.json").read_text())
    assert report["scheme"] == "int8"
    assert report["artifact"]["inputs"][0]["dtype"] == "uint8"
    reasons = {one["name"]: one["reason"] for one in report["float_tensors"]}
    assert reasons["regressor_8"] == "layers give it float: float"


def test_a_source_that_is_no_model_is_refused():
    line = _said_by(_refused("not_a_model"), "make_float_master")
    assert "tests/e2e/not_a_model.tflite: not a TFLite file" in line


def test_a_source_that_is_quantized_already_is_refused():
    line = _said_by(_refused("quantized_already"), "make_float_master")
    assert "artifact.tflite: already quantized" in line
