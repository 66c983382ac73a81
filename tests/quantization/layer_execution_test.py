import numpy as np
import pytest
from hypothesis import given, settings

from tests.model_files import model_path
from tests.random_models import ModelBuilder, float_models, random_image
from tests.refused import refused
from tools.graph.flatbuffer import parse_model, shape_of
from tools.graph.float_master import make_float_master
from tools.graph.runtime import open_interpreter, signature_inputs
from tools.graph.topology import Topology
from tools.quantization.layer_execution import LayerExecution
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings


def random_samples(model, count: int) -> list[dict[str, np.ndarray]]:
    (subgraph,) = model.schema.subgraphs
    return [
        {
            name: random_image(shape_of(subgraph.tensors[index]), seed)
            for name, index in signature_inputs(model).items()
        }
        for seed in range(count)
    ]


def whole(content: bytes, samples) -> list[np.ndarray]:
    """Runs a model in one piece. Returns the outputs in the subgraph's order, stacked."""
    model = parse_model(content)
    interpreter = open_interpreter(content, "model")
    (place,) = [details["index"] for details in interpreter.get_input_details()]
    (name,) = signature_inputs(model)
    found = []
    for sample in samples:
        interpreter.set_tensor(place, sample[name])
        interpreter.invoke()
        details = interpreter.get_output_details()
        found.append([interpreter.get_tensor(one["index"]) for one in details])
    return [np.stack(values) for values in zip(*found, strict=True)]


def in_single_pieces(content: bytes, samples) -> list[np.ndarray]:
    execution = LayerExecution(Topology(parse_model(content)), samples)
    for operator in execution.graph.subgraph.operators:
        execution.run_through(operator)
    return execution.run_all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(float_models())
def test_pieces_compute_what_the_whole_computes(content):
    master, _ = make_float_master(content)
    samples = random_samples(parse_model(master), 2)
    expected = whole(master, samples)
    for one, other in zip(expected, in_single_pieces(master, samples), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4 * np.abs(one).max(initial=0))


@pytest.mark.parametrize("scheme", ["int8", "weight_only_int8", "blockwise_int4_32"])
def test_a_quantized_model_computes_the_same_in_pieces(scheme):
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    samples = random_samples(parse_model(master), 3)
    content = quantize(master, QuantizationSettings(scheme), samples).model
    for one, other in zip(whole(content, samples), in_single_pieces(content, samples), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * np.abs(one).max())


def test_activations_are_forgotten_unless_they_are_held():
    graph = ModelBuilder()
    source = graph.input((1, 2, 2, 3))
    first = graph.operator("RELU", [source], (1, 2, 2, 3))
    second = graph.operator("LOGISTIC", [first], (1, 2, 2, 3))
    last = graph.operator("RELU", [second], (1, 2, 2, 3))
    model = parse_model(make_float_master(graph.finish(last))[0])
    execution = LayerExecution(Topology(model), random_samples(model, 2))
    operators = execution.graph.subgraph.operators
    first, second = (int(operator.outputs[0]) for operator in operators[:2])
    execution.hold(first)
    execution.run_through(operators[0])
    assert execution.values[first].shape == (2, 1, 2, 2, 3)
    execution.run_until(operators[2])
    assert set(execution.values) == {first, second}
    execution.release(first)
    assert set(execution.values) == {second}
    (result,) = execution.run_all()
    assert result.shape == (2, 1, 2, 2, 3)


def test_a_model_that_the_runtime_refuses_is_one_clear_error():
    graph = ModelBuilder()
    source = graph.input((1, 2, 2, 3))
    result = graph.operator("NoSuchOperator", [source], (1, 2, 2, 3), custom=True)
    model = parse_model(make_float_master(graph.finish(result))[0], "odd.tflite")
    execution = LayerExecution(Topology(model), random_samples(model, 1))
    with refused("model.runtime", r"^odd\.tflite: "):
        execution.run_all()
