import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings

from tests.extent import count
from tests.model_files import model_path
from tests.random_models import ModelBuilder, float_models, run_model, tiny_model
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.relu_fusion import fuse_relus

_RELU = schema.ActivationFunctionType.RELU
_SHAPE = (1, 4, 4, 3)


def activations(model) -> list[int]:
    """Lists what the operators that can have a fused activation have."""
    operators = model.schema.subgraphs[0].operators
    options = [operator.builtinOptions for operator in operators]
    return [o.fusedActivationFunction for o in options if hasattr(o, "fusedActivationFunction")]


def test_every_activation_of_a_plain_network_is_fused():
    model = parse_model(tiny_model())
    entry = fuse_relus(model)
    assert entry == {
        "changed": 3,
        "detail": "3 activations became part of the operator before them",
        "name": "relu_fusion",
    }
    assert describe(model_bytes(model))["ops"] == {"CONV_2D": 4}
    assert activations(model) == [_RELU, _RELU, _RELU, schema.ActivationFunctionType.NONE]
    assert fuse_relus(model)["changed"] == 0


@pytest.mark.parametrize(
    ("name", "fused"),
    [
        ("face_detection_short_range", 17),
        ("selfie_segmentation", 22),
        ("hand_landmark_lite", 0),
        ("pose_detection", 0),
    ],
)
def test_real_models_compute_the_same_to_the_bit(name, fused):
    master, _ = make_float_master(model_path(name).read_bytes())
    model = parse_model(master)
    assert fuse_relus(model)["changed"] == fused
    content = model_bytes(model)
    assert "RELU" not in describe(content)["ops"]
    for seed in range(2):
        for one, other in zip(run_model(master, seed), run_model(content, seed), strict=True):
            np.testing.assert_array_equal(other, one)


@settings(max_examples=count(20, 80), deadline=None, derandomize=True)
@given(float_models())
def test_random_models_compute_the_same_to_the_bit(content):
    master, _ = make_float_master(content)
    model = parse_model(master)
    before = len(model.schema.subgraphs[0].operators)
    changed = fuse_relus(model)["changed"]
    assert len(model.schema.subgraphs[0].operators) == before - changed
    for one, other in zip(run_model(master), run_model(model_bytes(model)), strict=True):
        np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("RELU", _RELU),
        ("RELU6", schema.ActivationFunctionType.RELU6),
        ("RELU_N1_TO_1", schema.ActivationFunctionType.RELU_N1_TO_1),
    ],
)
def test_each_activation(name, activation):
    graph = ModelBuilder()
    image = graph.input(_SHAPE)
    doubled = graph.binary("ADD", image, image)
    content = graph.finish(graph.operator(name, [doubled], _SHAPE, result="kept"))
    model = parse_model(content)
    assert fuse_relus(model)["changed"] == 1
    assert activations(model) == [activation]
    fused = model_bytes(model)
    # The name of the result is the activation's.
    assert describe(fused)["outputs"][0]["name"] == "kept"
    np.testing.assert_array_equal(run_model(fused)[0], run_model(content)[0])


def _other_reader(graph: ModelBuilder, image: int) -> list[int]:
    conv = graph.binary("ADD", image, image)
    return [graph.operator("RELU", [conv], _SHAPE), graph.binary("MUL", image, conv)]


def _is_an_output(graph: ModelBuilder, image: int) -> list[int]:
    conv = graph.binary("ADD", image, image)
    return [conv, graph.operator("RELU", [conv], _SHAPE)]


def _input_of_the_model(graph: ModelBuilder, image: int) -> list[int]:
    return [graph.operator("RELU", [image], _SHAPE)]


def _fused_already(graph: ModelBuilder, image: int) -> list[int]:
    conv = graph.binary("ADD", image, image, schema.ActivationFunctionType.RELU6)
    return [graph.operator("RELU", [conv], _SHAPE)]


def _cannot_fuse(graph: ModelBuilder, image: int) -> list[int]:
    return [graph.operator("RELU", [graph.operator("LOGISTIC", [image], _SHAPE)], _SHAPE)]


@pytest.mark.parametrize(
    "add", [_other_reader, _is_an_output, _input_of_the_model, _fused_already, _cannot_fuse]
)
def test_stays_alone(add):
    graph = ModelBuilder()
    content = graph.finish(*add(graph, graph.input(_SHAPE)))
    model = parse_model(content)
    assert fuse_relus(model)["changed"] == 0
    assert model_bytes(model) == content


def test_only_the_first_of_a_chain_is_fused():
    graph = ModelBuilder()
    image = graph.input(_SHAPE)
    relu = graph.operator("RELU", [graph.binary("SUB", image, image)], _SHAPE)
    model = parse_model(graph.finish(graph.operator("RELU6", [relu], _SHAPE)))
    assert fuse_relus(model)["changed"] == 1
    operators = Topology(model).subgraph.operators
    assert [model.operator_name(operator) for operator in operators] == ["SUB", "RELU6"]
    assert activations(model) == [_RELU]
