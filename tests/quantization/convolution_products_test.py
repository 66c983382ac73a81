import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.model_files import model_path
from tests.random_models import ModelBuilder, random_image, run_model
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model, shape_of
from tools.graph.float_master import make_float_master
from tools.graph.runtime import input_specifications, open_interpreter
from tools.graph.topology import Topology
from tools.quantization.convolution_products import use_convolutions
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

_RELU = schema.ActivationFunctionType.RELU


def _artifact(content: bytes, scheme: str, runs_on=("cpu",)) -> bytes:
    master, _ = make_float_master(content)
    specification = input_specifications(master, "model")
    samples = [
        {name: random_image(shape, seed) for name, shape, _ in specification} for seed in range(2)
    ]
    settings = QuantizationSettings(scheme, runs_on=runs_on)
    return quantize(master, settings, samples).model


def _products(rows: int, bias: bool = True, activation: int = 0) -> bytes:
    """Makes two products of one input, of 300 channels each: too many for float16."""
    rng = np.random.default_rng(0)
    graph = ModelBuilder()
    source = graph.input((rows, 40), "features")
    outputs = []
    for _ in range(2):
        weights = graph.constant(rng.normal(size=(300, 40)).astype(np.float32))
        offset = graph.constant(rng.normal(size=300).astype(np.float32)) if bias else -1
        outputs.append(graph.fully_connected(source, weights, offset, activation))
    return graph.finish(*outputs)


def _delegates(content: bytes) -> int:
    operators = open_interpreter(content, "model")._get_ops_details()
    return sum(operator["op_name"] == "DELEGATE" for operator in operators)


def _changed(content: bytes) -> tuple[int, bytes]:
    model = parse_model(content)
    entry = use_convolutions(model)
    return entry["changed"], model_bytes(model)


@pytest.mark.parametrize(("bias", "activation"), [(True, 0), (False, 0), (True, _RELU)])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("scheme", ["weight_only_int8", "weight_only_int4"])
def test_the_results_are_those_of_the_product(scheme, rows, bias, activation):
    before = _artifact(_products(rows, bias, activation), scheme)
    changed, after = _changed(before)
    assert changed == 2
    operators = describe(after)["ops"]
    # Both read one image.
    assert (operators["CONV_2D"], operators["RESHAPE"]) == (2, 3)
    assert "FULLY_CONNECTED" not in operators
    if scheme == "weight_only_int8":
        # Weights of 4 bits XNNPACK leaves, however they are read.
        assert _delegates(after) == _delegates(before) == 1
    for one, other in zip(run_model(before), run_model(after), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)
    assert _changed(after)[0] == 0


@pytest.mark.parametrize("scheme", ["dynamic", "float16"])
def test_forms_that_the_gpu_takes_stay(scheme):
    content = _artifact(_products(1), scheme)
    assert _changed(content) == (0, content)


def test_hands_keep_their_scales():
    content = model_path("hand_landmark_lite").read_bytes()
    on_gpu = parse_model(_artifact(content, "weight_only_int8", ("cpu", "gpu")))
    graph = Topology(on_gpu)
    found = 0
    for operator in graph.subgraph.operators:
        assert graph.name(operator) != "FULLY_CONNECTED" or _is_float16(graph, operator)
        weights = graph.producer.get(int(operator.inputs[1])) if len(operator.inputs) > 1 else None
        if graph.name(operator) == "CONV_2D" and weights is not None:
            stored = graph.tensor(weights.inputs[0])
            if stored.quantization is None or stored.quantization.scale is None:
                continue
            found += 1
            assert stored.quantization.quantizedDimension == 0
            assert len(stored.quantization.scale) in (1, shape_of(stored)[0])
    assert found > 2
    for one, other in zip(
        run_model(_artifact(content, "weight_only_int8")),
        run_model(model_bytes(on_gpu)),
        strict=True,
    ):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)


def _is_float16(graph: Topology, operator: schema.OperatorT) -> bool:
    stored = graph.producer[int(operator.inputs[1])].inputs[0]
    return graph.tensor(stored).type == schema.TensorType.FLOAT16
