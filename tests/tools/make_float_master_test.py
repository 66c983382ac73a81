"""The make_float_master command, as it is typed."""

import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.model_files import model_path
from tests.random_models import run_model, tiny_model
from tests.tools.commands import refusal, run_command
from tools import make_float_master as command
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master


def test_writes_the_master_and_what_was_changed(tmp_path):
    original = model_path("face_detection_short_range")
    output, summary = tmp_path / "new" / "face.tflite", tmp_path / "face.json"
    done = run_command(
        command, f"--input_model={original}", f"--output_model={output}", f"--summary={summary}",
        "--make_dirs",
        fresh=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    expected, changes = make_float_master(original.read_bytes())
    assert output.read_bytes() == expected
    assert json.loads(summary.read_text()) == changes
    assert summary.read_text() == json.dumps(changes, indent=2, sort_keys=True) + "\n"
    for one, other in zip(run_model(original.read_bytes()), run_model(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def test_summary_is_not_written_unless_asked_for(tmp_path):
    model = tmp_path / "net.tflite"
    model.write_bytes(tiny_model())
    done = run_command(command, f"--input_model={model}", f"--output_model={tmp_path}/out.tflite")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.tflite", "out.tflite"]


def quantized_model() -> bytes:
    model = parse_model(tiny_model())
    tensor = model.schema.subgraphs[0].tensors[3]
    tensor.type = schema.TensorType.INT8
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.float32([0.1])
    return model_bytes(model)


def model_without_numbers() -> bytes:
    content = tiny_model()
    model = parse_model(content)
    buffer = model.schema.buffers[2]
    buffer.data = np.full(8, np.nan, np.float32).view(np.uint8)
    return model_bytes(model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a TFLite file (it does not carry the identifier TFL3)"),
        (b"not a model, but text", "not a TFLite file (it does not carry the identifier TFL3)"),
        (tiny_model()[:3000], "the file is truncated or damaged; fetch it again"),
        (
            quantized_model(),
            "already quantized (tensor tensor_3 is int8); give the float model that it was made "
            "from",
        ),
        (
            model_without_numbers(),
            "tensor bias_0 holds NaN or infinite weights; export the model again",
        ),
    ],
)
def test_model_that_cannot_be_used(tmp_path, content, message):
    model, output = tmp_path / "net.tflite", tmp_path / "out"
    model.write_bytes(content)
    flags = [
        f"--input_model={model}", f"--output_model={output}/net.tflite",
        f"--summary={output}/net.json", "--make_dirs",
    ]  # fmt: skip
    assert refusal(command, *flags) == f"{model}: {message}"
    assert not output.exists()
    # What was there stays.
    output.mkdir()
    (output / "net.tflite").write_bytes(b"the old one")
    refusal(command, *flags)
    assert [path.read_bytes() for path in output.iterdir()] == [b"the old one"]


def test_model_that_is_not_there(tmp_path):
    (tmp_path / "folder").mkdir()
    flags = [f"--input_model={tmp_path}/net.tflite", f"--output_model={tmp_path}/out.tflite"]
    assert refusal(command, *flags) == f"{tmp_path}/net.tflite: No such file or directory"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    flags[0] = f"--input_model={tmp_path}/folder"
    assert refusal(command, *flags) == f"{tmp_path}/folder: Is a directory"


def test_model_of_another_directory(tmp_path):
    """`bazel run` starts the command elsewhere than where it is typed."""
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "net.tflite").write_bytes(tiny_model())
    done = run_command(
        command,
        "--input_model=net.tflite",
        "--output_model=out/net.tflite",
        "--make_dirs",
        where=Path("/"),
        BUILD_WORKING_DIRECTORY=str(tmp_path / "user"),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "user" / "out" / "net.tflite").read_bytes()[4:8] == b"TFL3"
