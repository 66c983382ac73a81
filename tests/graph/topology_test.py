import numpy as np
import pytest

from tests.model_files import REAL_MODELS, model_path
from tests.random_models import ModelBuilder
from tools.graph.flatbuffer import parse_model, shape_of
from tools.graph.topology import Topology


@pytest.fixture(name="graph")
def _graph() -> Topology:
    """image -> RELU -> ADD(itself, constant) -> CONV without a bias."""
    builder = ModelBuilder()
    image = builder.input((1, 4, 4, 3))
    relu = builder.operator("RELU", [image], (1, 4, 4, 3))
    twice = builder.binary("ADD", relu, relu)
    plus = builder.binary("ADD", twice, builder.constant(np.ones(3, np.float32), "one"))
    weights = builder.constant(np.ones((2, 1, 1, 3), np.float32), "weights")
    return Topology(parse_model(builder.finish(builder.conv(plus, weights, -1), relu)))


def test_who_writes_and_who_reads(graph):
    relu, twice, plus, conv = graph.subgraph.operators
    (image,) = graph.inputs
    assert graph.outputs == {relu.outputs[0], conv.outputs[0]}
    assert graph.producer == {op.outputs[0]: op for op in (relu, twice, plus, conv)}
    assert graph.consumers[image] == [(relu, 0)]
    assert graph.consumers[relu.outputs[0]] == [(twice, 0), (twice, 1)]
    assert graph.consumers[plus.outputs[0]] == [(conv, 0)]
    # An input that is not given is no tensor.
    assert -1 not in graph.consumers
    assert conv.outputs[0] not in graph.consumers


def test_constants_stand_in_the_file(graph):
    constants = {
        graph.tensor(index).name.decode()
        for index in range(len(graph.subgraph.tensors))
        if graph.is_constant(index)
    }
    assert constants == {"one", "weights"}


def test_names_and_tensors(graph):
    names = [graph.name(operator) for operator in graph.subgraph.operators]
    assert names == ["RELU", "ADD", "ADD", "CONV_2D"]
    conv = graph.subgraph.operators[-1]
    assert shape_of(graph.tensor(conv.inputs[1])) == (2, 1, 1, 3)


@pytest.mark.parametrize("name", REAL_MODELS)
def test_every_tensor_of_a_real_model_comes_from_somewhere(name):
    graph = Topology(parse_model(model_path(name).read_bytes()))
    for index in graph.consumers:
        written = index in graph.producer
        assert written + (index in graph.inputs) + graph.is_constant(index) == 1
    assert graph.outputs <= set(graph.producer)
