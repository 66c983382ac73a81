import numpy as np
import pytest
from hypothesis import given, settings

from tests.extent import count
from tests.model_files import model_path
from tests.random_models import float_models, random_image, run_model
from tools.graph.flatbuffer import parse_model, type_name
from tools.graph.float_master import make_float_master
from tools.graph.runtime import input_specifications
from tools.graph.topology import Topology
from tools.quantization.float_streams import float_streams
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

# Corrections make up for a part of what streams in int8 lose.
_ON = {"layer_correction": {"enabled": False}}
_OFF = _ON | {"float_streams": {"enabled": False}}


def _kinds(graph: Topology, operators) -> dict[str, int]:
    names = [graph.name(operator) for operator in operators]
    return {name: names.count(name) for name in sorted(set(names))}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "face_landmark",
            {"ADD": 20, "DEPTHWISE_CONV_2D": 20, "MAX_POOL_2D": 6, "PAD": 3, "PRELU": 23},
        ),
        ("face_detection_short_range", {}),
        ("hand_landmark_lite", {}),
        ("pose_detection", {}),
    ],
)
def test_real_models(name, expected):
    master, _ = make_float_master(model_path(name).read_bytes())
    graph = Topology(parse_model(master))
    assert _kinds(graph, float_streams(graph)) == expected


def _squared_error(one: list, other: list) -> float:
    return sum(
        float(np.square(a - b).sum() / np.square(a).sum()) for a, b in zip(one, other, strict=True)
    )


def test_a_real_model_is_smaller_and_closer_to_float():
    master, _ = make_float_master(model_path("palm_detection_lite").read_bytes())
    specification = input_specifications(master, "model")
    samples = [
        {name: np.abs(random_image(shape, seed)) for name, shape, _ in specification}
        for seed in range(8)
    ]
    without = quantize(master, QuantizationSettings("int8", passes=_OFF), samples).model
    result = quantize(master, QuantizationSettings("int8", passes=_ON), samples)
    assert len(result.model) < len(without)
    error, error_without = (
        sum(_squared_error(run_model(master, s), run_model(content, s)) for s in (0, 50, 99))
        for content in (result.model, without)
    )
    assert error < 0.75 * error_without
    kept = {entry["reason"] for entry in result.float_tensors}
    assert "stream of a PRELU: int8 weights, float arithmetic" in kept
    # As many conversions as the convolutions have ends in the stream.
    graph = Topology(parse_model(result.model))
    found = _kinds(graph, graph.subgraph.operators)
    for operator in graph.subgraph.operators:
        if graph.name(operator) in ("ADD", "PRELU", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"):
            assert type_name(graph.tensor(operator.outputs[0])) == "FLOAT32"
    assert found["QUANTIZE"] <= found["CONV_2D"]


@settings(max_examples=count(15, 60), deadline=None, derandomize=True)
@given(float_models())
def test_streams_of_random_models_end_at_what_they_do_not_spread_to(content):
    graph = Topology(parse_model(content))
    streams = {id(operator) for operator in float_streams(graph)}
    operators = graph.subgraph.operators
    assert bool(streams) == any(graph.name(operator) == "PRELU" for operator in operators)
    assert all(id(op) in streams for op in operators if graph.name(op) == "PRELU")
    for operator in operators:
        if id(operator) not in streams:
            continue
        for index in operator.outputs:
            for reader, _ in graph.consumers.get(int(index), []):
                outside = graph.name(reader) not in (
                    *("ADD", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"),
                    *("PAD", "PRELU", "RESIZE_BILINEAR"),
                )
                assert outside or id(reader) in streams
