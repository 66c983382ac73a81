import itertools

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.random_models import ModelBuilder
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.graph.runtime import open_interpreter
from tools.quantization.hessians import add_hessians
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings


def _layers(rng: np.random.Generator, rows: int, sizes: list[int]) -> bytes:
    """FULLY_CONNECTED layers, each with RELU."""
    graph = ModelBuilder()
    source = graph.input((rows, sizes[0]), "rows")
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        weights = rng.normal(size=(outputs, inputs)).astype(np.float32) / np.float32(inputs**0.5)
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU
        bias = graph.constant(np.zeros(outputs, np.float32))
        sources = [source, graph.constant(weights), bias]
        shape = (rows, outputs)
        source = graph.operator("FULLY_CONNECTED", sources, shape, options, f"layer_{number}")
    return make_float_master(graph.finish(source))[0]


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 4))
def test_second_moments(seed, rows, samples):
    """H = 2/n X^T X, of the model's input as of what it computes."""
    rng = np.random.default_rng(seed)
    master = _layers(rng, rows, [8, 16, 4])
    data = [{"rows": rng.normal(size=(rows, 8)).astype(np.float32)} for _ in range(samples)]
    ranges = {"rows": {"min": 0}}
    seen = []
    entry = add_hessians(parse_model(master), data, ranges, seen.append)
    assert entry["changed"] == 2
    assert seen == list(range(1, samples + 1))
    first = np.concatenate([sample["rows"] for sample in data]).astype(np.float64)
    (weights,) = (
        model.tensor_data(graph.tensors[graph.operators[0].inputs[1]])
        for model in [parse_model(master)]
        for graph in model.schema.subgraphs
    )
    second = np.maximum(first @ weights.T.astype(np.float64), 0)
    for name, values in (("rows", first), ("layer_0", second)):
        expected = 2 / len(values) * values.T @ values
        np.testing.assert_allclose(ranges[name]["hessian"], expected, rtol=1e-4, atol=1e-5)
        assert ranges[name]["num_samples"] == rows * samples
    assert ranges["rows"]["min"] == 0


def test_gptq_comes_nearer_than_rounding():
    """With inputs that vary together, which is what its Hessian is for."""
    rng = np.random.default_rng(0)
    master = _layers(rng, 1, [64, 64])
    mixing = rng.normal(size=(8, 64)).astype(np.float32)
    data = [{"rows": rng.normal(size=(1, 8)).astype(np.float32) @ mixing} for _ in range(64)]

    def error(algorithm: str) -> float:
        # Which would round the weights of both anew.
        passes = {"weight_correction": {"enabled": False}}
        chosen = QuantizationSettings("weight_only_int4", weight_algorithm=algorithm, passes=passes)
        runners = [
            open_interpreter(content, "net").get_signature_runner()
            for content in (master, quantize(master, chosen, data).model)
        ]
        pairs = [[next(iter(runner(**one).values())) for runner in runners] for one in data]
        return float(np.mean([np.square(one - other).mean() for one, other in pairs]))

    assert error("gptq") < 0.5 * error("min_max")
