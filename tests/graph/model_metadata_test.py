import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.model_files import model_path
from tests.random_models import ModelBuilder, tiny_model
from tests.refused import refused
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.model_metadata import (
    add_image_metadata,
    normalization,
    read_metadata,
    restate_statistics,
)

_NORMALIZATION, _SCORE_CALIBRATION = 1, 2


def _floats(builder: flatbuffers.Builder, values) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()


def _table(builder: flatbuffers.Builder, fields: dict[int, int]) -> int:
    builder.StartObject(9)
    for number, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(number, offset, 0)
    return builder.EndObject()


def _tables(builder: flatbuffers.Builder, tables: list[int]) -> int:
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return builder.EndVector()


def metadata(units: list[tuple[int, list[float] | None, list[float] | None]]) -> bytes:
    """Writes ModelMetadata (metadata_schema.fbs) with the process units of one input.

    Args:
      units: (which member of ProcessUnitOptions, mean, std).

    Returns:
      The flatbuffer.
    """
    builder = flatbuffers.Builder(256)
    written = []
    for kind, mean, std in units:
        options = {
            number: _floats(builder, values)
            for number, values in enumerate((mean, std))
            if values is not None
        }
        table = _table(builder, options)
        builder.StartObject(2)
        builder.PrependUint8Slot(0, kind, 0)
        builder.PrependUOffsetTRelativeSlot(1, table, 0)
        written.append(builder.EndObject())
    name = builder.CreateString("image")
    tensor = _table(builder, {0: name, 4: _tables(builder, written)})
    subgraph = _table(builder, {2: _tables(builder, [tensor])})
    model = _table(builder, {3: _tables(builder, [subgraph])})
    builder.Finish(model, file_identifier=b"M001")
    return bytes(builder.Output())


def with_metadata(data: bytes, name: str = "TFLITE_METADATA") -> bytes:
    model = parse_model(tiny_model())
    for entry_name, content in (("min_runtime_version", b"1.5.0"), (name, data)):
        entry = schema.MetadataT()
        entry.name = entry_name
        entry.buffer = model.add_constant(np.frombuffer(content, np.uint8))
        model.schema.metadata = [*(model.schema.metadata or []), entry]
    return model_bytes(model)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("face_detection_full_range_sparse", (127.5, 127.5)),
        ("face_detection_short_range", (127.5, 127.5)),
        ("face_landmark", (0, 255)),
        ("hand_landmark_full", (0, 255)),
        ("iris_landmark", None),
        ("palm_detection_lite", None),
        ("pose_detection", (127.5, 127.5)),
        ("selfie_segmentation", (0, 255)),
    ],
)
def test_real_models_and_their_masters(name, expected):
    content = model_path(name).read_bytes()
    assert normalization(content) == expected
    assert normalization(make_float_master(content)[0]) == expected


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([(_NORMALIZATION, [127.5], [64])], (127.5, 64)),
        ([(_NORMALIZATION, [1, 2, 3], [4, 5, 6])], (1, 4)),
        ([(_SCORE_CALIBRATION, [9], [9]), (_NORMALIZATION, [0], [255])], (0, 255)),
        ([(_SCORE_CALIBRATION, [9], [9])], None),
        ([(_NORMALIZATION, [1], [0])], None),
        ([(_NORMALIZATION, [1], [float("nan")])], None),
        ([(_NORMALIZATION, [float("inf")], [1])], None),
        ([(_NORMALIZATION, [], [1])], None),
        ([(_NORMALIZATION, [1], None)], None),
        ([], None),
    ],
)
def test_options(units, expected):
    assert normalization(with_metadata(metadata(units))) == expected


def test_no_metadata():
    assert normalization(tiny_model()) is None
    other = with_metadata(metadata([(_NORMALIZATION, [1], [2])]), "OTHER")
    assert normalization(other) is None


@settings(max_examples=count(40, 150), deadline=None, derandomize=True)
@given(
    strategies.integers(0, 10**6),
    strategies.lists(
        strategies.tuples(strategies.integers(0, 10**6), strategies.integers(0, 255)), max_size=4
    ),
)
def test_damaged_metadata_says_nothing_or_numbers(cut, changes):
    data = bytearray(metadata([(_NORMALIZATION, [127.5], [64])]))
    for where, value in changes:
        data[where % len(data)] = value
    result = normalization(with_metadata(bytes(data[: cut % len(data) + 1])))
    assert result is None or (np.isfinite(result).all() and result[1] != 0)


def _int8_ends(content: bytes, scale: float, zero: int, kind: int) -> bytes:
    """Makes inputs integers on the paper; nobody runs it."""
    model = parse_model(content)
    graph = model.schema.subgraphs[0]
    for index in graph.inputs:
        tensor = graph.tensors[int(index)]
        tensor.type = kind
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = [scale]
        tensor.quantization.zeroPoint = [zero]
    return model_bytes(model)


@settings(max_examples=count(10, 25), deadline=None, derandomize=True)
@given(strategies.floats(0, 255, width=32), strategies.floats(0.5, 255, width=32))
def test_what_is_written_is_read_and_restated_for_integers(mean, std):
    content = add_image_metadata(tiny_model(), mean, std)
    assert normalization(content) == (mean, std)
    (told,) = read_metadata(parse_model(content)).inputs
    np.testing.assert_allclose(
        [told.minimum[0], told.maximum[0]], [-mean / std, (255 - mean) / std], 1e-5
    )
    scale = 1 / std
    model = parse_model(_int8_ends(content, scale, round(mean) - 128, schema.TensorType.INT8))
    assert restate_statistics(model)
    (restated,) = read_metadata(parse_model(model_bytes(model))).inputs
    # What is normalised from 0 to 255 has all 256 integers, a rounding aside.
    assert abs(restated.minimum[0] + 128) <= 1
    assert abs(restated.maximum[0] - 127) <= 1
    assert (restated.mean, restated.std, restated.name) == (told.mean, told.std, told.name)


def test_every_model_with_statistics_keeps_all_else():
    """MediaPipe's own metadata, whose labels stay and can still be read."""
    content = model_path("hand_landmark_full").read_bytes()
    model = parse_model(_int8_ends(content, 1 / 255, 0, schema.TensorType.UINT8))
    before = read_metadata(model)
    assert before.outputs[0].labels == ("handedness.txt",)
    assert restate_statistics(model)
    after = read_metadata(parse_model(model_bytes(model)))
    assert after.inputs[0].maximum == (255, 255, 255)
    assert after.inputs[0].minimum == (0, 0, 0)
    assert after.inputs[0].mean == before.inputs[0].mean
    assert (after.outputs, after.parser_version) == (before.outputs, before.parser_version)


def test_a_float_model_has_nothing_to_restate():
    for content in (model_path("hand_landmark_full").read_bytes(), tiny_model()):
        assert not restate_statistics(parse_model(content))


def test_metadata_that_is_there_stays():
    known = with_metadata(metadata([(_NORMALIZATION, [1], [2])]))
    assert add_image_metadata(known, 127.5, 127.5) == known
    with refused("model.metadata"):
        add_image_metadata(with_metadata(metadata([])), 0, 255)


def test_no_image_has_no_normalisation():
    graph = ModelBuilder()
    source = graph.input((1, 4))
    content = graph.finish(graph.operator("RELU", [source], (1, 4)))
    with refused("model.interface", r"shape is \[1, 4\]"):
        add_image_metadata(content, 0, 255)
