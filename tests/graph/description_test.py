import numpy as np
import pytest

from tests.model_files import REAL_MODELS, model_path
from tests.random_models import ModelBuilder
from tests.refused import refused
from tools.graph.description import describe
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master


def test_face_detector():
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    assert describe(master) == {
        "inputs": [{"dtype": "float32", "name": "input", "shape": [1, 128, 128, 3]}],
        "outputs": [
            {"dtype": "float32", "name": "regressors", "shape": [1, 896, 16]},
            {"dtype": "float32", "name": "classificators", "shape": [1, 896, 1]},
        ],
        "ops": {
            "ADD": 16,
            "CONCATENATION": 2,
            "CONV_2D": 21,
            "DEPTHWISE_CONV_2D": 16,
            "MAX_POOL_2D": 3,
            "PAD": 11,
            "RELU": 17,
            "RESHAPE": 4,
        },
    }


@pytest.mark.parametrize("name", REAL_MODELS)
def test_counts_every_operator(name):
    content = model_path(name).read_bytes()
    ops = describe(content)["ops"]
    assert sum(ops.values()) == len(parse_model(content).schema.subgraphs[0].operators)
    assert list(ops) == sorted(ops)


def test_custom_operators_have_their_own_names():
    ops = describe(model_path("selfie_segmentation").read_bytes())["ops"]
    assert ops["Convolution2DTransposeBias"] == 1


def test_without_a_signature_tensors_keep_their_names():
    graph = ModelBuilder()
    image = graph.input((1, 2, 2, 1), "a/b:0")
    scalar = graph.constant(np.float32(2))
    result = graph.binary("MUL", image, scalar)
    described = describe(graph.finish(result))
    assert described["inputs"] == [{"dtype": "float32", "name": "a/b:0", "shape": [1, 2, 2, 1]}]
    assert described["ops"] == {"MUL": 1}


def test_what_cannot_be_read_is_named():
    with refused("model.kind", r"^net\.tflite: "):
        describe(b"no model", "net.tflite")
