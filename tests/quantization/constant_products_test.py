"""Products with one constant matrix become fully connected layers that compute the same."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.random_models import ModelBuilder, run_model
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.quantization.constant_products import use_fully_connected


def product(rank: int, on_the_left: bool, adjoint: tuple[bool, bool], sizes: tuple[int, ...]):
    """Makes a product of an input and a constant; sizes are rows, terms and columns."""
    rows, terms, columns = sizes
    graph, rng = ModelBuilder(), np.random.default_rng(sum(sizes))
    left, right = (rows, terms), (terms, columns)
    left, right = left[:: -1 if adjoint[0] else 1], right[:: -1 if adjoint[1] else 1]
    batch = (2, 3)[: rank - 2]
    constant, source_shape = (left, right) if on_the_left else (right, left)
    matrix = graph.constant(rng.normal(size=constant).astype(np.float32))
    source = graph.input((*batch, *source_shape), "x")
    options = schema.BatchMatMulOptionsT()
    options.adjX, options.adjY = adjoint
    inner = [matrix, source] if on_the_left else [source, matrix]
    result = graph.operator("BATCH_MATMUL", inner, (*batch, rows, columns), options)
    return graph.finish(result)


@settings(max_examples=40, deadline=None)
@given(
    rank=strategies.integers(2, 4),
    on_the_left=strategies.booleans(),
    adjoint=strategies.tuples(strategies.booleans(), strategies.booleans()),
    sizes=strategies.tuples(*(strategies.integers(32, 40),) * 3),
)
def test_it_computes_the_same(rank, on_the_left, adjoint, sizes):
    content = product(rank, on_the_left, adjoint, sizes)
    model = parse_model(content)
    assert use_fully_connected(model)["changed"] == 1
    names = {model.operator_name(operator) for operator in model.schema.subgraphs[0].operators}
    assert "FULLY_CONNECTED" in names
    assert "BATCH_MATMUL" not in names
    (expected,), (found,) = run_model(content), run_model(model_bytes(model))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_small_constant_on_the_left_stays():
    model = parse_model(product(3, True, (False, False), (4, 5, 6)))
    assert use_fully_connected(model)["changed"] == 0


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 3, 8, 8)])
def test_constant_of_several_matrices_stays(shape):
    graph = ModelBuilder()
    source = graph.input((*shape[:-2], 4, 8), "x")
    constant = graph.constant(np.ones(shape, np.float32))
    options = schema.BatchMatMulOptionsT()
    content = graph.finish(
        graph.operator("BATCH_MATMUL", [source, constant], (*shape[:-2], 4, 8), options)
    )
    model = parse_model(content)
    assert use_fully_connected(model)["changed"] == 0
    assert model_bytes(model) == content
