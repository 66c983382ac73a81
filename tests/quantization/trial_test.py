"""An artifact that nobody can run is refused before it is written."""

import os
import signal

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.foreign.kinds import add_subgraph
from tests.random_models import ModelBuilder, tiny_model
from tools.errors import InputError
from tools.graph.child_process import ChildDiedError, in_child
from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.quantization import trial
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.quantization.trial import try_artifact

_FLOAT16 = QuantizationSettings("float16")


@pytest.fixture(scope="module")
def master() -> bytes:
    return make_float_master(tiny_model())[0]


def changed(content: bytes, change) -> bytes:
    model = parse_model(content)
    change(model)
    return model_bytes(model)


def refused(master: bytes, artifact: bytes, settings=_FLOAT16, sample=None) -> str:
    with pytest.raises(InputError) as raised:
        try_artifact(master, artifact, settings, sample, "net")
    assert raised.value.code == "scheme.unusable"
    line = str(raised.value)
    assert line.startswith(f"net: {settings.scheme} makes an artifact that cannot be used: ")
    assert line.endswith("; keep the layer float or take another scheme")
    return line


def test_a_sound_artifact_passes(master):
    sample = {"image": np.ones((1, 16, 16, 3), np.float32)}
    artifact = quantize(master, _FLOAT16, None).model
    assert try_artifact(master, artifact, _FLOAT16, sample, "net").warnings == []
    assert try_artifact(master, artifact, _FLOAT16, None, "net").warnings == []


def test_type_that_was_not_asked_for(master):
    settings = QuantizationSettings("float16", output_type="int8")
    artifact = quantize(master, _FLOAT16, None).model
    line = refused(master, artifact, settings)
    assert "its output scores is float32, where int8 was asked for" in line


def test_integer_ends_are_as_asked_for(master):
    samples = [{"image": np.full((1, 16, 16, 3), n, np.float32)} for n in range(3)]
    settings = QuantizationSettings("int8", input_type="uint8", output_type="int8")
    artifact = quantize(master, settings, samples).model
    assert try_artifact(master, artifact, settings, samples[0], "net").warnings == []
    line = refused(master, artifact, QuantizationSettings("int8"), samples[0])
    assert "its input image is uint8, where float32 was asked for" in line


def test_file_that_the_runtime_cannot_open(master):
    def break_inputs(model: TfliteModel) -> None:
        model.schema.subgraphs[0].operators[0].inputs = [0]

    assert "the runtime cannot run this model" in refused(master, changed(master, break_inputs))


def test_result_that_is_not_finite(master):
    def overflow(model: TfliteModel) -> None:
        for tensor in model.schema.subgraphs[0].tensors:
            values = model.tensor_data(tensor)
            if values is not None and values.dtype == np.float32:
                tensor.buffer = model.add_constant(np.full(values.shape, 3e38, np.float32))

    line = refused(master, changed(master, overflow))
    assert "on a made-up input its output scores is NaN or infinite" in line


def test_shape_of_another_size(master):
    def of_any_size(model: TfliteModel) -> None:
        for tensor in model.schema.subgraphs[0].tensors:
            if tensor.buffer == 0:
                tensor.shapeSignature = np.array([1, -1, -1, tensor.shape[-1]], np.int32)

    open_master = changed(master, of_any_size)
    assert try_artifact(open_master, open_master, _FLOAT16, None, "net").warnings == []

    def strided(model: TfliteModel) -> None:
        of_any_size(model)
        model.schema.subgraphs[0].operators[0].builtinOptions.strideW = 2

    line = refused(open_master, changed(master, strided))
    assert "has the shape [1, 16, 8, 4], the float model's [1, 16, 16, 4]" in line


def test_signature_that_is_gone(master):
    def rename(model: TfliteModel) -> None:
        model.schema.signatureDefs[0].signatureKey = "other"

    assert "its signatures are ['other'], the float" in refused(master, changed(master, rename))


def test_output_far_from_the_float_models_is_told(master):
    def negate(model: TfliteModel) -> None:
        for tensor in model.schema.subgraphs[0].tensors:
            if tensor.name == b"head/weights":
                tensor.buffer = model.add_constant(-model.tensor_data(tensor))

    sample = {"image": np.ones((1, 16, 16, 3), np.float32)}
    (warning,) = try_artifact(master, changed(master, negate), _FLOAT16, sample, "net").warnings
    assert warning.startswith(
        "on a calibration sample the output scores is far from the float model's (cosine -1.000)"
    )


def test_float_model_that_the_runtime_does_not_know():
    graph = ModelBuilder()
    source = graph.input((1, 4))
    content = graph.finish(graph.operator("Unheard", [source], (1, 4), custom=True))
    master, _ = make_float_master(content)
    (warning,) = try_artifact(master, master, _FLOAT16, None, "net").warnings
    assert warning.startswith("the artifact was not tried, since the float model cannot be run")


def test_process_that_ends():
    def work(tell):
        tell("is opened")
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ChildDiedError) as raised:
        in_child(work)
    assert (raised.value.step, raised.value.reason) == ("is opened", "SIGKILL")


def test_process_that_does_not_end():
    with pytest.raises(ChildDiedError, match=r"no end within 0\.2 seconds"):
        in_child(lambda tell: os.read(os.pipe()[0], 1), 0.2)


def test_what_a_child_raises():
    assert in_child(lambda _: {"a": 1}) == {"a": 1}

    def refuse(_):
        raise InputError("model.kind", "net: no")

    with pytest.raises(InputError, match="net: no") as raised:
        in_child(refuse)
    assert raised.value.code == "model.kind"
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
        in_child(lambda _: 1 / 0)


def test_output_that_states_no_shape_may_get_one():
    graph = ModelBuilder()
    source = graph.input((1, 64), "x")
    weights = graph.constant(np.eye(64, dtype=np.float32))
    result = graph.fully_connected(source, weights, graph.constant(np.zeros(64, np.float32)))
    times = graph.input((2,), "times")
    graph.subgraph.tensors[times].type = schema.TensorType.INT32
    graph.operator("TILE", [result, times], ())
    content = graph.finish(graph.subgraph.operators[-1].outputs[0])
    before, _ = make_float_master(content)

    def state(model: TfliteModel) -> None:
        (subgraph,) = model.schema.subgraphs
        subgraph.tensors[subgraph.outputs[0]].shape = np.array([0, 0], np.int32)

    settings = QuantizationSettings("float16")
    assert try_artifact(before, changed(before, state), settings, None, "net").warnings == []


def test_loop_that_zeros_never_end_says_nothing_of_the_artifact(monkeypatch):
    monkeypatch.setattr(trial, "_FLOAT_SECONDS", 1)
    graph = ModelBuilder()
    graph.operator("WHILE", [graph.input((), "x")], (), schema.WhileOptionsT())
    model = parse_model(graph.finish(graph.subgraph.operators[-1].outputs[0]))
    options = model.schema.subgraphs[0].operators[0].builtinOptions
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    condition, body = ModelBuilder(), ModelBuilder()
    x = condition.input((), "x")
    less = condition.operator("LESS", [x, condition.constant(np.float32(100))], ())
    condition.subgraph.tensors[less].type = schema.TensorType.BOOL
    add_subgraph(model, condition.finish(less))
    x = body.input((), "x")
    add_subgraph(model, body.finish(body.binary("ADD", x, x)))
    content, _ = make_float_master(model_bytes(model))
    (warning,) = try_artifact(content, content, _FLOAT16, {"x": np.float32(3)}, "net").warnings
    assert warning == (
        "the artifact was not wholly tried: the float model stopped it (no end within 1 seconds)"
    )
