"""Every scheme on each of MediaPipe's models, as they are shipped."""

import numpy as np
import pytest

from tests.extent import WHOLE
from tests.model_files import REAL_MODELS, model_path
from tests.quantization.photographs import CALIBRATION, TEST
from tests.scenes.photo_files import photo_path
from tools.graph.description import describe
from tools.graph.float_master import make_float_master
from tools.graph.runtime import input_specifications
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.samples.loading import InputSpec, Preprocessing, load_samples
from tools.similarity.model_outputs import ModelOutputs

# What runs by default: a detector and a landmark model, in all that there is.
_SOME_MODELS = ("face_detection_short_range", "face_landmark")
# The least cosine similarity of the first output, on a photograph: far below what an
# artifact is worth, and far above what a broken one gets.
_LEAST = {
    "float16": 0.9999,
    "weight_only_int8": 0.9,
    "dynamic": 0.9,
    "int16x8": 0.9,
    "int8": 0.8,
    "dynamic_int4": 0.3,
    "int4": 0.3,
    "weight_only_int4": 0.3,
}
# Pixels as -1 to 1; the others take 0 to 1.
_SIGNED = ("face_detection_full_range_sparse", "face_detection_short_range", "pose_detection")


@pytest.fixture(scope="module", params=REAL_MODELS if WHOLE else _SOME_MODELS)
def model(request):
    """(name, float master, two photographs as its input, what it makes of the second)."""
    name = request.param
    master, _ = make_float_master(model_path(name).read_bytes(), name)
    inputs = [InputSpec(*one) for one in input_specifications(master, name)]
    paths = [photo_path(photograph) for photograph in (CALIBRATION[2], TEST)]
    mean, std = (127.5, 127.5) if name in _SIGNED else (0, 255)
    samples = list(load_samples(paths, inputs, Preprocessing(mean, std, "letterbox")))
    return name, master, samples, ModelOutputs(master, name)(samples[0])


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.reshape(-1).astype(float), other.reshape(-1).astype(float)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("scheme", sorted(_LEAST))
def test_artifact_is_smaller_runs_and_is_like_the_float_model(scheme, model):
    name, master, samples, expected = model
    settings = QuantizationSettings(scheme)
    artifact = quantize(master, settings, samples, where=name).model
    assert len(artifact) < len(master) * (0.54 if scheme == "float16" else 0.41)
    assert describe(artifact)["outputs"] == describe(master)["outputs"]
    found = ModelOutputs(artifact, name)(samples[0])
    assert [values.shape for values in found] == [values.shape for values in expected]
    assert all(np.isfinite(values).all() for values in found)
    assert _similarity(expected[0], found[0]) > _LEAST[scheme]


def test_bytes_in_and_out(model):
    name, master, samples, expected = model
    settings = QuantizationSettings("int8", input_type="uint8", output_type="int8")
    artifact = quantize(master, settings, samples, where=name).model
    described = describe(artifact)
    assert {one["dtype"] for one in described["inputs"]} == {"uint8"}
    assert {one["dtype"] for one in described["outputs"]} == {"int8"}
    found = ModelOutputs(artifact, name)(samples[0])
    assert _similarity(expected[0], found[0]) > _LEAST["int8"]


@pytest.mark.parametrize("scheme", ["int2", "blockwise_int4_32"])
def test_scheme_for_matrix_products(scheme, model):
    """Every one of these models has some: its pointwise convolutions."""
    name, master, samples, expected = model
    artifact = quantize(master, QuantizationSettings(scheme), None, where=name).model
    found = ModelOutputs(artifact, name)(samples[0])
    assert [values.shape for values in found] == [values.shape for values in expected]
    assert all(np.isfinite(values).all() for values in found)
