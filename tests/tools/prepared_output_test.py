"""quantize_model, asked for the first half alone."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.random_models import random_image, tiny_model
from tests.tools.commands import refusal, run_command
from tools import quantize_model as command
from tools.graph.flatbuffer import parse_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("given")
    (path / "net.tflite").write_bytes(tiny_model(channels=64))
    samples = np.concatenate([random_image((1, 16, 16, 3), seed) for seed in range(20)])
    np.save(path / "samples.npy", samples)
    return path


def _run(folder: Path, *words: str, **environment: str):
    return run_command(
        command,
        "--input_model=net.tflite",
        "--quantization_type=INT8",
        "--calibration_data=samples.npy",
        *words,
        where=folder,
        **environment,
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_it_writes_what_the_whole_command_writes_of_the_first_half(folder):
    whole = _run(
        folder,
        "--make_dirs",
        "--output_model=whole/net.tflite",
        "--prepared_output=whole/prepared.tflite",
        "--recipe_output=whole/recipe.json",
        "--settings_output=whole/settings.json",
        "--summary_output=whole/summary.json",
    )
    half = _run(
        folder,
        "--make_dirs",
        "--prepared_output=half/prepared.tflite",
        "--recipe_output=half/recipe.json",
        "--settings_output=half/settings.json",
    )
    assert (whole.returncode, whole.stderr) == (half.returncode, half.stderr) == (0, "")
    made = sorted(path.name for path in (folder / "half").iterdir())
    assert made == ["prepared.tflite", "recipe.json", "settings.json"]
    for name in made:
        assert _digest(folder / "half" / name) == _digest(folder / "whole" / name)
    # The graph is a float one, which can be looked at.
    graph = parse_model((folder / "half" / "prepared.tflite").read_bytes())
    assert all(tensor.quantization is None for tensor in graph.schema.subgraphs[0].tensors)


def test_a_summary_without_an_artifact_is_refused(folder):
    message = refusal(
        command,
        "--input_model=net.tflite",
        "--quantization_type=INT8",
        "--calibration_data=samples.npy",
        "--prepared_output=never.tflite",
        "--summary_output=never.json",
        where=folder,
    )
    assert "--summary_output tells of the artifact; give --output_model as well" in message
    assert not (folder / "never.tflite").exists()
