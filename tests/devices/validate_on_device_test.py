"""validate_on_device: an artifact's answers by a device's Python, held to the build's gates."""

import json
import sys

import fastjsonschema
import numpy as np
import pytest

import tools.validate_on_device
from tests.random_models import random_image, tiny_model
from tests.tools.commands import run_command
from tools.documents.device_verdict import DeviceVerdict
from tools.documents.document import read_document
from tools.documents.schema import schema_of
from tools.graph.float_master import make_float_master
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

_SHAPE = (1, 16, 16, 3)
_SAMPLES = 5


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    (folder / "test").mkdir()
    for seed in range(_SAMPLES):
        np.save(folder / "test" / f"sample_{seed}.npy", random_image(_SHAPE, 100 + seed)[0])
    calibration = [{"image": random_image(_SHAPE, seed)} for seed in range(8)]
    master, _ = make_float_master(tiny_model())
    (folder / "float.tflite").write_bytes(master)
    artifact = quantize(master, QuantizationSettings("int8"), calibration).model
    (folder / "right.tflite").write_bytes(artifact)
    return folder


def _validate(folder, *flags, command=f"'{sys.executable}' -"):
    return run_command(
        tools.validate_on_device,
        "--float_model=float.tflite",
        "--quantized_model=right.tflite",
        "--test_data=test/",
        f"--command={command}",
        *flags,
        where=folder,
        BUILD_WORKING_DIRECTORY=str(folder),
    )


def _verdict(path):
    fastjsonschema.compile(schema_of(DeviceVerdict))(json.loads(path.read_text()))
    return read_document(path, DeviceVerdict)


def test_a_right_artifact_passes(folder, tmp_path):
    path = tmp_path / "verdict.json"
    done = _validate(folder, "--device_name=pi", "--most_samples=3", f"--output={path}")
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()[:4])
    assert said["device"].startswith("pi: Python 3.")
    assert said["taken"] == "whole"
    assert f"on 3 of {_SAMPLES} test samples" in said["similarity"]
    assert " times the float model's there, " in said["speed"]
    verdict = _verdict(path)
    assert (verdict.passed, verdict.taken, verdict.fault) == (True, "whole", "")
    assert (verdict.device.accelerator, verdict.device.adapter) == ("cpu", "")
    assert verdict.similarity.outputs[0].cosine_mean > 0.99
    assert verdict.speed.speedup > 0


def test_an_artifact_beyond_its_gates_fails(folder, tmp_path):
    path = tmp_path / "verdict.json"
    done = _validate(folder, "--tolerance=0.00000001", f"--output={path}")
    assert done.returncode == 1
    assert done.stderr.startswith("right on device: refused, 1 of 2 gates failed\n")
    assert not _verdict(path).passed


def test_without_the_device_nothing_is_written(folder, tmp_path):
    path = tmp_path / "verdict.json"
    done = _validate(folder, f"--output={path}", command="no-such-program -")
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith("validate_on_device: error: ")
    assert "right.tflite on device: `no-such-program -` cannot be started" in line
    assert not path.exists()
