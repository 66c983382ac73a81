import numpy as np
import pytest

from tests.model_files import model_path
from tests.random_models import ModelBuilder
from tools.graph.flatbuffer import parse_model, tensor_name
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.output_heads import output_heads

_SHAPE = (1, 4, 4, 3)


def heads_of(content: bytes) -> list[tuple[str, str]]:
    graph = Topology(parse_model(content))
    return [
        (graph.name(operator), tensor_name(graph.tensor(operator.outputs[0])))
        for operator in output_heads(graph)
    ]


def test_face_detector():
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    assert sorted(heads_of(master)) == [
        ("CONCATENATION", "classificators"),
        ("CONCATENATION", "regressors"),
        ("CONV_2D", "classificator_16"),
        ("CONV_2D", "classificator_8"),
        ("CONV_2D", "regressor_16"),
        ("CONV_2D", "regressor_8"),
        ("RESHAPE", "reshape"),
        ("RESHAPE", "reshape_1"),
        ("RESHAPE", "reshape_2"),
        ("RESHAPE", "reshape_3"),
    ]


@pytest.mark.parametrize(
    ("name", "weighted"),
    [("face_landmark", 2), ("hand_landmark_lite", 4), ("palm_detection_lite", 4)],
)
def test_one_layer_with_weights_for_each_head_of_a_real_model(name, weighted):
    master, _ = make_float_master(model_path(name).read_bytes())
    kinds = [kind for kind, _ in heads_of(master)]
    assert sum(kind in ("CONV_2D", "FULLY_CONNECTED") for kind in kinds) == weighted
    assert "ADD" not in kinds


class _Graph(ModelBuilder):
    def __init__(self):
        super().__init__()
        self.image = self.input(_SHAPE)

    def layer(self, source: int, name: str) -> int:
        weights = self.constant(np.ones((3, 1, 1, 3), np.float32))
        result = self.conv(source, weights, self.constant(np.zeros(3, np.float32)))
        self.subgraph.tensors[result].name = name
        return result


def test_the_walk_ends_at_the_first_weights():
    graph = _Graph()
    last = graph.layer(graph.layer(graph.image, "first"), "last")
    result = graph.operator("LOGISTIC", [last], _SHAPE, result="result")
    assert heads_of(graph.finish(result)) == [("CONV_2D", "last"), ("LOGISTIC", "result")]


def test_the_walk_ends_at_a_sum_of_two():
    graph = _Graph()
    total = graph.binary("ADD", graph.layer(graph.image, "one"), graph.layer(graph.image, "two"))
    result = graph.operator("RELU", [total], _SHAPE, result="result")
    assert heads_of(graph.finish(result)) == [("RELU", "result")]
    assert heads_of(graph.finish(total)) == []


def test_an_output_that_another_layer_reads_is_a_head():
    graph = _Graph()
    inner = graph.layer(graph.image, "inner")
    content = graph.finish(graph.layer(inner, "last"), inner)
    assert heads_of(content) == [("CONV_2D", "inner"), ("CONV_2D", "last")]


def test_an_output_without_weights_is_a_head_up_to_the_input():
    graph = _Graph()
    relu = graph.operator("RELU", [graph.image], _SHAPE, result="relu")
    result = graph.operator("LOGISTIC", [relu], _SHAPE, result="result")
    assert heads_of(graph.finish(result)) == [("RELU", "relu"), ("LOGISTIC", "result")]


def test_a_constant_beside_the_activation_does_not_end_the_walk():
    graph = _Graph()
    half = graph.constant(np.float32([0.5]))
    result = graph.binary("MUL", graph.layer(graph.image, "layer"), half)
    assert [kind for kind, _ in heads_of(graph.finish(result))] == ["CONV_2D", "MUL"]


@pytest.mark.parametrize(
    ("activation", "read_again", "belongs"),
    [(0, False, True), (3, False, False), (0, True, False)],
)
def test_a_linear_depthwise_layer_that_only_heads_read_belongs_to_them(
    activation, read_again, belongs
):
    graph = _Graph()
    weights = graph.constant(np.ones((1, 3, 3, 3), np.float32))
    bias = graph.constant(np.zeros(3, np.float32))
    depthwise = graph.depthwise(graph.image, weights, bias, activation)
    graph.subgraph.tensors[depthwise].name = "depthwise"
    heads = [graph.layer(depthwise, name) for name in ("one", "other")]
    # A layer that is no head reads it too.
    again = [graph.layer(graph.layer(depthwise, "again"), "last")] if read_again else []
    found = heads_of(graph.finish(*heads, *again))
    assert (("DEPTHWISE_CONV_2D", "depthwise") in found) == belongs
