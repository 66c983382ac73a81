"""Layers that cannot do with few bits get more."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.random_models import ModelBuilder
from tests.refused import refused
from tools.graph.flatbuffer import parse_model, tensor_name
from tools.graph.float_master import make_float_master
from tools.graph.runtime import signature_inputs
from tools.graph.topology import Topology
from tools.quantization.choice import energies, outputs_of, ratios
from tools.quantization.pipeline import QuantizationResult, quantize
from tools.quantization.settings import QuantizationSettings
from tools.quantization.weight_bits import find_wider_weights, rounded_weights

_WIDTH = 32
_TYPES = {schema.TensorType.INT4: 4, schema.TensorType.INT8: 8}


def _chain(fragile: int | None, layers: int = 5) -> bytes:
    """Makes a chain of products, in one of which a weight of each row hides all others.

    At four bits a step is a seventh of the largest weight: what is smaller than half of that
    becomes zero. The input that meets the large weight is nearly zero.
    """
    generator = np.random.default_rng(7)
    builder = ModelBuilder()
    end = builder.input((1, _WIDTH))
    for layer in range(layers):
        weights = generator.normal(0, 1 / np.sqrt(_WIDTH), (_WIDTH, _WIDTH))
        bias = np.zeros(_WIDTH, np.float32)
        if layer == fragile:
            weights[:, 0] = 6
        if layer + 1 == fragile:
            weights[0] *= 1e-3
        constants = builder.constant(weights.astype(np.float32)), builder.constant(bias)
        end = builder.fully_connected(end, *constants)
    return make_float_master(builder.finish(end))[0]


def _samples(master: bytes, number: int = 24) -> list[dict[str, np.ndarray]]:
    ((name, index),) = signature_inputs(parse_model(master)).items()
    shape = tuple(int(size) for size in Topology(parse_model(master)).tensor(index).shape)
    generator = np.random.default_rng(1)
    return [{name: generator.normal(0, 1, shape).astype(np.float32)} for _ in range(number)]


def _made(master: bytes, scheme: str = "int4", **choices) -> tuple[QuantizationResult, dict | None]:
    passes = {
        "choice": {"enabled": False},
        # Heads, and what is small, have eight bits or more in any case.
        "output_heads": {"enabled": False},
        "small_weights": {"enabled": False},
        "weight_bits": choices,
    }
    result = quantize(master, QuantizationSettings(scheme, passes=passes), _samples(master))
    entries = [entry for entry in result.passes if entry["name"] == "weight_bits"]
    return result, entries[0] if entries else None


def _bits(artifact: bytes) -> list[int]:
    """Lists the bits of the weights of each product, in their order."""
    graph = Topology(parse_model(artifact))
    result = []
    for operator in graph.subgraph.operators:
        if graph.name(operator) in ("CONV_2D", "FULLY_CONNECTED"):
            index = int(operator.inputs[1])
            expanding = graph.producer.get(index)
            index = index if expanding is None else int(expanding.inputs[0])
            result.append(_TYPES[graph.tensor(index).type])
    return result


def _signal_to_noise(master: bytes, artifact: bytes) -> float:
    model, samples = parse_model(master), _samples(master, 40)[24:]
    sums = energies(outputs_of(model, master, samples), outputs_of(model, artifact, samples))
    return float(ratios(sums.sum(axis=0)).min())


def test_the_layer_that_four_bits_spoil_gets_eight():
    master = _chain(2)
    result, entry = _made(master, least_sqnr_db=10.0)
    assert _bits(result.model) == [4, 4, 8, 4, 4]
    assert entry is not None
    assert entry["changed"] == 1
    assert entry["gain"]["before"] < 10 <= entry["gain"]["after"]
    without, none = _made(master, enabled=False)
    assert none is None
    assert _bits(without.model) == [4] * 5
    assert _signal_to_noise(master, result.model) > _signal_to_noise(master, without.model) + 2


def test_what_can_do_with_four_bits_has_four():
    result, entry = _made(_chain(None), least_sqnr_db=8.0)
    assert _bits(result.model) == [4] * 5
    assert entry is not None
    assert entry["changed"] == 0


def test_the_bytes_allowed_are_kept_and_the_entry_says_what_is_reached():
    result, entry = _made(_chain(2), least_sqnr_db=60.0, percent=15.5)
    # 5 layers of 4 bits have 12.5% of 32, each one of 8 bits instead adds 2.5 points.
    assert sorted(_bits(result.model)) == [4, 4, 4, 4, 8]
    assert entry is not None
    assert "within 15.5% an output keeps" in entry["detail"]
    assert "15.0% of the weights' float bytes" in entry["detail"]


@pytest.mark.parametrize("scheme", ["int2", "int4"])
def test_what_few_bits_leave_nothing_of_is_refused_in_one_line(scheme):
    master = _chain(2)
    share = "int2_percent" if scheme == "int2" else "percent"
    choices = {share: 12.5 if scheme == "int4" else 6.25, "least_sqnr_db": 30.0}
    with refused(
        "scheme.too_few_bits",
        rf"^\S+: {scheme} leaves too little: output \S+ has a mean cosine similarity of 0\.\d{{3}} "
        r"on 8 calibration samples, below 0\.999; .* which takes \d+\.\d%; give the pass "
        rf"weight_bits a larger {share}, or take another scheme$",
    ) as raised:
        _made(master, scheme, **choices, least_cosine=0.999)
    assert "\n" not in str(raised.value)
    # The same artifact is taken by who asks for it, and the budget that was named reaches the aim.
    _, entry = _made(master, scheme, **choices, least_cosine=0.0)
    assert entry is not None
    needed = float(str(raised.value).partition("which takes ")[2].partition("%")[0])
    _, entry = _made(master, scheme, **{share: needed, "least_sqnr_db": 30.0}, least_cosine=0.0)
    assert entry is not None
    assert entry["gain"]["after"] >= 30.0


def test_rounding_by_what_enters_needs_fewer_bytes():
    """Correction is measured where the artifact will have it."""
    master = _chain(None)
    model, few = parse_model(master), dict.fromkeys(range(5), "int4")
    wider, entry = find_wider_weights(model, few, _samples(master, 64), 20.0, 25.0)
    other, told = find_wider_weights(model, few, _samples(master, 64), 20.0, 25.0, True)
    assert entry is not None
    assert told is not None
    assert told["gain"]["before"] > entry["gain"]["before"]
    assert len(other) <= len(wider)


def test_layers_that_settings_name_are_left():
    master = _chain(2)
    model = parse_model(master)
    names = [tensor_name(model.schema.subgraphs[0].tensors[i]) for i in _results(master)]
    given_settings = QuantizationSettings(
        "int4",
        layers=((f"^{names[2]}", "int4"),),
        passes={"choice": {"enabled": False}, "output_heads": {"enabled": False}},
    )
    result = quantize(master, given_settings, _samples(master))
    assert _bits(result.model)[2] == 4


def _results(master: bytes) -> list[int]:
    graph = Topology(parse_model(master))
    return [int(operator.outputs[0]) for operator in graph.subgraph.operators]


@pytest.mark.parametrize(
    ("bits", "block"), [(4, None), (8, None), (2, None), (4, 32)], ids=["4", "8", "2", "blocks"]
)
def test_steps_are_those_of_the_library(bits, block):
    weights = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    rounded = rounded_weights(weights, bits, block)
    most = 2 ** (bits - 1) - 1
    rows = weights.reshape(-1, block) if block else weights
    steps = np.abs(rows).max(axis=1, keepdims=True) / most
    codes = rounded.reshape(rows.shape) / steps
    assert np.allclose(codes, np.round(codes), atol=1e-4)
    assert np.abs(codes).max() == pytest.approx(most)
    # Each is at the nearest step.
    assert (np.abs(rounded.reshape(rows.shape) - rows) <= steps * 0.5001).all()


def test_a_row_of_zeros_stays():
    assert not rounded_weights(np.zeros((2, 4), np.float32), 4).any()


def test_two_bits_rise_to_four_before_eight():
    master = _chain(2)
    model = parse_model(master)
    few = dict.fromkeys(range(5), "int2")
    wider, entry = find_wider_weights(model, few, _samples(master), 6.0, 25.0)
    assert entry is not None
    assert set(wider.values()) <= {"dynamic_int4", "dynamic"}
    # The fragile one needs eight; others can do with less.
    assert wider[2] == "dynamic"
    assert len([scheme for scheme in wider.values() if scheme == "dynamic"]) < 5


@pytest.mark.parametrize("scheme", ["dynamic_int4", "weight_only_int4", "blockwise_int4_32"])
def test_schemes_that_need_no_data_use_it(scheme):
    result, entry = _made(_chain(2), scheme, least_sqnr_db=10.0)
    assert _bits(result.model) == [4, 4, 8, 4, 4]
    assert entry is not None
    alone = QuantizationSettings(scheme)
    assert alone.uses_calibration
    assert not alone.needs_calibration


def test_nothing_is_tried_without_layers_or_samples():
    model = parse_model(_chain(None))
    assert find_wider_weights(model, {}, _samples(_chain(None)), 16.0, 25.0) == ({}, None)
    assert find_wider_weights(model, {0: "int4"}, [], 16.0, 25.0) == ({}, None)


@settings(max_examples=count(3, 30), deadline=None)
@given(
    fragile=strategies.integers(0, 4),
    percent=strategies.floats(12.5, 25),
    decibels=strategies.floats(0, 40),
)
def test_never_beyond_the_bytes_allowed_and_always_the_same(fragile, percent, decibels):
    master = _chain(fragile)
    model, few = parse_model(master), dict.fromkeys(range(5), "int4")
    wider, entry = find_wider_weights(model, few, _samples(master), decibels, percent)
    again = find_wider_weights(model, few, _samples(master), decibels, percent)
    assert (wider, entry) == again
    assert (5 * 4 + len(wider) * 4) / (5 * 32) * 100 <= percent + 1e-9
    assert entry is not None
    assert entry["gain"]["after"] >= entry["gain"]["before"] - 1e-9
