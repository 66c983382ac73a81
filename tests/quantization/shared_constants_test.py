import numpy as np
import pytest
from hypothesis import given, settings

from tests.extent import count
from tests.model_files import model_path
from tests.random_models import ModelBuilder, float_models, run_model
from tools.graph.flatbuffer import model_bytes, parse_model, tensor_name
from tools.graph.float_master import make_float_master
from tools.quantization.shared_constants import separate_constants


def float_readers(model) -> dict[int, int]:
    """Counts the operators' inputs that lead to each buffer of floats."""
    counts: dict[int, int] = {}
    for subgraph in model.schema.subgraphs:
        for operator in subgraph.operators:
            for index in operator.inputs:
                tensor = subgraph.tensors[index]
                if index != -1 and tensor.type == 0 and model.tensor_data(tensor) is not None:
                    counts[tensor.buffer] = counts.get(tensor.buffer, 0) + 1
    return counts


def check(content: bytes) -> int:
    """Checks what holds for every model; returns how many readers there were too many."""
    model = parse_model(content)
    before = float_readers(model)
    too_many = sum(count - 1 for count in before.values())
    entry = separate_constants(model)
    assert set(float_readers(model).values()) <= {1}
    assert sum(float_readers(model).values()) == sum(before.values())
    names = [tensor_name(t) for subgraph in model.schema.subgraphs for t in subgraph.tensors]
    assert len(set(names)) == len(names)
    after = model_bytes(model)
    # A tensor's table, its name and its shape.
    assert len(after) <= len(content) + 400 * too_many
    assert entry["name"] == "shared_constants"
    assert entry["changed"] <= too_many
    for expected, found in zip(run_model(content), run_model(after), strict=True):
        np.testing.assert_array_equal(expected, found)
    assert separate_constants(model)["changed"] == 0
    return too_many


@settings(max_examples=count(15, 60), deadline=None, derandomize=True)
@given(float_models())
def test_outputs_stay_the_same_to_the_bit(content):
    check(make_float_master(content)[0])


@pytest.mark.parametrize("name", ["face_detection_short_range", "selfie_segmentation"])
def test_real_models(name):
    check(make_float_master(model_path(name).read_bytes())[0])


def test_a_kernel_read_three_times():
    graph = ModelBuilder()
    source = graph.input((1, 4, 4, 8))
    kernel = graph.constant(np.ones((8, 3, 3, 8), np.float32), "kernel")
    bias = graph.constant(np.ones(8, np.float32), "bias")
    for _ in range(3):
        source = graph.conv(source, kernel, bias)
    assert check(make_float_master(graph.finish(source))[0]) == 4


def test_a_constant_that_is_an_output_stays_that_output():
    graph = ModelBuilder()
    image = graph.input((1, 8))
    values = graph.constant(np.arange(8, dtype=np.float32), "values")
    model = parse_model(
        make_float_master(graph.finish(graph.binary("ADD", image, values), values))[0]
    )
    assert separate_constants(model)["changed"] == 1
    (subgraph,) = model.schema.subgraphs
    assert tensor_name(subgraph.tensors[int(subgraph.outputs[1])]) == "values"
