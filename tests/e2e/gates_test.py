"""Gates in a BUILD file: what Bazel refuses as it loads it, and what a select() may choose.

Run by `bazel run //tests/e2e:gates_test`: it starts Bazel in a workspace of a small model that it
makes, with an output base of its own.
"""

import json
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from tests.e2e.workspaces import HERE, WORKSPACE, bazel
from tests.random_models import tiny_model
from tools.quantization.settings import QuantizationSettings, settings_text

pytestmark = pytest.mark.skipif(not HERE, reason="starts Bazel: use bazel run")

_WORKSPACE = """\
workspace(name = "app")
local_repository(name = "rules_quantize", path = "{rules}")
load("@rules_quantize//rules:dependencies.bzl", "rules_quantize_dependencies")
rules_quantize_dependencies()
load("@rules_quantize//rules:dependencies.bzl", "remote_coverage_tools")
remote_coverage_tools()
"""

_BUILD = """\
load("@rules_quantize//rules:defs.bzl", "float_model")

float_model(
    name = "net",
    src = "source.tflite",
    visibility = ["//visibility:public"],
)

exports_files(glob(["*.npy", "*.json", "*.tflite"]))

filegroup(
    name = "images",
    srcs = glob(["images/*.png"], allow_empty = True),
    visibility = ["//visibility:public"],
)
"""

_MODEL = """\
load("@rules_quantize//rules:defs.bzl", "quality_gates", "quantized_model", "speed_gates")

{before}

quantized_model(
    name = "{name}",
    calibration_data = "//:calibration.npy",
    model = "//:net",
    test_data = "//:test.npy",
    {arguments}
)
"""


def _settings(scheme):
    return settings_text(QuantizationSettings(scheme=scheme))


class _App:
    """A workspace that depends on these rules."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "WORKSPACE").write_text(_WORKSPACE.format(rules=WORKSPACE))
        (folder / "bazelw").symlink_to(WORKSPACE / "bazelw")
        (folder / ".bazelrc").write_text("build --experimental_run_validations\n")
        (folder / "BUILD.bazel").write_text(_BUILD)
        (folder / "source.tflite").write_bytes(tiny_model())
        (folder / "int8.settings.json").write_text(_settings("int8"))
        for seed, name in enumerate(("calibration", "test")):
            samples = np.random.default_rng(seed).uniform(-1, 1, (8, 16, 16, 3))
            np.save(folder / f"{name}.npy", samples.astype(np.float32))

    def declare(self, name, arguments, before=""):
        """Writes a package of one quantized_model."""
        package = self.folder / name
        package.mkdir(exist_ok=True)
        text = _MODEL.format(name=name, arguments=arguments, before=before)
        (package / "BUILD.bazel").write_text(text)

    def run(self, *words):
        return bazel(*words, "--color=no", "--curses=no", folder=self.folder)


@pytest.fixture(name="app", scope="module")
def _app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gates") / "app"
    folder.mkdir()
    app = _App(folder)
    yield app
    bazel("clean", "--expunge", folder=folder)
    bazel("shutdown", folder=folder)


def _refusal(app, name):
    """Gives the line that says why a file is not loaded; Bazel names the file beside it."""
    done = app.run("query", f"//{name}:all")
    assert done.returncode != 0, done.stdout
    assert re.search(rf"{name}/BUILD.bazel\W+line \d+", done.stderr), done.stderr
    (line,) = [one for one in done.stderr.splitlines() if "Error in fail: " in one]
    return line.partition("Error in fail: ")[2]


_SCHEME = 'scheme = "int8", version = "1", '

_REFUSED = [
    ("quality_gates(tolerence = 0.1)", "quality_gates: no gate tolerence; near it: tolerance"),
    ("quality_gates(max_size = 9)", "quality_gates: no gate max_size; near it: max_size_bytes"),
    (
        "quality_gates(min_recall = 0.9)",
        'quality_gates: min_recall is a gate of tasks; write detection = {"min_recall": ...} or '
        'landmarks = {"min_recall": ...}',
    ),
    (
        'quality_gates(detection = {"min_recal": 0.9})',
        "quality_gates: detection: no gate min_recal; near it: min_recall",
    ),
    (
        'quality_gates(detection = {"max_landmark_error": 0.9})',
        "quality_gates: detection: max_landmark_error is no gate of such tasks; write landmarks = "
        '{"max_landmark_error": ...}',
    ),
    (
        'quality_gates(detection = {"tolerance": 0.9})',
        "quality_gates: detection: tolerance is no gate of such tasks; write it beside detection",
    ),
    (
        "quality_gates(landmarks = 0.9)",
        "quality_gates: landmarks = 0.9; give a dict of thresholds by gate",
    ),
    (
        "quality_gates(tolerance = -1)",
        "quality_gates: tolerance = -1; give a number from 0 to 2",
    ),
    ("quality_gates(tolerance = 5)", "quality_gates: tolerance = 5; give a number from 0 to 2"),
    (
        'quality_gates(tolerance = float("nan"))',
        "quality_gates: tolerance = nan; give a number from 0 to 2",
    ),
    (
        'quality_gates(max_abs_error = float("inf"))',
        "quality_gates: max_abs_error = +inf; give a number from 0",
    ),
    (
        "quality_gates(tolerance = True)",
        "quality_gates: tolerance = True; give a number from 0 to 2",
    ),
    (
        'quality_gates(tolerance = {"boxes": 3})',
        "quality_gates: tolerance of boxes = 3; give a number from 0 to 2",
    ),
    (
        'quality_gates(detection = {"min_box_iou": 1.5})',
        "quality_gates: detection: min_box_iou = 1.5; give a number from 0 to 1",
    ),
    (
        "quality_gates(max_size_bytes = -3)",
        "quality_gates: max_size_bytes = -3; give a whole number from 1",
    ),
    (
        "quality_gates(max_size_bytes = 1.5)",
        "quality_gates: max_size_bytes = 1.5; give a whole number from 1",
    ),
    (
        "quality_gates(smaller_than_source = 1)",
        "quality_gates: smaller_than_source = 1; give True or False",
    ),
    (
        "quality_gates(oldest_runtime = 2.7)",
        'quality_gates: oldest_runtime = 2.7; give a version such as "2.7.0"',
    ),
    (
        'quality_gates(max_degradation = {"recal": 0.1})',
        "quality_gates: max_degradation: no metric recal; near it: recall",
    ),
    (
        "quality_gates(max_degradation_percent = 3)",
        "quality_gates: max_degradation_percent = 3; give a dict of thresholds by metric",
    ),
    (
        "quality_gates(max_jpeg_ratio = -1)",
        "quality_gates: max_jpeg_ratio = -1; give a number from 0",
    ),
    (
        'quality_gates(max_jpeg_ratio = {"soft_io": 2})',
        "quality_gates: max_jpeg_ratio: no metric soft_io; near it: soft_iou",
    ),
    (
        'quality_gates(max_jpeg_ratio = {"*": -1})',
        "quality_gates: max_jpeg_ratio of * = -1; give a number from 0",
    ),
    ("speed_gates(min_spedup = 2)", "speed_gates: no gate min_spedup; near it: min_speedup"),
    ("speed_gates(min_speedup = 0)", "speed_gates: min_speedup = 0; give a number above 0"),
    (
        'speed_gates(min_fps = {":host": -1})',
        "speed_gates: min_fps of :host = -1; give a number above 0",
    ),
    (
        'speed_gates(min_fps = {"pixel8": 60})',
        'speed_gates: min_fps names the device pixel8; give ":host", or a latency_device\'s label',
    ),
    (
        "speed_gates(min_fps = 60)",
        'speed_gates: min_fps = 60; give a dict by device, such as {":host": 200}',
    ),
]


@pytest.mark.parametrize(("gates", "said"), _REFUSED, ids=[gates for gates, _ in _REFUSED])
def test_a_gate_that_means_nothing_is_refused_as_the_file_is_loaded(app, gates, said):
    parameter = "speed" if gates.startswith("speed") else "quality"
    app.declare("refused", f"{parameter} = {gates}, {_SCHEME}")
    assert _refusal(app, "refused") == said


@pytest.mark.parametrize("parameter", ["layers", "speed", "tags"])
def test_what_no_select_may_choose_is_refused(app, parameter):
    chosen = 'select({"//conditions:default": None})'
    app.declare("refused", f"{parameter} = {chosen}, {_SCHEME}")
    assert _refusal(app, "refused").startswith(f"//refused:refused: {parameter} cannot be a select")


def _gates_of(app, target):
    (path,) = (app.folder / "bazel-bin").glob(f"{target}/{target}.gates.json")
    return json.loads(path.read_text())


def _built(app, name, *flags):
    done = app.run("build", *flags, f"//{name}")
    assert done.returncode == 0, done.stderr
    return json.loads((app.folder / f"bazel-bin/{name}/{name}.report.json").read_text())


_OFF = "max_scale_error = None, min_layer_correlation = None, tolerance = 1"


def test_gates_are_in_the_query_and_in_the_file(app):
    app.declare(
        "written",
        f"quality = quality_gates({_OFF}, max_size_bytes = 100000), {_SCHEME}"
        "speed = speed_gates(min_fps = {':host': 1}, max_p90_ms = 1000)",
    )
    shown = app.run("query", "--output=build", "//written:all").stdout
    assert '"max_size_bytes": "100000"' in shown
    assert '"max_p90_ms": "1000"' in shown
    _built(app, "written")
    assert _gates_of(app, "written") == {
        "max_scale_error": None,
        "max_size_bytes": 100000,
        "min_layer_correlation": None,
        "min_positives": 1,
        "tolerance": 1,
    }


def test_gates_of_tasks_are_read_by_type_and_by_name(app):
    app.declare(
        "tasks",
        """quality = quality_gates(
            detection = {"min_recall": 0.98},
            landmarks = {"min_recall": {"eye": 0.9, "*": 0.8}, "max_landmark_error_px": 3},
            tolerance = {"*": 0.05, "boxes": 0.01},
        ), """
        + _SCHEME,
    )
    # The gates do not fit this model; they are written all the same.
    app.run("build", "//tasks")
    gates = _gates_of(app, "tasks")
    assert gates["min_recall"] == {"detection": 0.98, "eye": 0.9, "landmarks": 0.8}
    assert gates["max_landmark_error_px"] == {"landmarks": 3}
    assert gates["tolerance"] == {"*": 0.05, "boxes": 0.01}


def test_an_artifact_is_held_to_what_jpeg_changes(app):
    images = app.folder / "images"
    images.mkdir()
    pixels = np.random.default_rng(2).integers(0, 256, (8, 16, 16, 3), np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(images / f"{number}.png")
    mask = 'segmentation(logits = True, mask = "scores", min_area = 0.01)'
    for name, ratio in (("loose", "{'*': 1000, 'segmentation_iou': None}"), ("strict", "0.0001")):
        gates = f"quality_gates({_OFF}, max_jpeg_ratio = {ratio})"
        app.declare(f"jpeg_{name}", f"quality = {gates}, {_SCHEME}")
        path = app.folder / f"jpeg_{name}/BUILD.bazel"
        text = path.read_text().replace('model = "//:net"', 'model = ":net"')
        text = text.replace('"//:test.npy"', '"//:images"')
        path.write_text(
            text
            + 'load("@rules_quantize//rules:defs.bzl", "float_model", "segmentation")\n'
            + f'float_model(name = "net", src = "//:source.tflite", task = {mask})\n'
        )
    (task,) = _built(app, "jpeg_loose")["similarity"]["tasks"]
    assert 0 < task["jpeg"]["soft_iou_mean"] < 1
    assert _gates_of(app, "jpeg_loose")["max_jpeg_ratio"] == {"*": 1000, "segmentation_iou": None}
    refused = app.run("build", "//jpeg_strict")
    assert refused.returncode == 1
    assert "max_jpeg_ratio of task segmentation: mean soft IoU of masks changes" in refused.stderr


_STRICT = """\
config_setting(
    name = "strict",
    define_values = {"gates": "strict"},
)
"""

_CHOSEN = f"""\
calibration_shards = select({{":strict": 2, "//conditions:default": 1}}),
    input_type = select({{":strict": "int8", "//conditions:default": "float32"}}),
    keep_float = select({{":strict": [], "//conditions:default": []}}),
    quality = select({{
        ":strict": quality_gates(max_size_bytes = 10),
        "//conditions:default": quality_gates({_OFF}),
    }}),
    scheme = select({{":strict": "int8", "//conditions:default": "float16"}}),
    version = select({{":strict": "2", "//conditions:default": "1"}}),
"""


def test_a_select_chooses_gates_scheme_and_version(app):
    app.declare("chosen", _CHOSEN, _STRICT)
    report = _built(app, "chosen")
    assert (report["scheme"], report["version"]) == ("float16", "1")
    refused = app.run("build", "--define=gates=strict", "//chosen")
    assert refused.returncode == 1
    assert re.search(r"^  max_size_bytes: [\d,]+ bytes, allowed 10 bytes$", refused.stderr, re.M)
    report = json.loads((app.folder / "bazel-bin/chosen/chosen.report.json").read_text())
    assert (report["scheme"], report["version"]) == ("int8", "2")
    assert report["artifact"]["inputs"][0]["dtype"] == "int8"


def test_a_select_chooses_settings_data_and_model(app):
    app.declare(
        "data",
        f"""quality = quality_gates({_OFF}),
    registered_model = select({{":strict": "a", "//conditions:default": "b"}}),
    settings = select({{":strict": "//:int8.settings.json", "//conditions:default": None}}),
    scheme = select({{":strict": "", "//conditions:default": "dynamic"}}),
    optimise = select({{":strict": "speed", "//conditions:default": "size"}}),
    version = "1",
""",
        _STRICT,
    )
    path = app.folder / "data/BUILD.bazel"
    text = path.read_text()
    for label in ("calibration.npy", "test.npy", "net"):
        chosen = f'select({{":strict": "//:{label}", "//conditions:default": "//:{label}"}})'
        text = text.replace(f'= "//:{label}"', f"= {chosen}")
    path.write_text(text)
    assert _built(app, "data")["scheme"] == "dynamic"
    assert _built(app, "data", "--define=gates=strict")["scheme"] == "int8"
    done = app.run("build", "--nobuild", "//data:all", "//data:data.tune", "//data:data.register")
    assert done.returncode == 0, done.stderr


def test_what_a_search_found_is_one_of_the_choices(app):
    app.declare(
        "searched",
        f"""quality = quality_gates({_OFF}),
    scheme = select({{":strict": "auto", "//conditions:default": "float16"}}),
    version = "1",
""",
        _STRICT,
    )
    assert _built(app, "searched")["scheme"] == "float16"
    done = app.run("build", "--define=gates=strict", "//searched")
    assert "`bazel run //searched:searched.tune` searches for the best" in done.stderr
    (app.folder / "searched/searched.settings.json").write_text(_settings("dynamic"))
    assert _built(app, "searched", "--define=gates=strict")["scheme"] == "dynamic"


def test_a_constant_of_a_file_is_a_value_of_gates(app):
    (app.folder / "gates.bzl").write_text(
        'load("@rules_quantize//rules:defs.bzl", "quality_gates")\n'
        f"GATES = quality_gates({_OFF}, max_size_bytes = 100001)\n"
    )
    app.declare("constant", f"quality = GATES, {_SCHEME}", 'load("//:gates.bzl", "GATES")')
    _built(app, "constant")
    assert _gates_of(app, "constant")["max_size_bytes"] == 100001


def test_data_is_asked_for_where_the_scheme_needs_it(app):
    app.declare("needs", 'scheme = select({"//conditions:default": "int8"}), version = "1"')
    path = app.folder / "needs/BUILD.bazel"
    path.write_text(path.read_text().replace('calibration_data = "//:calibration.npy",', ""))
    done = app.run("build", "//needs")
    assert done.returncode == 1
    assert re.search(r"//needs:needs: scheme int8 needs calibration_data", done.stderr)


_DEVICE = """\
load("@rules_quantize//rules:defs.bzl", "latency_device")

latency_device(
    name = "phones",
    {arguments}
)
"""


def test_devices_by_their_properties(app):
    device = _DEVICE.format(
        arguments='backend = "adb", benchmark_binary = "//:source.tflite", patience = 90, '
        'properties = {"soc": "Tensor G3", "model": "Pixel 8"},'
    )
    speed = 'speed = speed_gates(min_fps = {":phones": 1})'
    app.declare("rack", f"{speed}, quality = quality_gates({_OFF}), {_SCHEME}", device)
    test = "rack/rack_phones_fps_test"
    done = app.run("build", "//" + test.replace("/", ":"))
    assert done.returncode == 0, done.stderr
    words = shlex.split((app.folder / "bazel-bin" / test).read_text(), comments=True)
    assert "--device=adb:model=Pixel 8,soc=Tensor G3" in words
    assert "--patience=90" in words


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            'backend = "host", properties = {"model": "Pixel 8"},',
            "serial and properties belong to backend adb",
        ),
        (
            'backend = "adb", benchmark_binary = "//:source.tflite", serial = "A", '
            'properties = {"model": "Pixel 8"},',
            "give serial, or properties of all devices that may be taken",
        ),
        ('backend = "host", patience = -1,', "patience is -1; give seconds, from 0"),
    ],
)
def test_a_device_that_means_nothing_is_refused(app, arguments, said):
    app.declare("devices", _SCHEME, _DEVICE.format(arguments=arguments))
    done = app.run("build", "//devices:phones")
    assert done.returncode != 0, done.stdout
    assert f"//devices:phones: {said}" in done.stderr
