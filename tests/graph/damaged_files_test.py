"""A damaged file is refused in one line, or what is left of it is a sound model."""

import io
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.graph.sparse_storage import sparse_model, store
from tests.model_files import model_path
from tests.random_models import tiny_model
from tests.refused import refused
from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.model_metadata import normalization
from tools.graph.topology import Topology


def _zipped(content: bytes) -> bytes:
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", b"person\nface\n" * 20)
    return stream.getvalue()


def _sparse() -> bytes:
    dense = np.float16(np.eye(4, 8)).reshape(1, 1, 4, 8)
    return sparse_model(dense, *store(dense, [0, 1, 2, 3], {3}, width=0))


BASES = {
    "plain": tiny_model(channels=2),
    "master": make_float_master(tiny_model(channels=2))[0],
    "sparse": _sparse(),
    "zipped": _zipped(tiny_model(channels=2)),
}


def refused_or_sound(content: bytes) -> bool:
    """Does all that reads a file. Says whether it was read."""
    refusals = []
    for read in (parse_model, describe, make_float_master):
        try:
            read(content, "net.tflite")
        except InputError as error:
            refusals.append((read, str(error)))
    for _, message in refusals:
        assert message.startswith("net.tflite: ")
    if parse_model in dict(refusals):
        return False
    normalization(content)
    model = parse_model(content)
    Topology(model)
    # What was read can be written, and is read again.
    parse_model(model_bytes(model))
    return True


@pytest.mark.parametrize("base", BASES)
def test_whole_file_is_read(base):
    assert refused_or_sound(BASES[base])


@pytest.mark.parametrize("base", BASES)
def test_truncated_anywhere(base):
    content = BASES[base]
    # The zip's end record closes the file.
    read = [cut for cut in range(0, len(content), count(21, 7)) if refused_or_sound(content[:cut])]
    assert all(cut > len(content) / 2 for cut in read)


def test_real_file_truncated_anywhere():
    content = model_path("face_detection_short_range").read_bytes()
    for cut in range(0, len(content), len(content) // 60):
        assert not refused_or_sound(content[:cut])


@settings(max_examples=count(100, 400), deadline=None, derandomize=True)
@given(
    strategies.sampled_from(sorted(BASES)),
    strategies.lists(
        strategies.tuples(strategies.floats(0, 1, exclude_max=True), strategies.integers(0, 255)),
        min_size=1,
        max_size=6,
    ),
)
def test_random_bytes_are_others(base, changes):
    content = bytearray(BASES[base])
    for where, value in changes:
        content[int(where * len(content))] = value
    refused_or_sound(bytes(content))


def _fields(value, found: list) -> list:
    for entry in value if isinstance(value, list) else []:
        _fields(entry, found)
    for name, entry in vars(value).items() if hasattr(value, "__dict__") else ():
        found.append((value, name))
        _fields(entry, found)
    return found


@settings(max_examples=count(100, 400), deadline=None, derandomize=True)
@given(
    strategies.sampled_from(sorted(BASES)),
    strategies.floats(0, 1, exclude_max=True),
    strategies.sampled_from(["none", -2, -1, 0, 1, 99, 2**31 - 1]),
)
def test_one_field_is_another_or_left_out(base, where, value):
    """Flipped bytes seldom make a file that is whole but for one field; this does."""
    model = parse_model(BASES[base]).schema
    fields = _fields(model, [])
    owner, name = fields[int(where * len(fields))]
    old = getattr(owner, name)
    if value == "none":
        setattr(owner, name, None)
    elif isinstance(old, int) and not isinstance(old, bool):
        setattr(owner, name, value)
    elif isinstance(old, np.ndarray) and old.size and old.dtype != np.uint8:
        setattr(owner, name, np.append(old[:-1], old.dtype.type(min(value, 127))))
    elif isinstance(old, list) and old:
        del old[-1]
    try:
        content = model_bytes(TfliteModel(model, [], "net"))
    except Exception:
        return  # A value that the field cannot hold cannot come from a file.
    refused_or_sound(content)


def test_name_that_is_no_text():
    content = BASES["master"].replace(b"scores", b"sc\xff\xferes"[:6])
    (output,) = describe(content)["outputs"]
    assert output["shape"] == [1, 16, 16, 4]
    assert output["name"].startswith("sc")
    master, _ = make_float_master(content)
    assert len(parse_model(master).schema.signatureDefs) == 1


@pytest.mark.parametrize("index", [-1, 10**6])
def test_signature_that_names_no_tensor(index):
    model = parse_model(BASES["master"])
    model.schema.signatureDefs[0].outputs[0].tensorIndex = index % 2**32
    with refused("model.damaged"):
        parse_model(model_bytes(model))


def test_unknown_tensor_type_has_a_number():
    model = parse_model(BASES["plain"])
    model.schema.subgraphs[0].tensors[0].type = 99
    assert describe(model_bytes(model))["inputs"][0]["dtype"] == "type_99"


def test_sparse_shape_that_is_damaged_takes_no_memory():
    model = parse_model(BASES["sparse"])
    (stored,) = [t for t in model.schema.subgraphs[0].tensors if t.sparsity is not None]
    for shape in ([2**31 - 1, 1, 4, 8], [1, 1, 2**20, 2**30], [1, 1, 2**24, 8]):
        stored.shape = np.array(shape, np.int32)
        with pytest.raises(InputError, match=r"larger than the|over 1000 times as large"):
            make_float_master(model_bytes(model))


def test_dequantize_without_an_input_is_left_alone():
    model = parse_model(BASES["sparse"])
    (operator,) = [
        op for op in model.schema.subgraphs[0].operators if model.operator_name(op) == "DEQUANTIZE"
    ]
    for inputs in ([-1], []):
        operator.inputs = inputs
        master, summary = make_float_master(model_bytes(model))
        assert summary["folded_dequantize"] == 0
        assert describe(master)["ops"] == {"ADD": 1, "DEQUANTIZE": 1}


def test_identifier_is_all_that_is_left():
    assert schema.Model.ModelBufferHasIdentifier(BASES["plain"], 0)
    with refused("model.damaged"):
        parse_model(BASES["plain"][:8])
