import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.random_models import ModelBuilder, float_models
from tools.graph.flatbuffer import parse_model, tensor_name
from tools.graph.topology import Topology
from tools.quantization.addends import clip_addends

_KIND = schema.ActivationFunctionType
_SHAPE = (1, 2, 2, 3)


def _limits(low: float, high: float) -> dict[str, np.ndarray]:
    return {"min": np.full((1,) * 4, low, np.float32), "max": np.full((1,) * 4, high, np.float32)}


def _bounds(limits: dict) -> tuple[float, float]:
    return float(limits["min"].min()), float(limits["max"].max())


def _sum(activation: int, outputs: tuple[str, ...] = ()) -> Topology:
    """Makes one + other, each the result of a RELU or an ABS that has no other reader."""
    graph = ModelBuilder()
    image = graph.input(_SHAPE)
    names = {name: graph.operator("ABS", [image], _SHAPE, result=name) for name in ("one", "other")}
    total = graph.binary("ADD", names["one"], names["other"], activation)
    graph.subgraph.tensors[total].name = "sum"
    return Topology(parse_model(graph.finish(total, *(names[name] for name in outputs))))


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (_KIND.RELU6, (-5, 9)),
        (_KIND.RELU, (-5, 40)),
        (_KIND.RELU_N1_TO_1, (-6, 4)),
        (_KIND.NONE, (-40, 40)),
    ],
)
def test_a_wide_addend_ends_where_the_activation_does(activation, expected):
    ranges = {"one": _limits(-40, 40), "other": _limits(-3, 5), "sum": _limits(0, 6)}
    entry = clip_addends(_sum(activation), ranges)
    assert _bounds(ranges["one"]) == expected
    # What is narrow enough stays.
    assert _bounds(ranges["other"]) == (-3, 5)
    assert (entry is None) == (activation == _KIND.NONE)
    assert entry is None or entry["changed"] == 1


def test_what_is_an_output_too_keeps_its_range():
    ranges = {"one": _limits(-40, 40), "other": _limits(-3, 5), "sum": _limits(0, 6)}
    assert clip_addends(_sum(_KIND.RELU6, ("one",)), ranges) is None
    assert _bounds(ranges["one"]) == (-40, 40)


@settings(max_examples=count(50, 500), deadline=None, derandomize=True)
@given(
    strategies.tuples(*[strategies.floats(-50, 0, width=32)] * 2),
    strategies.tuples(*[strategies.floats(0, 50, width=32)] * 2),
    strategies.sampled_from([_KIND.RELU, _KIND.RELU6, _KIND.RELU_N1_TO_1]),
    strategies.integers(0, 2**32 - 1),
)
def test_no_sum_of_values_within_the_ranges_changes(lows, highs, activation, seed):
    pairs = list(zip(lows, highs, strict=True))
    ranges = {
        **{name: _limits(*pair) for name, pair in zip(("one", "other"), pairs, strict=True)},
        "sum": _limits(0, 6),
    }
    clip_addends(_sum(activation), ranges)
    rng = np.random.default_rng(seed)
    values = [rng.uniform(low, high, 200) for low, high in pairs]
    clipped = []
    for name, one, (low, high) in zip(("one", "other"), values, pairs, strict=True):
        after = _bounds(ranges[name])
        assert low <= after[0] <= 0 <= after[1] <= high
        clipped.append(np.clip(one, *after))
    bounds = {_KIND.RELU: (0, np.inf), _KIND.RELU6: (0, 6), _KIND.RELU_N1_TO_1: (-1, 1)}[activation]
    found, expected = (np.clip(sum(both), *bounds) for both in (clipped, values))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@settings(max_examples=count(20, 200), deadline=None, derandomize=True)
@given(float_models())
def test_random_models_keep_all_ranges_but_of_addends(content):
    graph = Topology(parse_model(content))
    names = [tensor_name(tensor) for tensor in graph.subgraph.tensors]
    ranges = {name: _limits(-20, 30) for name in names}
    before = {name: _bounds(limits) for name, limits in ranges.items()}
    entry = clip_addends(graph, ranges)
    narrower = {
        name
        for name, limits in ranges.items()
        if _bounds(limits)[0] > before[name][0] or _bounds(limits)[1] < before[name][1]
    }
    read = {
        tensor_name(graph.tensor(index))
        for operator in graph.subgraph.operators
        if graph.name(operator) == "ADD"
        for index in operator.inputs
    }
    assert narrower <= read
    assert (entry is None) == (not narrower)
