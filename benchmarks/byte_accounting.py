"""Says what the bytes of a .tflite file are.

What is written once counts once, for the first that reads it, in the order of KINDS.
"""

import numpy as np

from tools.graph.flatbuffer import TfliteModel, model_bytes, tensor_name
from tools.graph.topology import WEIGHTED, Topology

# Those of weights hold constants behind DEQUANTIZE and DENSIFY as well.
KINDS = (
    "weights",
    "biases",
    "other constants",
    "sparse indices",
    "scales of weights",
    "scales of biases",
    "scales of activations",
    "zero points",
    "names",
    "metadata",
    "associated files",
    "structure",
)
# A vector's length, before its elements.
_LENGTH = 4


def _roles(graph: Topology) -> dict[int, str]:
    """Says of each constant whether it is weights, biases or another."""
    roles = {}
    for operator in graph.subgraph.operators:
        name = graph.name(operator)
        for position, index in enumerate(operator.inputs):
            role = "other constants"
            if name in WEIGHTED and position == 1:
                role = "weights"
            elif name in WEIGHTED and position == (3 if name == "TRANSPOSE_CONV" else 2):
                role = "biases"
            index = int(index)
            while index in graph.producer and graph.name(graph.producer[index]) in (
                "DEQUANTIZE",
                "DENSIFY",
            ):
                roles[index] = role
                index = int(graph.producer[index].inputs[0])
            # The DEQUANTIZE itself comes first and knows less.
            unknown = roles.get(index, "other constants") == "other constants"
            if index != -1 and graph.is_constant(index) and unknown:
                roles[index] = role
    return roles


def bytes_by_kind(model: TfliteModel) -> dict[str, int]:
    """Accounts for the bytes of a model as `model_bytes` writes it.

    Args:
      model: any model; of several subgraphs, those after the first count as structure.

    Returns:
      Kind to bytes, in the order of KINDS; they add up to the file. "structure" is what
      is left: tables, offsets, shapes, options and alignment.
    """
    graph = Topology(model)
    roles = _roles(graph)
    result = dict.fromkeys(KINDS, 0)
    written: set[tuple] = set()

    def add(kind: str, values) -> None:
        if values is None or not len(values):
            return
        array = np.asarray(values)
        key = (array.dtype.str, array.tobytes())
        if key not in written:
            written.add(key)
            result[kind] += array.nbytes + _LENGTH

    for kind in ("weights", "biases", "other constants"):
        for index, tensor in enumerate(graph.subgraph.tensors):
            if graph.is_constant(index) and roles.get(index, "other constants") == kind:
                add(kind, np.asarray(model.schema.buffers[tensor.buffer].data, np.uint8))
    for tensor in graph.subgraph.tensors:
        for level in (tensor.sparsity.dimMetadata or []) if tensor.sparsity is not None else []:
            for vector in (level.arraySegments, level.arrayIndices):
                add("sparse indices", None if vector is None else vector.values)
    scales = {"weights": "scales of weights", "biases": "scales of biases"}
    for role in ("weights", "biases", None):
        for index, tensor in enumerate(graph.subgraph.tensors):
            parameters = tensor.quantization
            if parameters is not None and (roles.get(index) == role or role is None):
                add(scales.get(role, "scales of activations"), parameters.scale)
                add("zero points", parameters.zeroPoint)
    for name in {tensor_name(tensor) for tensor in graph.subgraph.tensors} - {""}:
        # A string ends in a zero.
        result["names"] += len(name.encode()) + 1 + _LENGTH
    for entry in model.schema.metadata or []:
        add("metadata", np.asarray(model.schema.buffers[entry.buffer].data, np.uint8))
    content = len(model_bytes(model))
    if model.associated_files:
        bare = TfliteModel(model.schema, [], model.where)
        result["associated files"] = content - len(model_bytes(bare))
    result["structure"] = content - sum(result.values())
    return result
