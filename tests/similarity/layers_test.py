"""Layers: compared by name whatever scales their channels have, broken ones found."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests.model_files import model_path
from tests.random_models import ModelBuilder, float_models, random_image, tiny_model
from tests.refused import refused
from tests.similarity.mutants import layers, permuted, zeroed
from tools.graph.flatbuffer import model_bytes, parse_model, shape_of
from tools.graph.float_master import make_float_master
from tools.graph.runtime import signature_inputs
from tools.quantization.calibration import gather_statistics
from tools.quantization.equalization import equalize
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.similarity.layers import CEILING_DB, LayerComparison, best_reference, compare_layers


def _samples(content, count=3):
    model = parse_model(content)
    (subgraph, *_) = model.schema.subgraphs
    return [
        {
            name: random_image(shape_of(subgraph.tensors[index]), seed)
            for name, index in signature_inputs(model).items()
        }
        for seed in range(count)
    ]


def _compared(reference, artifact, count=3):
    comparison = LayerComparison(reference, artifact, ("float model", "artifact"))
    for sample in _samples(reference, count):
        comparison.add(sample)
    return comparison


@pytest.fixture(name="master", scope="module")
def _master():
    return make_float_master(tiny_model())[0]


def test_formulas():
    graph = ModelBuilder()
    image = graph.input((1, 2, 4, 2))
    weights = np.eye(2, dtype=np.float32).reshape(2, 1, 1, 2)
    scaled = graph.conv(image, graph.constant(weights), graph.constant(np.zeros(2, np.float32)))
    graph.subgraph.tensors[scaled].name = "layer"
    master, _ = make_float_master(graph.finish(scaled))
    other = parse_model(master)
    # Twice the first channel, 0.9 of the second and an offset.
    changed = np.diag([2.0, 0.9]).astype(np.float32).reshape(2, 1, 1, 2)
    operator = other.schema.subgraphs[0].operators[0]
    for position, values in ((1, changed), (2, np.array([0, 0.1], np.float32))):
        tensor = other.schema.subgraphs[0].tensors[int(operator.inputs[position])]
        tensor.buffer = other.add_constant(values)
    comparison = _compared(master, model_bytes(other))
    f = np.concatenate([s["image"].reshape(-1, 2) for s in _samples(master)]).astype(np.float64)
    q = f * [2, 0.9] + [0, 0.1]
    (exact,) = comparison.errors(same_scales=True)
    assert exact.sqnr_db == pytest.approx(
        10 * np.log10((f**2).sum() / ((f - q) ** 2).sum()), rel=1e-4
    )
    assert exact.cosine == pytest.approx(
        (f * q).sum() / np.sqrt((f**2).sum() * (q**2).sum()), rel=1e-5
    )
    assert exact.correlation == pytest.approx(1.0)
    assert exact.jump_db == pytest.approx(CEILING_DB - exact.sqnr_db, rel=1e-4)
    (fitted,) = comparison.errors(same_scales=False)
    q *= [0.5, 1]
    assert fitted.sqnr_db == pytest.approx(
        10 * np.log10((f**2).sum() / ((f - q) ** 2).sum()), rel=1e-4
    )
    assert fitted.rescaled_channels == 1
    assert (fitted.operator, fitted.shape) == ("CONV_2D", (1, 2, 4, 2))
    assert (fitted.dtype, fitted.weights) == ("FLOAT32", "FLOAT32")


@settings(max_examples=30, deadline=None, derandomize=True)
@given(float_models())
def test_equalized_channels_are_no_error(content):
    master, _ = make_float_master(content)
    model = parse_model(master)
    equalize(model, gather_statistics(model, _samples(master)))
    comparison = _compared(master, model_bytes(model))
    assert comparison.unmatched == []
    for layer in comparison.errors(same_scales=False):
        assert layer.sqnr_db is None or layer.sqnr_db > 100, layer
        assert layer.correlation is None or layer.correlation > 0.999, layer
        assert layer.jump_db == 0


def test_broken_layers_are_found_by_name(master):
    model = parse_model(master)
    (subgraph,) = model.schema.subgraphs
    for position in layers(model):
        output = subgraph.tensors[int(subgraph.operators[position].outputs[0])]
        name = output.name if isinstance(output.name, str) else output.name.decode()
        for broken in (
            zeroed(master, position),
            permuted(master, position, np.random.default_rng(position)),
        ):
            comparison = _compared(master, broken)
            errors = {layer.name: layer for layer in comparison.errors(same_scales=True)}
            assert errors[name].correlation < 0.5
            jump = max(errors.values(), key=lambda layer: layer.jump_db)
            assert jump.name == name
            report = compare_layers(master, broken, _samples(master), "artifact")
            assert report.correlation_min < 0.5


def test_an_artifact_of_a_real_model_has_whole_layers():
    master, _ = make_float_master(model_path("hand_landmark_lite").read_bytes())
    artifact = quantize(master, QuantizationSettings("weight_only_int8"), None).model
    report = compare_layers(master, artifact, _samples(master, 4), "artifact")
    assert report.compared > 50
    assert report.correlation_min > 0.9
    assert report.samples == 4
    # It has fewer channels than the master, and every layer is compared all the same.
    reference = best_reference(master, artifact, ("master", "artifact"))
    assert len(reference) < len(master)
    assert LayerComparison(reference, artifact, ("master", "artifact")).unmatched == []


def test_weights_and_jumps_of_an_integer_artifact():
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    samples = _samples(master, 4)
    artifact = quantize(master, QuantizationSettings("int8"), samples).model
    comparison = LayerComparison(master, artifact, ("master", "artifact"))
    comparison.add(samples[0])
    errors = comparison.errors(same_scales=False)
    first, last = errors[0], errors[-1]
    assert (first.operator, first.dtype, first.weights) == ("CONV_2D", "INT8", "INT8")
    assert last.dtype == "FLOAT32"
    assert [layer.position for layer in errors] == sorted(layer.position for layer in errors)
    by_name = {layer.name: layer for layer in errors}
    for layer in comparison.layers[1:]:
        assert layer.inputs, layer
        worst = min(min(by_name[name].sqnr_db, CEILING_DB) for name in layer.inputs)
        own = min(by_name[layer.name].sqnr_db, CEILING_DB)
        assert by_name[layer.name].jump_db == pytest.approx(worst - own, abs=0.01)


def test_a_model_without_the_names_is_not_compared(master):
    model = parse_model(master)
    for number, tensor in enumerate(model.schema.subgraphs[0].tensors):
        tensor.name = f"renamed_{number}"
    renamed = model_bytes(model)
    assert compare_layers(master, renamed, _samples(master), "artifact") is None
    with refused("model.other", "^artifact: "):
        LayerComparison(master, renamed, ("float model", "artifact"))


def test_nan_is_named_by_layer(master):
    model = parse_model(master)
    operator = model.schema.subgraphs[0].operators[0]
    bias = model.schema.subgraphs[0].tensors[int(operator.inputs[2])]
    bias.buffer = model.add_constant(np.full(8, np.nan, np.float32))
    with refused("model.value", r"artifact: tensor \S+ "):
        _compared(master, model_bytes(model))
