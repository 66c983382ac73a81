"""Pass: stores weights by their values that are not zero, where that is smaller.

Models that were pruned in training ship their weights sparse, behind DENSIFY: of
MediaPipe's pose detector, three quarters of the weights are zero. Quantized, a weight
takes a byte and its place in the row another, so that a tensor of over half zeros is
smaller sparse than dense. schema.fbs (SparsityParameters) gives the format.

DENSIFY of a constant costs nothing when the model runs: XNNPACK expands it as the
delegate is prepared, and packs the same weights as from a dense file. The numbers that
come out are the same to the bit.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import TfliteModel, model_bytes
from tools.graph.pruning import prune
from tools.graph.sparsity import sparsify
from tools.graph.topology import WEIGHTED, Topology

# What the operator, the tensor and the metadata's tables take in the file.
_OVERHEAD = 360
# Types of results, beside weights that the delegate takes from a constant only.
_DYNAMIC = frozenset({schema.TensorType.FLOAT32})
_FROM_CONSTANTS = {"FULLY_CONNECTED": _DYNAMIC | {schema.TensorType.INT8}}
_TYPES = frozenset({schema.TensorType.INT8, schema.TensorType.FLOAT16})


def _weights(graph: Topology) -> list[int]:
    """Lists constants that are weights, directly or behind DEQUANTIZE.

    Not those of dynamic operators (int8 weights, float activations) and of FULLY_CONNECTED in
    int8, which XNNPACK takes from a constant only.
    """
    found = []
    for operator in graph.subgraph.operators:
        name = graph.name(operator)
        if name in WEIGHTED:
            index = int(operator.inputs[1])
            producer = graph.producer.get(index)
            if producer is not None and graph.name(producer) == "DEQUANTIZE":
                index = int(producer.inputs[0])
            elif graph.tensor(operator.outputs[0]).type in _FROM_CONSTANTS.get(name, _DYNAMIC):
                continue
            if graph.is_constant(index) and graph.tensor(index).type in _TYPES:
                found.append(index)
    return list(dict.fromkeys(found))


def store_weights_sparse(model: TfliteModel) -> dict:
    """Puts DENSIFY before weights that are smaller sparse.

    Args:
      model: a quantized model; changed in place.

    Returns:
      The report's entry; its gain is in bytes of the file.
    """
    graph = Topology(model)
    extension = GraphExtension(model, graph.subgraph)
    added = []
    before = None
    for index in _weights(graph):
        tensor = graph.tensor(index)
        dense = model.constant(tensor)
        if tensor.sparsity is not None or 2 * np.count_nonzero(dense) > dense.size:
            continue
        values, sparsity, size = sparsify(dense)
        if size + _OVERHEAD >= dense.nbytes:
            continue
        before = before or len(model_bytes(model))
        stored = extension.copied(index, values=values)
        graph.tensor(stored).sparsity = sparsity
        tensor.buffer = 0
        added.append(extension.operator("DENSIFY", [stored], [index], schema.DensifyOptionsT()))
    gain = None
    if added:
        graph.subgraph.operators = added + list(graph.subgraph.operators)
        prune(model)
        gain = {"metric": "file, bytes", "before": before, "after": len(model_bytes(model))}
    return {
        "changed": len(added),
        "detail": f"{len(added)} weight tensors stored by their values that are not zero",
        "gain": gain,
        "name": "sparse_weights",
    }
