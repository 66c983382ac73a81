import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.model_files import model_path
from tests.random_models import ModelBuilder, float_models, run_model
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.quantization.narrow_convolutions import widen_narrow_convolutions
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

_NONE = schema.ActivationFunctionType.NONE


def _convolution(
    inputs: int,
    outputs: int,
    size: int = 3,
    shape: tuple[int, int] = (64, 32),
    activation: int = _NONE,
    padding: int = schema.Padding.SAME,
    seed: int = 0,
) -> bytes:
    rng = np.random.default_rng(seed)
    graph = ModelBuilder()
    image = graph.input((1, *shape, inputs))
    weights = graph.constant(rng.normal(size=(outputs, size, size, inputs)).astype(np.float32))
    bias = graph.constant(rng.normal(size=outputs).astype(np.float32))
    result = graph.conv(image, weights, bias, activation)
    (operator,) = graph.subgraph.operators
    operator.builtinOptions.padding = padding
    if padding == schema.Padding.VALID:
        smaller = (1, shape[0] - size + 1, shape[1] - size + 1, outputs)
        graph.subgraph.tensors[result].shape = np.array(smaller, np.int32)
    graph.subgraph.tensors[result].name = "mask"
    return graph.finish(result)


@settings(max_examples=count(10, 40), deadline=None, derandomize=True)
@given(
    strategies.integers(1, 9),
    strategies.integers(1, 4),
    strategies.sampled_from([3, 5]),
    strategies.sampled_from([(64, 32), (32, 36), (34, 62), (33, 64)]),
    strategies.sampled_from([_NONE, schema.ActivationFunctionType.RELU6]),
    strategies.integers(0, 2**32 - 1),
)
def test_random_convolutions_compute_the_same(inputs, outputs, size, shape, activation, seed):
    content = _convolution(inputs, outputs, size, shape, activation, seed=seed)
    model = parse_model(content)
    entry = widen_narrow_convolutions(model, np.inf)
    assert entry["changed"] == (shape != (33, 64) and (shape != (34, 62) or outputs <= 4))
    changed = model_bytes(model)
    assert describe(changed)["outputs"] == describe(content)["outputs"]
    for one, other in zip(run_model(content), run_model(changed), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * np.abs(one).max())


@settings(max_examples=count(10, 40), deadline=None, derandomize=True)
@given(float_models())
def test_random_models_of_few_pixels_stay(content):
    model = parse_model(content)
    assert widen_narrow_convolutions(model, np.inf)["changed"] == 0
    assert model_bytes(model) == content


@pytest.mark.parametrize(
    "content",
    [
        _convolution(8, 16),
        _convolution(8, 1, size=1),
        _convolution(8, 1, shape=(30, 32)),
        _convolution(8, 1, padding=schema.Padding.VALID),
    ],
    ids=["wide", "pointwise", "small", "valid"],
)
def test_stays(content):
    model = parse_model(content)
    assert widen_narrow_convolutions(model, np.inf) == {
        "changed": 0,
        "detail": "0 convolutions of few channels computed by blocks of pixels",
        "gain": None,
        "name": "narrow_convolutions",
    }
    assert model_bytes(model) == content


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("face_detection_short_range", 0),
        ("hand_landmark_lite", 0),
        ("palm_detection_lite", 0),
        ("pose_detection", 0),
        ("pose_landmark_full", 1),
        ("selfie_segmentation", 0),
    ],
)
def test_real_models_compute_the_same_to_the_bit(name, changed):
    master, _ = make_float_master(model_path(name).read_bytes())
    model = parse_model(master)
    entry = widen_narrow_convolutions(model, np.inf)
    assert entry["changed"] == changed
    if not changed:
        assert model_bytes(model) == master
        return
    # 3x3 for one channel of 256x256 pixels and 8 inputs.
    assert entry["gain"] == {
        "metric": "matrix kernel steps",
        "before": 256 * 256 * 8 * 9,
        "after": 256 * 256 * 8 * 36 // 16,
    }
    content = model_bytes(model)
    for one, other in zip(run_model(master), run_model(content), strict=True):
        np.testing.assert_array_equal(other, one)


def test_a_kernel_that_would_add_much_to_the_model_stays():
    graph = ModelBuilder()
    source = graph.input((1, 32, 32, 8))
    weights = graph.constant(np.ones((1, 3, 3, 8), np.float32))
    content = graph.finish(graph.conv(source, weights, graph.constant(np.ones(1, np.float32))))
    assert widen_narrow_convolutions(parse_model(content))["changed"] == 0
    assert widen_narrow_convolutions(parse_model(content), np.inf)["changed"] == 1


def test_a_head_of_blocks_has_int8_weights_and_its_name():
    rng = np.random.default_rng(0)
    graph = ModelBuilder()
    source = graph.input((1, 32, 32, 8))
    for inputs, outputs in ((8, 160), (160, 160), (160, 160), (160, 8), (8, 1)):
        weights = rng.normal(size=(outputs, 3, 3, inputs)).astype(np.float32)
        bias = rng.normal(size=outputs).astype(np.float32)
        source = graph.conv(source, graph.constant(weights), graph.constant(bias))
    graph.subgraph.tensors[source].name = "mask"
    master, _ = make_float_master(graph.finish(source))
    samples = [{"image": rng.random((1, 32, 32, 8), np.float32)}]
    result = quantize(master, QuantizationSettings("int8"), samples)
    assert describe(result.model)["ops"]["DEPTH_TO_SPACE"] == 1
    assert [output["name"] for output in describe(result.model)["outputs"]] == ["mask"]
    (one,), (other,) = run_model(master), run_model(result.model)
    np.testing.assert_allclose(other, one, atol=0.05 * np.abs(one).max())
