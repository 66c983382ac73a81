"""Which actions Bazel runs, how, and what they read, as its execution log says.

Run by `bazel run //tests/e2e:build_actions_test`: it starts Bazel in a workspace of small
models that it makes, with an output base of its own.
"""

import base64
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.workspaces import users_environment
from tests.random_models import tiny_model

_HERE = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
pytestmark = pytest.mark.skipif(not _HERE, reason="starts Bazel: use bazel run")
_RULES = Path(_HERE or ".")

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
load(":app.bzl", "folder", "model_without_gates")

[float_model(name = name, src = name + "_source.tflite") for name in ("net", "other")]

filegroup(name = "calibration_images", srcs = glob(["calibration/*.png"]))
filegroup(name = "test_images", srcs = glob(["test/*.png"]))
folder(name = "calibration_folder", srcs = [":calibration_images"])

[model_without_gates(
    name = "net_int8_" + str(shards),
    calibration_data = ":calibration_images",
    calibration_shards = shards,
    model = ":net",
    scheme = "int8",
) for shards in (1, 3, 8)]

model_without_gates(
    name = "net_int8_folder",
    calibration_data = ":calibration_folder",
    calibration_shards = 4,
    model = ":net",
    scheme = "int8",
)

model_without_gates(name = "other_float16", model = ":other", scheme = "float16")
"""

_DEFINITIONS = """\
load("@rules_quantize//rules:defs.bzl", "quality_gates", "quantized_model")

def model_without_gates(**kwargs):
    quantized_model(
        quality = quality_gates(
            max_scale_error = None,
            min_layer_correlation = None,
            tolerance = 1,
        ),
        test_data = ":test_images",
        version = "1",
        **kwargs
    )

# Samples that a build makes, whose names no rule knows.
def _folder_impl(ctx):
    folder = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        command = "cp \\"$@\\" " + folder.path,
        arguments = [file.path for file in ctx.files.srcs],
        inputs = ctx.files.srcs,
        outputs = [folder],
        mnemonic = "Folder",
    )
    return [DefaultInfo(files = depset([folder]))]

folder = rule(implementation = _folder_impl, attrs = {"srcs": attr.label_list(allow_files = True)})
"""


def _image(path, seed):
    path.parent.mkdir(exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(values).save(path)


class App:
    """A workspace that depends on these rules."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "WORKSPACE").write_text(_WORKSPACE.format(rules=_RULES))
        (folder / "BUILD.bazel").write_text(_BUILD)
        (folder / "app.bzl").write_text(_DEFINITIONS)
        (folder / "bazelw").symlink_to(_RULES / "bazelw")
        for seed, name in enumerate(("net", "other")):
            (folder / f"{name}_source.tflite").write_bytes(tiny_model(seed))
        for number in range(20):
            _image(folder / f"calibration/image_{number:02}.png", number)
        for number in range(8):
            _image(folder / f"test/image_{number:02}.png", 100 + number)
        flags = ["build --experimental_run_validations"]
        # Bazel 4 alone knows this one, and must be told; Debian's says no version.
        known = base64.b64decode(self.run("help", "flags-as-proto").stdout)
        if b"experimental_worker_allow_json_protocol" in known:
            flags += (_RULES / "tools/bazel_4.bazelrc").read_text().splitlines()[-1:]
            flags[-1] = flags[-1].replace("--//", "--@rules_quantize//")
        (folder / ".bazelrc").write_text("\n".join(flags) + "\n")

    def run(self, *arguments):
        result = subprocess.run(
            ["./bazelw", *arguments],
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=users_environment(),
            text=True,
        )
        assert result.returncode == 0, result.stderr
        return result

    def build(self, *arguments):
        """Builds everything, and returns what was run for it: the execution log's entries."""
        log = self.folder.parent / "log.json"
        self.run("build", "//...", f"--execution_log_json_file={log}", *arguments)
        entries, decoder, text = [], json.JSONDecoder(), log.read_text().strip()
        while text:
            entry, end = decoder.raw_decode(text)
            entries.append(entry)
            text = text[end:].lstrip()
        return entries

    def artifacts(self):
        return {
            path.name: path.read_bytes()
            for path in sorted((self.folder / "bazel-bin").iterdir())
            if path.name.endswith((".tflite", ".report.json", ".recipe.json"))
        }


def _kinds(entries):
    """Counts the actions by their mnemonics, without those of another rule's."""
    found = {}
    for entry in entries:
        found[entry["mnemonic"]] = found.get(entry["mnemonic"], 0) + 1
    return found


def _outputs(entries):
    return {Path(output).name for entry in entries for output in entry["listedOutputs"]}


@pytest.fixture(name="app", scope="module")
def _app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("actions") / "app"
    folder.mkdir()
    app = App(folder)
    yield app
    app.run("clean", "--expunge")
    app.run("shutdown")


@pytest.fixture(name="built", scope="module")
def _built(app):
    """The execution log of the first build."""
    return app.build()


_ALL = {
    "FloatMaster": 2,
    "QuantizeModel": 5,
    "CompareModels": 5,
    "CheckGates": 5,
    "HoldToGates": 5,
    "Folder": 1,
    "ShardSamples": 1,
}


# Actions that start no tool of ours.
_SHELL = ("Folder", "HoldToGates")


def test_every_tool_runs_in_a_worker(app, built):
    kinds = _kinds(built)
    # 3 and 8 parts by the files' names, some of which may be empty, and 4 of a folder.
    assert 4 + 3 + 5 <= kinds.pop("CalibrateModel") <= 4 + 3 + 8
    assert kinds == _ALL
    runners = {entry["mnemonic"]: entry["runner"] for entry in built}
    for shell in _SHELL:
        runners.pop(shell)
    assert set(runners.values()) == {"worker"}, runners


def test_the_artifact_does_not_depend_on_shards(app, built):
    artifacts = app.artifacts()
    names = [f"net_int8_{shards}.tflite" for shards in (1, 3, 8, "folder")]
    assert len({artifacts[name] for name in names}) == 1


@pytest.mark.parametrize(
    ("flags", "runner"),
    [
        (["--worker_sandboxing"], "worker"),
        (["--spawn_strategy=sandboxed"], "linux-sandbox"),
        (["--spawn_strategy=local"], "local"),
        (["--worker_max_instances=1"], "worker"),
    ],
)
def test_the_same_bytes_without_workers_and_in_sandboxes(app, built, flags, runner):
    expected = app.artifacts()
    assert len(expected) == 2 + 5 * 3
    app.run("clean")
    entries = app.build(*flags)
    assert {entry["runner"] for entry in entries if entry["mnemonic"] not in _SHELL} == {runner}
    assert app.artifacts() == expected


def test_nothing_changed(app, built):
    app.build()
    assert app.build() == []


def test_one_changed_model_runs_its_own_actions(app, built):
    app.build()
    (app.folder / "other_source.tflite").write_bytes(tiny_model(7))
    entries = app.build()
    # Nothing is refused, as before: the action that would fail the build need not run again.
    assert _kinds(entries) == {
        "FloatMaster": 1,
        "QuantizeModel": 1,
        "CompareModels": 1,
        "CheckGates": 1,
    }
    assert all(name.startswith("other") for name in _outputs(entries))


def test_one_more_image_recalibrates_one_part(app, built):
    app.build()
    _image(app.folder / "calibration/one_more.png", 77)
    entries = app.build()
    kinds = _kinds(entries)
    # One of 3 parts, one of 8, and one of the folder's 4.
    assert kinds["CalibrateModel"] == 3
    assert kinds["QuantizeModel"] == 4
    assert "FloatMaster" not in kinds
    assert not any(name.startswith("other") for name in _outputs(entries))
    artifacts = app.artifacts()
    names = [f"net_int8_{shards}.tflite" for shards in (1, 3, 8, "folder")]
    assert len({artifacts[name] for name in names}) == 1


def _sources(entries, mnemonic):
    """Lists the project's own files that an action read."""
    (*_, entry) = [entry for entry in entries if entry["mnemonic"] == mnemonic]
    paths = [file["path"] for file in entry["inputs"] if file["path"].endswith(".py")]
    return {
        path.removeprefix("external/rules_quantize/")
        for path in paths
        if path.startswith("external/rules_quantize/")
    }


def test_an_action_depends_on_its_tool_and_its_model_alone(app, built):
    text = app.run("aquery", 'mnemonic("^FloatMaster$", //:all)').stdout
    inputs = [line for line in text.splitlines() if line.strip().startswith("Inputs: [")]
    assert len(inputs) == 2
    for name, line in zip(("net", "other"), sorted(inputs), strict=True):
        words = line.strip().removeprefix("Inputs: [").removesuffix("]").split(", ")
        # The tool is its launcher and, in Bazel's short form, what that one runs.
        others = [word for word in words if "make_float_master" not in word.replace("_U", "_")]
        assert others == [f"{name}_source.tflite"]


def test_actions_read_their_own_tool_and_no_other(built):
    master = _sources(built, "FloatMaster")
    assert "tools/make_float_master.py" in master
    assert {name for name in master if name.count("/") == 1} == {
        "tools/__init__.py",
        "tools/command_line.py",
        "tools/errors.py",
        "tools/make_float_master.py",
        "tools/persistent_worker.py",
    }
    assert {name.split("/")[1] for name in master if name.count("/") == 2} == {
        "documents",
        "graph",
    }
    # A document's form makes no float master anew.
    assert {name for name in master if name.startswith("tools/documents/")} == {
        "tools/documents/__init__.py",
        "tools/documents/json_file.py",
    }
    quantize = _sources(built, "QuantizeModel")
    assert {name.split("/")[1] for name in quantize if name.count("/") == 2} == {
        "bundle",
        "documents",
        "graph",
        "quantization",
        "samples",
    }
    assert not {"tools/make_float_master.py", "tools/calibrate_model.py"} & quantize
    compare = _sources(built, "CompareModels")
    assert not {"tools/make_float_master.py", "tools/check_gates.py"} & compare
    assert "tools/similarity/comparison.py" in compare
    # A change of how models are quantized compares those again that it changed.
    assert {name for name in compare if name.startswith("tools/quantization/")} == {
        f"tools/quantization/{name}.py" for name in ("__init__", "dead_channels", "tied_channels")
    }
    gates = _sources(built, "CheckGates")
    assert {name.split("/")[1] for name in gates if name.count("/") == 2} == {
        "documents",
        "graph",
        "similarity",
    }
    shards = _sources(built, "ShardSamples")
    assert not [name for name in shards if name.count("/") == 2]
