"""Odd models are quantized by the command, unsound ones refused by it in one line."""

import re
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.random_models import ModelBuilder
from tests.refused import refused
from tests.tools.commands import refusal
from tests.tools.odd_models import ODD, UNSOUND, plain
from tools import make_float_master as master_command
from tools import quantize_model as command
from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.runtime import input_specifications, open_interpreter, signature_inputs
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

SCHEMES = ("DYNAMIC", "INT8", "WEIGHT_ONLY_INT8")


def typed(module, **flags) -> None:
    """Does what a command line does, in this process."""
    words = [f"--{name}={value}" for name, value in flags.items()]
    assert module.main(module.parser().parse_args(words)) == 0


def samples(content: bytes, count: int, seed: int) -> dict[str, np.ndarray]:
    """Makes values for each of a model's inputs, a sample along the first axis."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape, dtype in input_specifications(content, "model"):
        whole = (count, *shape)
        values = rng.uniform(-1, 1, whole) if dtype.kind == "f" else rng.integers(0, 2, whole)
        arrays[name] = values.astype(dtype)
    return arrays


def results(content: bytes, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    interpreter = open_interpreter(content, "model")
    for name, index in signature_inputs(parse_model(content)).items():
        interpreter.set_tensor(index, inputs[name][0])
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def given(folder: Path, content: bytes) -> Path:
    path = folder / "odd.tflite"
    path.write_bytes(content)
    return path


CASES = [
    (name, scheme)
    for name in ODD
    for scheme in SCHEMES
    # There is nothing to calibrate with.
    if (name, scheme) != ("no_input", "INT8")
]


@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_odd_model_is_quantized(name, scheme, tmp_path):
    content = ODD[name]()
    master, _ = make_float_master(content)
    flags = {"quantization_type": scheme}
    if scheme == "INT8":
        np.savez(tmp_path / "data.npz", **samples(master, 3, 0))
        flags["calibration_data"] = tmp_path / "data.npz"
    output = tmp_path / "out.tflite"
    typed(command, input_model=given(tmp_path, content), output_model=output, **flags)
    artifact = output.read_bytes()
    assert len(artifact) < len(master)
    test = samples(master, 1, 1)
    for expected, found in zip(results(master, test), results(artifact, test), strict=True):
        assert expected.shape == found.shape
        if expected.dtype == np.float32:
            assert np.abs(found - expected).max() <= 0.06 * np.abs(expected).max() + 1e-6


@pytest.mark.parametrize("module", [command, master_command])
@pytest.mark.parametrize("name", UNSOUND)
def test_unsound_model_is_refused(name, module, tmp_path):
    make, message = UNSOUND[name]
    path, output = given(tmp_path, make()), tmp_path / "out.tflite"
    more = {"quantization_type": "WEIGHT_ONLY_INT8"} if module is command else {}
    with pytest.raises(InputError) as raised:
        typed(module, input_model=path, output_model=output, **more)
    line = str(raised.value)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert line.isprintable()
    assert [entry.name for entry in tmp_path.iterdir()] == ["odd.tflite"]


# What one scheme has no use for; the others of these can be quantized.


def _first_subgraph_empty() -> bytes:
    model = parse_model(plain())
    model.schema.subgraphs.insert(0, schema.SubGraphT(name="empty"))
    return model_bytes(model)


def _batch_of_nought() -> bytes:
    model = parse_model(plain())
    for tensor in model.schema.subgraphs[0].tensors:
        if tensor.buffer == 0:
            tensor.shape = np.array([0, *tensor.shape[1:]], np.int32)
    return model_bytes(model)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_first_subgraph_empty, "its first subgraph has no operators, so that there is nothing"),
        (_batch_of_nought, "tensor image has the shape [0, 6, 6, 48], which holds nothing to cali"),
        (ODD["no_input"], "int8 needs a representative dataset; give --calibration_data"),
    ],
)
def test_nothing_to_calibrate(make, message):
    master, _ = make_float_master(make())
    with pytest.raises(InputError, match=re.escape(f"net: {message}")):
        quantize(master, QuantizationSettings("int8"), None, where="net")
    assert len(quantize(master, QuantizationSettings("weight_only_int8"), None).model) < len(master)


def _pool() -> bytes:
    graph = ModelBuilder()
    return graph.finish(graph.pool("MAX_POOL_2D", graph.input((1, 4, 4, 3))))


def _nothing() -> bytes:
    graph = ModelBuilder()
    return graph.finish(graph.input((1, 4)))


@pytest.mark.parametrize("make", [_pool, _nothing])
@pytest.mark.parametrize("scheme", ["dynamic", "float16", "weight_only_int8"])
def test_model_without_weights_would_grow(make, scheme):
    master, _ = make_float_master(make())
    with pytest.raises(InputError, match=f"^net: {scheme} (makes it larger|fits no operator)"):
        quantize(master, QuantizationSettings(scheme), None, where="net")


@pytest.mark.parametrize("scheme", ["dynamic", "float16", "int8", "weight_only_int8"])
def test_artifacts_are_not_quantized_again(scheme, tmp_path):
    """A file of weights alone is a float model in another form; the others are refused."""
    master, _ = make_float_master(plain())
    data = [{"image": values} for values in samples(master, 2, 0)["image"]]
    artifact = quantize(master, QuantizationSettings(scheme), data).model
    if scheme in ("float16", "weight_only_int8"):
        again, _ = make_float_master(artifact)
        assert abs(len(again) - len(master)) < 100
        return
    with refused("model.quantized", r"^net: .*\(tensor .* is int8\)"):
        make_float_master(artifact, "net")


def test_model_of_an_unknown_builtin_operator():
    """Nothing is known of it, so that it passes through; calibration would have to run it."""
    graph = ModelBuilder()
    image = graph.input((1, 64))
    kernel = graph.constant(np.ones((64, 64), np.float32))
    result = graph.fully_connected(image, kernel, graph.constant(np.zeros(64, np.float32)))
    model = parse_model(graph.finish(graph.operator("RELU", [result], (1, 64))))
    model.schema.operatorCodes[-1].builtinCode = 4000
    master, _ = make_float_master(model_bytes(model))
    artifact = quantize(master, QuantizationSettings("weight_only_int8"), None).model
    assert describe(artifact)["ops"]["BUILTIN_4000"] == 1
    with refused("model.runtime", "^net: "):
        quantize(
            master, QuantizationSettings("int8"), [{"image": np.ones((1, 64), "f4")}], None, "net"
        )


def test_file_of_over_two_gigabytes(tmp_path):
    path = tmp_path / "large.tflite"
    with path.open("wb") as file:
        file.write(plain())
        file.truncate(2**31)
    line = refusal(
        command,
        f"--input_model={path}",
        f"--output_model={tmp_path}/out.tflite",
        "--quantization_type=DYNAMIC",
    )
    assert line.startswith(
        f"{path}: 2147483648 bytes; a TFLite flatbuffer holds at most 2147483647"
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["large.tflite"]
