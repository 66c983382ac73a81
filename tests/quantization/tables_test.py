"""Tables and the weights of rarer operators take fewer bits, and compute nearly the same."""

import numpy as np
import pytest

from tests.foreign.kinds import KINDS
from tests.random_models import ModelBuilder, run_model
from tools.graph.description import describe
from tools.graph.float_master import make_float_master
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings


def stored(kind: str, scheme: str, **choices):
    master, _ = make_float_master(KINDS[kind]())
    return master, quantize(master, QuantizationSettings(scheme, **choices), None)


@pytest.mark.parametrize(("scheme", "share"), [("dynamic", 0.3), ("float16", 0.55)])
def test_table_of_gather(scheme, share):
    master, result = stored("table_by_gather_of_int32", scheme)
    assert len(result.model) < share * len(master)
    (expected,), (found,) = run_model(master), run_model(result.model)
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_int8_rows_are_picked_and_not_a_whole_table_expanded():
    _, result = stored("table_by_gather_of_int32", "dynamic")
    # Of what was picked, and of the layer's weights.
    assert describe(result.model)["ops"]["DEQUANTIZE"] == 2


def test_settings_leave_it():
    pattern = ".*"
    for choices in ({"layers": ((pattern, "float"),)}, {"passes": {"tables": {"enabled": False}}}):
        _, result = stored("state_of_unidirectional_sequence_lstm", "weight_only_int8", **choices)
        assert "tables" not in {entry["name"] for entry in result.passes}


def test_rows_that_one_step_does_not_serve_are_float16():
    graph, rng = ModelBuilder(), np.random.default_rng(0)
    tokens = graph.tensor((4,), "tokens", 2)
    graph.subgraph.inputs.append(tokens)
    table = rng.normal(size=(500, 16)).astype(np.float32)
    table[0] = 1000
    rows = graph.operator("GATHER", [graph.constant(table), tokens], (4, 16))
    kernel = graph.constant(rng.normal(size=(64, 16)).astype(np.float32))
    bias = graph.constant(np.zeros(64, np.float32))
    master, _ = make_float_master(graph.finish(graph.fully_connected(rows, kernel, bias)))
    result = quantize(master, QuantizationSettings("weight_only_int8"), None)
    assert 0.45 * len(master) < len(result.model) < 0.6 * len(master)


def test_what_stays_float_is_said():
    master, _ = make_float_master(KINDS["weights_beyond_float16"]())
    result = quantize(master, QuantizationSettings("float16"), None)
    (warning,) = [line for line in result.warnings if "stay float32" in line]
    assert warning.startswith("16,388 bytes of constants stay float32, ")
    assert "FULLY_CONNECTED" in warning


def test_artifact_that_is_hardly_smaller_is_said():
    graph = ModelBuilder()
    source = graph.input((1, 64), "x")
    large = graph.constant(np.full((64, 64), 1e6, np.float32))
    first = graph.fully_connected(source, large, graph.constant(np.zeros(64, np.float32)))
    master, _ = make_float_master(graph.finish(first))
    result = quantize(master, QuantizationSettings("float16"), None)
    assert any(line.startswith("the artifact is only ") for line in result.warnings)
