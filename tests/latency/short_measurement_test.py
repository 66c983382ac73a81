"""A few seconds' measurement: what is slower is said to be, and what is not, is not."""

import numpy as np
import pytest

from tests.random_models import ModelBuilder
from tools.latency.short_measurement import ShortMeasurement, measure_shortly, profiles
from tools.latency.slowdown import costlier_kinds


def _products(layers: int, kind: str = "FULLY_CONNECTED") -> tuple[bytes, str]:
    graph = ModelBuilder()
    random = np.random.default_rng(0)
    result = graph.input((64, 512), "x")
    for _ in range(layers):
        if kind == "FULLY_CONNECTED":
            weights = random.normal(0, 0.04, (512, 512)).astype(np.float32)
            bias = graph.constant(np.zeros(512, np.float32))
            result = graph.fully_connected(result, graph.constant(weights), bias)
        else:
            result = graph.operator(kind, [result], (64, 512))
    return graph.finish(result), "model.tflite"


def test_what_does_more_is_slower():
    few, many = _products(1), _products(8)
    found = measure_shortly(few, many, 1.0)
    assert found.is_slower
    assert found.ratio > 2
    assert found.artifact_ms > found.float_ms
    back = measure_shortly(many, few, 1.0)
    assert not back.is_slower
    assert back.ratio < 1 / 2


def test_the_operators_to_blame_are_named():
    slow, fast = profiles(_products(2, "SIN"), _products(2))
    (first, *_) = costlier_kinds(slow, fast)
    assert first.startswith("sin")


def test_what_takes_too_long_for_the_time_is_not_measured():
    assert measure_shortly(_products(8), _products(8), 0.001) is None


def test_what_cannot_be_run_is_not_measured():
    assert measure_shortly(_products(1), (b"no model", "model.tflite"), 0.1) is None


@pytest.mark.parametrize(
    ("times", "is_slower"),
    [
        ([[1.0, 1.3]] * 10, True),
        ([[1.0, 1.05]] * 10, False),
        # One round in five says the opposite.
        ([[1.0, 1.3]] * 8 + [[1.0, 0.9]] * 2, False),
        # Some microseconds are nobody's time.
        ([[0.002, 0.004]] * 10, False),
        ([[1.0, 0.5]] * 10, False),
    ],
)
def test_what_counts_as_slower(times, is_slower):
    assert ShortMeasurement.of(np.array(times)).is_slower == is_slower
