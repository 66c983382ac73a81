"""What int8 serves badly is found, with what leads to it and what stands between."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.foreign.kinds import KINDS
from tests.random_models import ModelBuilder, tiny_model
from tools.graph.flatbuffer import parse_model
from tools.graph.topology import Topology
from tools.quantization.float_operators import float_operators


def found(content: bytes) -> list[str]:
    graph = Topology(parse_model(content))
    return [graph.name(operator) for operator in float_operators(graph)]


def test_a_normalization_is_float_as_a_whole():
    names = found(KINDS["layer_normalization"]())
    assert names == ["MEAN", "SQUARED_DIFFERENCE", "MEAN", "ADD", "RSQRT"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("div", ["MUL", "ADD", "DIV"]),
        ("log", ["MUL", "ADD", "LOG"]),
        ("exp", ["MUL", "NEG", "EXP"]),
        ("squared_difference", ["SQUARED_DIFFERENCE"]),
    ],
)
def test_what_alone_leads_to_one_is_float_too(name, expected):
    assert found(KINDS[f"fragile_{name}"]()) == expected


def test_layers_with_weights_are_none():
    assert found(tiny_model()) == []


def test_attention_is_float_between_its_products():
    graph = ModelBuilder()
    queries, keys, values = (graph.input((1, 8, 16), name) for name in ("q", "k", "v"))
    options = schema.BatchMatMulOptionsT()
    options.adjY = True
    scores = graph.operator("BATCH_MATMUL", [queries, keys], (1, 8, 8), options)
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    weights = graph.operator("SOFTMAX", [scores], (1, 8, 8), softmax)
    result = graph.operator(
        "BATCH_MATMUL", [weights, values], (1, 8, 16), schema.BatchMatMulOptionsT()
    )
    table = graph.constant(np.ones((16, 16), np.float32))
    last = graph.operator("BATCH_MATMUL", [result, table], (1, 8, 16), schema.BatchMatMulOptionsT())
    topology = Topology(parse_model(graph.finish(last)))
    found = float_operators(topology, slow=True)
    assert [topology.name(one) for one in found] == ["BATCH_MATMUL", "SOFTMAX", "BATCH_MATMUL"]
    assert float_operators(topology) == []


@pytest.mark.parametrize("name", ["AVERAGE_POOL_2D", "HARD_SWISH"])
def test_what_has_no_fast_kernel_is_float_alone(name):
    graph = ModelBuilder()
    image = graph.input((1, 8, 8, 8))
    doubled = graph.binary("MUL", image, graph.constant(np.full(8, 2, np.float32)))
    if name == "HARD_SWISH":
        end = graph.operator(name, [doubled], (1, 8, 8, 8), None)
    else:
        end = graph.pool(name, doubled)
    topology = Topology(parse_model(graph.finish(end)))
    assert [topology.name(one) for one in float_operators(topology, slow=True)] == [name]
    assert float_operators(topology) == []


@pytest.mark.parametrize("kind", ["conv", "depthwise"])
@pytest.mark.parametrize(
    ("channels", "size", "is_float"), [(1, 3, True), (1, 1, False), (2, 3, False)]
)
def test_a_convolution_of_one_channel_is_float(kind, channels, size, is_float):
    graph = ModelBuilder()
    image = graph.input((1, 8, 8, channels))
    shape = (4, size, size, channels) if kind == "conv" else (1, size, size, channels)
    weights = graph.constant(np.ones(shape, np.float32))
    bias = graph.constant(np.zeros(shape[0] if kind == "conv" else channels, np.float32))
    topology = Topology(parse_model(graph.finish(getattr(graph, kind)(image, weights, bias))))
    assert bool(float_operators(topology, slow=True)) == is_float
    assert float_operators(topology) == []
