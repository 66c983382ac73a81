import numpy as np
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quantization.layer_execution_test import random_samples
from tests.random_models import ModelBuilder
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.layer_execution import LayerExecution
from tools.quantization.layer_inputs import LayerInputs, is_plain


class _Layer:
    """A model of one layer, run over samples."""

    def __init__(self, graph: ModelBuilder, result: int, samples: int):
        model = parse_model(make_float_master(graph.finish(result))[0])
        self.graph = Topology(model)
        (self.operator,) = self.graph.subgraph.operators
        execution = LayerExecution(self.graph, random_samples(model, samples))
        source, result = int(self.operator.inputs[0]), int(self.operator.outputs[0])
        execution.hold(source)
        execution.run_all()
        self.values, self.results = execution.values[source], execution.values[result]
        self.weights, self.bias = (
            model.tensor_data(self.graph.tensor(index)) for index in self.operator.inputs[1:3]
        )

    def check(self) -> None:
        assert is_plain(self.graph, self.operator)
        gather = LayerInputs(self.graph, self.operator, len(self.values), 10**6)
        matrix, rows = gather.matrix(self.weights), gather.rows(self.values)
        products = np.einsum("...rt,...t->...r", rows, matrix) if rows.ndim == 3 else None
        found = products.T if rows.ndim == 3 else rows @ matrix.T
        expected = self.results.reshape(-1, self.bias.size)
        np.testing.assert_allclose(found + self.bias, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(gather.weights(matrix), self.weights)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    depthwise=st.booleans(),
    height=st.integers(3, 9),
    width=st.integers(3, 9),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    dilation=st.integers(1, 2),
    same=st.booleans(),
    channels=st.integers(1, 3),
)
def test_rows_times_weights_is_what_a_convolution_computes(
    depthwise, height, width, kernel, strides, dilation, same, channels
):
    # The runtime takes strides of a depthwise convolution that are equal, or 1 where it
    # is dilated.
    strides = (1, 1) if dilation > 1 else (strides[0], strides[0]) if depthwise else strides
    reach = [(size - 1) * dilation + 1 for size in kernel]
    if not same and (reach[0] > height or reach[1] > width):
        same = True
    rng = np.random.default_rng(height * 10 + width)
    graph = ModelBuilder()
    source = graph.input((1, height, width, channels))
    shape = (1, *kernel, channels * 2) if depthwise else (4, *kernel, channels)
    weights = graph.constant(rng.normal(size=shape).astype(np.float32))
    outputs = shape[-1] if depthwise else 4
    bias = graph.constant(rng.normal(size=outputs).astype(np.float32))
    result = (graph.depthwise if depthwise else graph.conv)(source, weights, bias)
    options = graph.subgraph.operators[-1].builtinOptions
    options.strideH, options.strideW = strides
    options.dilationHFactor = options.dilationWFactor = dilation
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    sizes = [
        -(-(size if same else size - one + 1) // step)
        for size, one, step in zip((height, width), reach, strides, strict=True)
    ]
    graph.subgraph.tensors[result].shape = [1, *sizes, outputs]
    _Layer(graph, result, 2).check()


def test_rows_times_weights_is_what_a_matrix_product_computes():
    rng = np.random.default_rng(1)
    graph = ModelBuilder()
    source = graph.input((2, 5))
    weights = graph.constant(rng.normal(size=(3, 5)).astype(np.float32))
    bias = graph.constant(rng.normal(size=3).astype(np.float32))
    _Layer(graph, graph.fully_connected(source, weights, bias), 4).check()


def test_places_are_chosen_over_all_samples_and_always_the_same():
    graph = ModelBuilder()
    source = graph.input((1, 8, 8, 3))
    weights = graph.constant(np.ones((2, 1, 1, 3), np.float32))
    layer = _Layer(graph, graph.conv(source, weights, graph.constant(np.zeros(2, np.float32))), 6)
    one, other = (LayerInputs(layer.graph, layer.operator, 6, 50) for _ in range(2))
    rows = one.rows(layer.values)
    assert rows.shape == (50, 3)
    np.testing.assert_array_equal(rows, other.rows(layer.values))
    samples = {int(np.flatnonzero((layer.values == row).all(-1).any((1, 2, 3)))[0]) for row in rows}
    assert len(samples) == 6


def test_grouped_and_computed_weights_are_not_plain():
    graph = ModelBuilder()
    source = graph.input((1, 4, 4, 4))
    bias = graph.constant(np.zeros(2, np.float32))
    grouped = graph.conv(source, graph.constant(np.ones((2, 1, 1, 2), np.float32)), bias)
    computed = graph.conv(source, source, bias)
    topology = Topology(parse_model(graph.finish(grouped, computed)))
    assert not any(is_plain(topology, operator) for operator in topology.subgraph.operators)
