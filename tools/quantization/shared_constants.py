"""Pass: gives each operator constants of its own.

Converters store a weight once that several operators read: tied embeddings, a kernel that
a recurrent cell applies at each step. Quantized, they may need it in different forms: in
int8 here and in float there, with scales along another axis, with the steps of another
input. litert-quantizer keeps one form where it sees no difference, and fails where it
does. Here every reader has a tensor of its own. The writer stores equal bytes once, so
what is quantized alike takes no more room than before, but for a table entry; it computes
the same numbers.
"""

import copy

from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, tensor_name


def _copy_buffer(model: TfliteModel, number: int) -> int:
    """Adds a buffer that holds the same bytes, which are not copied in memory."""
    buffer = schema.BufferT()
    buffer.data = model.schema.buffers[number].data
    model.schema.buffers.append(buffer)
    return len(model.schema.buffers) - 1


def separate_constants(model: TfliteModel) -> dict:
    """Splits every float constant that two operators read, or two tensors hold.

    Args:
      model: changed in place; tensors are added behind the others.

    Returns:
      The report's entry: {"name", "changed", "detail"}.
    """
    names = {tensor_name(t) for subgraph in model.schema.subgraphs for t in subgraph.tensors}
    taken: set[int] = set()
    split = 0
    for subgraph in model.schema.subgraphs:
        ends = {int(index) for index in [*subgraph.inputs, *subgraph.outputs]}
        read = {
            index: index in ends
            for index, tensor in enumerate(subgraph.tensors)
            if tensor.type == schema.TensorType.FLOAT32
            and model.schema.buffers[tensor.buffer].data is not None
            and len(model.schema.buffers[tensor.buffer].data)
        }
        for operator in subgraph.operators:
            inputs = [int(index) for index in operator.inputs]
            for place, index in enumerate(inputs):
                if index not in read:
                    continue
                tensor = subgraph.tensors[index]
                if read[index]:
                    tensor = copy.copy(tensor)
                    base = f"{tensor_name(tensor)}_shared"
                    number = len(subgraph.tensors)
                    while f"{base}_{number}" in names:
                        number += 1
                    tensor.name = f"{base}_{number}"
                    names.add(tensor.name)
                    inputs[place] = len(subgraph.tensors)
                    subgraph.tensors.append(tensor)
                    split += 1
                read[index] = True
                if tensor.buffer in taken:
                    tensor.buffer = _copy_buffer(model, tensor.buffer)
                taken.add(tensor.buffer)
            operator.inputs = inputs
    return {
        "changed": split,
        "detail": f"{split} readers of shared constants have one of their own",
        "name": "shared_constants",
    }
