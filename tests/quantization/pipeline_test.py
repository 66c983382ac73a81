import functools

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from tests.extent import count, part_of
from tests.model_files import model_path
from tests.quantization.photographs import CALIBRATION, TEST
from tests.random_models import ModelBuilder, float_models, random_image, run_model, tiny_model
from tests.refused import refused
from tests.scenes.photo_files import photo_path
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.runtime import open_interpreter
from tools.quantization.pipeline import quantize
from tools.quantization.settings import RANGE_ESTIMATORS, QuantizationSettings, RangeSettings
from tools.samples.loading import InputSpec, Preprocessing, SampleSet, load_samples

SCHEMES = ("int8", "dynamic", "float16", "weight_only_int8")


def photos(*names: str) -> SampleSet:
    specification = InputSpec("input", (1, 128, 128, 3), np.dtype(np.float32))
    paths = [photo_path(name) for name in names]
    return load_samples(paths, [specification], Preprocessing(127.5, 127.5))


@pytest.fixture(scope="module")
def face() -> bytes:
    return make_float_master(model_path("face_detection_short_range").read_bytes())[0]


@pytest.fixture(scope="module")
def quantized_face(face):
    """What the face detector becomes in a scheme: a function that makes each but once."""

    @functools.cache
    def quantized(scheme: str):
        return quantize(face, QuantizationSettings(scheme), photos(*CALIBRATION))

    return quantized


@pytest.fixture(scope="module", params=SCHEMES)
def made(request, quantized_face):
    """The face detector in a scheme: (scheme, result)."""
    return request.param, quantized_face(request.param)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    product = (one.astype(np.float64) * other).sum()
    return float(product / np.linalg.norm(one) / np.linalg.norm(other))


def test_the_same_bytes_every_time(made, face):
    scheme, result = made
    again = quantize(face, QuantizationSettings(scheme.upper()), photos(*CALIBRATION))
    assert again.model == result.model
    assert again == result


def test_takes_and_gives_what_the_master_does(made, face):
    _, result = made
    master, artifact = describe(face), describe(result.model)
    assert artifact["inputs"] == master["inputs"]
    assert artifact["outputs"] == master["outputs"]
    assert {entry["dtype"] for entry in artifact["inputs"] + artifact["outputs"]} == {"float32"}


def test_size(made, face):
    scheme, result = made
    most = 0.54 if scheme == "float16" else 0.36
    assert 0.2 * len(face) < len(result.model) < most * len(face)


@pytest.mark.parametrize("output", ["regressors", "classificators"])
def test_outputs_on_a_face_are_close_to_the_master_s(made, face, output):
    scheme, result = made
    (sample,) = photos(TEST)
    expected = open_interpreter(face, "master").get_signature_runner()(**sample)[output]
    found = open_interpreter(result.model, "artifact").get_signature_runner()(**sample)[output]
    least = {"int8": 0.9, "dynamic": 0.99, "weight_only_int8": 0.99, "float16": 0.99999}[scheme]
    assert cosine(expected, found) > least
    if output == "classificators":
        # The face is found in the same place.
        assert abs(int(expected.argmax()) - int(found.argmax())) <= 2
        assert expected.max() > 0
        assert found.max() > 0


def test_the_delegate_runs_all_of_it(made):
    _, result = made
    interpreter = open_interpreter(result.model, "artifact")
    (node,) = [n for n in interpreter._get_ops_details() if n["op_name"] == "DELEGATE"]
    inputs = {details["index"] for details in interpreter.get_input_details()}
    outputs = {details["index"] for details in interpreter.get_output_details()}
    assert inputs <= set(node["inputs"])
    assert outputs <= set(node["outputs"])


_PREPARED = ["dead_channels", "relu_fusion", "narrow_convolutions"]
_FINISHED = ["float16_constants", "compaction"]
# Those that find nothing to do in this model.
_IDLE = (
    "bias_range",
    "dead_channels",
    "layer_correction",
    "narrow_convolutions",
    "pointwise",
    # Four photographs are too few.
    "weight_correction",
)


def test_result_says_what_was_done(made):
    scheme, result = made
    names = [entry["name"] for entry in result.passes]
    # In float16 all weights are, and none is rounded to a step.
    small = [] if scheme == "float16" else ["small_weights", "weight_correction"]
    assert names == {
        "int8": [
            *_PREPARED,
            "equalization",
            "range_estimation",
            "addends",
            "bias_range",
            "pointwise",
            "layer_correction",
            "float16_constants",
            "compaction",
        ],
    }.get(scheme, [*_PREPARED, "pointwise", *small, *_FINISHED])
    for entry in result.passes:
        assert set(entry) == {"changed", "detail", "gain", "name"}
        # Biases beside few weights in float16 may be too few to be worth it.
        if scheme == "float16" or entry["name"] != "float16_constants":
            assert (entry["changed"] > 0) == (entry["name"] not in _IDLE)
    kept = {entry["name"]: entry["reason"] for entry in result.float_tensors}
    if scheme == "int8":
        assert kept["classificator_8"] == "output head: int8 weights, float arithmetic"
        assert kept["regressors"] == "output head"
        assert len(kept) == 10
    else:
        assert len(kept) >= 70


def test_int8_computes_in_int8(quantized_face):
    model = parse_model(quantized_face("int8").model)
    (subgraph,) = model.schema.subgraphs
    kinds = {"INT8": 0, "FLOAT32": 0}
    for operator in subgraph.operators:
        if model.operator_name(operator) in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            tensor = subgraph.tensors[int(operator.outputs[0])]
            kinds["FLOAT32" if tensor.type == 0 else "INT8"] += 1
    assert kinds == {"INT8": 33, "FLOAT32": 4}


def test_progress_is_told(face):
    told = []
    quantize(
        face,
        QuantizationSettings("int8"),
        photos(*CALIBRATION[:2]),
        lambda *now: told.append(now),
    )
    assert told == [("calibrating", 1, 2), ("calibrating", 2, 2)]


@pytest.mark.parametrize("estimator", RANGE_ESTIMATORS)
def test_every_range_estimator_makes_a_model_that_is_like_the_float_model(estimator):
    master, _ = make_float_master(tiny_model(channels=16))
    samples = [{"image": random_image((1, 16, 16, 3), seed)} for seed in range(8)]
    chosen = QuantizationSettings("int8", ranges=RangeSettings(estimator))
    told = []
    result = quantize(master, chosen, samples, lambda *progress: told.append(progress))
    again = quantize(master, chosen, samples)
    assert result.model == again.model
    assert cosine(run_model(master)[0], run_model(result.model)[0]) > 0.98
    # Equalization's own statistics are derived, not gathered.
    counted = estimator in ("value_percentile", "mse", "entropy")
    expected = ["calibrating", "counting values"] if counted else ["calibrating"]
    assert [what for what, done, _ in told if done == 8] == expected


def test_other_data_and_percentiles_make_other_models(face):
    models = {
        quantize(
            face,
            QuantizationSettings("int8", ranges=RangeSettings(percentile=percentile)),
            photos(*names),
        ).model
        for percentile, names in ((0, CALIBRATION), (5, CALIBRATION), (0, CALIBRATION[:2]))
    }
    assert len(models) == 3


def test_int8_without_data_is_refused(face):
    with refused("scheme.needs_data", "^face: int8 "):
        quantize(face, QuantizationSettings("int8"), None, where="face")
    with refused("data.too_few", "^face: "):
        quantize(face, QuantizationSettings("int8"), [], where="face")


@pytest.mark.parametrize("scheme", ["int8", "dynamic", "weight_only_int8"])
@pytest.mark.parametrize("again", SCHEMES)
def test_what_is_quantized_already_is_refused(quantized_face, scheme, again):
    samples = photos(CALIBRATION[0])
    artifact = quantized_face(scheme).model
    with refused("model.quantized", r"^face: .* \(tensor \w+ is int8\)"):
        quantize(artifact, QuantizationSettings(again), samples, where="face")
    # Weights alone are a constant's form, which a master expands.
    if scheme != "weight_only_int8":
        with refused("model.quantized"):
            make_float_master(artifact)


def test_float16_artifact_is_a_float_model_again(quantized_face):
    artifact = quantized_face("float16").model
    master, summary = make_float_master(artifact)
    assert summary["folded_dequantize"] == 57
    for one, other in zip(run_model(artifact), run_model(master), strict=True):
        np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize("scheme", part_of(SCHEMES, 2))
def test_weights_over_256_kb_arrive(scheme):
    """From there on the library writes them behind the flatbuffer."""
    master, _ = make_float_master(model_path("hand_landmark_lite").read_bytes())
    samples = [{"input_1": np.abs(random_image((1, 224, 224, 3), seed))} for seed in (1, 2)]
    settings = QuantizationSettings(scheme, passes={"dead_channels": {"enabled": False}})
    artifact = quantize(master, settings, samples).model
    assert len(artifact) > len(master) * (0.5 if scheme == "float16" else 0.25)
    landmarks, *_ = run_model(master)
    assert cosine(landmarks, run_model(artifact)[0]) > 0.99
    assert parse_model(artifact).associated_files == parse_model(master).associated_files != []


@pytest.mark.parametrize("scheme", part_of(SCHEMES[1:], 2))
def test_custom_operator_of_a_real_model_is_left_as_it_is(scheme):
    master, _ = make_float_master(model_path("selfie_segmentation").read_bytes())
    artifact = quantize(master, QuantizationSettings(scheme), None).model
    custom = [
        [
            (operator.customOptions, [list(tensors[int(i)].shape) for i in operator.inputs])
            for operator in model.schema.subgraphs[0].operators
            if model.operator_name(operator) == "Convolution2DTransposeBias"
        ]
        for model in (parse_model(master), parse_model(artifact))
        for tensors in [model.schema.subgraphs[0].tensors]
    ]
    assert len(custom[0]) == len(custom[1]) == 1
    np.testing.assert_array_equal(custom[0][0][0], custom[1][0][0])
    assert custom[0][0][1] == custom[1][0][1]
    # XNNPACK knows this one.
    assert cosine(run_model(master)[0], run_model(artifact)[0]) > 0.999


def test_custom_operator_that_the_delegate_knows_does_not_stop_calibration():
    master, _ = make_float_master(model_path("selfie_segmentation").read_bytes())
    photos = [Image.open(photo_path(name)).convert("RGB") for name in CALIBRATION]
    images = [np.asarray(photo.resize((256, 256)), np.float32) / 255 for photo in photos]
    samples = [{"input_1": image[np.newaxis]} for image in images]
    artifact = quantize(master, QuantizationSettings("int8"), samples).model
    assert len(artifact) < 0.5 * len(master)
    portrait = np.asarray(
        Image.open(photo_path(TEST)).convert("RGB").resize((256, 256)), np.float32
    )
    expected, found = (
        open_interpreter(content, "selfie").get_signature_runner()(input_1=portrait[None] / 255)
        for content in (master, artifact)
    )
    for name, values in expected.items():
        assert cosine(values, found[name]) > 0.97


def test_custom_operator_that_nobody_can_run_is_one_line():
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    content = graph.finish(graph.operator("MyTransform", [image], (1, 4, 4, 3), custom=True))
    samples = [{"image": np.zeros((1, 4, 4, 3), np.float32)}]
    with refused("model.runtime") as raised:
        quantize(make_float_master(content)[0], QuantizationSettings("int8"), samples, where="net")
    assert str(raised.value) == (
        "net: the runtime cannot run this model: Encountered unresolved custom op: MyTransform."
    )


def _with_spare_bytes(master: bytes) -> bytes:
    """Makes room for what quantizing adds to a model of a few weights."""
    model = parse_model(master)
    model.add_constant(np.arange(16384, dtype=np.float32))
    return model_bytes(model)


def test_model_that_would_grow_is_refused():
    master, _ = make_float_master(tiny_model(channels=1))
    samples = [{"image": random_image((1, 16, 16, 3), 0)}]
    with refused("scheme.larger", r"^net: int8 makes it larger \(\d+ to \d+ b"):
        quantize(master, QuantizationSettings("int8"), samples, where="net")
    assert quantize(_with_spare_bytes(master), QuantizationSettings("int8"), samples).model


@pytest.mark.parametrize("scheme", SCHEMES)
def test_output_that_operators_read_too(scheme):
    """It stays float, by the graph's list as by the signature, whoever reads it."""
    rng = np.random.default_rng(5)
    graph = ModelBuilder()
    image = graph.input((1, 8, 8, 3))

    def layer(source: int, name: str) -> int:
        weights = rng.normal(size=(32, 3, 3, graph.shape(source)[-1])).astype(np.float32)
        bias = graph.constant(np.zeros(32, np.float32))
        result = graph.conv(source, graph.constant(weights), bias)
        graph.subgraph.tensors[result].name = name
        return result

    first = layer(image, "first")
    doubled = graph.binary("ADD", first, first)
    slopes = graph.constant(np.full((1, 1, 32), 0.5, np.float32))
    sloped = graph.operator("PRELU", [doubled], graph.shape(doubled), result="sloped")
    graph.subgraph.operators[-1].inputs.append(slopes)
    last = layer(graph.binary("ADD", sloped, doubled), "last")
    master, _ = make_float_master(graph.finish(first, sloped, doubled, last))
    samples = [{"image": random_image((1, 8, 8, 3), seed)} for seed in range(3)]
    artifact = quantize(master, QuantizationSettings(scheme), samples).model
    assert describe(artifact)["outputs"] == describe(master)["outputs"]
    for one, other in zip(run_model(master), run_model(artifact), strict=True):
        assert other.dtype == np.float32
        assert cosine(one, other) > 0.99
    expected, found = (
        open_interpreter(content, "model").get_signature_runner()(**samples[0])
        for content in (master, artifact)
    )
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert cosine(values, found[name]) > 0.99


@settings(max_examples=count(10, 40), deadline=None, derandomize=True)
@given(float_models())
def test_every_artifact_of_a_random_model_runs(content):
    """Dead operators, dead activations, outputs inside: whatever the graph, it runs."""
    master = _with_spare_bytes(make_float_master(content)[0])
    samples = [{"image": random_image((1, 6, 6, 3), seed)} for seed in range(2)]
    expected = run_model(master)
    for scheme in SCHEMES:
        artifact = quantize(master, QuantizationSettings(scheme), samples).model
        found = run_model(artifact)
        assert describe(artifact)["outputs"] == describe(master)["outputs"]
        assert [values.shape for values in found] == [values.shape for values in expected]
        assert all(np.isfinite(values).all() for values in found)


def test_activation_that_is_always_nought():
    """A step of nothing takes the delegate's process down."""
    rng = np.random.default_rng(0)
    graph = ModelBuilder()
    source = graph.input((1, 8, 8, 3))
    for number in range(3):
        inputs = graph.shape(source)[-1]
        weights = graph.constant(rng.normal(size=(32, 3, 3, inputs)).astype(np.float32))
        bias = graph.constant(np.full(32, -1e3 if number == 1 else 0, np.float32))
        source = graph.conv(source, weights, bias, activation=1)
    master, _ = make_float_master(graph.finish(source))
    samples = [{"image": random_image((1, 8, 8, 3), seed)} for seed in range(2)]
    artifact = quantize(master, QuantizationSettings("int8"), samples).model
    (expected,), (found,) = run_model(master), run_model(artifact)
    assert not expected.any()
    np.testing.assert_allclose(found, 0, atol=0.1)


def test_several_inputs():
    graph = ModelBuilder()
    left, right = graph.input((1, 8, 8, 3), "left"), graph.input((1, 8, 8, 3), "right")
    weights = np.random.default_rng(0).normal(size=(64, 3, 3, 3)).astype(np.float32)
    head = np.random.default_rng(1).normal(size=(64, 3, 3, 64)).astype(np.float32)
    total = graph.binary("ADD", left, right)
    layer = graph.conv(total, graph.constant(weights), graph.constant(np.zeros(64, np.float32)))
    result = graph.conv(layer, graph.constant(head), graph.constant(np.zeros(64, np.float32)))
    master, _ = make_float_master(graph.finish(result))
    rng = np.random.default_rng(2)
    samples = [
        {name: rng.random((1, 8, 8, 3), np.float32) for name in ("left", "right")} for _ in range(3)
    ]
    for scheme in SCHEMES:
        artifact = quantize(master, QuantizationSettings(scheme), samples).model
        assert cosine(run_model(master)[0], run_model(artifact)[0]) > 0.995


def test_a_deprecated_list_of_metadata_does_no_harm():
    """The library leaves its numbers as they are, which are too large afterwards."""
    master, _ = make_float_master(model_path("palm_detection_lite").read_bytes())
    assert parse_model(master).schema.metadataBuffer is not None
    artifact = quantize(master, QuantizationSettings("dynamic"), None).model
    assert len(artifact) < 0.3 * len(master)
