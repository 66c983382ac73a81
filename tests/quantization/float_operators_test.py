"""What int8 serves badly is found, with what leads to it and what stands between."""

import pytest

from tests.foreign.kinds import KINDS
from tests.random_models import tiny_model
from tools.graph.flatbuffer import parse_model
from tools.graph.topology import Topology
from tools.quantization.float_operators import float_operators


def found(content: bytes) -> list[str]:
    graph = Topology(parse_model(content))
    return [graph.name(operator) for operator in float_operators(graph)]


def test_a_normalization_is_float_as_a_whole():
    names = found(KINDS["layer_normalization"]())
    assert names == ["MEAN", "SQUARED_DIFFERENCE", "MEAN", "ADD", "RSQRT"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("div", ["MUL", "ADD", "DIV"]),
        ("log", ["MUL", "ADD", "LOG"]),
        ("exp", ["MUL", "NEG", "EXP"]),
        ("squared_difference", ["SQUARED_DIFFERENCE"]),
    ],
)
def test_what_alone_leads_to_one_is_float_too(name, expected):
    assert found(KINDS[f"fragile_{name}"]()) == expected


def test_layers_with_weights_are_none():
    assert found(tiny_model()) == []
