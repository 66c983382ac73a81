import numpy as np
import pytest
from hypothesis import given, settings

from tests.extent import count
from tests.random_models import ModelBuilder, float_models, random_image, run_model
from tools.graph.flatbuffer import model_bytes, parse_model, tensor_name
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.bias_range import make_room_for_biases
from tools.quantization.calibration import gather_statistics
from tools.quantization.pipeline import quantize
from tools.quantization.ranges import estimate_ranges
from tools.quantization.settings import QuantizationSettings, RangeSettings

_SAMPLES = [{"image": random_image((1, 6, 6, 3), seed)} for seed in range(4)]


_MIN_MAX = RangeSettings("min_max")


def ranges_of(model) -> dict:
    return estimate_ranges(Topology(model), gather_statistics(model, _SAMPLES), _MIN_MAX)


def steps_of_biases(model, ranges) -> list[np.ndarray]:
    """Says in how many int32 steps each bias of a convolution would be written."""
    graph = Topology(model)
    result = []
    for operator in graph.subgraph.operators:
        name = graph.name(operator)
        if name not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            continue
        source, weights, bias = (graph.tensor(index) for index in operator.inputs)
        limits = ranges[tensor_name(source)]
        # The library's least step, for an activation that is always 0, is 1e-9 / 255.
        step = max(max(limits["max"].max(), 0) - min(limits["min"].min(), 0), 1e-9) / 255
        values = np.abs(model.tensor_data(weights))
        largest = values.max(axis=(1, 2, 3) if name == "CONV_2D" else (0, 1, 2)) / 127
        biases = np.abs(model.tensor_data(bias)).astype(np.float64)
        result.append(biases / (step * np.maximum(largest, 1e-12)))
    return result


def dead_weights(name: str) -> bytes:
    """A model with a layer of 64 channels, half of which are nothing but a bias."""
    rng = np.random.default_rng(4)
    graph = ModelBuilder()
    image = graph.input((1, 6, 6, 3))

    def constant(*shape: int) -> int:
        return graph.constant(rng.normal(size=shape).astype(np.float32))

    first = graph.conv(image, constant(64, 3, 3, 3), constant(64))
    biases = graph.constant(np.float32(rng.uniform(2, 6, 64) * np.tile([1, -1], 32)))
    if name == "CONV_2D":
        weights = rng.normal(size=(64, 1, 1, 64))
        weights[::2] *= 1e-20
        second = graph.conv(first, graph.constant(weights.astype(np.float32)), biases)
    else:
        weights = rng.normal(size=(1, 3, 3, 64))
        weights[..., ::2] = 0
        second = graph.depthwise(first, graph.constant(weights.astype(np.float32)), biases)
    third = graph.conv(second, constant(64, 1, 1, 64), constant(64))
    return make_float_master(graph.finish(graph.conv(third, constant(4, 1, 1, 64), constant(4))))[0]


@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_channels_that_are_but_a_bias_keep_it(name):
    master = dead_weights(name)
    artifact = quantize(master, QuantizationSettings("int8"), _SAMPLES)
    (entry,) = [entry for entry in artifact.passes if entry["name"] == "bias_range"]
    assert entry["changed"] == 32
    expected, found = run_model(master)[0], run_model(artifact.model)[0]
    assert np.abs(found - expected).max() < 0.03 * np.ptp(expected)


@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_float_outputs_move_by_a_ten_thousandth(name):
    master = dead_weights(name)
    model = parse_model(master)
    ranges = ranges_of(model)
    assert max(steps.max() for steps in steps_of_biases(model, ranges)) > 2**31
    assert make_room_for_biases(model, ranges) == {
        "changed": 32,
        "detail": "32 channels have a bias that their weights had no step for",
        "name": "bias_range",
    }
    assert max(steps.max() for steps in steps_of_biases(model, ranges)) < 2**28 * 1.001
    expected, found = run_model(master)[0], run_model(model_bytes(model))[0]
    assert 0 < np.abs(found - expected).max() < 1e-3 * np.ptp(expected)
    assert make_room_for_biases(model, ranges)["changed"] == 0


@settings(max_examples=count(12, 50), deadline=None, derandomize=True)
@given(float_models())
def test_every_bias_of_a_random_model_fits(content):
    model = parse_model(make_float_master(content)[0])
    before = model_bytes(model)
    ranges = ranges_of(model)
    changed = make_room_for_biases(model, ranges)["changed"]
    for steps in steps_of_biases(model, ranges):
        assert steps.max() < 2**28 * 1.001
    if not changed:
        assert model_bytes(model) == before


def test_layers_without_a_bias_or_a_range_are_left():
    graph = ModelBuilder()
    image = graph.input((1, 3), "image")
    weights = graph.constant(np.zeros((2, 3), np.float32))
    none = graph.fully_connected(image, weights, -1)
    bias = graph.constant(np.float32([5, -5]))
    unknown = graph.fully_connected(image, weights, bias)
    model = parse_model(graph.finish(none, unknown))
    assert make_room_for_biases(model, {})["changed"] == 0
    limits = {"min": np.float32([[-1]]), "max": np.float32([[1]])}
    assert make_room_for_biases(model, {"image": limits})["changed"] == 2
