import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from PIL import Image

from tests.foreign.kinds import KINDS
from tests.model_files import model_path
from tests.random_models import ModelBuilder, float_models, random_image, tiny_model
from tests.refused import refused
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.calibration import (
    computed_tensors,
    gather_histograms,
    gather_statistics,
    run_samples,
)
from tools.quantization.range_estimators import HALF_BINS
from tools.samples.loading import InputSpec, Preprocessing, load_samples


def all_tensors(content: bytes, image: np.ndarray) -> dict[int, np.ndarray]:
    """Reads every activation, as the runtime's delegate computes it."""
    model = parse_model(content)
    (subgraph,), computed = model.schema.subgraphs, computed_tensors(model)
    subgraph.outputs = [index for index in computed if index not in subgraph.inputs]
    model.schema.signatureDefs = None
    interpreter = Interpreter(model_content=model_bytes(model))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return {index: interpreter.get_tensor(index) for index in computed}


def clamps(graph: Topology, index: int) -> bool:
    """Says whether a tensor's operator, or the one before a PAD, clamps at zero."""
    operator = graph.producer.get(index)
    if operator is None:
        return False
    if graph.name(operator) == "PAD":
        return clamps(graph, int(operator.inputs[0]))
    fused = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    activations = schema.ActivationFunctionType
    return fused in (activations.RELU, activations.RELU6) or graph.name(operator) in (
        "RELU",
        "RELU6",
    )


def check_statistics(master: bytes, name: str, images: list[np.ndarray]) -> None:
    model = parse_model(master)
    graph = Topology(model)
    statistics = gather_statistics(model, [{name: image} for image in images], means=True)
    assert sorted(statistics) == computed_tensors(model)
    ran = [all_tensors(master, image) for image in images]
    for index, found in statistics.items():
        values = [tensors[index].reshape(-1, tensors[index].shape[-1]) for tensors in ran]
        lows = np.array([v.min(axis=0) for v in values])
        if clamps(graph, index):
            assert lows.min() >= 0
            lows[:] = 0
        highs = np.array([v.max(axis=0) for v in values])
        np.testing.assert_array_equal(found.lowest, lows.min(axis=1))
        np.testing.assert_array_equal(found.highest, highs.max(axis=1))
        np.testing.assert_array_equal(found.channel_lowest, lows.min(axis=0))
        np.testing.assert_array_equal(found.channel_highest, highs.max(axis=0))
        magnitudes = np.maximum(-lows, highs).mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(found.channel_magnitude, magnitudes, rtol=1e-12)
        means = np.mean([v.mean(axis=0, dtype=np.float64) for v in values], axis=0)
        size = np.mean([np.abs(v).mean(axis=0, dtype=np.float64) for v in values], axis=0)
        assert (np.abs(found.channel_mean - means) <= 1e-5 * size).all()


def test_statistics_of_a_real_model_are_numpy_s():
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    images = [random_image((1, 128, 128, 3), seed) for seed in range(3)]
    check_statistics(master, "input", images)
    model = parse_model(master)
    assert len(computed_tensors(model)) == 1 + len(model.schema.subgraphs[0].operators)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(float_models())
def test_statistics_of_random_models_are_numpy_s(content):
    images = [random_image((1, 6, 6, 3), seed) for seed in range(2)]
    check_statistics(make_float_master(content)[0], "image", images)


def test_statistics_do_not_depend_on_the_order_of_samples():
    model = parse_model(make_float_master(tiny_model())[0])
    samples = [{"image": random_image((1, 16, 16, 3), seed)} for seed in range(4)]
    one, other = gather_statistics(model, samples), gather_statistics(model, samples[::-1])
    for index, found in one.items():
        np.testing.assert_array_equal(found.lowest, other[index].lowest[::-1])
        np.testing.assert_allclose(found.channel_magnitude, other[index].channel_magnitude)


def test_progress_counts_samples():
    model = parse_model(make_float_master(tiny_model())[0])
    samples = [{"image": random_image((1, 16, 16, 3), seed)} for seed in range(3)]
    done = []
    gather_statistics(model, samples, done.append)
    assert done == [1, 2, 3]


def test_no_samples_are_refused():
    model = parse_model(make_float_master(tiny_model())[0], "net.tflite")
    with refused("data.too_few", r"^net\.tflite: "):
        gather_statistics(model, [])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_tensor_that_becomes_no_number_is_named_with_its_sample(bad):
    model = parse_model(make_float_master(tiny_model())[0], "net.tflite")
    samples = [{"image": random_image((1, 16, 16, 3), seed)} for seed in range(3)]
    samples[1]["image"][0, 5, 7, 1] = bad
    with refused("data.value") as raised:
        gather_statistics(model, samples)
    assert str(raised.value) == (
        "net.tflite: tensor image becomes NaN or infinite on calibration sample number 1; check "
        "the sample and the input's mean and std"
    )


def test_tensor_inside_that_overflows_is_named_with_its_file(tmp_path):
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    squared = graph.operator("SQUARE", [image], (1, 4, 4, 3), result="squared")
    master, _ = make_float_master(graph.finish(squared))
    for name, shade in (("a.png", 0), ("b.png", 255)):
        Image.new("RGB", (4, 4), (shade,) * 3).save(tmp_path / name)
    # A std so small that the white image's square is over float32's largest number.
    specification = InputSpec("image", (1, 4, 4, 3), np.dtype(np.float32))
    samples = load_samples([tmp_path], [specification], Preprocessing(0, 1e-18))
    with refused("data.value", r"tensor squared .* sample b\.png"):
        gather_statistics(parse_model(master), samples)


def test_run_samples_shows_each_tensor_of_each_sample():
    content = make_float_master(tiny_model())[0]
    model = parse_model(content)
    image = random_image((1, 16, 16, 3), 1)
    wanted = computed_tensors(model)[::2]
    seen = {}

    def visit(number: int, index: int, values: np.ndarray) -> None:
        seen[number, index] = values.copy()

    run_samples(model, wanted, [{"image": image}, {"image": -image}], visit)
    assert list(seen) == [(number, index) for number in range(2) for index in wanted]
    expected = all_tensors(content, -image)
    for index in wanted:
        np.testing.assert_array_equal(seen[1, index], expected[index])


def _samples(count: int) -> list[dict[str, np.ndarray]]:
    return [{"image": random_image((1, 16, 16, 3), seed)} for seed in range(count)]


@pytest.mark.parametrize("count", [1, 9, 65, 131])
def test_statistics_do_not_depend_on_the_number_of_processes(count):
    model = parse_model(make_float_master(tiny_model())[0])
    samples = _samples(count)
    one = gather_statistics(model, samples, means=True, processes=1)
    for processes in (2, 3, None):
        other = gather_statistics(model, samples, means=True, processes=processes)
        assert list(other) == list(one)
        for index, found in one.items():
            for field in dataclasses.fields(found):
                values = (getattr(statistics, field.name) for statistics in (found, other[index]))
                np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("name", ["resource", "svdf", "unidirectional_sequence_lstm"])
def test_a_state_of_one_sample_is_not_the_next_one_s(name):
    model = parse_model(make_float_master(KINDS[f"state_of_{name}"]())[0])
    (shape,) = (tuple(t.shape) for t in model.schema.subgraphs[0].tensors if t.name == b"x")
    random = np.random.default_rng(0)
    samples = [{"x": random.normal(0, 1, shape).astype(np.float32)} for _ in range(16)]
    one, two = (gather_statistics(model, samples, processes=number) for number in (1, 2))
    alone = gather_statistics(model, samples[-1:])
    for index, found in one.items():
        assert (found.highest == two[index].highest).all()
        assert (found.highest[-1] == alone[index].highest[0]).all()


def test_bad_sample_is_named_when_processes_share_the_samples_out(tmp_path):
    model = parse_model(make_float_master(tiny_model())[0], "net.tflite")
    samples = _samples(64)
    for number in (41, 42, 60):
        samples[number]["image"][0, 1, 2, 0] = np.nan
    for processes in (1, 2, 5):
        with refused("data.value", "tensor image .* calibration sample number 41;"):
            gather_statistics(model, samples, processes=processes)


def test_chosen_tensors_only():
    model = parse_model(make_float_master(tiny_model())[0])
    whole = gather_statistics(model, _samples(3))
    wanted = computed_tensors(model)[2:4]
    part = gather_statistics(model, _samples(3), tensors=wanted)
    assert list(part) == wanted
    for index in wanted:
        np.testing.assert_array_equal(part[index].highest, whole[index].highest)
        np.testing.assert_array_equal(part[index].channel_lowest, whole[index].channel_lowest)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(float_models())
def test_histograms_count_every_value(content):
    master, _ = make_float_master(content)
    model = parse_model(master)
    images = [random_image((1, 6, 6, 3), seed) for seed in range(2)]
    ran = [all_tensors(master, image) for image in images]
    reach = {index: max(float(np.abs(run[index]).max()) for run in ran) for index in ran[0]}
    reach = {index: magnitude for index, magnitude in reach.items() if magnitude}
    found = gather_histograms(model, [{"image": image} for image in images], reach)
    assert list(found) == list(reach)
    for index, histogram in found.items():
        values = np.concatenate([run[index].ravel() for run in ran])
        assert histogram.magnitude == reach[index]
        assert histogram.zeros == (values == 0).sum()
        bins = np.floor(values * np.float32(HALF_BINS / reach[index])).astype(int) + HALF_BINS
        expected = np.bincount(np.minimum(bins, 2 * HALF_BINS - 1), minlength=2 * HALF_BINS)
        np.testing.assert_array_equal(histogram.counts, expected)


def test_histograms_do_not_depend_on_the_number_of_processes_and_count_what_is_beyond():
    model = parse_model(make_float_master(tiny_model())[0])
    samples = _samples(48)
    # Half of what the input reaches: the rest is in the outermost bins.
    reach = dict.fromkeys(computed_tensors(model), 0.5)
    one, other = (gather_histograms(model, samples, reach, None, count) for count in (1, 3))
    for index, histogram in one.items():
        np.testing.assert_array_equal(histogram.counts, other[index].counts)
        assert histogram.zeros == other[index].zeros
        size = np.prod(model.schema.subgraphs[0].tensors[index].shape)
        assert histogram.counts.sum() == len(samples) * size
    (image,) = model.schema.subgraphs[0].inputs
    assert 0.2 < one[image].counts[0] / one[image].counts.sum() < 0.3
