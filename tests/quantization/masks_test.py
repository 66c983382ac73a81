"""Masks are found by what they say, and by nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from tests.foreign.kinds import KINDS
from tests.random_models import ModelBuilder, float_models, tiny_model
from tools.graph.flatbuffer import parse_model, tensor_name
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.masks import clamp_paddings, find_masks
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings


def graph_of(content: bytes) -> Topology:
    return Topology(parse_model(content))


def names(graph: Topology, operators) -> list[str]:
    return [graph.name(operator) for operator in operators]


@pytest.mark.parametrize(
    ("kind", "operators"),
    [
        ("mask_add_-1e+09", ["ADD", "SOFTMAX"]),
        ("mask_add_-inf", ["ADD", "SOFTMAX"]),
        ("mask_subtract_-10000", ["SUB", "SOFTMAX"]),
        ("mask_select_v2_-3.40282e+38", ["SELECT_V2", "SOFTMAX"]),
        ("mask_multiply_-1e+09", ["SUB", "MUL", "ADD", "SOFTMAX"]),
        ("mask_concatenate_-1e+09", ["CONCATENATION", "SOFTMAX"]),
    ],
)
def test_what_holds_a_mask_is_float_up_to_what_hides_it(kind, operators):
    graph = graph_of(KINDS[kind]())
    masks = find_masks(graph)
    assert names(graph, masks.operators) == operators
    assert len(masks.constants) == 1
    assert not masks.paddings


@settings(max_examples=30, deadline=None)
@given(content=float_models())
def test_models_without_masks_have_none(content):
    masks = find_masks(graph_of(content))
    assert (masks.operators, masks.tensors, masks.paddings) == ((), frozenset(), ())


def test_a_small_constant_before_softmax_is_no_mask():
    assert not find_masks(graph_of(KINDS["mask_add_-1e+09"]())).paddings
    graph = ModelBuilder()
    source = graph.input((1, 8), "x")
    shifted = graph.binary("ADD", source, graph.constant(np.full((1, 8), -20, np.float32)))
    content = graph.finish(graph.operator("SOFTMAX", [shifted], (1, 8)))
    assert not find_masks(graph_of(content)).operators


@settings(max_examples=30, deadline=None)
@given(value=strategies.floats(-3e38, -1e4))
def test_padding_of_a_pool_is_the_lowest_of_what_it_pads(value):
    graph = ModelBuilder()
    source = graph.operator("ABS", [graph.input((1, 4, 4, 2))], (1, 4, 4, 2))
    amounts = graph.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    constant = graph.constant(np.float32(value))
    padded = graph.operator("PADV2", [source, amounts, constant], (1, 6, 6, 2))
    topology = graph_of(graph.finish(graph.pool("MAX_POOL_2D", padded)))
    masks = find_masks(topology)
    assert not masks.operators
    ranges = {
        tensor_name(topology.tensor(source)): {
            "min": np.full((1,) * 4, -2, np.float32),
            "max": np.full((1,) * 4, 3, np.float32),
        }
    }
    assert clamp_paddings(topology, masks, ranges) == 1
    assert topology.model.tensor_data(topology.tensor(constant)) == -2
    assert ranges[tensor_name(topology.tensor(padded))]["max"].max() == 3


def test_mask_that_is_an_input_is_found_by_what_it_was():
    graph = ModelBuilder()
    scores, mask = graph.input((1, 8), "scores"), graph.input((1, 8), "mask")
    masked = graph.binary("ADD", scores, mask)
    topology = graph_of(graph.finish(graph.operator("SOFTMAX", [masked], (1, 8))))
    assert not find_masks(topology).operators
    masks = find_masks(topology, {scores: -4.0, mask: -1e9})
    assert names(topology, masks.operators) == ["ADD", "SOFTMAX"]


def test_the_report_says_what_was_done():
    master, _ = make_float_master(KINDS["mask_add_-1e+09"]())
    samples = [
        {"x": np.random.default_rng(n).normal(size=(1, 8, 48)).astype("f4")} for n in range(9)
    ]
    result = quantize(master, QuantizationSettings("int8"), samples)
    (entry,) = [entry for entry in result.passes if entry["name"] == "masks"]
    assert entry["detail"] == "2 operators of masks compute in float"
    assert "mask" in {entry["reason"] for entry in result.float_tensors}
    passes = {"masks": {"enabled": False}}
    other = quantize(
        make_float_master(tiny_model())[0], QuantizationSettings("float16", passes=passes), None
    )
    assert "masks" not in {entry["name"] for entry in other.passes}
