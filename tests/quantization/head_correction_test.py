import numpy as np
import pytest
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.quantization.layer_correction_test import entry_of, images, noise
from tests.random_models import ModelBuilder
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.head_correction import (
    find_heads,
    groups,
    moved_bias,
    rounded_by_inputs,
)
from tools.quantization.layer_correction import correct_layers
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings


def _correlated(rng, rows: int, terms: int) -> np.ndarray:
    """Makes rows that move in few directions, around a mean far from zero."""
    mixing = rng.normal(size=(max(1, terms // 3), terms))
    moving = rng.normal(size=(rows, len(mixing))) @ mixing
    return (moving + 5 * rng.normal(size=terms)).astype(np.float32)


def _objective(errors: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Gives the damped variance of each output, as the module's head says."""
    covariance = np.cov(inputs.astype(np.float64).T, bias=True).reshape(errors.shape[1], -1)
    covariance += 0.02 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return np.einsum("oi,ij,oj->o", errors, covariance, errors)


@settings(max_examples=count(30, 300), deadline=None, derandomize=True)
@given(
    strategies.integers(1, 5),
    strategies.integers(1, 12),
    strategies.integers(2, 60),
    strategies.sampled_from((7, 127)),
    strategies.integers(0, 2**32 - 1),
)
def test_codes_are_beside_their_weights_and_no_worse_than_the_nearest(
    outputs, terms, rows, most, seed
):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(outputs, terms)).astype(np.float32)
    weights[rng.random(weights.shape) < 0.1] = 0
    scales = np.maximum(np.abs(weights).max(axis=1, keepdims=True), 1e-3) / most
    inputs = _correlated(rng, rows, terms)
    codes = rounded_by_inputs(weights, scales, inputs, most)
    assert codes.dtype == np.int8
    assert np.abs(codes).max() <= most
    exact = weights / scales
    assert (np.abs(codes - exact) <= 1 + 1e-6).all()
    assert (codes[weights == 0] == 0).all()
    found = _objective(codes * scales - weights, inputs)
    nearest = np.clip(np.round(exact), -most, most)
    assert (found <= _objective(nearest * scales - weights, inputs) * (1 + 1e-9)).all()
    # The same rows for each output, given to each by itself.
    each = rounded_by_inputs(weights, scales, np.repeat(inputs[None], outputs, axis=0), most)
    assert (np.abs(_objective(each * scales - weights, inputs) - found) <= 1e-6 * found).all()


def test_inputs_that_never_move_leave_the_nearest_codes():
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(3, 8)).astype(np.float32)
    scales = np.full((1, 1), 0.05)
    codes = rounded_by_inputs(weights, scales, np.ones((10, 8), np.float32))
    np.testing.assert_array_equal(codes, np.round(weights / 0.05))


@pytest.mark.parametrize("places", [1, 9])
def test_bias_brings_the_mean_back(places):
    rng = np.random.default_rng(2)
    weights, bias = rng.normal(size=(4, 6)), rng.normal(size=4)
    stored = np.round(weights * 4) / 4
    given, found = rng.normal(size=(2, 50, 6))
    moved = moved_bias(bias, weights, stored, given, found, places)
    target = given if places == 1 else found
    expected = (target @ weights.T + bias).mean(axis=0)
    np.testing.assert_allclose((found @ stored.T + moved).mean(axis=0), expected)


def _landmarks() -> bytes:
    """Makes a network of two convolutions and two heads, one of landmarks and one of a map."""
    rng, graph = np.random.default_rng(0), ModelBuilder()
    tensor = graph.input((1, 8, 8, 3))

    def weights(outputs: int, inputs: int, size: int) -> list[int]:
        values = rng.normal(0, 1 / np.sqrt(size * size * inputs), (outputs, size, size, inputs))
        bias = rng.normal(size=outputs)
        return [graph.constant(one.astype(np.float32)) for one in (values, bias)]

    for _ in range(2):
        tensor = graph.conv(tensor, *weights(64, graph.shape(tensor)[-1], 3), activation=1)
    head = graph.conv(tensor, *weights(8, 64, 1))
    mean = graph.operator(
        "MEAN",
        [tensor, graph.constant(np.array([1, 2], np.int32))],
        (1, 64),
    )
    shape = (24, 64)
    matrix = graph.constant(rng.normal(0, 0.1, shape).astype(np.float32))
    points = graph.fully_connected(mean, matrix, graph.constant(np.zeros(24, np.float32)))
    graph.subgraph.tensors[head].name = "map"
    graph.subgraph.tensors[points].name = "points"
    return graph.finish(points, head)


def _quantized(**choices):
    master, _ = make_float_master(_landmarks())
    samples = images(parse_model(master), 60)
    passes = {"layer_correction": choices, "small_weights": {"enabled": False}}
    # For the GPU, heads are no products any more once they are corrected.
    settings = QuantizationSettings("int8", passes=passes, runs_on=("cpu",))
    return master, samples, quantize(master, settings, samples)


def test_heads_are_found_by_their_outputs():
    master, _, result = _quantized(enabled=False)
    floating, graph = Topology(parse_model(master)), Topology(parse_model(result.model))
    heads = find_heads(floating, graph)
    assert sorted(floating.name(head.operator) for head in heads) == ["CONV_2D", "FULLY_CONNECTED"]
    assert sorted(sorted(head.outputs) for head in heads) == [[0], [1]]
    assert [len(group) for group in groups(heads)] == [1, 1]
    assert [len(group) for group in groups([heads[0], heads[0]])] == [2]


def test_heads_in_float16_get_a_bias_alone():
    master, _ = make_float_master(_landmarks())
    model = parse_model(master)
    samples = images(model, 60)
    passes = {
        "equalization": {"enabled": False},
        "layer_correction": {"enabled": False},
        "small_weights": {"heads_percent": 100.0},
    }
    artifact = parse_model(
        quantize(master, QuantizationSettings("int8", passes=passes), samples).model
    )
    points = find_heads(Topology(model), Topology(artifact))
    (spoilt,) = [head for head in points if head.outputs == {0}]
    weights = artifact.constant(spoilt.weights)
    assert weights.dtype == np.float16
    spoilt.bias.buffer = artifact.add_constant(np.full(24, 0.5, np.float32))
    mended, entry = correct_layers(model, artifact, samples, 60)
    (head,) = [h for h in find_heads(Topology(model), Topology(mended)) if h.outputs == {0}]
    np.testing.assert_array_equal(mended.constant(head.weights), weights)
    # It was 0.
    assert np.abs(mended.constant(head.bias)).max() < 0.2
    assert entry["gain"]["after"] > entry["gain"]["before"] + 1


def test_heads_are_corrected_where_that_gains():
    master, _, alone = _quantized(fit_weights=False, heads=False)
    _, _, result = _quantized(fit_weights=False)
    assert "output heads corrected" in entry_of(result)["detail"]
    # Both are beyond what counts, 40 dB.
    assert entry_of(result)["gain"]["after"] >= entry_of(alone)["gain"]["after"]
    unseen = images(parse_model(master), 90)[60:]
    assert noise(master, result.model, unseen) < noise(master, alone.model, unseen)
    assert len(result.model) <= len(alone.model) + 64
