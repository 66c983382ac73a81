import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.model_files import model_path
from tests.random_models import float_models, random_image, run_model, tiny_model
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.pruning import prune
from tools.graph.runtime import input_specifications, open_interpreter
from tools.graph.topology import Topology
from tools.quantization.float16_constants import store_constants_float16
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

_OFF = {"float16_constants": {"enabled": False}}


def _artifact(master: bytes, scheme: str) -> bytes:
    specification = input_specifications(master, "model")
    samples = [{name: np.abs(random_image(shape, 0)) for name, shape, _ in specification}]
    return quantize(master, QuantizationSettings(scheme, passes=_OFF), samples).model


def _changed(content: bytes) -> tuple[dict, bytes]:
    model = parse_model(content)
    entry = store_constants_float16(model)
    prune(model)
    return entry, model_bytes(model)


def _delegates(content: bytes) -> int:
    operators = open_interpreter(content, "model")._get_ops_details()
    return sum(operator["op_name"] == "DELEGATE" for operator in operators)


@pytest.mark.parametrize(
    ("name", "scheme", "changed"),
    [
        # Slopes alone, of the 23 those of over 48 channels.
        ("face_landmark", "int8", 12),
        # And biases beside weights that are few, and float16.
        ("face_landmark", "dynamic", 15),
        ("face_landmark", "float16", 37),
        ("face_detection_short_range", "int8", 0),
        ("face_detection_short_range", "float16", 20),
        ("pose_detection", "float16", 54),
    ],
)
def test_real_models_compute_the_same_to_the_bit(name, scheme, changed):
    """Their originals are float16."""
    master, _ = make_float_master(model_path(name).read_bytes())
    content = _artifact(master, scheme)
    entry, smaller = _changed(content)
    assert entry["changed"] == changed
    if changed:
        assert entry["gain"]["before"] == len(content) > len(smaller)
    assert _delegates(smaller) == _delegates(content) == 1
    for one, other in zip(run_model(content), run_model(smaller), strict=True):
        np.testing.assert_array_equal(other, one)
    assert _changed(smaller)[0]["changed"] == 0


@settings(max_examples=count(8, 25), deadline=None, derandomize=True)
@given(strategies.builds(tiny_model, strategies.integers(0, 99), strategies.sampled_from([48, 64])))
def test_random_models_change_by_a_rounding(content):
    master, _ = make_float_master(content)
    artifact = _artifact(master, "float16")
    entry, smaller = _changed(artifact)
    assert (entry["changed"] > 0) == (len(smaller) < len(artifact))
    (one,), (other,) = run_model(artifact), run_model(smaller)
    # Four layers, each with biases and sums that move by 2^-11.
    np.testing.assert_allclose(other, one, atol=4 * 2.0**-11 * np.abs(one).max())


@settings(max_examples=count(8, 25), deadline=None, derandomize=True)
@given(float_models())
def test_float_models_stay_but_for_slopes(content):
    """Their weights are float32: what a user left in float."""
    graph = Topology(parse_model(content))
    slopes = sum(graph.name(operator) == "PRELU" for operator in graph.subgraph.operators)
    model = parse_model(content)
    assert store_constants_float16(model)["changed"] <= slopes
    if not slopes:
        assert model_bytes(model) == content


def _with_bias(value: float) -> bytes:
    """Makes a float16 artifact whose biases are of one value."""
    model = parse_model(_artifact(make_float_master(tiny_model(channels=64))[0], "float16"))
    graph = Topology(model)
    for operator in graph.subgraph.operators:
        if graph.name(operator) == "CONV_2D":
            bias = graph.tensor(operator.inputs[2])
            values = np.zeros(bias.shape, np.float32)
            values[0] = value
            bias.buffer = model.add_constant(values)
    prune(model)
    return model_bytes(model)


@pytest.mark.parametrize("value", [65600.0, 2.0**-15, -1e-30])
def test_what_float16_does_not_hold_stays(value):
    assert _changed(_with_bias(value))[0]["changed"] == 0


@pytest.mark.parametrize("value", [65504.0, 2.0**-14, -1.0, 0.0])
def test_what_float16_holds_is_stored(value):
    entry, content = _changed(_with_bias(value))
    # Equal constants are one buffer, of three tensors.
    assert entry["changed"] == 3
    kinds = [tensor.type for tensor in parse_model(content).schema.subgraphs[0].tensors]
    assert kinds.count(schema.TensorType.FLOAT16) == 7
