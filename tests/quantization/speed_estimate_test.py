"""An artifact's speed is estimated by what its operators are and where they run."""

import numpy as np
import pytest

from tests.foreign.kinds import KINDS
from tests.random_models import ModelBuilder
from tools.graph.delegate import read_delegation
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.graph.runtime import open_interpreter
from tools.quantization.pipeline import QuantizationResult, quantize
from tools.quantization.settings import QuantizationSettings
from tools.quantization.speed_estimate import AVX2, VNNI, amounts, estimate_speed


def _opened(content: bytes):
    return parse_model(content), read_delegation(open_interpreter(content, "model"))


def _pooled(passes: dict) -> QuantizationResult:
    """Quantizes a layer whose result is pooled."""
    rng = np.random.default_rng(0)
    graph = ModelBuilder()
    end = graph.input((1, 32, 32, 16))
    for _ in range(3):
        weights = graph.constant(rng.normal(0, 0.1, (16, 3, 3, 16)).astype(np.float32))
        end = graph.conv(end, weights, graph.constant(np.zeros(16, np.float32)))
    end = graph.pool("AVERAGE_POOL_2D", end)
    weights = graph.constant(rng.normal(0, 0.1, (16, 3, 3, 16)).astype(np.float32))
    end = graph.conv(end, weights, graph.constant(np.zeros(16, np.float32)))
    master, _ = make_float_master(graph.finish(end))
    samples = [{"image": rng.normal(0, 1, (1, 32, 32, 16)).astype(np.float32)} for _ in range(4)]
    return quantize(master, QuantizationSettings("int8", passes=passes), samples)


def test_what_the_delegate_leaves_is_named_and_costs():
    left = _pooled({"float_operators": {"enabled": False}}).speed
    taken = _pooled({}).speed
    assert left.delegation.fallback == {"AVERAGE_POOL_2D (int8)": 1}
    assert left.delegation.partitions == 2
    assert taken.delegation.fallback == {}
    assert left.estimate.avx2 > taken.estimate.avx2
    assert left.estimate.vnni > taken.estimate.vnni
    assert left.estimate.blamed[0] == "AVERAGE_POOL_2D outside the delegate"


def test_a_slower_artifact_is_told_in_one_line():
    graph = ModelBuilder()
    image = graph.input((1, 64, 64, 16))
    end = graph.operator("HARD_SWISH", [image], (1, 64, 64, 16))
    weights = graph.constant(np.full((16, 1, 1, 16), 0.1, np.float32))
    end = graph.conv(end, weights, graph.constant(np.zeros(16, np.float32)))
    master, _ = make_float_master(graph.finish(end))
    samples = [{"image": np.full((1, 64, 64, 16), n, np.float32)} for n in range(1, 5)]
    passes = {"float_operators": {"enabled": False}, "output_heads": {"enabled": False}}
    result = quantize(master, QuantizationSettings("int8", passes=passes), samples)
    (warning,) = [line for line in result.warnings if "by estimate" in line]
    assert "HARD_SWISH outside the delegate" in warning
    assert "\n" not in warning
    usual = quantize(master, QuantizationSettings("int8"), samples)
    assert not [line for line in usual.warnings if "by estimate" in line]


def test_a_model_takes_as_long_as_itself():
    content, _ = make_float_master(KINDS["layer_normalization"]())
    estimate = estimate_speed(_opened(content), _opened(content))
    assert (estimate.avx2, estimate.vnni, estimate.blamed) == (1, 1, ())


@pytest.mark.parametrize("name", sorted(KINDS))
def test_all_that_is_counted_has_a_time(name):
    content, _ = make_float_master(KINDS[name]())
    counted = amounts(*_opened(content))
    terms = {term for amount in (counted or {}).values() for term in amount}
    assert terms <= AVX2.keys() == VNNI.keys()


def test_16_bits_have_no_estimate():
    graph = ModelBuilder()
    image = graph.input((1, 8, 8, 32))
    weights = graph.constant(np.full((32, 1, 1, 32), 0.1, np.float32))
    end = graph.conv(image, weights, graph.constant(np.zeros(32, np.float32)))
    master, _ = make_float_master(graph.finish(end))
    samples = [{"image": np.full((1, 8, 8, 32), n, np.float32)} for n in range(1, 5)]
    result = quantize(master, QuantizationSettings("int16x8"), samples)
    assert result.speed.estimate is None
    assert result.speed.delegation.needed
