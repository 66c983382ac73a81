import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.random_models import ModelBuilder, run_model
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.pruning import prune
from tools.graph.topology import Topology
from tools.quantization.block_scales import mend_block_scales
from tools.quantization.pipeline import quantize
from tools.quantization.recipe_application import apply_recipe
from tools.quantization.schemes import plan
from tools.quantization.settings import QuantizationSettings

_SETTINGS = QuantizationSettings("blockwise_int4_32")


def _model(weights: np.ndarray) -> bytes:
    """A FULLY_CONNECTED with these weights, and a spare output that stays float."""
    graph = ModelBuilder()
    outputs, inputs = weights.shape
    rows = graph.input((1, inputs), "rows")
    bias = graph.constant(np.zeros(outputs, np.float32))
    options = schema.FullyConnectedOptionsT()
    sources = [rows, graph.constant(weights), bias]
    result = graph.operator("FULLY_CONNECTED", sources, (1, outputs), options, result="result")
    return make_float_master(graph.finish(result))[0]


def _library(master: bytes) -> bytes:
    model = parse_model(master)
    return apply_recipe(model, plan(Topology(model), _SETTINGS).recipe, None)


def _scales(content: bytes) -> list[np.ndarray]:
    model = parse_model(content)
    (subgraph,) = model.schema.subgraphs
    details = [tensor.quantization and tensor.quantization.details for tensor in subgraph.tensors]
    return [
        model.tensor_data(subgraph.tensors[one.scales])
        for one in details
        if isinstance(one, schema.BlockwiseQuantizationT)
    ]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.sets(st.integers(0, 23), max_size=24))
def test_blocks_of_nearly_nothing_run(seed, empty):
    """They count as zero; every other block keeps its bits."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(8 * 3, 32)).astype(np.float32)
    weights[sorted(empty)] *= 1e-9
    master = _model(weights.reshape(8, 96))
    raw = parse_model(_library(master))
    entry = mend_block_scales(raw)
    assert entry["changed"] == len(empty)
    content = model_bytes(raw)
    (scales,) = _scales(content)
    assert (scales > 0).all()
    assert (scales.reshape(-1)[sorted(empty)] == np.float16(2**-14)).all()
    # Half a step of weights and of the dynamic activations, over 96 products.
    (expected,), (found,) = run_model(master), run_model(content)
    np.testing.assert_allclose(found, expected, atol=0.3 * np.sqrt(96))
    weights[sorted(empty)] = 0
    (emptied,) = run_model(_model(weights.reshape(8, 96)))
    np.testing.assert_allclose(emptied, expected, atol=1e-5)
    assert mend_block_scales(parse_model(content))["changed"] == 0


def test_a_model_without_blocks_stays():
    model = parse_model(_model(np.ones((8, 96), np.float32)))
    before = model_bytes(model)
    assert mend_block_scales(model)["changed"] == 0
    assert model_bytes(model) == before


@pytest.mark.parametrize("size", [32, 64])
def test_scales_survive_pruning(size):
    """No operator reads the tensor that holds them."""
    weights = np.random.default_rng(0).normal(size=(64, 192)).astype(np.float32)
    master = _model(weights)
    scheme = f"blockwise_int4_{size}"
    result = quantize(master, QuantizationSettings(scheme), None)
    (scales,) = _scales(result.model)
    assert scales.shape == (64, 192 // size)
    model = parse_model(result.model)
    assert prune(model) == 0
    (expected,), (found,) = run_model(master), run_model(result.model)
    assert np.corrcoef(expected.reshape(-1), found.reshape(-1))[0, 1] > 0.98
    assert "block_scales" in [entry["name"] for entry in result.passes]
