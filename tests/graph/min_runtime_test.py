"""The runtime that a model needs, by what it says itself and by its types."""

import re

import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.model_files import REAL_MODELS, model_path
from tests.random_models import ModelBuilder, tiny_model
from tools.errors import InputError
from tools.graph.flatbuffer import OPERATOR_NAMES, model_bytes, parse_model, text
from tools.graph.float_master import make_float_master
from tools.graph.min_runtime import min_runtime, restate_min_runtime
from tools.graph.model_metadata import read_metadata
from tools.graph.operator_runtimes import RUNTIMES
from tools.graph.runtime_version import version_key
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings


def _stated(model) -> str | None:
    for entry in model.schema.metadata or []:
        if text(entry.name) == "min_runtime_version":
            return bytes(bytearray(model.schema.buffers[entry.buffer].data)).strip(b"\0").decode()
    return None


@pytest.mark.parametrize("name", REAL_MODELS)
def test_never_less_than_the_converter_said(name):
    """MediaPipe's models carry what TensorFlow's converter worked out for them."""
    model = parse_model(model_path(name).read_bytes())
    found = min_runtime(model)["version"]
    stated = _stated(model)
    assert found is not None
    if stated:
        assert version_key(found) >= version_key(stated)
        # 1.14.0 is what the converter of that day knew of float16 DEQUANTIZE.
        assert (stated, found) in {("2.2.0", "2.2.0"), ("1.14.0", "1.15.0")}


def test_the_table_names_operators_of_the_schema_and_versions_without_gaps():
    known = set(OPERATOR_NAMES.values())
    assert len(RUNTIMES) > 150
    for name, versions in RUNTIMES.items():
        # The table calls one by an older name.
        assert name in known or name == "REDUCE_WINDOW", name
        runtimes = [version_key(versions[number]) for number in sorted(versions)]
        assert all(runtime >= (1, 5, 0) for runtime in runtimes)


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("weight_only_int8", {"CONV_2D": "1.5.0", "DEQUANTIZE": "2.7.0"}),
        ("dynamic", {"CONV_2D": "2.4.0"}),
        ("float16", {"DEQUANTIZE": "1.15.0"}),
    ],
)
def test_schemes(scheme, expected):
    master, _ = make_float_master(tiny_model(channels=64))
    artifact = quantize(master, QuantizationSettings(scheme=scheme), None).model
    found = min_runtime(parse_model(artifact))
    runtimes = {row["name"]: row["runtime"] for row in found["operators"]}
    assert expected.items() <= runtimes.items()
    assert found["unknown"] == []
    assert found["version"] == max(runtimes.values(), key=version_key)
    assert found["operators"][0]["runtime"] == found["version"]


def _typed(data: int, weights: int, scales: int = 1, details: int = 0) -> dict:
    model = parse_model(tiny_model())
    graph = model.schema.subgraphs[0]
    for operator in graph.operators:
        for index in [*operator.inputs[:1], *operator.outputs]:
            graph.tensors[index].type = data
        if len(operator.inputs) > 1:
            tensor = graph.tensors[operator.inputs[1]]
            tensor.type = weights
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [0.5] * scales
            tensor.quantization.detailsType = details
    found = min_runtime(model)
    return found | {"versions": {row["name"]: row["version"] for row in found["operators"]}}


@pytest.mark.parametrize(
    ("data", "weights", "scales", "version", "runtime"),
    [
        ("INT8", "INT8", 8, 3, "2.1.0"),  # RELU version 2.
        ("INT8", "INT4", 8, 7, "2.11.0"),
        ("INT16", "INT8", 8, 4, "2.5.0"),  # RELU version 3.
        ("FLOAT32", "INT8", 1, 2, "1.14.0"),
        ("FLOAT32", "INT8", 8, 5, "2.4.0"),
        ("FLOAT32", "FLOAT32", 1, 1, "1.5.0"),
    ],
)
def test_types_ask_for_versions(data, weights, scales, version, runtime):
    kinds = [getattr(schema.TensorType, name) for name in (data, weights)]
    found = _typed(*kinds, scales)
    assert found["versions"]["CONV_2D"] == version
    assert found["version"] == runtime


def test_what_nobody_knows():
    blockwise = schema.QuantizationDetails.BlockwiseQuantization
    found = _typed(schema.TensorType.FLOAT32, schema.TensorType.INT4, 1, blockwise)
    assert found["unknown"] == ["CONV_2D with a scale for each block"]
    graph = ModelBuilder()
    source = graph.input((1, 4))
    content = graph.finish(graph.operator("Own", [source], (1, 4), custom=True))
    assert min_runtime(parse_model(content)) == {
        "operators": [],
        "unknown": ["Own"],
        "version": None,
    }
    model = parse_model(tiny_model())
    model.schema.operatorCodes[0].version = 99
    assert min_runtime(model)["unknown"] == ["CONV_2D version 99"]


def test_what_the_model_says_itself_is_corrected():
    model = parse_model(make_float_master(model_path("palm_detection_full").read_bytes())[0])
    # DENSIFY is gone, half pixel centres are not.
    assert not restate_min_runtime(model)
    assert _stated(model) == "2.2.0"
    for tensor in model.schema.subgraphs[0].tensors:
        tensor.type = schema.TensorType.INT16
    assert restate_min_runtime(model)
    assert _stated(parse_model(model_bytes(model))) == min_runtime(model)["version"] == "2.5.0"
    assert not restate_min_runtime(parse_model(tiny_model()))


def test_an_artifact_says_what_it_needs_and_keeps_its_labels():
    original = parse_model(model_path("palm_detection_full").read_bytes())
    master, _ = make_float_master(model_path("palm_detection_full").read_bytes())
    result = quantize(master, QuantizationSettings(scheme="dynamic"), None)
    artifact = parse_model(result.model)
    assert _stated(original) == "2.2.0"
    assert _stated(artifact) == min_runtime(artifact)["version"] != "2.2.0"
    (entry,) = [entry for entry in result.passes if entry["name"] == "metadata"]
    assert entry["detail"] == "says the runtime that it needs anew"
    assert artifact.associated_files == original.associated_files != []
    assert read_metadata(artifact) == read_metadata(original)


@pytest.mark.parametrize("text", ["", "2", "2.x", "2.1.0.1", "-1.2", "2.1\n", None, 2.1])
def test_no_version(text):
    with pytest.raises(InputError, match=re.escape(repr(text))) as raised:
        version_key(text)
    assert raised.value.code == "runtime.version"
