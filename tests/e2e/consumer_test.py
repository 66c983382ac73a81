"""Bazel in a consumer's workspace, which begins with what docs/how-to/set_up.md says.

Run by `bazel run //tests/e2e:end_to_end_test`. The workspace has an output base of its own;
CONSUMER names its kind, workspace_consumer (the default) or bzlmod_consumer.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

from tests.e2e.workspaces import (
    HERE,
    WORKSPACE,
    bazel,
    blocks_of,
    info,
    is_bazel_4,
    release_archive,
    typed,
)
from tests.random_models import tiny_model

pytestmark = pytest.mark.skipif(not HERE, reason="starts Bazel: use bazel run")

_BLOCKS = blocks_of(WORKSPACE / "docs/how-to/set_up.md", "Set-up") if HERE else {}
_IS_MODULE = os.environ.get("CONSUMER") == "bzlmod_consumer"

# Every letter that Bazel allows in a file's name and a keyboard or a camera writes.
_ODD_NAMES = (
    "-lead.png",
    "[b]{c};&,+~@!%^.png",
    "a=b.png",
    "do$HOME.png",
    "h#h(x).png",
    "it's.png",
    "lt<gt>|`.png",
    'q"q.png',
    "st*r?.png",
    "two  words.png",
    "Å Ã©.png",
    "é.png",
    "猫.png",
    "😀.png",
)


# A target's name as a BUILD file writes it.
_NAMED = ("//names:two words 'and' $HOME #1 100%", "//names:in shards of (it)")
_NAMED_BEYOND_ASCII = "//letters:é 猫 😀"


def _noise(folder, seed):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for name in _ODD_NAMES:
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / name)


def _paste_blocks(app, archive):
    """Writes the guide's blocks as they are, but for where the release lies."""
    (app / ".bazelrc").write_text(_BLOCKS[".bazelrc"])
    if not _IS_MODULE:
        block = _BLOCKS["WORKSPACE"]
        address = re.search(r'url = "(https://example.com/[^"]*)"', block)[1]
        (app / "WORKSPACE").write_text(block.replace(address, archive.as_uri()))
        return
    # A module comes from a registry; this line stands for one.
    own = 'local_path_override(module_name = "rules_quantize", path = "../rules_quantize")\n'
    (app / "MODULE.bazel").write_text(_BLOCKS["MODULE.bazel"] + own)


def _choose_lock(app):
    """Gives MLflow's environment a lock of the application's own, as the guide says."""
    if _IS_MODULE:
        file = app / "MODULE.bazel"
        file.write_text(file.read_text() + _OWN_LOCK)
    else:
        file = app / "WORKSPACE"
        named = 'rules_quantize_dependencies(locks = {"registry": "//:registry.lock"})'
        file.write_text(file.read_text().replace("\nrules_quantize_dependencies()", f"\n{named}"))
        assert named in file.read_text()


_OWN_LOCK = """
quantize = use_extension("@rules_quantize//rules:extensions.bzl", "quantize")
quantize.python_lock(environment = "registry", lock = "//:registry.lock")
"""


@pytest.fixture(name="consumer", scope="module")
def _consumer(tmp_path_factory):
    """An application beside a release of these rules, with models and images of its own."""
    result = bazel("build", "//models:face_int8", "//models:face_calibration")
    assert result.returncode == 0, result.stderr
    folder = tmp_path_factory.mktemp("consumer")
    archive = release_archive(tmp_path_factory.mktemp("release"))
    with tarfile.open(archive) as release:
        release.extractall(folder, filter="data")
    (folder / archive.name.removesuffix(".tar.gz")).rename(folder / "rules_quantize")
    app = folder / "app"
    shutil.copytree(WORKSPACE / "tests/e2e/application", app)
    _paste_blocks(app, archive.resolve())
    shutil.copy(WORKSPACE / "bazelw", app)
    images = info("bazel-bin") / "models"
    shutil.copytree(images / "face_calibration", app / "calibration_images")
    shutil.copytree(images / "face_test", app / "test_images")
    # Read as a workspace and as a module in turn, an output base has it under two names.
    source, *_ = info("output_base").glob(
        "external/*mediapipe_models/face_detection_short_range.tflite"
    )
    shutil.copy(source, app / "detector.tflite")
    _noise(app / "names/photos é x", 1)
    _noise(app / "names/test é x", 2)
    (app / "names/net é 猫 ' \" $HOME.tflite").write_bytes(tiny_model())
    (app / "letters/é.txt").touch()
    lock = (WORKSPACE / "rules/locks/registry.lock").read_text()
    (app / "registry.lock").write_text("# Chosen by the application's team.\n" + lock)
    yield app
    bazel("clean", "--expunge", folder=app)


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(*words, folder):
    """Starts Bazel, which must succeed; gives what was printed."""
    result = bazel(*words, folder=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(name="named", scope="module")
def _named(consumer):
    """The targets of the models of noise.

    Debian's Bazel 7, where the machine has no Latin-1 locale, takes a file's name from Java and
    a target's as bytes: no file with letters beyond ASCII is named in a BUILD file, and no
    output.
    """
    printed = bazel("query", "labels(srcs, //letters:found)", folder=consumer).stdout
    if "//letters:é.txt" in printed:
        return (*_NAMED, _NAMED_BEYOND_ASCII)
    with (consumer / ".bazelrc").open("a") as file:
        file.write("build --deleted_packages=letters\n")
    return _NAMED


# A consumer's first minutes.


def test_a_consumer_builds_with_what_the_guide_says_and_fetches_no_more(consumer, named):
    _run("build", "//...", folder=consumer)
    fetched = {path.parent.name for path in info("output_base", consumer).glob("external/*/*")}
    ours = {name for name in fetched if re.search("rules_quantize_|mediapipe|photographs", name)}
    ours = {re.split("[~+]", name)[-1] for name in ours}
    assert {"rules_quantize_litert"} <= ours <= {"rules_quantize_litert", "rules_quantize_bazel"}


def test_a_consumer_tests_with_what_the_guide_says(consumer, named):
    # Bazel 4 starts no test whose name has letters beyond ASCII.
    beyond = is_bazel_4(consumer) and _NAMED_BEYOND_ASCII in named
    targets = ["--", "//...", *(["-//letters/..."] if beyond else [])]
    printed = _run("test", *targets, folder=consumer)
    for target in named[:-1] if beyond else named:
        assert re.search(rf"{re.escape(target)}_similarity_test +PASSED", printed), printed
        assert re.search(rf"{re.escape(target)}_fps_test +PASSED", printed), printed


def _made(consumer, named, ending):
    """Finds a file of each target."""
    folder = info("bazel-bin", consumer)
    return [folder / (name.removeprefix("//").replace(":", "/") + ending) for name in named]


def _digests(consumer, named):
    return [_digest(path) for path in _made(consumer, named, ".tflite")]


def test_a_consumer_names_files_as_it_likes(consumer, named):
    _run("build", *named, folder=consumer)
    for target, path in zip(named, _made(consumer, named, ".report.json"), strict=True):
        report = json.loads(path.read_text())
        assert report["name"] == target.partition(":")[2]
        assert report["data"]["calibration"]["files"] == len(_ODD_NAMES)
        assert report["data"]["test"]["files"] == len(_ODD_NAMES)
        assert report["similarity"]["outputs"][0]["worst_sample"] in _ODD_NAMES
    # One by one or in shards, as files or in a folder.
    assert len(set(_digests(consumer, named))) == 1


def test_a_consumer_names_files_as_it_likes_with_workers_and_without(consumer, named):
    before = _digests(consumer, named)
    kept = (consumer / ".bazelrc").read_text()
    flags = []
    if is_bazel_4(consumer):
        (consumer / ".bazelrc").write_text(kept + _BLOCKS[".bazelrc of Bazel 4"])
    else:
        flags.append("--spawn_strategy=sandboxed")
    try:
        _run("clean", folder=consumer)
        printed = _run("build", *flags, *named, folder=consumer)
        refused = bazel("build", *flags, "//names:refused [it]", folder=consumer)
    finally:
        (consumer / ".bazelrc").write_text(kept)
    assert ("worker" in printed) == is_bazel_4(consumer), printed
    assert _digests(consumer, named) == before
    assert refused.returncode == 1
    assert "test sample -lead.png is calibration sample -lead.png and 13 more" in refused.stderr


def test_a_message_names_a_file_by_its_own_name(consumer):
    broken = consumer / "names/photos é x/broken é 猫.png"
    broken.write_text("no picture")
    try:
        built = bazel("build", _NAMED[0], folder=consumer)
        tuned = bazel("run", _NAMED[0] + ".tune", folder=consumer)
    finally:
        broken.unlink()
    wanted = "names/photos é x/broken é 猫.png: not a readable image"
    assert wanted in built.stderr, built.stderr
    assert wanted in tuned.stderr, tuned.stderr


@pytest.mark.parametrize("target", [*_NAMED, _NAMED_BEYOND_ASCII])
def test_a_consumer_tunes_whatever_its_name(consumer, named, target):
    if target not in named:
        pytest.skip("this Bazel has no outputs with letters beyond ASCII")
    package, _, name = target.removeprefix("//").partition(":")
    settings = consumer / package / f"{name}.settings.json"
    words = ("--stop_at_first", "--samples=4", "--candidates=4", "--rounds=9")
    try:
        _run("run", f"{target}.tune", "--", *words, folder=consumer)
        found = json.loads(settings.read_text())
    finally:
        settings.unlink(missing_ok=True)
    front = json.loads((consumer / f".tuning/{name}.front.json").read_text())
    (picked,) = [entry for entry in front["candidates"] if entry["chosen"]]
    assert picked["settings"] == found


def test_a_consumer_shows_what_the_demo_draws(consumer):
    _run("build", "@rules_quantize//models:face_int8", folder=consumer)
    photograph, *_ = info("output_base", consumer).glob(
        "external/*scikit_image_photographs/astronaut.png"
    )
    words = ("@rules_quantize//tools:demo", "--", f"--image={photograph}")
    printed = _run("run", *words, folder=consumer)
    assert "face, float32: 1 found, " in printed
    assert "face_int8: 1 found, " in printed
    assert Image.open(consumer / "demo.png").width > 500


def test_a_consumer_gets_every_source_file(consumer):
    here = [
        path.relative_to(WORKSPACE)
        for folder in ("rules", "tools", "registry")
        for path in (WORKSPACE / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(here) > 100
    assert [name for name in here if not (consumer.parent / "rules_quantize" / name).exists()] == []


def test_a_consumer_builds_the_same_bytes_in_another_output_base(consumer):
    result = bazel("build", "//:detector_int8", folder=consumer)
    assert result.returncode == 0, result.stderr
    ours, theirs = info("bazel-bin") / "models", info("bazel-bin", consumer)
    assert ours != theirs
    # The application's own target, from loose files, is the same model.
    for name in ("tflite", "recipe.json"):
        assert _digest(theirs / f"detector_int8.{name}") == _digest(ours / f"face_int8.{name}")
    report = json.loads((theirs / "detector_int8.report.json").read_text())
    assert (report["name"], report["version"]) == ("detector_int8", "2.1.0")


def test_the_report_of_layers_is_built_when_it_is_asked_for(consumer):
    assert bazel("build", "//:detector_int8", folder=consumer).returncode == 0
    folder = info("bazel-bin", consumer)
    made = [folder / f"detector_int8.layers.{kind}" for kind in ("json", "html", "txt")]
    assert not any(path.exists() for path in made)
    result = bazel("build", "--output_groups=layers", "//:detector_int8", folder=consumer)
    assert result.returncode == 0, result.stderr
    report, page, _ = (path.read_text() for path in made)
    layers = json.loads(report)["layers"]
    assert len(layers) > 50
    assert {"cosine", "sqnr_db"} < set(layers[0])
    assert "<svg" in page


def test_a_consumer_tests_and_registers_with_a_lock_of_its_own(consumer):
    _choose_lock(consumer)
    result = bazel("test", "//:all", folder=consumer)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "//:detector_int8_similarity_test" in result.stdout
    result = bazel("run", "//:detector_int8.register", folder=consumer)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "registered detector version 1 (detector_int8 2.1.0, int8)" in result.stdout
    assert (consumer / ".mlflow/mlflow.db").exists()
    # By the team's own packages.
    (made,) = info("output_base", consumer).glob("external/*rules_quantize_registry/BUILD.bazel")
    assert "# A virtual environment made from //:registry.lock." in made.read_text()


def test_a_consumer_registers_whatever_its_name(consumer, named):
    for number, target in enumerate((named[0], named[-1])):
        words = (f"{target}.register", "--", f"--registered_model=n{number}")
        printed = _run("run", *words, folder=consumer)
        name = target.partition(":")[2]
        assert f"registered n{number} version 1 ({name} 1, int8)" in printed


def test_the_commands_that_a_consumer_is_shown_work(consumer):
    printed = _run("run", f"{_NAMED[0]}.register", folder=consumer)
    (command,) = re.findall(r"^  open     (bazel run .*)$", printed, re.MULTILINE)
    assert command == "bazel run @rules_quantize//registry:ui"
    done = typed(f"{command} -- --help", consumer)
    assert done.returncode == 0, done.stderr
    assert "\n  bazel run @rules_quantize//registry:ui -- --port=8080\n" in done.stdout

    done = bazel("run", "@rules_quantize//registry:history", "--", "none@1", folder=consumer)
    assert done.returncode == 2
    (command,) = re.findall(r"`(bazel run [^`]*)`", done.stderr)
    done = typed(command, consumer)
    assert done.returncode == 0, done.stderr
    assert "detector" in done.stdout

    tool = "@rules_quantize//tools:check_gates"
    shown = _run("run", tool, "--", "--help", folder=consumer)
    examples = re.findall(r"^  (bazel run .*)$", shown, re.MULTILINE)
    assert examples
    done = typed(examples[0], consumer)
    assert done.returncode == 2
    assert "check_gates: error: " in done.stderr
    assert "face_int8.report.json: No such file or directory" in done.stderr


def test_a_consumer_is_told_how_to_go_on(consumer, named):
    """The command that goes on names a target with spaces, and letters beyond ASCII."""
    target = f"{named[-1]}.register"
    flags = ("--@rules_quantize//registry:tracking_uri=http://127.0.0.1:9", target)
    done = bazel("run", *flags, "--", "--patience=1", folder=consumer)
    assert done.returncode == 2, done.stderr
    (command,) = re.findall(r"; to go on: (.*)$", done.stderr, re.MULTILINE)
    assert shlex.split(command) == ["bazel", "run", target]
    done = typed(command, consumer)
    assert done.returncode == 0, done.stderr
    assert "already registered" in done.stdout


def test_a_consumer_names_its_registry_in_a_flag(consumer):
    flag = f"--@rules_quantize//registry:tracking_uri=sqlite:///{consumer}/team/mlflow.db"
    result = bazel("run", flag, "//:detector_int8.register", folder=consumer)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "registered detector version 1 (detector_int8 2.1.0, int8)" in result.stdout
    assert (consumer / "team/mlflow.db").exists()
    result = bazel("run", flag, "@rules_quantize//registry:list", folder=consumer)
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
        chosen = bazel(*test, "--@rules_quantize//rules:device=//:laboratory", folder=consumer)
        unchosen = bazel(*test, folder=consumer)
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
    result = bazel(*command, folder=consumer)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads((consumer / "detector_auto.settings.json").read_text())
    front = json.loads((consumer / ".tuning/detector_auto.front.json").read_text())
    (picked,) = [entry for entry in front["candidates"] if entry["chosen"]]
    assert picked["settings"] == found
    result = bazel("build", "//:detector_auto", folder=consumer)
    assert result.returncode == 0, result.stderr
    report = json.loads((info("bazel-bin", consumer) / "detector_auto.report.json").read_text())
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
        done = [bazel(*command, folder=consumer) for command in commands]
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
    model = ":detector",
    registered_model = "measured",
    scheme = "int8",
    speed = speed_gates(min_fps = {":laboratory": 3}, min_speedup = 1.5),
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
        result = bazel("build", "//:detector_int8", folder=consumer)
    finally:
        build.write_text(kept)
    assert result.returncode == 1
    assert "detector_int8: scheme int8 needs calibration_data" in result.stderr


def test_one_more_image_makes_another_artifact(consumer):
    before = _digest(info("bazel-bin", consumer) / "detector_int8.tflite")
    images = consumer / "calibration_images"
    # A picture whose ends are more extreme than any other's.
    shutil.copy(consumer / "test_images/none_0001.png", images / "more.png")
    shutil.rmtree(consumer / "test_images")
    (consumer / "test_images").mkdir()
    shutil.copy(images / "more.png", consumer / "test_images/more.png")
    result = bazel("build", "//:detector_int8", folder=consumer)
    assert result.returncode == 1
    assert "test sample more.png is calibration sample more.png" in result.stderr
    assert _digest(info("bazel-bin", consumer) / "detector_int8.tflite") != before
