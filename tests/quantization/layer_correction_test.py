import numpy as np
import pytest
from hypothesis import assume, given, settings

from tests.quantization.layer_execution_test import random_samples, whole
from tests.random_models import ModelBuilder, float_models, tiny_model
from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model, shape_of
from tools.graph.float_master import make_float_master
from tools.graph.runtime import signature_inputs
from tools.graph.topology import Topology
from tools.quantization.layer_correction import correct_layers
from tools.quantization.pipeline import quantize
from tools.quantization.relu_fusion import fuse_relus
from tools.quantization.settings import QuantizationSettings

_UNCORRECTED = {"layer_correction": {"enabled": False}}


def images(model: TfliteModel, count: int) -> list[dict[str, np.ndarray]]:
    """Makes smooth images, whose neighbouring pixels are alike as in photographs."""
    ((name, index),) = signature_inputs(model).items()
    _, height, width, channels = shape_of(model.schema.subgraphs[0].tensors[index])
    y, x = np.mgrid[0:height, 0:width]
    samples = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        waves = [
            np.sin(x * rng.uniform(0, 1) + y * rng.uniform(0, 1) + rng.uniform(0, 6))
            for _ in range(channels)
        ]
        samples.append({name: np.stack(waves, axis=-1)[None].astype(np.float32)})
    return samples


def quantized(passes: dict, scheme: str = "int8", count: int = 40):
    master, _ = make_float_master(tiny_model(channels=16))
    samples = images(parse_model(master), count)
    return master, samples, quantize(master, QuantizationSettings(scheme, passes=passes), samples)


def noise(master: bytes, content: bytes, samples) -> float:
    pairs = zip(whole(master, samples), whole(content, samples), strict=True)
    return sum(float(np.square(one - other).sum()) for one, other in pairs)


def entry_of(result) -> dict:
    (entry,) = [entry for entry in result.passes if entry["name"] == "layer_correction"]
    return entry


def test_a_spoilt_model_is_mended():
    master, samples, result = quantized(_UNCORRECTED)
    artifact = parse_model(result.model)
    graph = Topology(artifact)
    layers = [op for op in graph.subgraph.operators if graph.name(op) == "CONV_2D"][:2]
    for operator in layers:
        bias = graph.tensor(operator.inputs[2])
        spoilt = artifact.tensor_data(bias) + np.int32(2000)
        bias.buffer = artifact.add_constant(spoilt)
    spoilt = model_bytes(artifact)
    model = parse_model(master)
    # The artifact's names are those of the graph with the activations fused.
    fuse_relus(model)
    before = model_bytes(model)
    mended, entry = correct_layers(model, artifact, samples, 40)
    # Three layers and the head.
    assert entry["changed"] == 4
    assert entry["gain"]["after"] > entry["gain"]["before"] + 3
    unseen = images(model, 60)[40:]
    assert noise(master, model_bytes(mended), unseen) < noise(master, spoilt, unseen) / 2
    # What was given is as it was.
    assert model_bytes(artifact) == spoilt
    assert model_bytes(model) == before


@pytest.mark.parametrize("scheme", ["int8", "int16x8"])
def test_the_pipeline_corrects_and_the_same_gives_the_same_bytes(scheme):
    _, _, one = quantized({}, scheme)
    _, _, other = quantized({}, scheme)
    assert one.model == other.model
    entry = entry_of(one)
    assert entry["gain"]["after"] >= entry["gain"]["before"]


def test_integer_inputs_and_outputs_are_corrected_too():
    master, _ = make_float_master(tiny_model(channels=16))
    samples = images(parse_model(master), 40)
    settings = QuantizationSettings("int8", input_type="int8", output_type="int8")
    entry = entry_of(quantize(master, settings, samples))
    assert entry["gain"]["before"] > 5


@pytest.mark.parametrize(("choices", "count"), [({}, 15), ({"samples": 15}, 40)])
def test_few_samples_correct_nothing(choices, count):
    _, _, result = quantized({"layer_correction": choices}, count=count)
    assert entry_of(result)["detail"] == "layers are left: 15 samples are too few to correct by"
    assert entry_of(result)["gain"] is None


def test_the_number_of_samples_is_a_choice():
    _, _, result = quantized({"layer_correction": {"samples": 20}})
    assert "on 5 other samples" in entry_of(result)["gain"]["metric"]


def test_weights_are_left_where_only_biases_are_to_be_corrected():
    def weights(content: bytes) -> list[bytes]:
        graph = Topology(parse_model(content))
        return [
            graph.model.tensor_data(graph.tensor(op.inputs[1])).tobytes()
            for op in graph.subgraph.operators
            if graph.name(op) == "CONV_2D" and graph.is_constant(op.inputs[1])
        ]

    _, _, plain = quantized(_UNCORRECTED)
    _, _, biased = quantized({"layer_correction": {"fit_weights": False}})
    assert weights(plain.model) == weights(biased.model)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(float_models())
def test_random_models_get_no_worse_where_it_is_judged(content):
    master, _ = make_float_master(content)
    model = parse_model(master)
    samples = random_samples(model, 16)
    passes = {"relu_fusion": {"enabled": False}, "equalization": {"enabled": False}}
    passes["bias_range"] = passes["dead_channels"] = {"enabled": False}
    try:
        result = quantize(
            master, QuantizationSettings("int8", passes=passes | _UNCORRECTED), samples
        )
    except InputError:
        # Models of a few weights grow.
        assume(False)
    before = parse_model(result.model)
    after, entry = correct_layers(model, before, samples, 16)
    # Some have no layer that could be corrected.
    assume("gain" in entry)
    assert entry["gain"]["after"] >= entry["gain"]["before"]
    assert len(model_bytes(after)) <= len(result.model) + 4096
    assert (entry["changed"] > 0) == (model_bytes(after) != model_bytes(before))


def test_shared_weights_stay_shared():
    rng, graph = np.random.default_rng(0), ModelBuilder()
    source = graph.input((1, 12, 12, 32))
    weights = graph.constant(rng.normal(0, 0.06, (32, 3, 3, 32)).astype(np.float32))
    bias = graph.constant(rng.normal(size=32).astype(np.float32))
    for _ in range(4):
        source = graph.conv(source, weights, bias)
    master, _ = make_float_master(graph.finish(source))
    samples = [{"image": rng.normal(size=(1, 12, 12, 32)).astype(np.float32)} for _ in range(20)]
    result = quantize(master, QuantizationSettings("int8"), samples)
    # Four kernels would be as large as the master's one.
    assert len(result.model) < 0.6 * len(master)
