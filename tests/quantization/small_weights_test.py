import math

import numpy as np
import pytest
from hypothesis import given, settings

from tests.extent import count
from tests.model_files import model_path
from tests.random_models import ModelBuilder, float_models, run_model
from tools.graph.flatbuffer import parse_model, shape_of, type_name
from tools.graph.float_master import make_float_master
from tools.graph.topology import WEIGHTED, Topology
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.quantization.small_weights import smallest_weights

_OFF = {"small_weights": {"enabled": False}}


def _size(graph: Topology, operator) -> int:
    weights = graph.model.tensor_data(graph.tensor(operator.inputs[1]))
    return int(np.count_nonzero(weights))


@settings(max_examples=count(30, 200), deadline=None, derandomize=True)
@given(float_models())
def test_of_random_models_the_smallest_are_chosen_within_the_budget(content):
    model = parse_model(content)
    graph = Topology(model)
    operators = list(graph.subgraph.operators)
    constants = sum(len(b.data) for b in model.schema.buffers if b.data is not None)
    for percent in (0.25, 5, 10):
        chosen = smallest_weights(graph, operators, percent)
        buffers = {graph.tensor(op.inputs[1]).buffer: _size(graph, op) for op in chosen}
        assert sum(buffers.values()) <= percent / 100 * constants
        others = [op for op in operators if graph.name(op) in WEIGHTED and op not in chosen]
        # Who shares weights is chosen together, and what is left is no smaller.
        assert not buffers.keys() & {graph.tensor(op.inputs[1]).buffer for op in others}
        least = min((_size(graph, op) for op in others), default=math.inf)
        assert max(buffers.values(), default=0) <= least
        # One more would be too much.
        assert sum(buffers.values()) + least > percent / 100 * constants


def _two_layers(first: int) -> bytes:
    """Makes 1x1 convolutions of 1 to `first` and to 64 channels."""
    rng = np.random.default_rng(first)
    graph = ModelBuilder()
    tensor = graph.input((1, 4, 4, 1))
    for outputs in (first, 64, 64):
        shape = (outputs, 1, 1, graph.shape(tensor)[-1])
        weights = graph.constant(rng.normal(size=shape).astype(np.float32))
        bias = graph.constant(rng.normal(size=outputs).astype(np.float32))
        tensor = graph.conv(tensor, weights, bias)
    return graph.finish(tensor)


@pytest.mark.parametrize("scheme", ["dynamic", "weight_only_int8"])
def test_artifact_holds_them_in_float16_and_is_closer_to_float(scheme):
    # 36 weights of some 26,000 bytes are under .25%.
    master, _ = make_float_master(_two_layers(36))
    result = quantize(master, QuantizationSettings(scheme), None)
    entry = next(entry for entry in result.passes if entry["name"] == "small_weights")
    assert entry["changed"] == 1
    kinds = {}
    graph = Topology(parse_model(result.model))
    for operator in graph.subgraph.operators:
        if graph.name(operator) == "CONV_2D":
            source = graph.producer.get(int(operator.inputs[1]))
            stored = graph.tensor(source.inputs[0] if source else operator.inputs[1])
            kinds[math.prod(shape_of(stored))] = type_name(stored)
    assert kinds == {36: "FLOAT16", 36 * 64: "INT8", 64 * 64: "INT8"}
    assert any("float16 weights" in tensor["reason"] for tensor in result.float_tensors)
    without = quantize(master, QuantizationSettings(scheme, passes=_OFF), None)
    assert all(entry["name"] != "small_weights" for entry in without.passes)


def test_layers_go_over_them():
    master, _ = make_float_master(_two_layers(36))
    layers = ((".*", "weight_only_int8"),)
    result = quantize(master, QuantizationSettings("dynamic", layers=layers), None)
    types = {type_name(tensor) for tensor in parse_model(result.model).schema.subgraphs[0].tensors}
    assert "FLOAT16" not in types


def test_a_real_model_keeps_its_size_and_is_closer_to_float():
    master, _ = make_float_master(model_path("pose_landmark_full").read_bytes())
    found = quantize(master, QuantizationSettings("dynamic"), None).model
    without = quantize(master, QuantizationSettings("dynamic", passes=_OFF), None).model
    assert len(found) < len(without) + 0.003 * len(master)
    errors = np.zeros(2)
    for seed in range(3):
        mask = run_model(master, seed)[2]
        for number, content in enumerate((found, without)):
            error = np.square(run_model(content, seed)[2] - mask).sum()
            errors[number] += error / np.square(mask).sum()
    assert errors[0] < 0.7 * errors[1]
