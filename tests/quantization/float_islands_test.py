"""What int8 costs most computes in float, where that costs little time."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.random_models import ModelBuilder, float_models, random_image, tiny_model
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.graph.runtime import signature_inputs
from tools.graph.topology import Topology
from tools.quantization.choice import energies, outputs_of, ratios
from tools.quantization.dynamic_cost import FloatCost
from tools.quantization.float_islands import segments
from tools.quantization.pipeline import QuantizationResult, quantize
from tools.quantization.settings import QuantizationSettings

_RELU6 = schema.ActivationFunctionType.RELU6
_SIZE, _CHANNELS = 32, 16
_OFF = {"float_islands": {"enabled": False}}


def _with_a_coarse_tail(offset: float) -> bytes:
    """Makes a model whose last maps, 2x2 pixels, stand on a large offset that is taken away.

    In int8 the step there is a 255th of what the largest offset needs.
    """
    generator = np.random.default_rng(3)
    builder = ModelBuilder()

    def convolution(source: int, inputs: int, activation: int, bias: float = 0.0) -> int:
        scale = np.sqrt(2 / inputs)
        weights = generator.normal(0, scale, (_CHANNELS, 1, 1, inputs)).astype(np.float32)
        biases = np.full(_CHANNELS, bias, np.float32)
        biases[1::2] *= -1
        return builder.conv(source, builder.constant(weights), builder.constant(biases), activation)

    end = builder.input((1, _SIZE, _SIZE, 3))
    for inputs in (3, *[_CHANNELS] * 6):
        end = convolution(end, inputs, _RELU6)
    for _ in range(4):
        end = builder.pool("AVERAGE_POOL_2D", end)
    assert builder.shape(end) == (1, 2, 2, _CHANNELS)
    alternating = np.where(np.arange(_CHANNELS) % 2, -offset, offset).astype(np.float32)
    raised = builder.binary("ADD", end, builder.constant(alternating))
    pooled = builder.pool("MAX_POOL_2D", raised)
    lowered = builder.binary("SUB", pooled, builder.constant(alternating))
    return make_float_master(builder.finish(convolution(lowered, _CHANNELS, 0)))[0]


def _samples(master: bytes, number: int) -> list[dict[str, np.ndarray]]:
    model = parse_model(master)
    ((name, index),) = signature_inputs(model).items()
    shape = tuple(int(size) for size in Topology(model).tensor(index).shape)
    return [{name: random_image(shape, seed)} for seed in range(number)]


def _made(master: bytes, **passes) -> tuple[QuantizationResult, dict | None]:
    settings = QuantizationSettings("int8", passes=passes | {"choice": {"enabled": False}})
    result = quantize(master, settings, _samples(master, 24))
    entries = [entry for entry in result.passes if entry["name"] == "float_islands"]
    return result, entries[0] if entries else None


def _signal_to_noise(master: bytes, artifact: bytes) -> float:
    model, samples = parse_model(master), _samples(master, 40)[24:]
    sums = energies(outputs_of(model, master, samples), outputs_of(model, artifact, samples))
    return float(ratios(sums.sum(axis=0)).min())


def test_a_tail_that_int8_spoils_computes_in_float():
    master = _with_a_coarse_tail(200.0)
    (with_islands, entry), (without, none) = _made(master), _made(master, **_OFF)
    assert none is None
    assert entry is not None
    assert entry["changed"] > 0
    assert "1x1" in entry["detail"] or "2x2" in entry["detail"]
    assert entry["gain"]["after"] > entry["gain"]["before"] + 1
    assert _signal_to_noise(master, with_islands.model) > (
        _signal_to_noise(master, without.model) + 6
    )
    reasons = [one["reason"] for one in with_islands.float_tensors]
    assert any(reason.startswith("float island") for reason in reasons)
    # Weights stay int8: what differs is the tables of a few conversions.
    assert len(with_islands.model) < len(without.model) + 1024


def test_what_costs_too_much_time_stays_int8():
    # All that there is: in float nothing would be left of int8.
    master = make_float_master(tiny_model())[0]
    _, entry = _made(master)
    assert entry is not None
    assert entry["changed"] == 0
    assert entry["gain"]["after"] == entry["gain"]["before"]


def test_the_same_is_chosen_again():
    master = _with_a_coarse_tail(200.0)
    assert _made(master)[0].model == _made(master)[0].model


@pytest.mark.parametrize("scheme", ["int16x8", "dynamic", "int4"])
def test_other_schemes_have_none(scheme):
    master = make_float_master(tiny_model())[0]
    result = quantize(master, QuantizationSettings(scheme), _samples(master, 20))
    assert "float_islands" not in [entry["name"] for entry in result.passes]


@settings(max_examples=count(50, 500), deadline=None, derandomize=True)
@given(float_models(), strategies.data())
def test_segments_divide_the_operators(content, data):
    graph = Topology(parse_model(content))
    whole = range(len(graph.subgraph.operators))
    integer = data.draw(strategies.sets(strategies.sampled_from(whole)))
    found = segments(graph, integer)
    assert [place for segment in found for place in segment] == sorted(integer)
    assert all(found)
    cost = FloatCost(graph, integer)
    shares = [cost.share(frozenset(segment)) for segment in found]
    assert all(share >= 0 for share in shares)
    # With all of them in float, nothing is left to convert.
    assert cost.share(frozenset(integer)) <= sum(shares) + 1e-9 or len(found) < 2
