import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.random_models import ModelBuilder, tiny_model
from tests.refused import refused
from tools.graph.flatbuffer import parse_model, tensor_name
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.activation_statistics import TensorStatistics
from tools.quantization.calibration import computed_tensors
from tools.quantization.range_estimators import HALF_BINS, Histogram
from tools.quantization.ranges import estimate_ranges, find_ranges, plan_ranges
from tools.quantization.settings import RANGE_ESTIMATORS, RangeSettings

_MIN_MAX = RangeSettings("min_max")
_MASTER = make_float_master(tiny_model())[0]


def _statistics(lowest, highest) -> TensorStatistics:
    lowest, highest = np.float32(lowest), np.float32(highest)
    return TensorStatistics(lowest, highest, np.ones(1), lowest[:1], highest[:1])


def estimate(lowest, highest, percentile: float, which: str = "scores") -> tuple[float, float]:
    """Estimates the range of one tensor of a small model; all others run from -1 to 1."""
    graph = Topology(parse_model(_MASTER))
    count = len(lowest)
    statistics = {
        index: _statistics(-np.ones(count), np.ones(count))
        for index in computed_tensors(graph.model)
    }
    (index,) = [i for i in statistics if tensor_name(graph.tensor(i)) == which]
    statistics[index] = _statistics(lowest, highest)
    ranges = estimate_ranges(graph, statistics, RangeSettings(percentile=percentile))
    assert set(ranges) == {tensor_name(graph.tensor(i)) for i in statistics}
    for limits in ranges.values():
        for values in limits.values():
            assert values.dtype == np.float32
            assert values.shape == (1, 1, 1, 1)
    return float(ranges[which]["min"].item()), float(ranges[which]["max"].item())


@pytest.mark.parametrize(
    ("percentile", "expected"),
    [(0, (-200, 300)), (0.5, (-199, 299)), (1, (-198, 298)), (10, (-180, 280)), (50, (-100, 200))],
)
def test_percentiles_of_known_statistics(percentile, expected):
    lowest, highest = -np.arange(201), 100 + np.arange(201)
    rng = np.random.default_rng(0)
    assert estimate(rng.permutation(lowest), rng.permutation(highest), percentile) == expected


def test_between_two_samples_it_is_interpolated():
    assert estimate([-4, -2], [1, 3], 25) == (-3.5, 2.5)
    assert estimate([-4], [3], 50) == (-4, 3)


def test_one_sample_that_explodes_takes_no_bits():
    lowest, highest = -np.ones(1000), np.ones(1000)
    lowest[7], highest[7] = -1e6, 1e6
    assert estimate(lowest, highest, 0.5) == (-1, 1)
    assert estimate(lowest, highest, 0) == (-1e6, 1e6)


def test_the_input_is_never_clipped():
    lowest, highest = -np.arange(201) / 100, np.arange(201) / 100
    assert estimate(lowest, highest, 10, "image") == (-2, 2)


finite = strategies.floats(-1e6, 1e6, width=32)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    strategies.lists(strategies.tuples(finite, finite), min_size=1, max_size=30),
    strategies.floats(0, 50),
    strategies.floats(0, 50),
)
def test_wider_for_a_smaller_percentile_and_within_the_extremes(pairs, one, other):
    lowest = np.float32([min(pair) for pair in pairs])
    highest = np.float32([max(pair) for pair in pairs])
    small, large = sorted((one, other))
    low, high = estimate(lowest, highest, small)
    low_inside, high_inside = estimate(lowest, highest, large)
    least = 1e-2  # What the convolution before it can resolve; see below.
    assert low <= low_inside
    assert high + least >= high_inside
    assert low <= high
    assert lowest.min() <= low
    assert high <= max(highest.max(), 0) + least
    if highest.max() - lowest.min() > 1:
        assert estimate(lowest, highest, 0)[0] == lowest.min()


def _pair(name: str, activation: int = 0) -> Topology:
    """image -> `name` with another image or with weights of at most 2 -> result."""
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    if name == "CONV_2D":
        weights = np.linspace(-2, 1, 27, dtype=np.float32).reshape(1, 3, 3, 3)
        bias = graph.constant(np.zeros(1, np.float32))
        result = graph.conv(image, graph.constant(weights), bias, activation)
    else:
        result = graph.binary(name, image, graph.input((1, 4, 4, 3), "other"), activation)
    return Topology(parse_model(graph.finish(result)))


@pytest.mark.parametrize(
    ("name", "least"),
    # A step of what is summed up, in 128 parts, 255 times: 2/127 is the weights' step.
    [("CONV_2D", 4 * 2 / 127 / 128), ("ADD", 4 / 128), ("SUB", 4 / 128), ("MUL", 16 / 255 / 128)],
)
@pytest.mark.parametrize("width", [0, 1e-30, 1e-6])
def test_what_is_always_nought_has_a_width_that_kernels_take(name, least, width):
    graph = _pair(name, schema.ActivationFunctionType.RELU)
    inputs = {index: _statistics([-1], [3]) for index in graph.inputs}
    (output,) = graph.outputs
    ranges = estimate_ranges(
        graph, inputs | {output: _statistics([0], [width])}, RangeSettings("min_max")
    )
    limits = ranges[tensor_name(graph.tensor(output))]
    assert limits["min"].item() == 0
    assert limits["max"].item() == pytest.approx(least, rel=1e-3)


@pytest.mark.parametrize("name", ["CONV_2D", "ADD", "MUL"])
def test_a_range_that_kernels_take_is_left(name):
    graph = _pair(name)
    inputs = {index: _statistics([-1], [3]) for index in graph.inputs}
    (output,) = graph.outputs
    ranges = estimate_ranges(
        graph, inputs | {output: _statistics([-0.5], [0.25])}, RangeSettings("min_max")
    )
    limits = ranges[tensor_name(graph.tensor(output))]
    assert (limits["min"].item(), limits["max"].item()) == (-0.5, 0.25)


def _graph_and_statistics() -> tuple[Topology, dict[int, TensorStatistics]]:
    graph = Topology(parse_model(_MASTER, "net.tflite"))
    lowest, highest = -np.linspace(1, 2, 11), np.linspace(3, 4, 11)
    tensors = computed_tensors(graph.model)
    return graph, {index: _statistics(lowest, highest) for index in tensors}


def _evenly(magnitudes: dict[int, float]) -> dict[int, Histogram]:
    counts = np.full(2 * HALF_BINS, 10)
    return {index: Histogram(reach, counts, 0) for index, reach in magnitudes.items()}


@pytest.mark.parametrize("estimator", RANGE_ESTIMATORS)
def test_every_estimator_is_chosen_by_its_name(estimator):
    graph, statistics = _graph_and_statistics()
    settings = RangeSettings(estimator, percentile=10, value_percentile=25, smoothing=0)
    ranges, entry = find_ranges(graph, statistics, settings, _evenly)
    expected = {
        "extremes_percentile": (-1.9, 3.9),
        "extremes_mean": (-1.5, 3.5),
        "min_max": (-2, 4),
        "moving_average": (-2, 4),
        "value_percentile": (-2, 2),
        "mse": (-2, 4),
        "entropy": (-2, 4),
    }[estimator]
    limits = ranges["scores"]
    assert (limits["min"].item(), limits["max"].item()) == pytest.approx(expected, rel=1e-2)
    assert ranges["image"]["max"].item() == 4
    assert entry["changed"] == len(ranges) == len(statistics)
    told = {
        "extremes_percentile": "10% of their extremes left outside",
        "moving_average": "moving_average of their extremes, smoothing 0",
        "value_percentile": "25% of their values left outside",
    }
    assert entry["detail"].endswith(f"from 11 samples, {told.get(estimator, estimator)}")


def test_tensors_have_ranges_and_estimators_of_their_own():
    graph, statistics = _graph_and_statistics()
    settings = RangeSettings(
        tensors=(("", "min_max"), ("image|scores", -7, 9), ("^scores$", "value_percentile")),
        value_percentile=25,
    )
    plan = plan_ranges(graph, statistics, settings)
    by_name = {tensor_name(graph.tensor(index)): index for index in statistics}
    assert plan.magnitudes == {by_name["scores"]: 4}
    assert plan.given == {by_name["image"]: (-7, 9)}
    ranges, entry = find_ranges(graph, statistics, settings, _evenly)
    found = {name: (v["min"].item(), v["max"].item()) for name, v in ranges.items()}
    assert found.pop("image") == (-7, 9)
    assert found.pop("scores") == pytest.approx((-2, 2), rel=1e-2)
    assert set(found.values()) == {(-2, 4)}
    assert entry["detail"].endswith("3 patterns with their own")


def test_values_are_counted_only_where_an_estimator_needs_them():
    graph, statistics = _graph_and_statistics()

    def count(_):
        raise AssertionError("nothing needs a histogram")

    find_ranges(graph, statistics, RangeSettings("extremes_mean"), count)
    for entry in statistics.values():
        entry.lowest[:], entry.highest[:] = 0, 0
    ranges, _ = find_ranges(graph, statistics, RangeSettings("entropy"), count)
    assert ranges["image"]["max"].item() == 0


@pytest.mark.parametrize("choice", [(0, 1), ("mse",)])
def test_a_pattern_that_no_tensor_has_is_one_line(choice):
    graph, statistics = _graph_and_statistics()
    settings = RangeSettings(tensors=(("nowhere", *choice),))
    with refused("settings.pattern") as raised:
        estimate_ranges(graph, statistics, settings)
    assert str(raised.value) == (
        "net.tflite: the pattern nowhere of a range is found in no activation's name (such as "
        "image); correct or remove it"
    )
