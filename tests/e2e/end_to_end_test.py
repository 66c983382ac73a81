"""Bazel itself: what must build, what must not, and how it says so.

Run by `bazel run //tests/e2e:end_to_end_test`: it starts Bazel in this workspace, and in
a consumer's, which has an output base of its own.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

_HERE = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
pytestmark = pytest.mark.skipif(not _HERE, reason="starts Bazel: use bazel run")
_WORKSPACE = Path(_HERE or ".")


def _bazel(*arguments, folder=_WORKSPACE):
    # What `bazel run` set for this process is not meant for another Bazel.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BUILD_", "RUNFILES", "PYTHON", "TEST_"))
    }
    return subprocess.run(
        ["./bazelw", *arguments],
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment,
        text=True,
    )


def _bin(folder=_WORKSPACE):
    result = _bazel("info", "bazel-bin", folder=folder)
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.strip())


def _refused(target):
    result = _bazel("build", f"//tests/e2e:{target}", "--color=no", "--curses=no")
    assert result.returncode == 1, result.stderr
    return result.stderr.splitlines()


def _said_by(lines, program):
    """Finds the one line of a program's error."""
    assert not any(line.startswith("Traceback") for line in lines), lines
    (line,) = [line for line in lines if line.startswith(f"{program}: error: ")]
    return line


def test_an_artifact_beyond_its_gates_fails_the_build_and_its_report_is_there():
    lines = _refused("beyond_tolerance")
    (start,) = [n for n, line in enumerate(lines) if line.startswith("beyond_tolerance: refused")]
    assert lines[start].endswith(
        "3 of 7 gates failed; worst: tolerance of output classificators"
    ), lines[start]
    assert "1 - mean cosine similarity is" in lines[start + 1]
    assert "allowed 0.0001 (worst sample " in lines[start + 1]
    where = lines[start + 2].removeprefix("  all values: ")
    report = json.loads((_bin().parent.parent.parent / where).read_text())
    assert report["name"] == "beyond_tolerance"
    assert report["artifact"]["bytes"] > 100000
    value = 1 - min(output["cosine_mean"] for output in report["similarity"]["outputs"])
    assert f"{value:.3g}" in lines[start + 1]


def test_an_artifact_that_misses_far_faces_is_refused():
    lines = _refused("far_faces_missed")
    assert any("far_faces_missed: refused, 2 of " in line for line in lines), lines
    report = json.loads((_bin() / "tests/e2e/far_faces_missed.report.json").read_text())
    (faces,) = report["similarity"]["tasks"]
    assert faces["score_error_mean"] > 0.031
    assert faces["box_iou_mean"] < 0.95


def test_the_similarity_test_of_a_refused_artifact_does_not_pass():
    result = _bazel("test", "//tests/e2e:beyond_tolerance_similarity_test", "--color=no")
    assert result.returncode != 0
    assert "PASSED" not in result.stdout + result.stderr


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
    result = _bazel("build", "//tests/e2e:layers_in_build", "//tests/e2e:layers_in_file")
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


@pytest.fixture(name="consumer", scope="module")
def _consumer(tmp_path_factory):
    """An application beside a release of these rules, with a model and images of its own.

    CONSUMER names its kind: workspace_consumer (the default) or bzlmod_consumer.
    """
    needed = ("//:release", "//models:face_int8", "//models:face_calibration")
    result = _bazel("build", *needed)
    assert result.returncode == 0, result.stderr
    folder = tmp_path_factory.mktemp("consumer")
    (archive,) = _bin().glob("rules_quantize-*.tar.gz")
    with tarfile.open(archive) as release:
        release.extractall(folder, filter="data")
    (folder / archive.name.removesuffix(".tar.gz")).rename(folder / "rules_quantize")
    app = folder / "app"
    here = _WORKSPACE / "tests/e2e"
    shutil.copytree(here / "application", app)
    shutil.copytree(
        here / os.environ.get("CONSUMER", "workspace_consumer"), app, dirs_exist_ok=True
    )
    shutil.copy(_WORKSPACE / "bazelw", app)
    (app / "tools").mkdir()
    shutil.copy(_WORKSPACE / "tools/bazel", app / "tools")
    images = _bin() / "models"
    shutil.copytree(images / "face_calibration", app / "calibration_images")
    shutil.copytree(images / "face_test", app / "test_images")
    # Read as a workspace and as a module in turn, an output base has it under two names.
    source, *_ = _output_base(_WORKSPACE).glob(
        "external/*mediapipe_models/face_detection_short_range.tflite"
    )
    shutil.copy(source, app / "detector.tflite")
    lock = (_WORKSPACE / "rules/locks/registry.lock").read_text()
    (app / "registry.lock").write_text("# Chosen by the application's team.\n" + lock)
    yield app
    _bazel("clean", "--expunge", folder=app)


def _output_base(folder):
    result = _bazel("info", "output_base", folder=folder)
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.strip())


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_consumer_gets_every_source_file(consumer):
    here = [
        path.relative_to(_WORKSPACE)
        for folder in ("rules", "tools", "registry")
        for path in (_WORKSPACE / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(here) > 100
    assert [name for name in here if not (consumer.parent / "rules_quantize" / name).exists()] == []


def test_a_consumer_builds_the_same_bytes_in_another_output_base(consumer):
    # Bazel 4 holds an artifact to its gates only with this flag.
    result = _bazel("build", "--experimental_run_validations", "//:detector_int8", folder=consumer)
    assert result.returncode == 0, result.stderr
    ours, theirs = _bin() / "models", _bin(consumer)
    assert ours != theirs
    # The application's own target, from loose files, is the same model.
    for name in ("tflite", "recipe.json"):
        assert _digest(theirs / f"detector_int8.{name}") == _digest(ours / f"face_int8.{name}")
    report = json.loads((theirs / "detector_int8.report.json").read_text())
    assert (report["name"], report["version"]) == ("detector_int8", "2.1.0")


def test_the_report_of_layers_is_built_when_it_is_asked_for(consumer):
    assert _bazel("build", "//:detector_int8", folder=consumer).returncode == 0
    made = [_bin(consumer) / f"detector_int8.layers.{kind}" for kind in ("json", "html", "txt")]
    assert not any(path.exists() for path in made)
    result = _bazel("build", "--output_groups=layers", "//:detector_int8", folder=consumer)
    assert result.returncode == 0, result.stderr
    report, page, _ = (path.read_text() for path in made)
    layers = json.loads(report)["layers"]
    assert len(layers) > 50
    assert {"cosine", "sqnr_db"} < set(layers[0])
    assert "<svg" in page


def test_a_consumer_tests_and_registers(consumer):
    result = _bazel("test", "//:all", folder=consumer)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "//:detector_int8_similarity_test" in result.stdout
    result = _bazel("run", "//:detector_int8.register", folder=consumer)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "registered detector version 1 (detector_int8 2.1.0, int8)" in result.stdout
    assert (consumer / ".mlflow/mlflow.db").exists()
    # By the team's own packages.
    (made,) = _output_base(consumer).glob("external/*rules_quantize_registry/BUILD.bazel")
    assert "# A virtual environment made from //:registry.lock." in made.read_text()


def test_a_consumer_names_its_registry_in_a_flag(consumer):
    flag = f"--@rules_quantize//registry:tracking_uri=sqlite:///{consumer}/team/mlflow.db"
    result = _bazel("run", flag, "//:detector_int8.register", folder=consumer)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "registered detector version 1 (detector_int8 2.1.0, int8)" in result.stdout
    assert (consumer / "team/mlflow.db").exists()
    result = _bazel("run", flag, "@rules_quantize//registry:list", folder=consumer)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "detector" in result.stdout


def test_a_consumer_names_its_device_in_a_flag(consumer):
    runner = consumer / "measure.sh"
    runner.write_text(_RUNNER)
    build = consumer / "BUILD.bazel"
    kept = build.read_text()
    build.write_text(kept + _LABORATORY.format(runner=runner))
    test = ("test", "--test_output=all", "//:detector_int8_device_fps_test")
    try:
        chosen = _bazel(*test, "--@rules_quantize//rules:device=//:laboratory", folder=consumer)
        unchosen = _bazel(*test, folder=consumer)
    finally:
        build.write_text(kept)
    assert chosen.returncode == 0, chosen.stdout + chosen.stderr
    assert "\nsh, 1 thread(s)" in chosen.stdout
    assert unchosen.returncode == 0, unchosen.stdout + unchosen.stderr
    assert "\nsh, 1 thread(s)" not in unchosen.stdout


_LABORATORY = """
load("@rules_quantize//rules:defs.bzl", "latency_device")

latency_device(
    name = "laboratory",
    backend = "command",
    command = "sh {runner} {{model}}",
)
"""

# A program of another team, of which the rules know only what it prints.
_RUNNER = """\
echo "count=50 first=9000 curr=8000 min=7900 max=9000 avg=8000 std=50 p5=7950 median=8000 p95=8100"
"""


def test_a_consumer_tunes_and_builds_what_was_found(consumer):
    build = consumer / "BUILD.bazel"
    build.write_text(build.read_text() + _TUNED)
    command = ("run", "//:detector_auto.tune", "--", "--stop_at_first", "--samples=8")
    result = _bazel(*command, folder=consumer)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads((consumer / "detector_auto.settings.json").read_text())
    front = json.loads((consumer / ".tuning/detector_auto.front.json").read_text())
    (picked,) = [entry for entry in front["candidates"] if entry["chosen"]]
    assert picked["settings"] == found
    result = _bazel("build", "//:detector_auto", folder=consumer)
    assert result.returncode == 0, result.stderr
    report = json.loads((_bin(consumer) / "detector_auto.report.json").read_text())
    assert report["scheme"] == found["scheme"]


_TUNED = """
quantized_model(
    name = "detector_auto",
    calibration_data = ":calibration_images",
    model = ":detector",
    scheme = "auto",
    tags = ["manual"],
    test_data = ":test_images",
    version = "1",
)
"""


def test_a_consumer_tunes_and_registers_on_a_device(consumer):
    runner = consumer / "by_size.sh"
    runner.write_text(_RUNNER_BY_SIZE)
    build = consumer / "BUILD.bazel"
    kept = build.read_text()
    build.write_text(kept + _LABORATORY.format(runner=runner) + _MEASURED_THERE)
    target = "//:detector_measured_laboratory"
    commands = [
        ("test", f"{target}_fps_test"),
        ("run", f"{target}.tune", "--", "--samples=8", "--stop_at_first"),
        ("run", f"{target}.register"),
    ]
    try:
        done = [_bazel(*command, folder=consumer) for command in commands]
    finally:
        build.write_text(kept)
    for one in done:
        assert one.returncode == 0, one.stdout + one.stderr
    front = json.loads((consumer / ".tuning/detector_measured.front.json").read_text())
    assert front["device"] == "command, sh, 1 thread(s)"
    (picked,) = [entry for entry in front["candidates"] if entry["chosen"]]
    sizes = front["float_master_bytes"] / picked["bytes"]
    assert picked["speedup"] == pytest.approx(sizes, rel=0.001)
    assert "registered measured version 1 (detector_measured 1, int8)" in done[2].stdout


# On it a model is as slow as its file is large.
_RUNNER_BY_SIZE = """\
t=$(wc -c <"$1")
echo "count=9 first=$t curr=$t min=$t max=$t avg=$t std=1 p5=$t median=$t p95=$t"
"""
_MEASURED_THERE = """
quantized_model(
    name = "detector_measured",
    calibration_data = ":calibration_images",
    min_fps = {":laboratory": 3},
    min_speedup = 1.5,
    model = ":detector",
    registered_model = "measured",
    scheme = "int8",
    tags = ["manual"],
    test_data = ":test_images",
    version = "1",
)
"""


def test_int8_without_calibration_data_is_refused(consumer):
    build = consumer / "BUILD.bazel"
    kept = build.read_text()
    build.write_text(kept.replace('    calibration_data = ":calibration_images",\n', ""))
    try:
        result = _bazel("build", "//:detector_int8", folder=consumer)
    finally:
        build.write_text(kept)
    assert result.returncode == 1
    assert "detector_int8: scheme int8 needs calibration_data" in result.stderr


def test_one_more_image_makes_another_artifact(consumer):
    before = _digest(_bin(consumer) / "detector_int8.tflite")
    images = consumer / "calibration_images"
    # A picture whose ends are more extreme than any other's.
    shutil.copy(consumer / "test_images/none_0001.png", images / "more.png")
    shutil.rmtree(consumer / "test_images")
    (consumer / "test_images").mkdir()
    shutil.copy(images / "more.png", consumer / "test_images/more.png")
    result = _bazel("build", "//:detector_int8", folder=consumer)
    assert result.returncode == 1
    assert "test sample more.png is calibration sample more.png" in result.stderr
    assert _digest(_bin(consumer) / "detector_int8.tflite") != before
