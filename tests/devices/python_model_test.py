"""Models that a device's own Python runs; the device is this host."""

import base64
import io
import json
import platform
import re
import sys
import time

import numpy as np
import pytest

from tests.random_models import random_image, tiny_model
from tests.refused import refused
from tools.devices import python_model, run_samples
from tools.devices.python_model import PythonModel
from tools.graph.float_master import make_float_master
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.similarity.model_outputs import ModelOutputs

_COMMAND = f"'{sys.executable}' -"
_SAMPLES = [{"image": random_image((1, 16, 16, 3), seed)} for seed in range(8)]


@pytest.fixture(name="master", scope="module")
def _master():
    return make_float_master(tiny_model())[0]


@pytest.fixture(name="artifact", scope="module")
def _artifact(master):
    return quantize(master, QuantizationSettings("int8"), _SAMPLES).model


@pytest.mark.parametrize("bytes_at_once", [1, 2 * _SAMPLES[0]["image"].nbytes, 1 << 20])
def test_answers_are_the_hosts_however_many_go_there_at_once(artifact, bytes_at_once, monkeypatch):
    monkeypatch.setattr(python_model, "_BYTES_AT_ONCE", bytes_at_once)
    host = ModelOutputs(artifact, "artifact")
    model = PythonModel(artifact, "artifact", _COMMAND)
    samples = _SAMPLES[:3]
    model.announce(samples)
    for sample in samples:
        for ours, theirs in zip(host(sample), model(sample), strict=True):
            assert theirs.dtype == np.float32
            np.testing.assert_array_equal(theirs, ours)
    device = model.describe_device("here")
    assert device.program == f"Python {platform.python_version()} on Linux {platform.machine()}"
    assert (device.name, device.accelerator, device.adapter) == ("here", "cpu", "")
    assert device.runtime.startswith("LiteRT ")


def test_the_model_and_its_float_master_take_turns(artifact, master):
    model = PythonModel(artifact, "artifact", _COMMAND)
    model(_SAMPLES[0])
    speed = model.measure(master, {"image": "image"})
    assert speed.artifact_ms > 0
    assert speed.float_master_ms > 0
    assert 0.01 < speed.speedup < 100


def test_an_emulator_tells_no_speed(artifact, master):
    model = PythonModel(artifact, "artifact", f"RULES_QUANTIZE_EMULATOR=one {_COMMAND}")
    model(_SAMPLES[0])
    assert model.describe_device("there").adapter == "one"
    assert model.measure(master, {"image": "image"}) is None


def test_lines_of_a_login_are_passed_over(artifact):
    model = PythonModel(artifact, "artifact", f"echo welcome; {_COMMAND}; echo logout")
    assert len(model(_SAMPLES[0])) == 1


def test_what_the_runtime_refuses_is_told_in_its_words(capsys):
    file = io.BytesIO()
    order = {"inputs": 1, "reopens": False, "rounds": 0, "samples": 0, "seconds": 0}
    np.savez(
        file,
        model=np.frombuffer(b"no model", np.uint8),
        order=np.frombuffer(json.dumps(order).encode(), np.uint8),
    )
    run_samples.answer(base64.b64encode(file.getvalue()).decode())
    (line,) = capsys.readouterr().out.splitlines()
    answers = np.load(io.BytesIO(base64.b64decode(line.removeprefix(run_samples.ANSWER))))
    assert "not a valid Flatbuffer" in json.loads(answers["said"].tobytes())["refusal"]
    assert answers.files == ["said"]


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("no-such-program -", "device.none", "cannot be started (/bin/sh: "),
        ("exit 7", "device.failed", "ended with status 7 (it said nothing)"),
        ("echo 'no route' >&2; exit 255", "device.failed", "ended with status 255 (no route)"),
        ("cat >/dev/null; echo hello", "device.failed", "printed no answers"),
        ("true", "device.failed", "printed no answers"),
    ],
)
def test_a_device_that_fails_is_one_line(artifact, command, code, words):
    model = PythonModel(artifact, "artifact.tflite on there", command)
    with refused(code, re.escape(words)) as raised:
        model(_SAMPLES[0])
    assert str(raised.value).startswith("artifact.tflite on there: `")


def test_a_device_that_hangs_is_ended(artifact):
    model = PythonModel(artifact, "artifact", "sleep 60 | sleep 60", seconds=0.3)
    start = time.monotonic()
    with refused("device.timeout", "came to no end in 0.3 s"):
        model(_SAMPLES[0])
    assert time.monotonic() - start < 30
