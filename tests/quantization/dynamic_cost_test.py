from itertools import pairwise

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.random_models import ModelBuilder
from tools.graph.flatbuffer import parse_model
from tools.graph.topology import Topology
from tools.quantization.dynamic_cost import costly_heads, dynamic_wins, estimated_times

_SIZES = st.integers(1, 512)


@settings(deadline=None, derandomize=True)
@given(_SIZES, st.sampled_from((1, 4, 9, 25)), _SIZES, _SIZES)
def test_times_grow_with_the_operator(pixels, kernel, inputs, outputs):
    elements = pixels * inputs
    times = estimated_times(pixels, kernel, inputs, outputs, elements)
    larger = estimated_times(2 * pixels, kernel, inputs, 2 * outputs, 2 * elements)
    assert all(0 < one < other for one, other in zip(times, larger, strict=True))
    # Seventeen outputs take the second tile, as thirty-two do.
    tiles = [estimated_times(pixels, kernel, inputs, n, elements)[0] for n in (17, 32)]
    assert tiles[0] == tiles[1]


# Microseconds of operators of MediaPipe's models, each alone in a model.
@pytest.mark.parametrize(
    ("pixels", "kernel", "inputs", "outputs", "elements", "in_float", "dynamic"),
    [
        (256 * 256, 9, 8, 1, 256 * 256 * 8, 1677, 694),
        (28 * 28, 1, 240, 40, 28 * 28 * 240, 166, 101),
        (128 * 128, 1, 8, 8, 128 * 128 * 8, 45.3, None),
        (8 * 8, 1, 864, 48, 8 * 8 * 864, 52, 24),
        (56 * 56, 1, 24, 142, 56 * 56 * 24, 216, 211),
    ],
)
def test_estimates_are_near_what_was_measured(
    pixels, kernel, inputs, outputs, elements, in_float, dynamic
):
    for found, expected in zip(
        estimated_times(pixels, kernel, inputs, outputs, elements),
        (in_float, dynamic),
        strict=True,
    ):
        if expected is not None:
            assert found / 1000 == pytest.approx(expected, rel=0.5)


def test_a_step_of_eight_channels_is_lost_on_one():
    # The first convolution of a keyword spotter, 8x8 over one channel: 2.3 times as long in int8.
    in_float, dynamic = estimated_times(49 * 40, 64, 1, 16, 49 * 40)
    assert dynamic > 1.5 * in_float


@pytest.mark.parametrize(
    ("size", "inputs", "outputs", "wins"),
    [(14, 128, 128, True), (14, 32, 16, False), (128, 8, 8, False), (8, 864, 48, True)],
)
def test_where_it_wins(size, inputs, outputs, wins):
    graph = ModelBuilder()
    image = graph.input((1, size, size, inputs))
    weights = graph.constant(np.ones((outputs, 1, 1, inputs), np.float32))
    layer = graph.conv(image, weights, graph.constant(np.ones(outputs, np.float32)))
    topology = Topology(parse_model(graph.finish(layer)))
    assert dynamic_wins(topology, topology.subgraph.operators[0]) == wins


@pytest.mark.parametrize(("inputs", "outputs", "wins"), [(1024, 1024, True), (64, 1, False)])
def test_matrix_products(inputs, outputs, wins):
    graph = ModelBuilder()
    rows = graph.input((1, inputs))
    weights = graph.constant(np.ones((outputs, inputs), np.float32))
    sources = [rows, weights, graph.constant(np.ones(outputs, np.float32))]
    options = schema.FullyConnectedOptionsT()
    result = graph.operator("FULLY_CONNECTED", sources, (1, outputs), options)
    topology = Topology(parse_model(graph.finish(result)))
    assert dynamic_wins(topology, topology.subgraph.operators[0]) == wins


def _chain(*widths: int) -> Topology:
    graph = ModelBuilder()
    last = graph.input((1, widths[0]))
    for inputs, outputs in pairwise(widths):
        weights = graph.constant(np.ones((outputs, inputs), np.float32))
        last = graph.fully_connected(last, weights, graph.constant(np.ones(outputs, np.float32)))
    return Topology(parse_model(graph.finish(last)))


@pytest.mark.parametrize(
    ("widths", "costs"),
    [
        # An autoencoder ends in as much as it begins with, a classifier in a few classes.
        ((640, 128, 128, 8, 128, 128, 640), True),
        ((640, 1024, 1024, 10), False),
        # Of what is small, reading a model costs more than computing it.
        ((16, 16), False),
    ],
)
def test_heads_that_cost_more_in_float_than_they_win(widths, costs):
    graph = _chain(*widths)
    head = graph.subgraph.operators[-1]
    assert costly_heads(graph, [head]) == ([(head, True)] if costs else [])


def test_head_whose_scaling_costs_more_than_its_products_is_no_dynamic_one():
    graph = ModelBuilder()
    source = graph.input((512, 16))
    weights = graph.constant(np.ones((128, 16), np.float32))
    layer = graph.fully_connected(source, weights, graph.constant(np.ones(128, np.float32)))
    topology = Topology(parse_model(graph.finish(layer)))
    (head,) = topology.subgraph.operators
    assert costly_heads(topology, [head]) == [(head, False)]
