"""TFLite flatbuffers in and out, with nothing lost on the way.

The schema's object API loses three things: the zip of associated files that TFLite
metadata appends to the flatbuffer, constants that stand behind the flatbuffer, and the
alignment of 16 bytes that the schema demands of a buffer's data. All are kept here.
"""

import copy
import dataclasses
import functools
import hashlib
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError

_IDENTIFIER = b"TFL3"
_ZIP_END = b"PK\x05\x06"

# The flatbuffer's offsets are 32 bits wide, and signed in places.
MAXIMUM_BYTES = 2**31 - 1

_BUFFER_ALIGNMENT = 16
_BYTES = np.dtype(np.uint8).str
_OFFSET = struct.Struct("<I")
# Where a subgraph's vtable has the list of its outputs: the third field of the schema.
_SUBGRAPH_OUTPUTS = 8

# What is remembered of a model holds its file in memory.
_MOST_REMEMBERED_BYTES = 2**26

# A zip of a megabyte may say that it holds a gigabyte of zeros.
_MOST_ASSOCIATED_BYTES = 2**28

OPERATOR_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
TYPE_NAMES = {
    value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")
}

_DTYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.FLOAT64: np.float64,
    schema.TensorType.INT2: np.int8,
    schema.TensorType.INT4: np.int8,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.BOOL: np.bool_,
}
# Types of which a byte holds several, and their bits.
PACKED_BITS = {schema.TensorType.INT2: 2, schema.TensorType.INT4: 4}


@dataclasses.dataclass
class TfliteModel:
    """A model in the schema's object form, and the files appended to it.

    Attributes:
      schema: the schema's ModelT.
      associated_files: (name, content) in the order of the appended zip.
      where: how messages name the model, most often its path.
    """

    schema: schema.ModelT
    associated_files: list[tuple[str, bytes]]
    where: str

    def tensor_data(self, tensor: schema.TensorT) -> np.ndarray | None:
        """Reads a constant.

        Args:
          tensor: one of the model's.

        Returns:
          Its values in its shape, read-only; None for a tensor that is computed.

        Raises:
          InputError: when the data does not fill the shape.
        """
        data = self.schema.buffers[tensor.buffer].data
        if data is None or not len(data):
            return None
        dtype = _DTYPES.get(tensor.type)
        if dtype is None:
            raise InputError(
                "model.type",
                f"{self.where}: tensor {tensor_name(tensor)} has the type "
                f"{type_name(tensor)}, which cannot be read",
            )
        shape = shape_of(tensor)
        content = np.asarray(data, dtype=np.uint8)
        if tensor.type in PACKED_BITS:
            content = _unpacked(content, PACKED_BITS[tensor.type])
            # The last byte may hold more than the shape asks for.
            content = content[: math.prod(shape)]
        if content.size != math.prod(shape) * np.dtype(dtype).itemsize:
            raise InputError(
                "model.damaged",
                f"{self.where}: tensor {tensor_name(tensor)} has {content.size} bytes for the "
                f"shape {list(shape)}; the file is damaged, fetch it again",
            )
        return content.view(dtype).reshape(shape)

    def constant(self, tensor: schema.TensorT) -> np.ndarray:
        """Reads a tensor that is known to be a constant, as `tensor_data`."""
        values = self.tensor_data(tensor)
        assert values is not None
        return values

    def add_constant(self, values: np.ndarray) -> int:
        """Adds a buffer.

        Args:
          values: what it holds.

        Returns:
          The buffer's index.
        """
        buffer = schema.BufferT()
        buffer.data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        self.schema.buffers.append(buffer)
        return len(self.schema.buffers) - 1

    def operator_name(self, operator: schema.OperatorT) -> str:
        """Names an operator: CONV_2D, or the custom operator's own name."""
        code = self.schema.operatorCodes[operator.opcodeIndex]
        if builtin_code(code) == schema.BuiltinOperator.CUSTOM:
            return text(code.customCode)
        return OPERATOR_NAMES.get(builtin_code(code), f"BUILTIN_{builtin_code(code)}")


def _unpacked(content: np.ndarray, bits: int) -> np.ndarray:
    """Gives each of the signed numbers in a byte, the lowest bits first, a byte of its own."""
    parts = [content << (8 - bits - place) for place in range(0, 8, bits)]
    codes = np.stack(parts, axis=1).view(np.int8) >> (8 - bits)
    return codes.reshape(-1).view(np.uint8)


def packed(codes: np.ndarray, bits: int) -> np.ndarray:
    """Puts several numbers into a byte, the first one into its lowest bits.

    Args:
      codes: int8, each of which so many bits hold.
      bits: 2, 4 or 8.

    Returns:
      uint8, one-dimensional; what is left of the last byte is zero.
    """
    values = codes.reshape(-1).view(np.uint8) & (2**bits - 1)
    values = np.concatenate([values, np.zeros(-values.size % (8 // bits), np.uint8)])
    parts = values.reshape(-1, 8 // bits) << np.arange(0, 8, bits, dtype=np.uint8)
    return np.bitwise_or.reduce(parts, axis=1)


def text(value: bytes | str | None) -> str:
    """Reads a string field, which the schema gives as bytes."""
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def tensor_name(tensor: schema.TensorT) -> str:
    """Reads a tensor's name."""
    return text(tensor.name)


def type_name(tensor: schema.TensorT) -> str:
    """Names a tensor's type, such as FLOAT32."""
    return TYPE_NAMES.get(tensor.type, f"TYPE_{tensor.type}")


def dtype_of(tensor: schema.TensorT) -> np.dtype | None:
    """Gives numpy's type of a tensor's values; None for one that numpy has no type for."""
    dtype = _DTYPES.get(tensor.type)
    return None if dtype is None else np.dtype(dtype)


def shape_of(tensor: schema.TensorT) -> tuple[int, ...]:
    """Reads a tensor's shape; a scalar's is empty."""
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def has_open_shape(tensor: schema.TensorT) -> bool:
    """Says whether a tensor has a dimension that is known when the model runs only."""
    signature = tensor.shapeSignature
    return signature is not None and any(int(size) < 0 for size in signature)


def builtin_code(code: schema.OperatorCodeT) -> int:
    """Reads an operator code from whichever of its two fields holds it.

    Files from before schema version 3a use the first only, and readers are told to
    take the larger (schema.fbs, OperatorCode).
    """
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def read_bytes(path: Path) -> bytes:
    """Reads a file that should be a .tflite file, without looking into it.

    Args:
      path: the file.

    Returns:
      Its bytes.

    Raises:
      InputError: when it is larger than a flatbuffer can be.
      OSError: when it cannot be read.
    """
    size = path.stat().st_size
    if size > MAXIMUM_BYTES:
        raise InputError(
            "model.too_large",
            f"{path}: {size} bytes; a TFLite flatbuffer holds at most {MAXIMUM_BYTES}, "
            "split the model",
        )
    return path.read_bytes()


def read_model(path: Path) -> TfliteModel:
    """Reads a .tflite file.

    Args:
      path: the file.

    Returns:
      The model.

    Raises:
      InputError: when it is no TFLite file, or a damaged one.
      OSError: when it cannot be read.
    """
    return parse_model(read_bytes(path), str(path))


def parse_model(content: bytes, where: str = "model") -> TfliteModel:
    """Reads a model from bytes.

    Args:
      content: a whole .tflite file.
      where: how messages name it.

    Returns:
      The model.

    Raises:
      InputError: when it is no TFLite file, or a damaged one.
    """
    if len(content) < 8 or content[4:8] != _IDENTIFIER:
        raise InputError(
            "model.kind", f"{where}: not a TFLite file (it does not carry the identifier TFL3)"
        )
    damaged = InputError(
        "model.damaged", f"{where}: the file is truncated or damaged; fetch it again"
    )
    # The generated reader follows offsets wherever they point.
    try:
        tables = schema.Model.GetRootAs(content, 0)
        if _names_more_tables_than_fit(tables, len(content)):
            raise damaged
        model = schema.ModelT.InitFromObj(tables)
    except InputError:
        raise
    except (
        struct.error,
        IndexError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
        MemoryError,
        UnicodeDecodeError,
        RecursionError,
    ):
        raise damaged from None
    if not _is_sound(model) or not _fetch_outside_data(model, content):
        raise damaged
    try:
        return TfliteModel(model, _associated_files(content, where), where)
    except zipfile.BadZipFile:
        raise damaged from None


@functools.lru_cache(maxsize=3)
def _parsed(content: bytes) -> TfliteModel:
    return parse_model(content)


def model_to_read(content: bytes, where: str = "model") -> TfliteModel:
    """Reads a model that is only looked at: the last few small ones are remembered.

    Args:
      content: a whole .tflite file.
      where: how messages name it.

    Returns:
      The model, which others have too: it must not be changed.

    Raises:
      InputError: as `parse_model`.
    """
    if len(content) > _MOST_REMEMBERED_BYTES:
        return parse_model(content, where)
    try:
        return dataclasses.replace(_parsed(content), where=where)
    except InputError:
        # Named as it is called here.
        return parse_model(content, where)


def _copied(value):
    if isinstance(value, list):
        return [_copied(one) for one in value] if value and hasattr(value[0], "Pack") else [*value]
    result = object.__new__(type(value))
    vars(result).update(
        (field, _copied(held) if isinstance(held, list) or hasattr(held, "Pack") else held)
        for field, held in vars(value).items()
    )
    return result


def copied_model(model: TfliteModel) -> TfliteModel:
    """Copies a model, so that one may be changed and not the other.

    Args:
      model: it is not changed.

    Returns:
      The copy. Arrays, most of all the constants' bytes, are the model's own: passes give a
      table another array and write into none.
    """
    return TfliteModel(_copied(model.schema), list(model.associated_files), model.where)


def _names_more_tables_than_fit(model: schema.Model, size: int) -> bool:
    """Says whether lists of the file overlap, so that it would be read many times over.

    A table takes four bytes at the least, and four where a list leads to it.
    """
    tables = model.BuffersLength() + model.OperatorCodesLength()
    for number in range(min(model.SubgraphsLength(), size // 8)):
        subgraph = model.Subgraphs(number)
        tables += subgraph.TensorsLength() + subgraph.OperatorsLength()
        if tables > size // 8:
            return True
    return model.SubgraphsLength() + tables > size // 8


def _indices(values) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def _fetch_outside_data(model: schema.ModelT, content: bytes) -> bool:
    """Brings into the model what stands behind the flatbuffer, at an offset of the file.

    schema.fbs has this form for models of over 2 GB; litert-quantizer writes it from
    256 KB on.

    Returns:
      False when an offset leads out of the file.
    """
    operators = [operator for subgraph in model.subgraphs for operator in subgraph.operators]
    for owner, field, offset, size in (
        *((buffer, "data", "offset", "size") for buffer in model.buffers),
        *(
            (op, "customOptions", "largeCustomOptionsOffset", "largeCustomOptionsSize")
            for op in operators
        ),
    ):
        # 1 is what writers put there before they know the place; the runtime skips it.
        start, length = getattr(owner, offset), getattr(owner, size)
        if start > 1 and length > 1 and getattr(owner, field) is None:
            if start + length > len(content):
                return False
            setattr(owner, field, np.frombuffer(content, np.uint8, length, start))
        setattr(owner, offset, 0)
        setattr(owner, size, 0)
    return True


def _fill_empty_lists(model: schema.ModelT) -> None:
    """Makes empty lists of those that a file may leave out and all code walks."""
    for subgraph in model.subgraphs:
        subgraph.tensors = subgraph.tensors or []
        subgraph.operators = subgraph.operators or []
    for part in [*model.subgraphs, *(model.signatureDefs or [])]:
        part.inputs = [] if part.inputs is None else part.inputs
        part.outputs = [] if part.outputs is None else part.outputs
    for operator in (operator for subgraph in model.subgraphs for operator in subgraph.operators):
        operator.inputs = [] if operator.inputs is None else operator.inputs
        operator.outputs = [] if operator.outputs is None else operator.outputs


def _is_sound(model: schema.ModelT) -> bool:
    """Checks every index of the model, so that no later code runs off a list."""
    if not model.subgraphs or not model.buffers or model.operatorCodes is None:
        return False
    _fill_empty_lists(model)
    for subgraph in model.subgraphs:
        count = len(subgraph.tensors)
        for tensor in subgraph.tensors:
            if not 0 <= tensor.buffer < len(model.buffers):
                return False
            if any(size < 0 for size in shape_of(tensor)):
                return False
        lists = [_indices(subgraph.inputs), _indices(subgraph.outputs)]
        for operator in subgraph.operators:
            if not 0 <= operator.opcodeIndex < len(model.operatorCodes):
                return False
            # -1 stands for an optional tensor that is not there.
            lists += [
                [index for index in _indices(operator.inputs) if index != -1],
                _indices(operator.outputs),
                [index for index in _indices(operator.intermediates) if index != -1],
            ]
        if any(not 0 <= index < count for indices in lists for index in indices):
            return False
    for signature in model.signatureDefs or []:
        if not 0 <= signature.subgraphIndex < len(model.subgraphs):
            return False
        count = len(model.subgraphs[signature.subgraphIndex].tensors)
        if any(not 0 <= e.tensorIndex < count for e in signature.inputs + signature.outputs):
            return False
    buffers = [entry.buffer for entry in model.metadata or []] + _indices(model.metadataBuffer)
    return all(0 <= buffer < len(model.buffers) for buffer in buffers)


def _associated_files(content: bytes, where: str) -> list[tuple[str, bytes]]:
    """Reads the zip that TFLite metadata appends to a flatbuffer.

    Raises:
      InputError: when they are too large for label lists and the like.
      zipfile.BadZipFile: when it names files that it does not hold whole.
    """
    # The end record is the last 22 bytes, more with a comment.
    if _ZIP_END not in content[-(22 + 65535) :]:
        return []
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        # Four bytes of the flatbuffer may look like a zip's end.
        return []
    with archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MOST_ASSOCIATED_BYTES:
            raise InputError(
                "model.too_large",
                f"{where}: its associated files would take more than "
                f"{_MOST_ASSOCIATED_BYTES} bytes; take them out of the zip at its end",
            )
        try:
            return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
        except (RuntimeError, ValueError, OSError, EOFError, struct.error, zlib.error) as error:
            raise zipfile.BadZipFile(str(error)) from None


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors and equal tables once: 1 to 10 points of size that no library gains.

    A flatbuffer's vectors and tables are reached through offsets, so two tables may
    share one. Zero points are where it tells: 64 bits for each channel, nearly always
    the same zeros, twice for each convolution. Operators of a kind have the same
    options, most often.

    What is called for each field stands here again without the library's checks of type and
    order, which take most of its time; the generated code keeps to them.
    """

    head: int
    minalign: int
    # None outside a table.
    current_vtable: Any
    objectEnd: Any

    def __init__(self, size: int):
        super().__init__(size)
        self._written: dict[tuple, int] = {}
        self._tables: dict[tuple, int] = {}
        self._children: dict[int, int] = {}

    def Prep(self, size: int, additionalBytes: int) -> None:
        if size > self.minalign:
            self.minalign = size
        padding = -(len(self.Bytes) - self.head + additionalBytes) & (size - 1)
        while self.head < padding + size + additionalBytes:
            before = len(self.Bytes)
            self.GrowByteBuffer()
            self.head += len(self.Bytes) - before
        if padding:
            # What is not written yet is zero, or was left by a table that was shared.
            self.Bytes[self.head - padding : self.head] = bytes(padding)
            self.head -= padding

    def PrependSlot(self, flags, o: int, x, d) -> None:
        if x != d:
            size = flags.bytewidth
            self.Prep(size, 0)
            self.head -= size
            flags.packer_type.pack_into(self.Bytes, self.head, x)
            self.current_vtable[o] = len(self.Bytes) - self.head

    def StartObject(self, numfields: int) -> None:
        self.current_vtable = [0] * numfields
        self.objectEnd = len(self.Bytes) - self.head
        self.nested = True
        self._children = {}

    def PrependUOffsetTRelative(self, off: int) -> None:
        self.Prep(4, 0)
        place = len(self.Bytes) - self.head + 4
        self.head -= 4
        _OFFSET.pack_into(self.Bytes, self.head, place - off)

    def PrependUOffsetTRelativeSlot(self, o: int, x: int, d: int) -> None:
        if x != d:
            self.PrependUOffsetTRelative(x)
            self.current_vtable[o] = len(self.Bytes) - self.head
            self._children[o] = x

    def EndObject(self) -> int:
        self.nested = False
        end, size = self.objectEnd, len(self.Bytes) - self.head - self.objectEnd
        places = tuple([place and place - end for place in self.current_vtable])
        # A buffer's: what it holds is filled in later, in each by itself.
        empty = self._written.get((_BYTES, b""))
        if empty is not None and empty in self._children.values():
            return self._end_table(places)
        fields = self.Bytes[self.head : self.head + size]
        for slot in self._children:
            # Offsets count from where they stand, which differs between equal tables.
            start = end + size - self.current_vtable[slot]
            fields[start : start + 4] = bytes(4)
        key = (places, bytes(fields), tuple(self._children.items()))
        if key not in self._written:
            self._written[key] = self._end_table(places)
            return self._written[key]
        self.head = len(self.Bytes) - end
        self.current_vtable, self.objectEnd = None, None
        return self._written[key]

    def _end_table(self, places: tuple[int, ...]) -> int:
        """Ends a table with its vtable, which is written once for equal ones.

        Args:
          places: of the fields, from the table's end; 0 for those that are not there.

        Returns:
          Where the table is.
        """
        self.Prep(4, 0)
        table = len(self.Bytes) - self.head + 4
        last = len(places)
        while last and not places[last - 1]:
            last -= 1
        key = (places[:last], table - self.objectEnd)
        if key not in self._tables:
            end = self.WriteVtable()
            self._tables[key] = len(self.Bytes) - self.head
            return end
        self.head -= 4
        struct.pack_into("<i", self.Bytes, self.head, self._tables[key] - table)
        self.current_vtable, self.objectEnd = None, None
        return table

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        little_endian = np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("<"))
        payload = little_endian.tobytes()
        key = (x.dtype.str, payload)
        if key not in self._written:
            self.StartVector(x.itemsize, x.size, x.itemsize)
            self.head = self.head - len(payload)
            self.Bytes[self.head : self.head + len(payload)] = payload
            self.vectorNumElems = x.size
            self._written[key] = self.EndVector()
        return self._written[key]

    def CreateString(self, s, encoding="utf-8", errors="strict") -> int:
        content = s.encode(encoding, errors) if isinstance(s, str) else s
        key = ("string", content)
        if key not in self._written:
            self._written[key] = super().CreateString(content)
        return self._written[key]


def _pack(table) -> bytearray:
    builder = _SharingBuilder(65536)
    # What follows the flatbuffer then counts its alignment from the start of the file.
    builder.minalign = _BUFFER_ALIGNMENT
    builder.Finish(table.Pack(builder), file_identifier=_IDENTIFIER)
    return builder.Output()


@functools.cache
def _vector_type(kind: type[Any], field: str) -> np.dtype | None:
    """Says what a table's vector of numbers holds; None for a field that holds tables."""
    table = kind()
    setattr(table, field, [0])
    try:
        return getattr(kind.InitFromPackedBuf(_pack(table)), field).dtype
    except AttributeError:
        return None


def _with_arrays(table):
    """Makes arrays of a table's lists of numbers, at any depth.

    Which of the two a model holds depends on the code that made it; its bytes must not.

    Args:
      table: one of the schema's objects; it is not changed.

    Returns:
      The table, or a copy of it where something is an array now.
    """
    changed = {}
    for field, value in vars(table).items():
        if isinstance(value, list):
            if value and hasattr(value[0], "Pack"):
                tables = [_with_arrays(one) for one in value]
                if any(one is not other for one, other in zip(tables, value, strict=True)):
                    changed[field] = tables
            elif (dtype := _vector_type(type(table), field)) is not None:
                changed[field] = np.array(value, dtype)
        elif hasattr(value, "Pack"):
            one = _with_arrays(value)
            if one is not value:
                changed[field] = one
    if not changed:
        return table
    result = copy.copy(table)
    vars(result).update(changed)
    return result


def _contents(buffer: schema.BufferT) -> np.ndarray | None:
    """Reads a buffer's bytes, whatever a pass has put there, without copying an array."""
    if buffer.data is None or isinstance(buffer.data, np.ndarray):
        data = buffer.data
    elif isinstance(buffer.data, list):
        data = np.array(buffer.data, np.uint8)
    else:
        data = np.frombuffer(buffer.data, np.uint8)
    return None if data is None else np.ascontiguousarray(data).reshape(-1).view(np.uint8)


def _with_data(structure: bytearray, contents: list[np.ndarray | None], where: str) -> bytes:
    """Puts the buffers' data behind the tables, and leads the tables there.

    Args:
      structure: a flatbuffer whose buffers are empty; its size a multiple of 16.
      contents: what they should hold, in order.
      where: how messages name the model.

    Returns:
      The whole flatbuffer. Its constants are copied once.

    Raises:
      InputError: when it is too large for a flatbuffer.
    """
    model = schema.Model.GetRootAs(structure, 0)
    pieces: list = [structure]
    end = len(structure)
    places: dict[tuple[int, bytes], int] = {}
    for number, data in enumerate(contents):
        if data is None or not data.size:
            continue
        key = (data.size, hashlib.sha256(data.data).digest())
        if key not in places:
            # A vector is its length in 32 bits, then its elements, which are aligned.
            places[key] = end + -(end + 4) % _BUFFER_ALIGNMENT
            pieces += [bytes(places[key] - end) + struct.pack("<I", data.size), data]
            end = places[key] + 4 + data.size
        table = model.Buffers(number)._tab
        field = table.Pos + table.Offset(4)
        if end > MAXIMUM_BYTES:
            raise InputError(
                "model.too_large",
                f"{where}: the model takes more than the {MAXIMUM_BYTES} bytes that a TFLite "
                "flatbuffer holds, split the model",
            )
        struct.pack_into("<I", structure, field, places[key] - field)
    return b"".join(pieces)


def _data_of(model: TfliteModel) -> list[np.ndarray | None]:
    """Reads what the buffers hold; raises as `model_bytes`."""
    data = sum(0 if buffer.data is None else len(buffer.data) for buffer in model.schema.buffers)
    if data > MAXIMUM_BYTES:
        raise InputError(
            "model.too_large",
            f"{model.where}: {data} bytes of constants; a TFLite flatbuffer holds at most "
            f"{MAXIMUM_BYTES}, split the model",
        )
    return [_contents(buffer) for buffer in model.schema.buffers]


def runnable_tables(model: TfliteModel) -> bytes:
    """Writes a model without the bytes of its constants, for `with_constants`.

    Args:
      model: the model; it is not changed.

    Returns:
      A flatbuffer whose buffers are empty.
    """
    # The constants, which are nearly all of a model, are never built into tables: they
    # would be copied for each time that the tables grow.
    bare = copy.copy(model.schema)
    bare.buffers = [
        schema.BufferT(
            None if buffer.data is None else np.empty(0, np.uint8), buffer.offset, buffer.size
        )
        for buffer in model.schema.buffers
    ]
    return bytes(_pack(_with_arrays(bare)))


def with_constants(tables: bytes, model: TfliteModel) -> bytes:
    """Puts the bytes of a model's constants behind its tables.

    Args:
      tables: from `runnable_tables`, of this model or of one that differs in its constants'
        values alone.
      model: the model; it is not changed.

    Returns:
      A whole .tflite file, without the associated files.

    Raises:
      InputError: as `model_bytes`.
    """
    return _with_data(bytearray(tables), _data_of(model), model.where)


def runnable_bytes(model: TfliteModel) -> bytes:
    """Writes a model that is only run here, without the associated files.

    Args:
      model: the model; it is not changed.

    Returns:
      A .tflite file, which computes what that of `model_bytes` does.

    Raises:
      InputError: as `model_bytes`.
    """
    return with_constants(runnable_tables(model), model)


def with_other_outputs(content: bytes, outputs: Sequence[int], where: str) -> bytes:
    """Gives the main subgraph other outputs, for running, without writing the file anew.

    The list goes behind everything else in the file, and the subgraph's table is led there.

    Args:
      content: a whole .tflite file that can be read.
      outputs: indices of tensors of the main subgraph.
      where: how messages name the model.

    Returns:
      The file with its new outputs; its signatures are as they were.

    Raises:
      InputError: when the model has no outputs, or the file would be too large.
    """
    table = schema.Model.GetRootAs(content, 0).Subgraphs(0)._tab
    slot = table.Offset(_SUBGRAPH_OUTPUTS)
    if not slot:
        raise InputError(
            "model.empty", f"{where}: the model has no outputs; give one that computes something"
        )
    padding = bytes(-len(content) % 4)
    start = len(content) + len(padding)
    vector = struct.pack(f"<{len(outputs) + 1}I", len(outputs), *outputs)
    if start + len(vector) > MAXIMUM_BYTES:
        raise InputError(
            "model.too_large",
            f"{where}: the model takes more than the {MAXIMUM_BYTES} bytes that a TFLite "
            "flatbuffer holds, split the model",
        )
    place = table.Pos + slot
    offset = _OFFSET.pack(start - place)
    return b"".join([content[:place], offset, content[place + 4 :], padding, vector])


def model_bytes(model: TfliteModel) -> bytes:
    """Writes a model.

    Equal vectors and tables are written once, buffers are aligned to 16 bytes, and the
    associated files follow as an uncompressed zip, whose entries carry no time.

    Args:
      model: the model; it is not changed.

    Returns:
      A whole .tflite file. The same model gives the same bytes.

    Raises:
      InputError: when the model is too large for a flatbuffer.
    """
    content = runnable_bytes(model)
    if not model.associated_files:
        return content
    stream = io.BytesIO(content)
    stream.seek(0, io.SEEK_END)
    # Writing here makes the zip's offsets count from the start of the file, which is
    # what readers without Python's leniency expect.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, file in model.associated_files:
            archive.writestr(zipfile.ZipInfo(name), file)
    return stream.getvalue()
