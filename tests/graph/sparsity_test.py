import itertools

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.graph.sparse_storage import sparse_model, store
from tests.random_models import run_model
from tests.refused import refused
from tools.graph.float_master import make_float_master
from tools.graph.sparsity import densify, sparsify


@strategies.composite
def stored_arrays(draw, most_dimensions: int = 4):
    """(dense array, arguments of `store`): any order, any levels sparse, any blocks."""
    rank = draw(strategies.integers(1, most_dimensions))
    blocks = {}
    shape = []
    for dimension in range(rank):
        size = draw(strategies.sampled_from([1, 1, 1, 2, 3, 4]))
        shape.append(draw(strategies.integers(1, 4)) * size)
        if size > 1:
            blocks[dimension] = size
    outer = draw(strategies.permutations(range(rank)))
    inner = draw(strategies.permutations(range(rank, rank + len(blocks))))
    compressed = draw(strategies.sets(strategies.integers(0, rank - 1)))
    rng = np.random.default_rng(draw(strategies.integers(0, 2**32 - 1)))
    share = draw(strategies.sampled_from([0.0, 0.1, 0.5, 1.0]))
    dense = rng.normal(size=shape) * (rng.random(shape) < share)
    width = draw(strategies.integers(0, 2))
    dtype = draw(strategies.sampled_from([np.float32, np.float16]))
    return dense.astype(dtype), ([*outer, *inner], compressed, blocks, width)


@settings(max_examples=count(75, 300), deadline=None, derandomize=True)
@given(stored_arrays())
def test_what_was_stored_comes_back(stored):
    dense, how = stored
    values, sparsity = store(dense, *how)
    result = densify(values, dense.shape, sparsity)
    assert result.dtype == dense.dtype
    np.testing.assert_array_equal(result, dense)


@strategies.composite
def sparse_arrays(draw):
    """Arrays of few elements, or few blocks, that are not zero."""
    shape = draw(
        strategies.lists(strategies.sampled_from([1, 2, 4, 8, 12]), min_size=1, max_size=4)
    )
    rng = np.random.default_rng(draw(strategies.integers(0, 2**32 - 1)))
    block = draw(strategies.sampled_from([1, 2, 4]))
    coarse = rng.random([-(-size // block) for size in shape]) < draw(
        strategies.sampled_from([0.0, 0.05, 0.3, 1.0])
    )
    for dimension in range(len(shape)):
        coarse = coarse.repeat(block, axis=dimension)
    kept = coarse[tuple(slice(size) for size in shape)]
    dtype = draw(strategies.sampled_from([np.int8, np.float16]))
    return (rng.integers(1, 100, shape) * kept).astype(dtype)


@settings(max_examples=count(75, 300), deadline=None, derandomize=True)
@given(sparse_arrays())
def test_densify_is_the_inverse_of_sparsify(dense):
    values, sparsity, size = sparsify(dense)
    assert values.dtype == dense.dtype
    assert values.nbytes <= size
    result = densify(values, dense.shape, sparsity)
    np.testing.assert_array_equal(result, dense)


@settings(max_examples=count(15, 40), deadline=None, derandomize=True)
@given(sparse_arrays())
def test_the_runtime_expands_what_sparsify_stored(dense):
    dense = dense.astype(np.float32)
    values, sparsity, _ = sparsify(dense)
    (result,) = run_model(sparse_model(dense, values, sparsity))
    (expected,) = run_model(sparse_model(dense, *store(dense, list(range(dense.ndim)), set())))
    np.testing.assert_array_equal(result, expected)


def test_sparsify_takes_what_is_smallest():
    rows = np.zeros((64, 64), np.int8)
    rows[3, :48] = 1
    # Three blocks of 16 along the row, which four columns of blocks hold.
    _, sparsity, size = sparsify(rows)
    assert size == 48 + 3 + 5
    assert list(sparsity.blockMap) == [1]
    scattered = np.zeros((16, 1000), np.int8)
    scattered[np.arange(16), np.arange(16) * 60] = 1
    # A column of 16 needs one byte for its index, a row of 1,000 two.
    _, sparsity, size = sparsify(scattered)
    assert sparsity.blockMap is None
    assert size == min(16 + 16 + 1001, 16 + 32 + 17)
    assert list(sparsity.traversalOrder) == [0, 1]


def test_orders_and_formats_of_a_matrix():
    dense = np.float32([[0, 2, 0, 4], [0, 0, 0, 0], [5, 0, 0, 8]])
    for order in ([0, 1], [1, 0]):
        for length in range(3):
            for compressed in itertools.combinations([0, 1], length):
                values, sparsity = store(dense, order, set(compressed))
                np.testing.assert_array_equal(densify(values, dense.shape, sparsity), dense)


def test_written_by_hand():
    """schema.fbs's own example: a 4 by 6 matrix in blocks of 2 by 3, rows dense."""
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder = [0, 1, 2, 3]
    sparsity.blockMap = [0, 1]
    sparsity.dimMetadata = [schema.DimensionMetadataT() for _ in range(4)]
    for metadata, size in zip(sparsity.dimMetadata, (2, 0, 2, 3), strict=True):
        metadata.format, metadata.denseSize = schema.DimensionType.DENSE, size
    rows = sparsity.dimMetadata[1]
    rows.format = schema.DimensionType.SPARSE_CSR
    rows.arraySegments, rows.arrayIndices = schema.Int32VectorT(), schema.Uint8VectorT()
    rows.arraySegments.values = np.int32([0, 1, 3])
    rows.arrayIndices.values = np.uint8([1, 0, 1])
    dense = densify(np.arange(1, 19, dtype=np.float32), (4, 6), sparsity)
    np.testing.assert_array_equal(
        dense,
        [
            [0, 0, 0, 1, 2, 3],
            [0, 0, 0, 4, 5, 6],
            [7, 8, 9, 13, 14, 15],
            [10, 11, 12, 16, 17, 18],
        ],
    )


@settings(max_examples=count(15, 40), deadline=None, derandomize=True)
@given(stored_arrays())
def test_the_runtime_expands_it_to_the_same(stored):
    dense, how = stored
    content = sparse_model(dense, *store(dense, *how))
    master, summary = make_float_master(content)
    assert summary["folded_densify"] == 1
    (expected,), (result,) = run_model(content), run_model(master)
    np.testing.assert_array_equal(result, expected)


def test_sparse_constant_that_is_read_without_densify():
    dense = np.float32(np.eye(4, 8)).reshape(1, 1, 4, 8)
    content = sparse_model(dense, *store(dense, [0, 1, 2, 3], {3}))
    from tools.graph.flatbuffer import model_bytes, parse_model

    model = parse_model(content)
    (subgraph,) = model.schema.subgraphs
    densifying, adding = subgraph.operators
    adding.inputs = [adding.inputs[0], densifying.inputs[0]]
    subgraph.operators = [adding]
    master, summary = make_float_master(model_bytes(model))
    assert (summary["expanded_sparse"], summary["folded_densify"]) == (1, 0)
    np.testing.assert_array_equal(run_model(master)[0], run_model(content)[0])


def broken(change) -> tuple:
    dense = np.float32([[0, 2, 0, 4], [0, 0, 0, 0], [5, 0, 0, 8]])
    values, sparsity = store(dense, [0, 1], {1})
    values = change(values, sparsity)
    return values, dense.shape, sparsity


def _order(values, sparsity):
    sparsity.traversalOrder = [0, 0]
    return values


def _fewer_values(values, sparsity):
    return values[:-1]


def _segments_backwards(values, sparsity):
    sparsity.dimMetadata[1].arraySegments.values = np.int32([0, 2, 1, 4])
    return values


def _segments_end(values, sparsity):
    sparsity.dimMetadata[1].arraySegments.values = np.int32([0, 2])
    return values


def _negative_segment(values, sparsity):
    sparsity.dimMetadata[1].arraySegments.values = np.int32([-1, 2, 2, 4])
    return values


def _column_outside(values, sparsity):
    sparsity.dimMetadata[1].arrayIndices.values = np.int32([1, 4, 0, 3])
    return values


def _negative_column(values, sparsity):
    sparsity.dimMetadata[1].arrayIndices.values = np.int32([1, -1, 0, 3])
    return values


def _more_rows(values, sparsity):
    sparsity.dimMetadata[0].denseSize = 4
    return values


def _fewer_rows(values, sparsity):
    sparsity.dimMetadata[0].denseSize = 2
    return values


def _no_indices(values, sparsity):
    sparsity.dimMetadata[1].arrayIndices = None
    return values


def _no_metadata(values, sparsity):
    sparsity.dimMetadata = None
    return values


def _block_of_no_dimension(values, sparsity):
    sparsity.blockMap = [7]
    sparsity.traversalOrder = [0, 1, 2]
    sparsity.dimMetadata.append(sparsity.dimMetadata[0])
    return values


def _sparse_block(values, sparsity):
    sparsity.blockMap = [1]
    sparsity.traversalOrder = [0, 1, 2]
    sparsity.dimMetadata.append(sparsity.dimMetadata[1])
    return values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_order, "traversal order"),
        (_fewer_values, "fewer values"),
        (_segments_backwards, "backwards"),
        (_segments_end, "segments end"),
        (_negative_segment, "backwards"),
        (_column_outside, "outside its shape"),
        (_negative_column, "outside its shape"),
        (_more_rows, "do not fit its shape"),
        (_fewer_rows, "do not fit its shape"),
        (_no_indices, "no indices"),
        (_no_metadata, "how its dimensions are stored"),
        (_block_of_no_dimension, "dimensions that it does not have"),
        (_sparse_block, "sparse themselves"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        densify(*broken(change))


def test_damaged_sparse_tensor_is_named():
    dense = np.float32(np.eye(4, 8))
    values, sparsity = store(dense, [0, 1], {1})
    sparsity.dimMetadata[1].arrayIndices.values = np.int32([0, 1, 2, 8])
    with refused("model.damaged", "^net: sparse tensor stored is damaged: its indices lie"):
        make_float_master(sparse_model(dense, values, sparsity), "net")
