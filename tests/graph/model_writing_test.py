"""What a model's bytes depend on, and what they do not."""

import copy

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings

from tests.model_files import model_path
from tests.random_models import float_models, tiny_model
from tools.graph.flatbuffer import (
    copied_model,
    model_bytes,
    parse_model,
    runnable_tables,
    with_constants,
)
from tools.graph.pruning import prune


def _with_lists(table):
    """Copies one of the schema's objects, with lists of numbers in the place of arrays."""
    if isinstance(table, list):
        return [_with_lists(entry) for entry in table]
    if isinstance(table, np.ndarray):
        return table.tolist()
    if not hasattr(table, "Pack"):
        return table
    result = copy.copy(table)
    for field, value in vars(table).items():
        setattr(result, field, _with_lists(value))
    return result


def _flat(table):
    """Reads all that a table holds, whatever it is held in."""
    if isinstance(table, np.ndarray | list):
        return [_flat(entry) for entry in (table.tolist() if hasattr(table, "tolist") else table)]
    if hasattr(table, "Pack"):
        return {field: _flat(value) for field, value in vars(table).items()}
    return table.encode() if isinstance(table, str) else table


@settings(max_examples=40, deadline=None, derandomize=True)
@given(float_models())
def test_lists_and_arrays_give_the_same_bytes(content):
    model = parse_model(content)
    expected = model_bytes(model)
    model.schema = _with_lists(model.schema)
    assert model_bytes(model) == expected
    assert model_bytes(parse_model(expected)) == expected


@pytest.mark.parametrize("name", ["face_detection_short_range", "pose_detection"])
def test_a_real_model_of_lists_gives_the_same_bytes(name):
    model = parse_model(model_path(name).read_bytes())
    prune(model)
    expected = model_bytes(model)
    for subgraph in model.schema.subgraphs:
        subgraph.tensors = _with_lists(subgraph.tensors)
        subgraph.operators = _with_lists(subgraph.operators)
    assert model_bytes(model) == expected


@settings(max_examples=40, deadline=None, derandomize=True)
@given(float_models())
def test_the_library_s_own_builder_writes_the_same_model(content):
    """Larger, as it writes equal tables again, but it holds what ours holds."""
    model = parse_model(content)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.schema.Pack(builder), file_identifier=b"TFL3")
    plain = bytes(builder.Output())
    ours = model_bytes(model)
    assert len(ours) < len(plain) + 64
    assert _flat(parse_model(ours).schema) == _flat(parse_model(plain).schema)


def test_numbers_that_do_not_fit_their_field_are_not_written():
    model = parse_model(tiny_model())
    model.schema.subgraphs[0].tensors[0].type = 1000
    with pytest.raises(Exception, match=r"format requires|out of range"):
        model_bytes(model)


def test_a_copy_changes_by_itself_and_shares_its_constants():
    model = parse_model(tiny_model())
    before = model_bytes(model)
    other = copied_model(model)
    assert model_bytes(other) == before
    for one, twin in zip(model.schema.buffers, other.schema.buffers, strict=True):
        assert one.data is twin.data
    subgraph = other.schema.subgraphs[0]
    subgraph.tensors[0].name = "another"
    subgraph.operators[0].inputs = [len(subgraph.tensors) - 1]
    subgraph.tensors[-1].buffer = other.add_constant(np.ones(3, np.float32))
    subgraph.operators.pop()
    other.associated_files.append(("labels.txt", b"a"))
    assert model_bytes(model) == before != model_bytes(other)


def test_tables_serve_models_that_differ_in_values_alone():
    model = parse_model(tiny_model())
    tables, other = runnable_tables(model), copied_model(model)
    assert with_constants(tables, model) == model_bytes(model)
    for buffer in other.schema.buffers:
        if buffer.data is not None and len(buffer.data):
            buffer.data = np.frombuffer(bytes(buffer.data), np.uint8) ^ 1
    assert with_constants(tables, other) == model_bytes(other) != model_bytes(model)
    # They are what they were.
    assert with_constants(tables, model) == model_bytes(model)


def test_each_kind_of_vector_has_its_own_type():
    model = parse_model(tiny_model())
    tensor = model.schema.subgraphs[0].tensors[0]
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5], [3]
    found = parse_model(model_bytes(model)).schema.subgraphs[0].tensors[0].quantization
    assert (found.scale.dtype, found.zeroPoint.dtype) == (np.float32, np.int64)
    assert (found.scale.tolist(), found.zeroPoint.tolist()) == ([0.5], [3])
