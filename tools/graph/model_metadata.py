"""Reads, writes and restates the TFLite metadata of a model.

The metadata is a flatbuffer of its own (metadata_schema.fbs 1.5.0, identifier M001) in the
buffer named TFLITE_METADATA. No installable library of today reads it without a whole
runtime beside it, so its tables are walked here by their fields' numbers; only those of
images, normalisation, statistics and labels are known.

What the schema says of quantized models: they share the float model's NormalizationOptions,
and what comes out is quantized by the tensor's own parameters. So those stay true. A
tensor's Stats are its own values, and become integers with it.
"""

import dataclasses
import struct

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types
from flatbuffers.table import Table

from tools.errors import InputError
from tools.graph.flatbuffer import (
    TfliteModel,
    model_bytes,
    model_to_read,
    parse_model,
    tensor_name,
    text,
)

METADATA_NAME = "TFLITE_METADATA"
_IDENTIFIER = b"M001"

# What is written here was in the schema's first version.
_PARSER_VERSION = "1.0.0"

_MODEL_NAME, _MODEL_SUBGRAPHS, _MODEL_PARSER_VERSION = 0, 3, 7
_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS = 2, 3
_TENSOR_NAME, _TENSOR_CONTENT, _TENSOR_UNITS, _TENSOR_STATS, _TENSOR_FILES = 0, 3, 4, 5, 6
_UNION_KIND, _UNION_VALUE = 0, 1
_OPTIONS_MEAN, _OPTIONS_STD = 0, 1
_STATS_MAX, _STATS_MIN = 0, 1
_FILE_NAME, _FILE_TYPE = 0, 2

_NORMALIZATION = 1
_IMAGE = 2
_COLOR_SPACE, _RGB, _GRAYSCALE = 0, 1, 2
_LABEL_FILES = (2, 3)  # TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS

_INTEGERS: dict[int, type[np.signedinteger | np.unsignedinteger]] = {
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.UINT8: np.uint8,
}


@dataclasses.dataclass(frozen=True)
class TensorMetadata:
    """What metadata says of an input or output.

    Attributes:
      name: as metadata calls it, which need not be the tensor's name.
      mean: subtracted from each value, one for all channels or one for each; () where
        metadata does not say.
      std: what the difference is divided by, likewise.
      maximum: of the tensor's values, likewise.
      minimum: of the tensor's values, likewise.
      labels: names of the associated files that hold its labels.
    """

    name: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    maximum: tuple[float, ...] = ()
    minimum: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModelMetadata:
    """What metadata says of a model.

    Attributes:
      inputs: of the first subgraph, in the model's order.
      outputs: of the first subgraph, in the model's order.
      parser_version: the least version of a reader that understands all of it, or "".
    """

    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    parser_version: str


def _field(table: Table, number: int) -> int:
    """Finds a field's position; 0 when the table does not have it."""
    offset = table.Offset(4 + 2 * number)
    return table.Pos + offset if offset else 0


def _table(table: Table, number: int) -> Table | None:
    position = _field(table, number)
    return Table(table.Bytes, table.Indirect(position)) if position else None


def _tables(table: Table, number: int) -> list[Table]:
    position = _field(table, number)
    if not position:
        return []
    start = table.Vector(position - table.Pos)
    count = table.VectorLen(position - table.Pos)
    return [Table(table.Bytes, table.Indirect(start + 4 * i)) for i in range(count)]


def _floats(table: Table | None, number: int) -> tuple[float, ...]:
    position = _field(table, number) if table else 0
    if table is None or not position:
        return ()
    start = table.Vector(position - table.Pos)
    count = table.VectorLen(position - table.Pos)
    return tuple(table.Get(number_types.Float32Flags, start + 4 * i) for i in range(count))


def _string(table: Table, number: int) -> str:
    position = _field(table, number)
    return text(table.String(position)) if position else ""


def _byte(table: Table, number: int) -> int:
    position = _field(table, number)
    return table.Bytes[position] if position else 0


def _read_tensor(tensor: Table) -> TensorMetadata:
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    for unit in _tables(tensor, _TENSOR_UNITS):
        options = _table(unit, _UNION_VALUE)
        if _byte(unit, _UNION_KIND) != _NORMALIZATION or options is None:
            continue
        found = _floats(options, _OPTIONS_MEAN), _floats(options, _OPTIONS_STD)
        if all(found) and np.isfinite(sum(found, ())).all() and all(found[1]):
            mean, std = found
            break
    stats = _table(tensor, _TENSOR_STATS)
    files = _tables(tensor, _TENSOR_FILES)
    return TensorMetadata(
        _string(tensor, _TENSOR_NAME),
        mean,
        std,
        _floats(stats, _STATS_MAX),
        _floats(stats, _STATS_MIN),
        tuple(_string(f, _FILE_NAME) for f in files if _byte(f, _FILE_TYPE) in _LABEL_FILES),
    )


def _metadata_buffer(model: TfliteModel) -> schema.BufferT | None:
    for entry in model.schema.metadata or []:
        buffer = model.schema.buffers[entry.buffer]
        if text(entry.name) == METADATA_NAME and buffer.data is not None and len(buffer.data):
            return buffer
    return None


def _root(buffer: bytearray) -> Table:
    (start,) = struct.unpack_from("<I", buffer, 0)
    return Table(buffer, start)


def _bytes(buffer: schema.BufferT) -> bytearray:
    return bytearray(np.asarray(buffer.data, dtype=np.uint8).tobytes())


# What following an offset of a damaged file raises; TypeError is the library's own check.
_DAMAGED = (struct.error, IndexError, TypeError, OverflowError, MemoryError)


def read_metadata(model: TfliteModel) -> ModelMetadata | None:
    """Reads a model's metadata.

    Args:
      model: the model.

    Returns:
      What it says; None when there is none, or it is damaged.
    """
    buffer = _metadata_buffer(model)
    if buffer is None:
        return None
    try:
        root = _root(_bytes(buffer))
        subgraphs = _tables(root, _MODEL_SUBGRAPHS)[:1]
        inputs, outputs = (
            tuple(_read_tensor(t) for graph in subgraphs for t in _tables(graph, field))
            for field in (_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS)
        )
        return ModelMetadata(inputs, outputs, _string(root, _MODEL_PARSER_VERSION))
    except _DAMAGED:
        return None


def normalization(content: bytes) -> tuple[float, float] | None:
    """Reads how a model's first input is normalised.

    Args:
      content: a whole .tflite file.

    Returns:
      (mean, std) in pixel units, of the first channel; None when the metadata does not
      say.

    Raises:
      InputError: when the model cannot be read.
    """
    metadata = read_metadata(model_to_read(content))
    if metadata is None or not metadata.inputs or not metadata.inputs[0].mean:
        return None
    return metadata.inputs[0].mean[0], metadata.inputs[0].std[0]


class _Writer(flatbuffers.Builder):
    """Writes tables from dicts of fields."""

    def floats(self, values) -> int:
        self.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.PrependFloat32(value)
        return self.EndVector()

    def table(self, offsets: dict[int, int], small: dict[int, int] | None = None) -> int:
        """Writes a table of offsets to other objects, and of bytes."""
        self.StartObject(8)
        for number, offset in offsets.items():
            self.PrependUOffsetTRelativeSlot(number, offset, 0)
        for number, value in (small or {}).items():
            self.PrependUint8Slot(number, value, 0)
        return self.EndObject()

    def tables(self, tables: list[int]) -> int:
        self.StartVector(4, len(tables), 4)
        for table in reversed(tables):
            self.PrependUOffsetTRelative(table)
        return self.EndVector()


def _image_tensor(writer: _Writer, name: str, channels: int, mean: float, std: float) -> int:
    image = writer.table({}, {_COLOR_SPACE: _RGB if channels == 3 else _GRAYSCALE})
    content = writer.table({_UNION_VALUE: image}, {_UNION_KIND: _IMAGE})
    options = writer.table(
        {_OPTIONS_MEAN: writer.floats([mean]), _OPTIONS_STD: writer.floats([std])}
    )
    unit = writer.table({_UNION_VALUE: options}, {_UNION_KIND: _NORMALIZATION})
    low, high = sorted(((0 - mean) / std, (255 - mean) / std))
    stats = writer.table({_STATS_MAX: writer.floats([high]), _STATS_MIN: writer.floats([low])})
    return writer.table(
        {
            _TENSOR_NAME: writer.CreateString(name),
            _TENSOR_CONTENT: content,
            _TENSOR_UNITS: writer.tables([unit]),
            _TENSOR_STATS: stats,
        }
    )


def add_image_metadata(content: bytes, mean: float, std: float, where: str = "model") -> bytes:
    """Says in a model's metadata how its image input is normalised, where nothing says it.

    MediaPipe's Tasks refuse a float model whose metadata does not.

    Args:
      content: a whole .tflite file whose first input is [batch, height, width, 1 or 3].
      mean: subtracted from each pixel, 0 to 255.
      std: what the difference is divided by.
      where: how messages name the model.

    Returns:
      The model with metadata; the same bytes where its own names mean and std.

    Raises:
      InputError: when the model cannot be read, has no image input, or has metadata that
        does not say it.
    """
    model = parse_model(content, where)
    known = read_metadata(model)
    if known and known.inputs and known.inputs[0].mean:
        return content
    if _metadata_buffer(model):
        raise InputError(
            "model.metadata",
            f"{where}: its metadata does not say how the input is normalised, and is not "
            "replaced; write NormalizationOptions with MediaPipe's metadata writers",
        )
    graph = model.schema.subgraphs[0]
    tensors = [graph.tensors[int(index)] for index in graph.inputs]
    shape = [] if not tensors or tensors[0].shape is None else list(tensors[0].shape)
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise InputError(
            "model.interface",
            f"{where}: the first input's shape is {[int(n) for n in shape]}, which is no image; "
            "leave its normalisation out",
        )
    writer = _Writer(512)
    first = _image_tensor(writer, tensor_name(tensors[0]), int(shape[-1]), mean, std)
    others = [
        writer.table({_TENSOR_NAME: writer.CreateString(tensor_name(t))}) for t in tensors[1:]
    ]
    outputs = [
        writer.table({_TENSOR_NAME: writer.CreateString(tensor_name(graph.tensors[int(index)]))})
        for index in graph.outputs
    ]
    subgraph = writer.table(
        {
            _SUBGRAPH_INPUTS: writer.tables([first, *others]),
            _SUBGRAPH_OUTPUTS: writer.tables(outputs),
        }
    )
    root = writer.table(
        {
            _MODEL_SUBGRAPHS: writer.tables([subgraph]),
            _MODEL_PARSER_VERSION: writer.CreateString(_PARSER_VERSION),
        }
    )
    writer.Finish(root, file_identifier=_IDENTIFIER)
    entry = schema.MetadataT()
    entry.name = METADATA_NAME
    entry.buffer = model.add_constant(np.frombuffer(bytes(writer.Output()), np.uint8))
    model.schema.metadata = [*(model.schema.metadata or []), entry]
    return model_bytes(model)


def _quantized(values: tuple[float, ...], tensor: schema.TensorT) -> tuple[float, ...]:
    """Gives what real values are as a tensor's integers."""
    limits = np.iinfo(_INTEGERS[tensor.type])
    scale, zero = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    integers = np.rint(np.array(values) / scale) + zero
    return tuple(np.clip(integers, limits.min, limits.max).tolist())


def _set_floats(table: Table, number: int, values: tuple[float, ...]) -> None:
    """Leads a field to new values at the buffer's end; the old may be another table's too."""
    place = _field(table, number)
    table.Bytes.extend(bytes(-len(table.Bytes) % 4))
    start = len(table.Bytes)
    table.Bytes.extend(struct.pack(f"<I{len(values)}f", len(values), *values))
    struct.pack_into("<I", table.Bytes, place, start - place)


def restate_statistics(model: TfliteModel) -> bool:
    """Gives the minima and maxima of a quantized model's ends in its integers.

    NormalizationOptions stay as they are: the schema says that quantized models share them.

    Args:
      model: a model whose metadata is its float model's; changed in place.

    Returns:
      Whether there was something to change.
    """
    entries = [e for e in model.schema.metadata or [] if text(e.name) == METADATA_NAME]
    old = _metadata_buffer(model)
    if old is None:
        return False
    graph = model.schema.subgraphs[0]
    content = _bytes(old)
    changed = False
    try:
        subgraphs = _tables(_root(content), _MODEL_SUBGRAPHS)[:1]
        for field, ends in ((_SUBGRAPH_INPUTS, graph.inputs), (_SUBGRAPH_OUTPUTS, graph.outputs)):
            told = [table for subgraph in subgraphs for table in _tables(subgraph, field)]
            for entry, index in zip(told, ends, strict=False):
                tensor, stats = graph.tensors[int(index)], _table(entry, _TENSOR_STATS)
                if stats is None or tensor.type not in _INTEGERS or tensor.quantization is None:
                    continue
                for number in (_STATS_MAX, _STATS_MIN):
                    values = _floats(stats, number)
                    if values and np.isfinite(values).all():
                        _set_floats(stats, number, _quantized(values, tensor))
                        changed = True
    except _DAMAGED:
        return False
    if changed:
        new = model.add_constant(np.frombuffer(bytes(content), np.uint8))
        for entry in entries:
            if model.schema.buffers[entry.buffer] is old:
                entry.buffer = new
    return changed
