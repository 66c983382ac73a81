"""Reads from TFLite metadata how a model's image input is normalised.

The metadata is a flatbuffer of its own (metadata_schema.fbs, identifier M001) in the
buffer named TFLITE_METADATA. Only four of its tables are walked here, by their field
numbers: ModelMetadata.subgraph_metadata (4th field), SubGraphMetadata.input_tensor_metadata
(3rd), TensorMetadata.process_units (5th), and ProcessUnit's union of options, whose first
member is NormalizationOptions (mean, std).
"""

import struct

import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table

from tools.graph.flatbuffer import parse_model, text

_METADATA_NAME = "TFLITE_METADATA"
_NORMALIZATION = 1


def _field(table: Table, number: int) -> int:
    """Finds a field's position; 0 when the table does not have it."""
    offset = table.Offset(4 + 2 * number)
    return table.Pos + offset if offset else 0


def _tables(table: Table, number: int) -> list[Table]:
    position = _field(table, number)
    if not position:
        return []
    start = table.Vector(position - table.Pos)
    count = table.VectorLen(position - table.Pos)
    return [Table(table.Bytes, table.Indirect(start + 4 * i)) for i in range(count)]


def _first_float(table: Table, number: int) -> float | None:
    position = _field(table, number)
    if not position or not table.VectorLen(position - table.Pos):
        return None
    return table.Get(number_types.Float32Flags, table.Vector(position - table.Pos))


def normalization(content: bytes) -> tuple[float, float] | None:
    """Reads the first input's NormalizationOptions.

    Args:
      content: a whole .tflite file.

    Returns:
      (mean, std) in pixel units, of the first channel; None when the metadata does not
      say.

    Raises:
      InputError: when the model cannot be read.
    """
    model = parse_model(content)
    for entry in model.schema.metadata or []:
        data = model.schema.buffers[entry.buffer].data
        if text(entry.name) != _METADATA_NAME or data is None:
            continue
        buffer = bytearray(np.asarray(data, dtype=np.uint8).tobytes())
        try:
            (start,) = struct.unpack_from("<I", buffer, 0)
            for subgraph in _tables(Table(buffer, start), 3)[:1]:
                for tensor in _tables(subgraph, 2)[:1]:
                    for unit in _tables(tensor, 4):
                        kind = _field(unit, 0)
                        options = _field(unit, 1)
                        if not kind or buffer[kind] != _NORMALIZATION or not options:
                            continue
                        table = Table(buffer, unit.Indirect(options))
                        mean, std = _first_float(table, 0), _first_float(table, 1)
                        if mean is not None and std and np.isfinite((mean, std)).all():
                            return mean, std
        except (struct.error, IndexError, TypeError):  # The last is the library's range check.
            return None
    return None
