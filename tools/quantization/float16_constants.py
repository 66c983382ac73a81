"""Pass: stores biases and slopes of float operators as float16.

The library stores weights in fewer bits and leaves what else is constant in float32: the
biases beside float16 weights, and the slopes of PRELU. Behind a DEQUANTIZE these take
half. XNNPACK folds it when the delegate is prepared, as it does for weights.

Rounded to float16, a value moves by at most 2^-11 of itself (IEEE 754), an eighth of half
an int8 step. Values that came from a float16 file come back to the bit. Constants with a
value beyond float16's normal numbers (2^-14 to 65504) stay, but for zeros.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import TfliteModel, model_bytes
from tools.graph.topology import WEIGHTED, Topology

# What DEQUANTIZE, its lists and a second tensor take in the file.
_OVERHEAD = 96
_FLOAT32 = schema.TensorType.FLOAT32


def _candidates(graph: Topology) -> list[int]:
    """Lists the constants that are slopes, or biases beside float16 weights."""
    found = []
    for operator in graph.subgraph.operators:
        name = graph.name(operator)
        if name == "PRELU":
            found.append(int(operator.inputs[1]))
        elif name in WEIGHTED:
            position = 3 if name == "TRANSPOSE_CONV" else 2
            producer = graph.producer.get(int(operator.inputs[1]))
            # A float operator that was left as it is keeps its bias, too. XNNPACK takes
            # no expanded bias beside int8 weights, expanded or not.
            if len(operator.inputs) > position and producer is not None:
                source = graph.tensor(producer.inputs[0])
                if source.type == schema.TensorType.FLOAT16:
                    found.append(int(operator.inputs[position]))
    return [
        index
        for index in dict.fromkeys(found)
        if index != -1 and graph.is_constant(index) and graph.tensor(index).type == _FLOAT32
    ]


def _fits(values: np.ndarray) -> bool:
    limits = np.finfo(np.float16)
    magnitude = np.abs(values[values != 0])
    return bool((magnitude >= limits.tiny).all() and (magnitude <= limits.max).all())


def store_constants_float16(model: TfliteModel) -> dict:
    """Puts DEQUANTIZE before biases and slopes that are smaller as float16.

    Args:
      model: a quantized model; changed in place.

    Returns:
      The report's entry; its gain is in bytes of the file.
    """
    graph = Topology(model)
    extension = GraphExtension(model, graph.subgraph)
    added, before = [], None
    for index in _candidates(graph):
        tensor = graph.tensor(index)
        values = model.constant(tensor)
        if 2 * values.size <= _OVERHEAD or not _fits(values):
            continue
        before = before or len(model_bytes(model))
        narrow = values.astype(np.float16)
        stored = extension.copied(index, values=narrow, kind=schema.TensorType.FLOAT16)
        tensor.buffer = 0
        # From version 3 on it takes float16.
        added.append(extension.operator("DEQUANTIZE", [stored], [index], version=3))
    gain = None
    if added:
        graph.subgraph.operators = added + list(graph.subgraph.operators)
        gain = {"metric": "file, bytes", "before": before, "after": len(model_bytes(model))}
    return {
        "changed": len(added),
        "detail": f"{len(added)} tensors of biases and slopes stored as float16",
        "gain": gain,
        "name": "float16_constants",
    }
