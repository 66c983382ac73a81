import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.model_files import model_path
from tests.random_models import ModelBuilder, float_models, run_model, tiny_model
from tools.graph.flatbuffer import model_bytes, parse_model, shape_of
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.dead_channels import remove_dead_channels

# Far from zero as floats go, and far from anything that a sum keeps.
_DEAD = np.float32(1e-35)


def _weaken(content: bytes, rng: np.random.Generator) -> bytes:
    """Kills what some channels are read by, as weight decay does."""
    model = parse_model(content)
    graph = Topology(model)
    for operator in graph.subgraph.operators:
        if graph.name(operator) != "CONV_2D" or rng.random() < 0.3:
            continue
        tensor = graph.tensor(operator.inputs[1])
        values = model.tensor_data(tensor).copy()
        values[..., rng.random(values.shape[-1]) < 0.6] *= _DEAD
        tensor.buffer = model.add_constant(values)
    return model_bytes(model)


@pytest.mark.parametrize(
    ("name", "removed"),
    [
        ("face_detection_short_range", 0),
        ("face_landmark", 0),
        ("hand_landmark_lite", 1114),
        ("palm_detection_lite", 0),
        ("pose_detection", 0),
        ("selfie_segmentation", 0),
    ],
)
def test_real_models_compute_the_same_to_the_bit(name, removed):
    master, _ = make_float_master(model_path(name).read_bytes())
    model = parse_model(master)
    entry = remove_dead_channels(model)
    assert entry["changed"] == removed
    content = model_bytes(model)
    if not removed:
        assert content == master
        assert entry["gain"] is None
        return
    gain = entry["gain"]
    assert gain["before"] == len(master) > gain["after"] == len(content)
    for seed in range(2):
        for one, other in zip(run_model(master, seed), run_model(content, seed), strict=True):
            np.testing.assert_array_equal(other, one)
    assert remove_dead_channels(model)["changed"] == 0


@settings(max_examples=count(25, 100), deadline=None, derandomize=True)
@given(float_models(), strategies.integers(0, 2**32 - 1))
def test_random_models_compute_the_same(content, seed):
    master, _ = make_float_master(_weaken(content, np.random.default_rng(seed)))
    model = parse_model(master)
    remove_dead_channels(model)
    for one, other in zip(run_model(master), run_model(model_bytes(model)), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-12)


def _two_convolutions(between, kill: int = 2) -> bytes:
    """Makes conv, what `between` adds, and a conv that reads nothing of `kill` of 6 channels."""
    rng = np.random.default_rng(0)
    graph = ModelBuilder()
    image = graph.input((1, 8, 8, 3))
    first = graph.conv(
        image,
        graph.constant(rng.normal(size=(6, 3, 3, 3)).astype(np.float32)),
        graph.constant(rng.normal(size=6).astype(np.float32)),
        schema.ActivationFunctionType.RELU,
    )
    values = rng.normal(size=(4, 1, 1, 6)).astype(np.float32)
    values[..., :kill] *= _DEAD
    last = graph.conv(
        between(graph, first, rng),
        graph.constant(values),
        graph.constant(np.ones(4, np.float32)),
    )
    return graph.finish(last)


def _depthwise(graph, source, rng):
    kernel = graph.constant(rng.normal(size=(1, 3, 3, 6)).astype(np.float32))
    return graph.depthwise(source, kernel, graph.constant(rng.normal(size=6).astype(np.float32)))


def _slopes(graph, source, rng):
    slopes = graph.constant(rng.uniform(size=(1, 1, 6)).astype(np.float32))
    return graph.operator("PRELU", [source, slopes], graph.shape(source))


def _sum_with_itself(graph, source, rng):
    return graph.binary("ADD", _depthwise(graph, source, rng), source)


def _sum_with_a_constant(graph, source, rng):
    return graph.binary("ADD", source, graph.constant(rng.normal(size=6).astype(np.float32)))


def _spatial_padding(graph, source, rng):
    return graph.pad(source, [(0, 0), (1, 1), (1, 1), (0, 0)])


def _pooling(graph, source, rng):
    return graph.pool("MAX_POOL_2D", source, schema.ActivationFunctionType.NONE)


def _mean(graph, source, rng):
    options = schema.ReducerOptionsT()
    options.keepDims = True
    axes = graph.constant(np.array([1, 2], np.int32))
    return graph.operator("MEAN", [source, axes], (1, 1, 1, 6), options)


def _reshape(graph, source, rng):
    options = schema.ReshapeOptionsT()
    options.newShape = np.array((1, 4, 16, 6), np.int32)
    shape = graph.constant(np.array((1, 4, 16, 6), np.int32))
    return graph.operator("RESHAPE", [source, shape], (1, 4, 16, 6), options)


@pytest.mark.parametrize(
    "between",
    [
        _depthwise,
        _mean,
        _pooling,
        _reshape,
        _slopes,
        _spatial_padding,
        _sum_with_a_constant,
        _sum_with_itself,
    ],
)
def test_channels_go_through(between):
    content = _two_convolutions(between)
    model = parse_model(content)
    assert remove_dead_channels(model)["changed"] > 0
    graph = Topology(model)
    (_, *inner) = graph.subgraph.operators
    assert {shape_of(graph.tensor(op.outputs[0]))[-1] for op in inner[:-1]} == {4}
    for one, other in zip(run_model(content), run_model(model_bytes(model)), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6)


def _channel_padding(graph, source, rng):
    narrow = graph.conv(
        source,
        graph.constant(rng.normal(size=(4, 1, 1, 6)).astype(np.float32)),
        graph.constant(np.zeros(4, np.float32)),
    )
    return graph.pad(narrow, [(0, 0), (0, 0), (0, 0), (1, 1)])


def _unknown(graph, source, rng):
    return graph.operator("LOGISTIC", [source], graph.shape(source))


def _an_output(graph, source, rng):
    graph.subgraph.outputs.append(source)
    finish = graph.finish
    graph.finish = lambda *outputs: finish(source, *outputs)
    return source


def _slopes_of_two(graph, source, rng):
    slopes = graph.constant(rng.uniform(size=(1, 1, 6)).astype(np.float32))
    one = graph.operator("PRELU", [source, slopes], graph.shape(source))
    return graph.operator("PRELU", [one, slopes], graph.shape(source))


@pytest.mark.parametrize("between", [_an_output, _channel_padding, _slopes_of_two, _unknown])
def test_channels_stay(between):
    content = _two_convolutions(between)
    model = parse_model(content)
    assert remove_dead_channels(model)["changed"] == 0
    assert model_bytes(model) == content


def test_a_tensor_keeps_one_channel():
    content = _two_convolutions(_depthwise, kill=6)
    model = parse_model(content)
    # The first convolution's result and the depthwise one's keep one of six.
    assert remove_dead_channels(model)["changed"] == 10
    for one, other in zip(run_model(content), run_model(model_bytes(model)), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6)


def test_a_small_share_stays():
    for share, left in ((0.0, 4), (1 / 3, 4), (0.34, 6)):
        model = parse_model(_two_convolutions(_depthwise))
        remove_dead_channels(model, share)
        (_, depthwise, _) = model.schema.subgraphs[0].operators
        tensor = model.schema.subgraphs[0].tensors[int(depthwise.outputs[0])]
        assert shape_of(tensor)[-1] == left


def test_what_lives_stays():
    model = parse_model(tiny_model())
    entry = remove_dead_channels(model)
    assert entry == {
        "changed": 0,
        "detail": "0 channels of 0 tensors removed, which no result depends on",
        "gain": None,
        "name": "dead_channels",
    }
    assert model_bytes(model) == tiny_model()
