"""Counts the bytes of a file that stand behind all that its flatbuffer names.

The zip of associated files and constants at an offset of the file are the format's own, and are
read with the model. Others, such as code for an accelerator, are found by whoever wrote them: by
an offset in a custom operator's options, which holds no longer once the file is written anew.
"""

from ai_edge_litert import schema_py_generated as schema

# Tables are larger than what is counted of them here.
_TABLE = 64
# Fields that are vectors, by their place in the table (schema.fbs), and the size of an element.
_BUFFER = ((4, 1),)
_METADATA = ((4, 1),)
_OPERATOR = ((6, 4), (8, 4), (14, 1))
_OPERATOR_CODE = ((6, 1),)
_QUANTIZATION = ((4, 4), (6, 4), (8, 4), (10, 8))
_TENSOR = ((4, 4), (10, 1))


def _end(table, fields: tuple[tuple[int, int], ...]) -> int:
    """Finds where a table and its vectors end, at the least."""
    inner = table._tab
    ends = [inner.Pos]
    for field, size in fields:
        offset = inner.Offset(field)
        if offset:
            ends.append(inner.Vector(offset) + inner.VectorLen(offset) * size)
    return max(ends)


def appended_bytes(content: bytes) -> int:
    """Counts bytes behind a flatbuffer, to within the size of a table.

    Args:
      content: a whole .tflite file, of which `parse_model` can read the tables.

    Returns:
      How many there are; 0 for fewer than a table has.
    """
    model = schema.Model.GetRootAs(content, 0)
    ends = [0]
    for number in range(model.BuffersLength()):
        buffer = model.Buffers(number)
        ends += [_end(buffer, _BUFFER), buffer.Offset() + buffer.Size()]
    for number in range(model.OperatorCodesLength()):
        ends.append(_end(model.OperatorCodes(number), _OPERATOR_CODE))
    for number in range(model.MetadataLength()):
        ends.append(_end(model.Metadata(number), _METADATA))
    for number in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(number)
        for place in range(subgraph.TensorsLength()):
            tensor = subgraph.Tensors(place)
            ends.append(_end(tensor, _TENSOR))
            if tensor.Quantization() is not None:
                ends.append(_end(tensor.Quantization(), _QUANTIZATION))
        for place in range(subgraph.OperatorsLength()):
            operator = subgraph.Operators(place)
            outside = operator.LargeCustomOptionsOffset() + operator.LargeCustomOptionsSize()
            ends += [_end(operator, _OPERATOR), outside]
    left = len(content) - max(ends)
    return left if left > _TABLE else 0
