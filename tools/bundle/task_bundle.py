"""MediaPipe's `.task` bundles in and out: a zip of models and the files that go with them.

MediaPipe maps a bundle into memory and hands each member's bytes to the interpreter where
they lie. So members are stored, not compressed, and begin at a multiple of four bytes
(mediapipe/tasks/cc/metadata/utils/zip_utils.cc, python/metadata/metadata_writers/
model_asset_bundle_utils.py). Here it is sixteen: a flatbuffer's constants are aligned to
sixteen from its own beginning, and stay so in memory.

A bundle may hold bundles: gesture_recognizer.task has hand_landmarker.task in it. The path
of such a member is `hand_landmarker.task/hand_detector.tflite`.
"""

import dataclasses
import io
import itertools
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence

from tools.errors import InputError

ALIGNMENT = 16
BUNDLE_ENDING = ".task"
MODEL_ENDING = ".tflite"

# What a flatbuffer holds at most; a bundle of more cannot be mapped on a 32-bit device.
MAXIMUM_BYTES = 2**31 - 1

# Weights are close to noise, and even sparse ones are stored by their values. Deflate can
# make a thousand bytes of one.
_MOST_EXPANSION = 100
_MOST_MEMBERS = 1000
_MOST_NESTING = 3

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_MODEL_IDENTIFIER = b"TFL3"
_ENCRYPTED = 0x1 | 0x40

# The extra field by which Android's zipalign pads: what it is aligned to, then zeros.
_ALIGNMENT_FIELD = 0xD935
_ALIGNMENT_FIELD_BYTES = 6

# The earliest time that a zip can say.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


@dataclasses.dataclass(frozen=True)
class Member:
    """A file of a bundle.

    Attributes:
      name: in the bundle, with slashes for folders.
      content: its bytes.
    """

    name: str
    content: bytes

    @property
    def is_model(self) -> bool:
        """Whether it is a TFLite flatbuffer; some bundles name theirs without an ending."""
        return self.name.endswith(MODEL_ENDING) or self.content[4:8] == _MODEL_IDENTIFIER

    @property
    def is_bundle(self) -> bool:
        """Whether it is a bundle in the bundle."""
        return self.name.endswith(BUNDLE_ENDING)


def is_task_bundle(content: bytes) -> bool:
    """Says whether a file begins as a bundle does.

    MediaPipe's own writer pads before a member's header, so that zeros may come first.
    """
    return content[:ALIGNMENT].lstrip(b"\0").startswith(_LOCAL_SIGNATURE[:2])


def _check_name(name: str, where: str) -> None:
    """Refuses names that could lead out of the folder into which a bundle is unpacked."""
    parts = name.split("/")
    if (
        not name.isprintable()
        or "\\" in name
        or ":" in name
        or any(part in ("", ".", "..") for part in parts)
        or len(name.encode("utf-8", "replace")) > 255
    ):
        raise InputError(
            "bundle.name",
            f"{where}: member {name!r} is no name of a file below the bundle; "
            "make the bundle again with plain names",
        )


def _check_content(member: Member, where: str) -> None:
    if member.name.endswith(MODEL_ENDING) and member.content[4:8] != _MODEL_IDENTIFIER:
        raise InputError(
            "bundle.kind",
            f"{where}: member {member.name} is no TFLite model (it does not carry the "
            "identifier TFL3); give the model's own file",
        )
    if member.is_bundle and not is_task_bundle(member.content):
        raise InputError(
            "bundle.kind",
            f"{where}: member {member.name} is no bundle (it does not begin as a zip does); "
            "give the bundle's own file",
        )


def _refuse_duplicates(names: Sequence[str], where: str) -> None:
    # Folders that do not tell capitals apart would have one file for two members.
    seen: dict[str, str] = {}
    for name in names:
        if name.casefold() in seen:
            raise InputError(
                "bundle.name",
                f"{where}: two members are named {seen[name.casefold()]}"
                f"{'' if seen[name.casefold()] == name else f' and {name}'}; keep one of them",
            )
        seen[name.casefold()] = name


def _stored_bytes(entry: zipfile.ZipInfo, content: bytes, where: str) -> tuple[int, int]:
    """Finds where a member's bytes lie, by its own header."""
    damaged = InputError(
        "bundle.damaged",
        f"{where}: member {entry.filename} is truncated or damaged; fetch the bundle again",
    )
    start = entry.header_offset
    if start < 0 or start + _LOCAL_HEADER.size > len(content):
        raise damaged
    signature, *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack_from(content, start)
    data = start + _LOCAL_HEADER.size + name_bytes + extra_bytes
    if signature != _LOCAL_SIGNATURE or data + entry.compress_size > len(content):
        raise damaged
    return data, data + entry.compress_size


def _inflated(entry: zipfile.ZipInfo, stored: bytes, where: str) -> bytes:
    """Unpacks a member, and never more of it than it says."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(stored, entry.file_size + 1)
    except zlib.error:
        content = b""
    if len(content) > entry.file_size:
        raise InputError(
            "bundle.unsafe",
            f"{where}: member {entry.filename} unpacks to more than the {entry.file_size} bytes "
            "that it says; the bundle is damaged or made to do harm",
        )
    return content


def _read_member(entry: zipfile.ZipInfo, stored: bytes, where: str) -> Member:
    if entry.flag_bits & _ENCRYPTED:
        raise InputError(
            "bundle.unsupported",
            f"{where}: member {entry.filename} is encrypted; MediaPipe cannot read it either, "
            "make the bundle again without a password",
        )
    if entry.compress_type == zipfile.ZIP_STORED:
        content = stored
    elif entry.compress_type == zipfile.ZIP_DEFLATED:
        content = _inflated(entry, stored, where)
    else:
        raise InputError(
            "bundle.unsupported",
            f"{where}: member {entry.filename} is compressed by method {entry.compress_type}; "
            "make the bundle again with stored members",
        )
    if len(content) != entry.file_size or zlib.crc32(content) != entry.CRC:
        raise InputError(
            "bundle.damaged",
            f"{where}: member {entry.filename} is not what the bundle says it is (size or "
            "checksum); fetch the bundle again",
        )
    return Member(entry.filename, content)


def read_task_bundle(content: bytes, where: str = "bundle") -> list[Member]:
    """Reads a bundle, whose members may be deflated; MediaPipe itself reads stored ones only.

    Args:
      content: the whole file.
      where: how messages name it.

    Returns:
      Its members in the order of its directory; folders, which hold nothing, are left out.

    Raises:
      InputError: when it is no zip, damaged, or made to do harm: names that lead out of
        it, duplicate names, encrypted members, members that share bytes or unpack to far
        more than they take; or when a member named as a model is none.
    """
    if not is_task_bundle(content):
        raise InputError(
            "bundle.kind", f"{where}: not a task bundle (it does not begin as a zip does)"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error):
        raise InputError(
            "bundle.damaged", f"{where}: the bundle is truncated or damaged; fetch it again"
        ) from None
    if not entries:
        raise InputError(
            "bundle.empty", f"{where}: the bundle is empty; give one that holds models"
        )
    if len(entries) > _MOST_MEMBERS:
        raise InputError(
            "bundle.unsafe",
            f"{where}: {len(entries)} members; at most {_MOST_MEMBERS} are read, no task needs "
            "more",
        )
    for entry in entries:
        # zipfile cuts a name at a NUL; what came before it is not the member's name.
        _check_name(entry.orig_filename, where)
    _refuse_duplicates([entry.filename for entry in entries], where)
    declared = sum(entry.file_size for entry in entries)
    if declared > min(MAXIMUM_BYTES, _MOST_EXPANSION * len(content)):
        raise InputError(
            "bundle.unsafe",
            f"{where}: {len(content)} bytes say that they hold {declared}; "
            "a bundle of models does not, fetch it again",
        )
    places = [_stored_bytes(entry, content, where) for entry in entries]
    in_order = sorted(zip(places, entries, strict=True), key=lambda one: one[0])
    for ((_, end), _), ((_, _), entry) in itertools.pairwise(in_order):
        if entry.header_offset < end:
            raise InputError(
                "bundle.unsafe",
                f"{where}: member {entry.filename} lies in another; the bundle is damaged or made "
                "to do harm",
            )
    members = [
        _read_member(entry, content[start:end], where)
        for (start, end), entry in zip(places, entries, strict=True)
    ]
    for member in members:
        _check_content(member, where)
    return members


def task_bundle_bytes(members: Sequence[Member], where: str = "bundle") -> bytes:
    """Writes a bundle as MediaPipe reads it: members stored and aligned.

    Args:
      members: in the order in which they should lie.
      where: how messages name it.

    Returns:
      The whole file. The same members give the same bytes; no time is in it.

    Raises:
      InputError: when there are none, two have a name, a name leads out of the bundle, a
        member is not what its name says, or they take more than a bundle may.
    """
    if not members:
        raise InputError("bundle.empty", f"{where}: a bundle of nothing; give it members")
    for member in members:
        _check_name(member.name, where)
        _check_content(member, where)
    _refuse_duplicates([member.name for member in members], where)
    total = sum(len(member.content) for member in members)
    if total > MAXIMUM_BYTES:
        raise InputError(
            "bundle.too_large", f"{where}: {total} bytes; a bundle holds at most {MAXIMUM_BYTES}"
        )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for member in members:
            entry = zipfile.ZipInfo(member.name, _NO_TIME)
            entry.create_system = 3  # Unix, wherever it is written.
            entry.external_attr = 0o644 << 16
            header = _LOCAL_HEADER.size + len(member.name.encode()) + _ALIGNMENT_FIELD_BYTES
            padding = -(stream.tell() + header) % ALIGNMENT
            entry.extra = struct.pack(
                "<3H", _ALIGNMENT_FIELD, _ALIGNMENT_FIELD_BYTES - 4 + padding, ALIGNMENT
            ) + bytes(padding)
            archive.writestr(entry, member.content)
    return stream.getvalue()


def _refuse_nesting(folder: str, where: str) -> None:
    if folder.count("/") > _MOST_NESTING:
        raise InputError(
            "bundle.unsafe", f"{where}: bundles in bundles, over {_MOST_NESTING} deep; unpack them"
        )


def replace_models(
    members: Sequence[Member],
    replace: Callable[[str, bytes], bytes],
    where: str = "bundle",
    _folder: str = "",
) -> list[Member]:
    """Replaces the models of a bundle, also of the bundles in it.

    Args:
      members: of the bundle.
      replace: takes a model's path in the bundle and its bytes, gives the new bytes.
      where: how messages name the bundle.

    Returns:
      The members, in their order; all other files as they are.

    Raises:
      InputError: when a bundle in it cannot be read, or `replace` raises it.
    """
    _refuse_nesting(_folder, where)
    result = []
    for member in members:
        path = _folder + member.name
        content = member.content
        if member.is_bundle:
            inside = f"{where}/{member.name}"
            inner = replace_models(read_task_bundle(content, inside), replace, inside, path + "/")
            content = task_bundle_bytes(inner, inside)
        elif member.is_model:
            content = replace(path, content)
        result.append(Member(member.name, content))
    return result


def files_of(
    members: Sequence[Member], where: str = "bundle", _folder: str = ""
) -> dict[str, Member]:
    """Finds the files of a bundle, also of the bundles in it.

    Args:
      members: of the bundle.
      where: how messages name it.

    Returns:
      Member by path, in the bundle's order; bundles are not among them.

    Raises:
      InputError: when a bundle in it cannot be read.
    """
    _refuse_nesting(_folder, where)
    found: dict[str, Member] = {}
    for member in members:
        path = _folder + member.name
        if member.is_bundle:
            inside = f"{where}/{member.name}"
            found |= files_of(read_task_bundle(member.content, inside), inside, path + "/")
        else:
            found[path] = member
    return found


def models_of(members: Sequence[Member], where: str = "bundle") -> dict[str, bytes]:
    """Finds the models of a bundle, also of the bundles in it.

    Args:
      members: of the bundle.
      where: how messages name it.

    Returns:
      Model by path, in the bundle's order.

    Raises:
      InputError: when a bundle in it cannot be read.
    """
    files = files_of(members, where)
    return {path: member.content for path, member in files.items() if member.is_model}
