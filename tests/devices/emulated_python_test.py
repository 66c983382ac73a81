"""Models on an arm64 Debian under QEMU."""

import os
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.model_files import model_path
from tests.random_models import random_image, tiny_model
from tools.devices.python_model import PythonModel
from tools.graph.float_master import make_float_master
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.similarity.model_outputs import ModelOutputs


def _python():
    """Finds the arm64 Python among the test's files."""
    (found,) = Path(os.environ["RUNFILES_DIR"]).glob("*rules_quantize_arm64/arm64/python")
    return found


def _model(content, cpu="cortex-a76"):
    return PythonModel(content, "artifact", f"{shlex.quote(str(_python()))} {cpu} -")


def test_it_is_arm64_and_keeps_to_its_own_files():
    script = (
        "import numpy, platform; print(platform.machine(), platform.libc_ver(), numpy.__file__)"
    )
    done = subprocess.run(
        [_python(), "cortex-a76", "-c", script], capture_output=True, text=True, check=True
    )
    machine, _, rest = done.stdout.partition(" ")
    assert machine == "aarch64"
    assert "('glibc', '2.41')" in rest
    assert "/arm64/packages/numpy/" in rest


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a76"])
def test_mediapipes_face_detector_gives_the_hosts_answers(cpu):
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    host = ModelOutputs(master, "float master")
    model = _model(master, cpu)
    samples = [{"input": random_image((1, 128, 128, 3), seed)} for seed in range(2)]
    model.announce(samples)
    for sample in samples:
        for ours, theirs in zip(host(sample), model(sample), strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-3 * np.abs(ours).max())
    device = model.describe_device("arm64")
    assert device.program.endswith(" on Linux aarch64")
    assert device.adapter.startswith("QEMU 1")
    assert device.adapter.endswith(cpu)
    assert model.measure(master, {"input": "input"}) is None


def test_int8_is_the_hosts_to_a_step():
    samples = [{"image": random_image((1, 16, 16, 3), seed)} for seed in range(8)]
    master, _ = make_float_master(tiny_model())
    artifact = quantize(master, QuantizationSettings("int8"), samples).model
    host, model = ModelOutputs(artifact, "artifact"), _model(artifact)
    model.announce(samples)
    for sample in samples:
        np.testing.assert_allclose(model(sample)[0], host(sample)[0], atol=1e-2)
