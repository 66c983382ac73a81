"""Scales are powers of two: float outputs stay the same to the bit, not just nearly."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from tests.extent import count, part_of
from tests.model_files import model_path
from tests.quantization.photographs import CALIBRATION, TEST
from tests.random_models import ModelBuilder, float_models, random_image, run_model, tiny_model
from tests.scenes.photo_files import photo_path
from tools.graph.description import describe
from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model, shape_of, tensor_name
from tools.graph.float_master import make_float_master
from tools.graph.runtime import open_interpreter, signature_inputs
from tools.graph.topology import Topology
from tools.quantization.calibration import gather_statistics, scaled_statistics
from tools.quantization.equalization import equalize
from tools.quantization.relu_fusion import fuse_relus


def random_samples(model, count: int = 2) -> list[dict[str, np.ndarray]]:
    (subgraph,) = model.schema.subgraphs
    return [
        {
            name: random_image(shape_of(subgraph.tensors[index]), seed)
            for name, index in signature_inputs(model).items()
        }
        for seed in range(count)
    ]


def run_samples(content: bytes, samples) -> list[np.ndarray]:
    """Runs a model with the runtime's own delegate. Returns the outputs of all samples."""
    runner = open_interpreter(content, "model").get_signature_runner()
    return [values for sample in samples for _, values in sorted(runner(**sample).items())]


def parts_of_photographs(model, count: int, seed: int) -> list[dict[str, np.ndarray]]:
    """Cuts parts out of photographs, as the inputs of a model that takes 0 to 1."""
    names = (*CALIBRATION, TEST)
    ((name, index),) = signature_inputs(model).items()
    _, height, width, _ = shape_of(model.schema.subgraphs[0].tensors[index])
    rng = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        with Image.open(photo_path(names[number % len(names)])) as image:
            side = int(min(image.size) * rng.uniform(0.4, 1))
            left, top = (int(rng.uniform(0, size - side + 1)) for size in image.size)
            box = (left, top, left + side, top + side)
            part = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR, box)
        samples.append({name: np.asarray(part, np.float32)[None] / 255})
    return samples


@pytest.mark.parametrize(
    ("name", "through_relu6", "least_changed"),
    [
        ("face_detection_short_range", True, 30),
        ("face_landmark", True, 30),
        ("hand_landmark_lite", False, 20),
        ("pose_detection", False, 40),
    ],
)
def test_real_models_compute_the_same_to_the_bit(name, through_relu6, least_changed):
    master, _ = make_float_master(model_path(name).read_bytes())
    model = parse_model(master)
    fuse_relus(model)
    statistics = gather_statistics(model, random_samples(model, 1))
    entry = equalize(model, statistics, through_relu6=through_relu6)
    assert entry["name"] == "equalization"
    assert entry["changed"] >= least_changed
    content = model_bytes(model)
    assert content != master
    for one, other in zip(run_model(master), run_model(content), strict=True):
        np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize(
    ("name", "least_changed"), part_of([("hand_landmark_lite", 40), ("pose_detection", 60)], 2)
)
def test_real_models_with_relu6_compute_the_same_on_samples_and_nearly_elsewhere(
    name, least_changed
):
    master, _ = make_float_master(model_path(name).read_bytes())
    model = parse_model(master)
    samples = parts_of_photographs(model, 60, seed=1)
    assert equalize(model, gather_statistics(model, samples))["changed"] >= least_changed
    content = model_bytes(model)
    for one, other in zip(run_samples(master, samples), run_samples(content, samples), strict=True):
        np.testing.assert_array_equal(other, one)
    unseen = parts_of_photographs(model, 10, seed=2)
    for one, other in zip(run_samples(master, unseen), run_samples(content, unseen), strict=True):
        cosine = one.ravel() @ other.ravel() / np.linalg.norm(one) / np.linalg.norm(other)
        assert cosine > 0.998


@settings(max_examples=count(25, 100), deadline=None, derandomize=True)
@given(float_models())
def test_random_models_compute_the_same_to_the_bit(content):
    model = parse_model(make_float_master(content)[0])
    fuse_relus(model)
    before = run_model(model_bytes(model))
    equalize(model, gather_statistics(model, random_samples(model)), through_relu6=False)
    for one, other in zip(before, run_model(model_bytes(model)), strict=True):
        np.testing.assert_array_equal(other, one)


@settings(max_examples=count(10, 40), deadline=None, derandomize=True)
@given(float_models())
def test_random_models_with_relu6_compute_the_same_on_samples(content):
    model = parse_model(make_float_master(content)[0])
    fuse_relus(model)
    samples = random_samples(model, 32)
    before = run_samples(model_bytes(model), samples)
    equalize(model, gather_statistics(model, samples))
    for one, other in zip(before, run_samples(model_bytes(model), samples), strict=True):
        np.testing.assert_array_equal(other, one)


def check_scaled_statistics(content: bytes, count: int) -> int:
    """Derives an equalized model's statistics, and gathers them. Returns how many differ."""
    model = parse_model(content)
    samples = random_samples(model, count)
    before, scales = gather_statistics(model, samples, means=True), {}
    equalize(model, before, scales)
    derived = before.rescaled(model, scales)
    found = gather_statistics(model, samples, means=True)
    assert set(derived) == set(found)
    changed = 0
    for index, expected in found.items():
        for field in dataclasses.fields(expected):
            values = getattr(derived[index], field.name)
            np.testing.assert_array_equal(values, getattr(expected, field.name))
        (old,) = [i for i, name in before.layout.names.items() if name == _name(model, index)]
        changed += not np.array_equal(before[old].channel_highest, expected.channel_highest)
    return changed


def _name(model: TfliteModel, index: int) -> str:
    return tensor_name(model.schema.subgraphs[0].tensors[index])


@pytest.mark.parametrize(
    ("name", "least_changed"),
    [("face_detection_short_range", 40), ("hand_landmark_lite", 20), ("pose_detection", 25)],
)
def test_statistics_of_equalized_real_models_follow_to_the_bit(name, least_changed):
    model = parse_model(make_float_master(model_path(name).read_bytes())[0])
    fuse_relus(model)
    assert check_scaled_statistics(model_bytes(model), 3) >= least_changed


@settings(max_examples=count(15, 60), deadline=None, derandomize=True)
@given(float_models())
def test_statistics_of_equalized_random_models_follow_to_the_bit(content):
    model = parse_model(make_float_master(content)[0])
    fuse_relus(model)
    check_scaled_statistics(model_bytes(model), 2)


def test_statistics_are_gathered_again_where_scales_do_not_tell_all():
    model = parse_model(make_float_master(tiny_model())[0])
    samples = random_samples(model, 5)
    before, scales = gather_statistics(model, samples), {}
    equalize(model, before, scales)
    exact = scaled_statistics(model, samples, before, scales)
    told = []
    wrong = {name: values * 2 for name, values in scales.items()}
    again = scaled_statistics(model, samples, before, wrong, told.append)
    assert told == [1, 2, 3, 4, 5]
    for index, expected in gather_statistics(model, samples).items():
        np.testing.assert_array_equal(exact[index].highest, expected.highest)
        np.testing.assert_array_equal(again[index].highest, expected.highest)


class _Stream:
    """image -> convolution -> what a test adds -> convolution -> output.

    The channels of the stream between the two differ 2 to the power of 4 times.
    """

    def __init__(self):
        self.graph = ModelBuilder()
        self.rng = np.random.default_rng(3)
        self.image = self.graph.input((1, 6, 6, 3))
        self.inner = self.conv(self.image, self.weights(4, 3, [1, 2**-4, 1, 2**-4]))

    def weights(self, outputs: int, inputs: int, scales=1) -> int:
        values = self.rng.normal(size=(outputs, 3, 3, inputs))
        values *= np.broadcast_to(scales, outputs).reshape(-1, 1, 1, 1)
        return self.graph.constant(values.astype(np.float32))

    def conv(self, source: int, weights: int) -> int:
        bias = np.zeros(self.graph.shape(weights)[0], np.float32)
        return self.graph.conv(source, weights, self.graph.constant(bias))

    def end(self, source: int, *outputs: int) -> tuple[dict, np.ndarray]:
        """Equalizes. Returns the entry, and the first stream tensor's channels after it."""
        result = self.conv(source, self.weights(2, self.graph.shape(source)[-1]))
        content = self.graph.finish(result, *outputs)
        model = parse_model(make_float_master(content)[0])
        samples = random_samples(model, 32)
        entry = equalize(model, gather_statistics(model, samples))
        for one, other in zip(run_model(content), run_model(model_bytes(model)), strict=True):
            np.testing.assert_array_equal(other, one)
        graph = Topology(model)
        after = gather_statistics(model, samples)
        names = {tensor_name(t): i for i, t in enumerate(graph.subgraph.tensors)}
        inner = self.graph.subgraph.tensors[self.inner].name
        return entry, after[names[inner]].channel_magnitude


def test_channels_come_closer_by_the_square_root():
    stream = _Stream()
    entry, magnitude = stream.end(stream.inner)
    assert entry["changed"] == 2
    assert entry["detail"] == "2 channels scaled by powers of two, in 2 operators"
    # 16 times apart before, 4 times after, up to the random weights' own factor.
    assert 2 < magnitude.max() / magnitude.min() < 8


@pytest.mark.parametrize("step", ["RELU", "PRELU", "MAX_POOL_2D", "PAD", "RESIZE_BILINEAR"])
def test_scales_pass_through(step):
    stream = _Stream()
    graph, shape = stream.graph, stream.graph.shape(stream.inner)
    if step == "PRELU":
        slopes = graph.constant(np.float32([0.25, 0, 1, 3]).reshape(1, 1, 4))
        inner = graph.operator(step, [stream.inner, slopes], shape)
    elif step == "MAX_POOL_2D":
        inner = graph.pool(step, stream.inner)
    elif step == "PAD":
        inner = graph.pad(stream.inner, [(0, 0), (1, 1), (0, 0), (2, 1)])
    elif step == "RESIZE_BILINEAR":
        inner = graph.resize(stream.inner)
    else:
        inner = graph.operator(step, [stream.inner], shape)
    entry, magnitude = stream.end(inner)
    assert entry["changed"] == 2
    assert 2 < magnitude.max() / magnitude.min() < 8


def test_a_residual_stream_shares_one_scale():
    stream = _Stream()
    branch = stream.conv(stream.inner, stream.weights(4, 4, [1, 2**-4, 1, 2**-4]))
    entry, magnitude = stream.end(stream.graph.binary("ADD", stream.inner, branch))
    # Both readers and both writers.
    assert entry["changed"] == 3
    assert 2 < magnitude.max() / magnitude.min() < 8


@pytest.mark.parametrize("in_float", [False, True])
def test_branches_of_a_float_stream_become_no_louder(in_float):
    stream = _Stream()
    graph = stream.graph
    # A quiet branch, whose loudest channels are the quiet ones of the other.
    branch = stream.conv(stream.image, stream.weights(4, 3, [2**-10, 2**-4, 2**-10, 2**-4]))
    total = graph.binary("ADD", stream.inner, branch)
    if in_float:
        slopes = graph.constant(np.full((1, 1, 4), 0.25, np.float32))
        total = graph.operator("PRELU", [total, slopes], graph.shape(total))
    entry, _ = stream.end(total)
    assert (entry["changed"] == 0) == in_float


def test_a_shared_bias_is_left_to_its_other_readers():
    stream = _Stream()
    graph = stream.graph
    shared = graph.constant(np.float32([1, 2**-4, 1, 2**-4]))
    stream.inner = graph.conv(stream.image, stream.weights(4, 3, [1, 2**-4, 1, 2**-4]), shared)
    other = graph.conv(stream.image, stream.weights(4, 3), shared)
    entry, magnitude = stream.end(stream.inner, other)
    assert entry["changed"] == 2
    assert 2 < magnitude.max() / magnitude.min() < 8


def test_shared_weights_stay_one_constant():
    stream = _Stream()
    weights = stream.weights(4, 4, [1, 2**-4, 1, 2**-4])
    first = stream.conv(stream.inner, weights)
    entry, _ = stream.end(stream.conv(first, weights))
    assert entry["changed"] == 0


def _fixed_by_an_output(stream: _Stream) -> dict:
    return stream.end(stream.inner, stream.inner)[0]


def _fixed_by_a_logistic(stream: _Stream) -> dict:
    graph = stream.graph
    return stream.end(graph.operator("LOGISTIC", [stream.inner], graph.shape(stream.inner)))[0]


def test_channels_under_relu6_are_scaled_below_the_clip():
    stream = _Stream()
    graph = stream.graph
    inner = graph.operator("RELU6", [stream.inner], graph.shape(stream.inner))
    entry, magnitude = stream.end(inner)
    # Of two channels each, before and behind the RELU6.
    assert entry["detail"] == "4 channels scaled by powers of two, in 2 operators"
    assert 2 < magnitude.max() / magnitude.min() < 8


def test_channels_under_relu6_are_left_where_samples_are_few():
    model = parse_model(make_float_master(model_path("hand_landmark_lite").read_bytes())[0])
    statistics = gather_statistics(model, random_samples(model, 1))
    with_relu6 = equalize(parse_model(model_bytes(model)), statistics)
    assert with_relu6 == equalize(model, statistics, through_relu6=False)


def test_channels_that_relu6_clips_are_left():
    stream = _Stream()
    graph = stream.graph
    # 2^-4 of these still reaches 6.
    stream.inner = stream.conv(stream.image, stream.weights(4, 3, [2**6, 2**2, 2**6, 2**2]))
    inner = graph.operator("RELU6", [stream.inner], graph.shape(stream.inner))
    assert stream.end(inner)[0]["changed"] == 0


def _fixed_by_a_constant_added(stream: _Stream) -> dict:
    constant = stream.graph.constant(np.ones(4, np.float32))
    return stream.end(stream.graph.binary("ADD", stream.inner, constant))[0]


def _fixed_by_a_product(stream: _Stream) -> dict:
    return stream.end(stream.graph.binary("MUL", stream.inner, stream.inner))[0]


def _fixed_by_shared_weights(stream: _Stream) -> dict:
    weights = stream.weights(4, 4)
    return stream.end(stream.conv(stream.conv(stream.inner, weights), weights))[0]


@pytest.mark.parametrize(
    "end",
    [
        _fixed_by_an_output,
        _fixed_by_a_logistic,
        _fixed_by_a_constant_added,
        _fixed_by_a_product,
        _fixed_by_shared_weights,
    ],
)
def test_channels_that_cannot_be_scaled_are_left(end):
    assert end(_Stream()) == {
        "changed": 0,
        "detail": "0 channels scaled by powers of two, in 0 operators",
        "name": "equalization",
    }


def test_channels_that_are_weights_elsewhere_are_left():
    """A convolution's weights may be computed; nothing makes up for a scale of those."""
    stream = _Stream()
    computed = stream.conv(stream.image, stream.weights(4, 3, [1, 2**-4, 1, 2**-4]))
    bias = stream.graph.constant(np.zeros(1, np.float32))
    entry, _ = stream.end(stream.graph.conv(stream.inner, computed, bias))
    assert entry["changed"] == 0


def test_a_dead_channel_is_left():
    stream = _Stream()
    stream.inner = stream.conv(stream.image, stream.weights(4, 3, [1, 0, 2**-40, 0]))
    _, magnitude = stream.end(stream.inner)
    assert magnitude[1] == magnitude[3] == 0
    # 2^40 apart: the scale stops at 2^6.
    assert 2**32 < magnitude[0] / magnitude[2] < 2**36


def test_operators_are_the_same_ones():
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    model = parse_model(master)
    equalize(model, gather_statistics(model, random_samples(model, 1)))
    assert describe(model_bytes(model)) == describe(master)
