"""Time and memory grow with a model no faster than the model does."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.extent import part_of
from tests.generated_models import chain
from tools import quantize_model as command
from tools.graph.float_master import make_float_master
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

# Four times the operators may take this many times as long; where each looked at all others it
# would be sixteen. CPU time itself swings by half on a machine that others use.
_MOST_GROWTH = 7
_ROUNDS = 2


def peak_bytes(path: Path, scheme: str) -> int:
    """Runs the command in a process of its own; returns its largest resident set."""
    flags = {
        "input_model": path,
        "output_model": path.with_suffix(".quantized"),
        "quantization_type": scheme,
    }
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen(
        [sys.executable, command.__file__, *(f"--{k}={v}" for k, v in flags.items())],
        stdout=subprocess.DEVNULL,
        env=environment,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024


@pytest.mark.parametrize("scheme", part_of(["WEIGHT_ONLY_INT8", "DYNAMIC", "FLOAT16"], 3))
def test_memory_is_three_times_the_file_at_most(scheme, tmp_path):
    small, large = tmp_path / "small.tflite", tmp_path / "large.tflite"
    small.write_bytes(chain(100, 200_000))
    large.write_bytes(chain(100, 100_000_000))
    more = peak_bytes(large, scheme) - peak_bytes(small, scheme)
    assert 0.25 * large.stat().st_size < more <= 3 * large.stat().st_size


def seconds(operators: int, scheme: str) -> float:
    """Measures float master and quantization in CPU time of this process, of one round."""
    # Of 64 channels, so that a dynamic recipe names each of them.
    content = chain(operators, operators // 2 * 4 * 64**2)
    data = [{"image": np.full((1, 64), value, np.float32)} for value in (-1, 1)]
    start = time.process_time()
    master, _ = make_float_master(content)
    quantize(master, QuantizationSettings(scheme), data)
    return time.process_time() - start


@pytest.mark.parametrize("scheme", part_of(["int8", "weight_only_int8", "dynamic"], 3))
def test_time_is_linear_in_the_number_of_operators(scheme):
    seconds(10, scheme)  # Imports are not the model's.
    few, many = [], []
    for _ in range(_ROUNDS):
        few.append(seconds(300, scheme))
        many.append(seconds(1200, scheme))
    assert min(many) / min(few) < _MOST_GROWTH
