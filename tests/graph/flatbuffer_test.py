import io
import struct
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings

from tests.extent import count
from tests.model_files import REAL_MODELS, model_path
from tests.random_models import ModelBuilder, float_models, run_model, tiny_model
from tests.refused import refused
from tools.graph.flatbuffer import (
    MAXIMUM_BYTES,
    TfliteModel,
    builtin_code,
    model_bytes,
    parse_model,
    read_model,
    runnable_bytes,
    text,
)


def plain(value):
    """Makes of the schema's objects what can be compared; no list is an empty list."""
    if isinstance(value, np.ndarray):
        return (value.dtype.kind, value.tolist()) if value.size else None
    if isinstance(value, list):
        return [plain(entry) for entry in value] or None
    if isinstance(value, float) and value != value:
        return "NaN"
    if hasattr(value, "__dict__"):
        return {name: plain(entry) for name, entry in vars(value).items()}
    return value


def data_offsets(content: bytes) -> list[int]:
    """Finds where in the file each buffer's data begins."""
    model = schema.Model.GetRootAs(content, 0)
    offsets = []
    for number in range(model.BuffersLength()):
        table = model.Buffers(number)._tab
        field = table.Offset(4)
        if field and table.VectorLen(field):
            offsets.append(table.Vector(field))
    return offsets


@pytest.fixture(scope="module", params=REAL_MODELS)
def real(request) -> bytes:
    return model_path(request.param).read_bytes()


def test_real_model_is_the_same_when_written_and_read(real):
    model = parse_model(real)
    before = plain(model.schema)
    content = model_bytes(model)
    assert plain(model.schema) == before
    again = parse_model(content)
    assert plain(again.schema) == before
    assert again.associated_files == model.associated_files
    assert model_bytes(again) == content


def test_buffers_of_a_real_model_are_aligned(real):
    offsets = data_offsets(model_bytes(parse_model(real)))
    assert len(offsets) > 10
    assert {offset % 16 for offset in offsets} == {0}


@settings(max_examples=count(15, 60), deadline=None, derandomize=True)
@given(float_models())
def test_random_model_is_the_same_when_written_and_read(content):
    model = parse_model(content)
    assert plain(parse_model(model_bytes(model)).schema) == plain(model.schema)
    assert model_bytes(model) == content
    assert {offset % 16 for offset in data_offsets(content)} == {0}


@settings(max_examples=count(15, 60), deadline=None, derandomize=True)
@given(float_models())
def test_what_is_only_run_is_the_same_model(content):
    model = parse_model(content)
    # Other code may leave lists where a parser leaves arrays.
    for subgraph in model.schema.subgraphs:
        for operator in subgraph.operators:
            operator.inputs = [int(index) for index in operator.inputs]
    assert model_bytes(parse_model(runnable_bytes(model))) == model_bytes(model)


def test_equal_constants_are_written_once():
    model = parse_model(tiny_model())
    without = len(model_bytes(model))
    ones = np.ones(4096, np.float32)
    model.add_constant(ones)
    once = len(model_bytes(model))
    model.add_constant(ones)
    assert once > without + ones.nbytes
    assert len(model_bytes(model)) < once + 64


def test_equal_tables_are_written_once():
    content = tiny_model()
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    tables = [graph.Operators(number).BuiltinOptions() for number in (0, 2, 4, 6)]
    assert len({table.Pos for table in tables}) == 1
    # Those of the activations between are another kind's, or none.
    assert all(graph.Operators(number).BuiltinOptions() is None for number in (1, 3, 5))


def test_equal_tables_of_different_buffers_are_not_one():
    graph = ModelBuilder()
    image = graph.input((1, 1, 2, 4))
    first = graph.constant(np.float32([1, 2, 3, 4]))
    second = graph.constant(np.float32([4, 3, 2, 1]))
    content = graph.finish(graph.binary("ADD", graph.binary("MUL", image, first), second))
    model = parse_model(content)
    values = [model.tensor_data(model.schema.subgraphs[0].tensors[i]) for i in (first, second)]
    np.testing.assert_array_equal(values, [[1, 2, 3, 4], [4, 3, 2, 1]])


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("hand_landmark_full", {"handedness.txt"}),
        ("selfie_segmentation", {"labels.txt"}),
        ("palm_detection_full", {"labels.txt"}),
    ],
)
def test_associated_files_of_a_real_model_are_kept(name, files):
    original = model_path(name).read_bytes()
    content = model_bytes(parse_model(original))
    with (
        zipfile.ZipFile(io.BytesIO(original)) as before,
        zipfile.ZipFile(io.BytesIO(content)) as after,
    ):
        assert set(before.namelist()) == set(after.namelist()) == files
        assert after.testzip() is None
        for file in files:
            assert after.read(file) == before.read(file)


def test_associated_files_in_order_and_found_by_strict_readers():
    files = [("b.txt", b"second\n"), ("a/empty.txt", b""), ("a.bin", bytes(range(256)) * 9)]
    model = parse_model(tiny_model())
    bare = model_bytes(model)
    model.associated_files = files
    content = model_bytes(model)
    assert content.startswith(bare)
    assert parse_model(content).associated_files == files
    # Offsets in the zip count from the start of the file.
    (directory,) = struct.unpack("<I", content[-6:-2])
    assert content[directory:].startswith(b"PK\x01\x02")
    (header,) = struct.unpack_from("<I", content, directory + 42)
    assert content[header:].startswith(b"PK\x03\x04")
    assert header == len(bare)


def test_metadata_is_kept():
    model = parse_model(model_path("selfie_segmentation").read_bytes())
    again = parse_model(model_bytes(model))
    (entry,) = [e for e in again.schema.metadata if text(e.name) == "TFLITE_METADATA"]
    data = bytes(again.schema.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    assert data == bytes(model.schema.buffers[model.schema.metadata[0].buffer].data)


def test_bytes_that_look_like_the_end_of_a_zip_are_no_zip():
    model = parse_model(tiny_model())
    model.add_constant(np.frombuffer(b"PK\x05\x06" * 8, np.uint8))
    content = model_bytes(model)
    assert b"PK\x05\x06" in content
    assert parse_model(content).associated_files == []
    model.associated_files = [("labels.txt", b"face")]
    assert parse_model(model_bytes(model)).associated_files == [("labels.txt", b"face")]


def test_damaged_associated_file_is_refused_not_lost():
    stream = io.BytesIO(tiny_model())
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", b"person\n" * 50)
    content = bytearray(stream.getvalue())
    assert parse_model(bytes(content)).associated_files == [("labels.txt", b"person\n" * 50)]
    start = content.index(b"labels.txt")
    content[start + 14] ^= 0xFF
    with refused("model.damaged"):
        parse_model(bytes(content))


def behind_the_flatbuffer(content: bytes) -> bytes:
    """Moves constants and custom options to the end of the file, as writers of large files do."""
    model = parse_model(content).schema
    (subgraph,) = model.subgraphs
    moved = [(b, "data", "offset", "size") for b in model.buffers if b.data is not None]
    moved += [
        (operator, "customOptions", "largeCustomOptionsOffset", "largeCustomOptionsSize")
        for operator in subgraph.operators
        if operator.customOptions is not None
    ]
    parts = [bytes(getattr(owner, field)) for owner, field, _, _ in moved]
    # The offsets depend on the flatbuffer's length, which does not depend on them.
    start = 2**20
    for _ in range(2):
        end = start
        for (owner, field, offset, size), part in zip(moved, parts, strict=True):
            setattr(owner, field, None)
            setattr(owner, offset, end)
            setattr(owner, size, len(part))
            end += -(-len(part) // 16) * 16
        flatbuffer = model_bytes(TfliteModel(model, [], "model"))
        start = -(-len(flatbuffer) // 16) * 16
    padded = [part.ljust(-(-len(part) // 16) * 16, b"\0") for part in parts]
    return flatbuffer.ljust(start, b"\0") + b"".join(padded)


def test_constants_behind_the_flatbuffer_are_read():
    content = tiny_model()
    outside = behind_the_flatbuffer(content)
    assert schema.Model.GetRootAs(outside, 0).Buffers(1).DataIsNone()
    # The runtime reads the same form.
    np.testing.assert_array_equal(run_model(outside)[0], run_model(content)[0])
    assert model_bytes(parse_model(outside)) == content


def test_custom_options_behind_the_flatbuffer_are_read():
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    result = graph.operator("MyTransform", [image], (1, 4, 4, 3), custom=True)
    graph.subgraph.operators[0].customOptions = np.frombuffer(b"many options", np.uint8)
    content = graph.finish(result)
    outside = behind_the_flatbuffer(content)
    assert outside.endswith(b"many options\0\0\0\0")
    assert model_bytes(parse_model(outside)) == content


def test_constant_behind_the_end_of_the_file_is_refused():
    outside = behind_the_flatbuffer(tiny_model())
    assert parse_model(outside)
    with refused("model.damaged"):
        parse_model(outside[:-32])


def test_constants_are_read_in_their_shape():
    model = parse_model(tiny_model())
    tensors = {text(tensor.name): tensor for tensor in model.schema.subgraphs[0].tensors}
    weights = model.tensor_data(tensors["weights_0"])
    assert weights.shape == (8, 3, 3, 3)
    assert weights.dtype == np.float32
    assert model.tensor_data(tensors["scores"]) is None
    np.testing.assert_array_equal(model.tensor_data(tensors["head/bias"]), np.zeros(4))
    tensors["weights_0"].shape = np.array([8, 3, 3, 4], np.int32)
    with refused("model.damaged", r"weights_0 has 864 bytes for the shape \[8, 3, 3, 4\]"):
        model.tensor_data(tensors["weights_0"])


@pytest.mark.parametrize(
    ("old", "new", "expected"), [(3, 0, 3), (3, 3, 3), (127, 150, 150), (0, 0, 0)]
)
def test_operator_code_is_in_either_field(old, new, expected):
    code = schema.OperatorCodeT()
    code.deprecatedBuiltinCode, code.builtinCode = old, new
    assert builtin_code(code) == expected


def test_custom_operator_has_its_own_name():
    model = parse_model(model_path("selfie_segmentation").read_bytes())
    names = {model.operator_name(operator) for operator in model.schema.subgraphs[0].operators}
    assert "Convolution2DTransposeBias" in names
    assert "CONV_2D" in names


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", b"\x00" * 64, b"\x89PNG\r\n\x1a\n" + b"\x00" * 99, b"x" * 4 + b"TFL2"]
)
def test_what_is_no_tflite_file(content, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    with refused("model.kind") as raised:
        read_model(path)
    assert str(raised.value) == (
        f"{path}: not a TFLite file (it does not carry the identifier TFL3)"
    )


def test_file_over_the_format_s_limit_is_not_read(tmp_path):
    path = tmp_path / "net.tflite"
    with open(path, "wb") as file:
        file.truncate(MAXIMUM_BYTES + 1)
    with refused("model.too_large", "2147483648 bytes; .* at most 2147483647"):
        read_model(path)


def test_constants_over_the_format_s_limit_are_not_written():
    model = parse_model(tiny_model())
    # One page, seen as many: it takes no memory.
    page = np.broadcast_to(np.uint8(0), (2**30,))
    model.schema.buffers += [schema.BufferT() for _ in range(2)]
    for buffer in model.schema.buffers[-2:]:
        buffer.data = page
    with refused("model.too_large", "bytes of constants; "):
        model_bytes(TfliteModel(model.schema, [], "net"))
