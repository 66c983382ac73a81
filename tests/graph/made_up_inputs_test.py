"""Inputs made up for models that read tables, masks, images and text."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.random_models import ModelBuilder
from tools.graph.flatbuffer import parse_model
from tools.graph.made_up_inputs import MadeUpInputs

_INT32 = schema.TensorType.INT32
_ROWS = 7


def integers(graph: ModelBuilder, shape=(2, 8), kind=_INT32) -> int:
    """Adds an input of whole numbers."""
    index = graph.tensor(shape, "tokens", kind)
    graph.subgraph.inputs.append(index)
    return index


def gather(graph: ModelBuilder, indices: int, rows: int = _ROWS, axis: int = 0) -> int:
    """Adds a GATHER of rows, or of columns of a table."""
    options = schema.GatherOptionsT()
    options.axis = axis
    shape = [4, 4]
    shape[axis] = rows
    table = graph.constant(np.zeros(shape, np.float32))
    return graph.operator("GATHER", [table, indices], (*graph.shape(indices), 4), options)


def range_of(graph: ModelBuilder, output: int, dtype=np.int32, count: int = 500):
    """Draws the first input often; returns the lowest and the highest value."""
    made_up = MadeUpInputs(parse_model(graph.finish(output)))
    index = graph.subgraph.inputs[0]
    values = made_up.values(index, (count, 8), dtype, np.random.default_rng(0))
    assert values.dtype == dtype
    assert values.shape == (count, 8)
    return values.min(), values.max()


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_tokens_are_rows_of_their_table(axis):
    graph = ModelBuilder()
    assert range_of(graph, gather(graph, integers(graph), axis=axis)) == (0, _ROWS - 1)


def test_the_smaller_of_two_tables_counts():
    graph = ModelBuilder()
    tokens = integers(graph)
    graph_outputs = [gather(graph, tokens, rows) for rows in (9, 5)]
    assert range_of(graph, graph_outputs[0]) == (0, 4)


@pytest.mark.parametrize(("name", "added"), [("ADD", 3), ("SUB", -2), ("ADD", -1)])
def test_what_is_added_before_is_taken_off(name, added):
    graph = ModelBuilder()
    constant = graph.constant(np.array([abs(added) if name == "SUB" else added], np.int32))
    moved = graph.binary(name, integers(graph), constant)
    graph.subgraph.tensors[moved].type = _INT32
    low, high = range_of(graph, gather(graph, moved))
    assert (low + added, high + added) == (max(added, 0), _ROWS - 1)


@pytest.mark.parametrize("name", ["RESHAPE", "CAST", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE", "TILE"])
def test_tokens_are_followed_through_what_hands_them_on(name):
    graph = ModelBuilder()
    handed_on = graph.operator(name, [integers(graph)], (16,))
    graph.subgraph.tensors[handed_on].type = _INT32
    assert range_of(graph, gather(graph, handed_on)) == (0, _ROWS - 1)


def test_embedding_lookup_one_hot_and_gather_nd():
    graph = ModelBuilder()
    table = graph.constant(np.zeros((6, 4), np.float32))
    found = graph.operator("EMBEDDING_LOOKUP", [integers(graph), table], (2, 8, 4))
    assert range_of(graph, found) == (0, 5)

    graph = ModelBuilder()
    constants = [graph.constant(np.array(v, np.int32)) for v in (4, 1, 0)]
    found = graph.operator("ONE_HOT", [integers(graph), *constants], (2, 8, 4))
    assert range_of(graph, found) == (0, 3)

    graph = ModelBuilder()
    table = graph.constant(np.zeros((5, 3, 2), np.float32))
    found = graph.operator("GATHER_ND", [table, integers(graph, (8, 2))], (8, 2))
    assert range_of(graph, found) == (0, 2)


def test_a_loop_is_followed_into_its_body():
    graph = ModelBuilder()
    tokens = integers(graph)
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    last = graph.operator("WHILE", [tokens], (2, 8), options)
    inner = ModelBuilder()
    found = gather(inner, integers(inner))
    inner.subgraph.outputs = [found]
    model = parse_model(graph.finish(last))
    body = parse_model(inner.finish(found)).schema
    for code in body.operatorCodes:
        model.schema.operatorCodes.append(code)
    body.subgraphs[0].operators[0].opcodeIndex = 1
    model.schema.subgraphs += [body.subgraphs[0], body.subgraphs[0]]
    values = MadeUpInputs(model).values(tokens, (100, 8), np.int32, np.random.default_rng(0))
    assert (values.min(), values.max()) == (0, _ROWS - 1)


def test_other_whole_numbers_are_masks():
    graph = ModelBuilder()
    mask = graph.operator("CAST", [integers(graph)], (2, 8))
    assert range_of(graph, mask) == (0, 1)


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [
        ((1, 32, 32, 3), np.uint8, "UINT8"),
        ((1, 32, 32, 1), np.int32, "INT32"),
        ((1, 3, 32, 32), np.uint8, "UINT8"),
    ],
)
def test_images_have_all_shades(shape, dtype, kind):
    graph = ModelBuilder()
    image = integers(graph, shape, getattr(schema.TensorType, kind))
    last = graph.operator("CAST", [image], shape)
    made_up = MadeUpInputs(parse_model(graph.finish(last)))
    values = made_up.values(image, shape, dtype, np.random.default_rng(0))
    assert values.dtype == dtype
    assert values.min() < 5
    assert values.max() > 250


def test_quantized_inputs_cover_their_type():
    graph = ModelBuilder()
    index = integers(graph, (1, 8), schema.TensorType.INT8)
    parameters = schema.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = [0.1], [3]
    graph.subgraph.tensors[index].quantization = parameters
    last = graph.operator("DEQUANTIZE", [index], (1, 8))
    assert range_of(graph, last, np.int8) == (-128, 127)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, bool])
def test_floats_and_bools(dtype):
    graph = ModelBuilder()
    image = graph.input((2, 8))
    low, high = range_of(graph, graph.operator("RELU", [image], (2, 8)), np.dtype(dtype))
    assert (0 <= low < 0.1) if dtype is not bool else low == np.False_
    assert high <= 1


def test_text_is_a_letter():
    graph = ModelBuilder()
    made_up = MadeUpInputs(parse_model(graph.finish(integers(graph))))
    values = made_up.values(graph.subgraph.inputs[0], (3,), np.bytes_, np.random.default_rng(0))
    assert values.tolist() == [b"a"] * 3


def test_ranges_as_flags_of_benchmark_model():
    graph = ModelBuilder()
    found = gather(graph, integers(graph))
    graph.input((1, 4), "scale")
    made_up = MadeUpInputs(parse_model(graph.finish(found)))
    assert made_up.value_range_flags() == {
        "input_layer": "tokens,scale",
        "input_layer_shape": "2,8:1,4",
        "input_layer_value_range": "tokens,0,6",
    }


@pytest.mark.parametrize("name", ["a,b", "a:0"])
def test_names_that_its_flags_cannot_hold(name):
    graph = ModelBuilder()
    found = gather(graph, integers(graph))
    graph.input((1, 4), name)
    assert MadeUpInputs(parse_model(graph.finish(found))).value_range_flags() == {}


def test_float_inputs_need_no_range():
    graph = ModelBuilder()
    last = graph.operator("RELU", [graph.input((2, 8))], (2, 8))
    assert MadeUpInputs(parse_model(graph.finish(last))).value_range_flags() == {}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    strategies.integers(1, 300),
    strategies.integers(-400, 400),
    strategies.sampled_from([np.uint8, np.int8, np.int32, np.int64]),
)
def test_whatever_is_added_the_type_holds_what_is_drawn(rows, added, dtype):
    graph = ModelBuilder()
    constant = graph.constant(np.array([added], np.int32))
    moved = graph.binary("ADD", integers(graph), constant)
    graph.subgraph.tensors[moved].type = _INT32
    low, high = range_of(graph, gather(graph, moved, rows), dtype, count=20)
    assert np.iinfo(dtype).min <= low <= high <= np.iinfo(dtype).max
