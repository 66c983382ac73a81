"""Bundles: what is written is read again, what could do harm is refused."""

import io
import random
import struct
import zipfile

import pytest
from hypothesis import given, settings, strategies

from tests.random_models import tiny_model
from tests.refused import refused
from tools.bundle.task_bundle import (
    ALIGNMENT,
    Member,
    is_task_bundle,
    models_of,
    read_task_bundle,
    replace_models,
    task_bundle_bytes,
)
from tools.errors import InputError

_MODEL = tiny_model()
_NAMES = strategies.from_regex(
    r"[a-zé][a-z0-9_]{0,8}(/[a-z][a-z0-9_]{0,8})?\.(txt|binarypb)", fullmatch=True
)
_FILES = strategies.dictionaries(_NAMES, strategies.binary(max_size=200), min_size=1, max_size=6)


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytearray:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = method
            archive.writestr(entry, content)
    return bytearray(stream.getvalue())


def in_central_directory(content: bytes, field: int, form: str, value: int) -> bytearray:
    """Changes a field of the first entry of a zip's directory."""
    changed = bytearray(content)
    struct.pack_into(form, changed, content.index(b"PK\x01\x02") + field, value)
    return changed


def refusal(code: str, content: bytes) -> str:
    with refused(code) as caught:
        read_task_bundle(bytes(content), "a.task")
    message = str(caught.value)
    assert message.startswith("a.task: ")
    return message


@settings(max_examples=80, deadline=None, derandomize=True)
@given(_FILES, strategies.booleans())
def test_what_is_written_is_read_and_lies_as_mediapipe_needs(files, with_model):
    members = [Member(name, content) for name, content in files.items()]
    if with_model:
        members.insert(len(members) // 2, Member("net.tflite", _MODEL))
    content = task_bundle_bytes(members)
    assert read_task_bundle(content) == members
    assert task_bundle_bytes(read_task_bundle(content)) == content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        for entry, member in zip(archive.infolist(), members, strict=True):
            assert entry.compress_type == zipfile.ZIP_STORED
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            name, extra = struct.unpack_from("<2H", content, entry.header_offset + 26)
            start = entry.header_offset + 30 + name + extra
            assert start % ALIGNMENT == 0
            assert content[start : start + entry.file_size] == member.content


@settings(max_examples=300, deadline=None, derandomize=True)
@given(strategies.integers(0, 2**32))
def test_a_damaged_bundle_is_refused_or_the_same(seed):
    rng = random.Random(seed)
    members = [Member("a.txt", bytes(50)), Member("b.txt", b"text" * 9)]
    content = bytearray(
        task_bundle_bytes(members)
        if rng.random() < 0.5
        else zipped(*((m.name, m.content) for m in members), method=zipfile.ZIP_DEFLATED)
    )
    for _ in range(rng.randint(1, 4)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    if rng.random() < 0.3:
        del content[rng.randrange(len(content)) :]
    try:
        found = read_task_bundle(bytes(content))
    except InputError:
        return
    # Names have no checksum, contents have one.
    assert {m.content for m in found} <= {m.content for m in members}


def test_deflated_members_are_read_and_folders_left_out():
    content = zipped(
        ("a/", b""), ("a/net.tflite", _MODEL), ("b.txt", b"b"), method=zipfile.ZIP_DEFLATED
    )
    assert read_task_bundle(bytes(content)) == [
        Member("a/net.tflite", _MODEL),
        Member("b.txt", b"b"),
    ]


def test_mediapipes_own_padding_before_the_first_header():
    """Its writer moves a header until its content is aligned, also the first one."""
    content = bytes(zipped(("abc.txt", b"text")))
    directory = content.index(b"PK\x01\x02")
    content = bytearray(bytes(3) + content)
    struct.pack_into("<L", content, 3 + directory + 42, 3)
    struct.pack_into("<L", content, len(content) - 6, 3 + directory)
    assert is_task_bundle(content)
    assert read_task_bundle(bytes(content)) == [Member("abc.txt", b"text")]


@pytest.mark.parametrize(
    "name",
    ["../a.txt", "/a.txt", "a/../../b", "a\\..\\b", "C:a.txt", "a//b", "./a", "a\0b", "é" * 200],
)
def test_names_that_lead_out_of_the_bundle(name):
    # zipfile itself would cut a name at a NUL.
    content = zipped((name.replace("\0", "?"), b"text"))
    if "\0" in name:
        content = content.replace(b"a?b", b"a\0b")
    refusal("bundle.name", content)
    with refused("bundle.name"):
        task_bundle_bytes([Member(name, b"text")])


@pytest.mark.parametrize(("one", "other"), [("a.txt", "a.txt"), ("a.txt", "A.TXT")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names(one, other):
    assert "two members are named a.txt" in refusal(
        "bundle.name", zipped((one, b"1"), (other, b"2"))
    )
    with refused("bundle.name", "two members are named"):
        task_bundle_bytes([Member(one, b"1"), Member(other, b"2")])


def test_encrypted_members():
    content = in_central_directory(zipped(("a.txt", b"text")), 8, "<H", 1)
    assert "member a.txt is encrypted" in refusal("bundle.unsupported", content)


def test_other_compression():
    content = zipped(("a.txt", b"text" * 99), method=zipfile.ZIP_LZMA)
    assert "compressed by method 14" in refusal("bundle.unsupported", content)


def test_a_bomb_that_says_what_it_is():
    content = zipped(("a.txt", bytes(10**7)), method=zipfile.ZIP_DEFLATED)
    assert f"say that they hold {10**7}" in refusal("bundle.unsafe", content)


def test_a_bomb_that_does_not():
    content = zipped(("a.txt", bytes(10**7)), method=zipfile.ZIP_DEFLATED)
    content = in_central_directory(content, 24, "<L", 1000)
    assert "unpacks to more than the 1000 bytes" in refusal("bundle.unsafe", content)


def test_members_that_share_bytes():
    """The bomb of one kernel of data, read by many members."""
    content = zipped(("a.txt", bytes(100)), ("b.txt", bytes(100)))
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    struct.pack_into("<L", content, second + 42, 0)
    assert "lies in another" in refusal("bundle.unsafe", content)


def test_a_changed_content():
    content = zipped(("a.txt", b"text"))
    content[content.index(b"text")] ^= 1
    assert "is not what the bundle says" in refusal("bundle.damaged", content)


def test_a_size_that_leads_out_of_the_file():
    content = in_central_directory(zipped(("a.txt", b"text")), 20, "<L", 2000)
    refusal("bundle.damaged", content)


@pytest.mark.parametrize(
    ("content", "code", "expected"),
    [
        (b"", "bundle.kind", "not a task bundle"),
        (_MODEL, "bundle.kind", "not a task bundle"),
        (zipped(("a", b""))[:40], "bundle.damaged", ""),
        (b"PK\x05\x06" + bytes(18), "bundle.empty", ""),
        (zipped(("a/", b"")), "bundle.empty", ""),
        (zipped(("a.tflite", b"text")), "bundle.kind", "member a.tflite is no TFLite model"),
        (zipped(("a.task", _MODEL)), "bundle.kind", "member a.task is no bundle"),
    ],
)
def test_what_is_no_bundle_of_models(content, code, expected):
    assert expected in refusal(code, bytes(content))


def test_too_many_members():
    assert "1001 members" in refusal(
        "bundle.unsafe", zipped(*((f"{i}.txt", b"") for i in range(1001)))
    )


def test_bundles_in_bundles():
    inner = task_bundle_bytes([Member("b.tflite", _MODEL), Member("labels.txt", b"one")])
    members = [Member("in.task", inner), Member("PREFILL_DECODE", _MODEL), Member("c.txt", b"c")]
    content = task_bundle_bytes(members)
    assert list(models_of(read_task_bundle(content))) == ["in.task/b.tflite", "PREFILL_DECODE"]
    other = tiny_model(1)
    replaced = replace_models(
        members, lambda path, model: other if path == "in.task/b.tflite" else model
    )
    assert [m.name for m in replaced] == [m.name for m in members]
    assert replaced[1:] == members[1:]
    assert read_task_bundle(replaced[0].content) == [
        Member("b.tflite", other), Member("labels.txt", b"one"),
    ]  # fmt: skip


def test_bundles_that_never_end():
    content = task_bundle_bytes([Member("a.txt", b"")])
    for _ in range(5):
        content = task_bundle_bytes([Member("in.task", content)])
    with refused("bundle.unsafe", "over 3 deep"):
        models_of(read_task_bundle(content))


def test_a_bundle_of_nothing():
    with refused("bundle.empty"):
        task_bundle_bytes([])
