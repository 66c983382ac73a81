import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings

from tests.extent import count
from tests.model_files import model_path
from tests.random_models import ModelBuilder, float_models, random_image, run_model
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model, shape_of, tensor_name
from tools.graph.float_master import make_float_master
from tools.graph.runtime import input_specifications, open_interpreter
from tools.graph.topology import Topology
from tools.quantization.patterns import EarlierScopes
from tools.quantization.pipeline import quantize
from tools.quantization.pointwise import use_matrix_products
from tools.quantization.settings import QuantizationSettings

_INT4 = QuantizationSettings("mixed", layers=((".", "int4"),))


def _changed(content: bytes, choice: QuantizationSettings = _INT4) -> tuple[int, bytes]:
    model = parse_model(content)
    entry = use_matrix_products(model, choice, EarlierScopes(Topology(model)))
    return entry["changed"], model_bytes(model)


@pytest.mark.parametrize(
    ("name", "pointwise"),
    [
        ("face_detection_short_range", 20),
        ("face_landmark", 22),
        ("hand_landmark_lite", 30),
        ("palm_detection_lite", 29),
        ("pose_detection", 44),
        ("selfie_segmentation", 42),
    ],
)
def test_real_models_compute_the_same_to_the_bit(name, pointwise):
    master, _ = make_float_master(model_path(name).read_bytes())
    changed, content = _changed(master)
    assert changed == describe(content)["ops"]["FULLY_CONNECTED"] - describe(master)["ops"].get(
        "FULLY_CONNECTED", 0
    )
    assert changed == pointwise
    for one, other in zip(run_model(master), run_model(content), strict=True):
        np.testing.assert_array_equal(other, one)
    assert _changed(content)[0] == 0


@settings(max_examples=count(15, 60), deadline=None, derandomize=True)
@given(float_models())
def test_random_models_compute_the_same_to_the_bit(content):
    """With a 1x1 convolution at the end: those of the strategy are 3x3."""
    model = parse_model(content)
    graph = Topology(model)
    master, _ = make_float_master(content)
    assert _changed(master)[0] == 0
    for operator in graph.subgraph.operators:
        if graph.name(operator) == "CONV_2D":
            weights = graph.tensor(operator.inputs[1])
            if shape_of(weights)[1:3] == (3, 3):
                values = model.tensor_data(weights)[:, 1:2, 1:2]
                weights.buffer = model.add_constant(values)
                weights.shape = np.array(values.shape, np.int32)
    master, _ = make_float_master(model_bytes(model))
    changed, other = _changed(master)
    assert changed == describe(other)["ops"].get("FULLY_CONNECTED", 0)
    for one, two in zip(run_model(master), run_model(other), strict=True):
        np.testing.assert_array_equal(two, one)


def test_only_what_gets_under_8_bits_and_only_1x1():
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    assert _changed(master, QuantizationSettings("int8"))[0] == 0
    # conv2d_16 is 1x1; conv2d reads 5x5 pixels; later pairs go over earlier ones.
    for layers, expected in (
        ((("^conv2d_16;$", "int4"),), 1),
        ((("^conv2d;$", "int4"),), 0),
        (((".", "int4"), (".", "int8")), 0),
        (((".", "int8"), ("^conv2d_1[0-5];", "blockwise_int4_32")), 6),
    ):
        choice = QuantizationSettings("mixed", layers=layers)
        assert _changed(master, choice)[0] == expected


def test_strides_and_shared_weights_stay():
    rng = np.random.default_rng(0)
    graph = ModelBuilder()
    image = graph.input((1, 8, 8, 4))
    weights = graph.constant(rng.normal(size=(4, 1, 1, 4)).astype(np.float32))
    bias = graph.constant(np.zeros(4, np.float32))
    shared = graph.conv(graph.conv(image, weights, bias), weights, bias)
    own = graph.constant(rng.normal(size=(4, 1, 1, 4)).astype(np.float32))
    strided = graph.conv(shared, own, bias)
    (*_, operator) = graph.subgraph.operators
    operator.builtinOptions.strideW = operator.builtinOptions.strideH = 2
    graph.subgraph.tensors[strided].shape = np.array((1, 4, 4, 4), np.int32)
    assert _changed(graph.finish(strided))[0] == 0


def test_fused_activations_stay_and_the_delegate_takes_4_bits():
    master, _ = make_float_master(model_path("palm_detection_lite").read_bytes())
    graph = Topology(parse_model(master))
    large = max(
        (op for op in graph.subgraph.operators if graph.name(op) == "CONV_2D"),
        key=lambda op: graph.model.tensor_data(graph.tensor(op.inputs[1])).size,
    )
    pattern = tensor_name(graph.tensor(large.outputs[0])).replace(";", ".")
    specification = input_specifications(master, "model")
    samples = [{name: random_image(shape, 0) for name, shape, _ in specification}]
    int8 = quantize(master, QuantizationSettings("int8"), samples).model
    for enabled, delegates in ((True, 1), (False, 2)):
        choice = QuantizationSettings(
            "int8", layers=((f"^{pattern};$", "int4"),), passes={"pointwise": {"enabled": enabled}}
        )
        result = quantize(master, choice, samples)
        operators = open_interpreter(result.model, "model")._get_ops_details()
        assert sum(operator["op_name"] == "DELEGATE" for operator in operators) == delegates
        assert len(int8) - len(result.model) > 32000
    (four_bits,) = [
        tensor
        for tensor in parse_model(result.model).schema.subgraphs[0].tensors
        if tensor.type == schema.TensorType.INT4
    ]
    assert shape_of(four_bits) == (256, 1, 1, 256)


def test_an_activation_is_kept():
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    weights = graph.constant(np.ones((2, 1, 1, 3), np.float32))
    bias = graph.constant(np.float32([-2, 0]))
    content = graph.finish(graph.conv(image, weights, bias, schema.ActivationFunctionType.RELU))
    changed, other = _changed(content)
    assert changed == 1
    (one,), (two,) = run_model(content), run_model(other)
    np.testing.assert_array_equal(two, one)
    assert one.min() == 0
