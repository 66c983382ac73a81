"""Says which TensorFlow Lite a model needs at the least.

Each operator code carries a version, and LiteRT's table says since when the runtime has it
(`operator_runtimes`). litert-quantizer leaves the versions of the float model, though its
int8 CONV_2D is version 3 and not 1. So the version that an operator's types ask for is worked
out as well, by the facts of LiteRT's GetBuiltinOperatorVersion (tflite/converter/tools/
versioning/op_version.cc), and the larger of the two counts.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, builtin_code, text, type_name
from tools.graph.operator_runtimes import RUNTIMES
from tools.graph.runtime_version import version_key

# Version by the type of the first input, where only that decides.
_BY_TYPE = {
    "ABS": {"INT8": 2, "INT16": 3},
    "ADD": {"FLOAT16": 6, "INT8": 2, "INT16": 3},
    "ARG_MAX": {"INT8": 2},
    "ARG_MIN": {"INT8": 2},
    "AVERAGE_POOL_2D": {"INT8": 2, "INT16": 3},
    "BATCH_MATMUL": {"INT8": 2, "INT16": 3},
    "BATCH_TO_SPACE_ND": {"INT8": 2, "INT16": 4},
    "BROADCAST_TO": {"INT8": 3, "INT16": 3},
    "CONCATENATION": {"INT4": 5, "INT8": 2, "INT16": 3},
    "DEPTH_TO_SPACE": {"INT8": 2},
    "DEQUANTIZE": {"FLOAT16": 3, "INT2": 7, "INT4": 6, "INT8": 2, "INT16": 3},
    "EQUAL": {"INT8": 2, "INT16": 5},
    "EXP": {"INT8": 2, "INT16": 2},
    "FLOOR_DIV": {"INT8": 3, "INT16": 3},
    "GATHER": {"INT4": 7, "INT8": 2, "INT16": 4},
    "GATHER_ND": {"INT16": 3},
    "GELU": {"INT8": 2},
    "GREATER": {"INT8": 2},
    "GREATER_EQUAL": {"INT8": 2, "INT16": 3},
    "L2_NORMALIZATION": {"INT8": 2},
    "LEAKY_RELU": {"INT16": 2},
    "LESS": {"INT8": 2, "INT16": 3},
    "LESS_EQUAL": {"INT8": 2},
    "LOG": {"INT8": 2, "INT16": 2},
    "LOGISTIC": {"INT8": 2, "INT16": 3},
    "LOG_SOFTMAX": {"INT8": 2},
    "MAXIMUM": {"INT8": 2, "INT16": 4},
    "MAX_POOL_2D": {"INT8": 2, "INT16": 3},
    "MEAN": {"INT8": 2, "INT16": 3},
    "MINIMUM": {"INT8": 2, "INT16": 4},
    "MIRROR_PAD": {"INT8": 2, "INT16": 3},
    "MUL": {"FLOAT16": 8, "INT8": 2, "INT16": 4},
    "NOT_EQUAL": {"INT8": 2, "INT16": 4},
    "PACK": {"INT8": 2, "INT16": 3},
    "PAD": {"INT8": 2, "INT16": 3},
    "PADV2": {"INT8": 2, "INT16": 3},
    "REDUCE_MAX": {"INT8": 2, "INT16": 3},
    "REDUCE_MIN": {"INT8": 2, "INT16": 3},
    "REDUCE_PROD": {"INT8": 2, "INT16": 2},
    "RELU": {"INT8": 2, "INT16": 3},
    "RELU6": {"INT8": 2, "INT16": 3},
    "RESIZE_BILINEAR": {"INT8": 2, "INT16": 4},
    "RESIZE_NEAREST_NEIGHBOR": {"INT8": 2, "INT16": 4},
    "REVERSE_V2": {"INT8": 3},
    "RSQRT": {"INT8": 2, "INT16": 3},
    "SELECT": {"INT8": 2},
    "SLICE": {"INT4": 7, "INT8": 2, "INT16": 4},
    "SOFTMAX": {"INT8": 2, "INT16": 3},
    "SPACE_TO_BATCH_ND": {"INT8": 2, "INT16": 4},
    "SPACE_TO_DEPTH": {"INT8": 2},
    "SPLIT_V": {"INT8": 2},
    "SQRT": {"INT8": 2, "INT16": 2},
    "SQUARED_DIFFERENCE": {"INT8": 2},
    "STRIDED_SLICE": {"INT8": 2},
    "SUB": {"INT8": 2, "INT16": 5},
    "SUM": {"INT8": 2},
    "TANH": {"INT8": 2, "INT16": 3},
    "TILE": {"INT8": 3},
    "TOPK_V2": {"INT8": 2, "INT16": 3},
    "TRANSPOSE": {"INT4": 7, "INT8": 2, "INT16": 5},
    "UNPACK": {"INT8": 2, "INT16": 4},
}

# Version by the types of the data and of the weights, and whether these have a scale for each
# channel. Forms of which GetBuiltinOperatorVersion does not speak have the version with which
# the weights' type came.
_BY_WEIGHTS = {
    "CONV_2D": {
        ("FLOAT32", "INT4"): (7, 7),
        ("FLOAT32", "INT8"): (2, 5),
        ("INT16", "INT8"): (4, 4),
        ("INT8", "INT4"): (7, 7),
        ("INT8", "INT8"): (3, 3),
    },
    "DEPTHWISE_CONV_2D": {
        ("FLOAT32", "INT4"): (7, 7),
        ("FLOAT32", "INT8"): (4, 6),
        ("INT16", "INT8"): (5, 5),
        ("INT8", "INT4"): (7, 7),
        ("INT8", "INT8"): (3, 3),
    },
    "FULLY_CONNECTED": {
        ("FLOAT32", "INT2"): (14, 14),
        ("FLOAT32", "INT4"): (10, 12),
        ("FLOAT32", "INT8"): (3, 12),
        ("INT16", "INT2"): (14, 14),
        ("INT16", "INT4"): (13, 13),
        ("INT16", "INT8"): (7, 7),
        ("INT8", "INT2"): (14, 14),
        ("INT8", "INT4"): (10, 10),
        ("INT8", "INT8"): (4, 4),
    },
}
# Where the data is the second input.
_SECOND = {"SPLIT": {"INT8": 2, "INT16": 4}, "TRANSPOSE_CONV": {"INT8": 2}}
_EMBEDDING = {"INT2": 5, "INT4": 4, "INT8": 4}

_METADATA_NAME = "min_runtime_version"
_METADATA_BYTES = 16


def _parameters(tensor: schema.TensorT) -> tuple[bool, bool]:
    """Says whether a tensor has a scale for each channel, and whether one for each block."""
    parameters = tensor.quantization
    if parameters is None:
        return False, False
    many = parameters.scale is not None and len(parameters.scale) > 1
    kind = getattr(parameters, "detailsType", 0)
    return many, kind == getattr(schema.QuantizationDetails, "BlockwiseQuantization", -1)


def _version_of_types(name: str, tensors: list[schema.TensorT | None], out: str) -> int | None:
    """Works out the version that an operator's types ask for; None where nobody says."""
    types = [type_name(tensor) if tensor is not None else "" for tensor in tensors]
    first, second = [*types, "", ""][:2]
    if name in _BY_WEIGHTS and tensors[1] is not None:
        by_channel, by_block = _parameters(tensors[1])
        if by_block:
            return None
        return _BY_WEIGHTS[name].get((first, second), (1, 1))[by_channel]
    if name == "QUANTIZE":
        return {"INT4": 4, "INT16": 2}.get(out, 1)
    if name == "DEQUANTIZE" and first == "INT8" and _parameters(tensors[0])[0]:
        return 5
    if name == "EMBEDDING_LOOKUP":
        return _EMBEDDING.get(second, 1)
    if name in _SECOND:
        return _SECOND[name].get(second, 1)
    return _BY_TYPE.get(name, {}).get(first, 1)


def min_runtime(model: TfliteModel) -> dict:
    """Finds the oldest runtime that has every operator of a model.

    Args:
      model: the model.

    Returns:
      {"version": the oldest TensorFlow Lite, or null where it has no operator that the table
      knows, "operators": [{"name", "version", "runtime"}], those that ask for most first,
      "unknown": names of operators of which nobody says since when they are there: custom
      ones, weights with a scale for each block, and versions newer than the table}.
    """
    needed: dict[str, int] = {}
    unknown: set[str] = set()
    for subgraph in model.schema.subgraphs:
        for operator in subgraph.operators:
            code = model.schema.operatorCodes[operator.opcodeIndex]
            name = model.operator_name(operator)
            if builtin_code(code) == schema.BuiltinOperator.CUSTOM:
                unknown.add(name)
                continue
            tensors = [None if i == -1 else subgraph.tensors[int(i)] for i in operator.inputs]
            outputs = [subgraph.tensors[int(i)] for i in operator.outputs]
            out = type_name(outputs[0]) if outputs else ""
            version = _version_of_types(name, tensors, out) if len(tensors) else 1
            if version is None:
                unknown.add(f"{name} with a scale for each block")
            version = max(code.version, version or 1)
            if version not in RUNTIMES.get(name, {}):
                unknown.add(f"{name} version {version}")
                continue
            needed[name] = max(needed.get(name, 0), version)
    rows: list[dict[str, Any]] = [
        {"name": name, "runtime": RUNTIMES[name][version], "version": version}
        for name, version in needed.items()
    ]
    rows.sort(key=lambda row: ([-part for part in version_key(row["runtime"])], row["name"]))
    return {
        "operators": rows,
        "unknown": sorted(unknown),
        "version": rows[0]["runtime"] if rows else None,
    }


def restate_min_runtime(model: TfliteModel) -> bool:
    """Corrects what a model's own metadata says of the runtime that it needs.

    Converters write it (`min_runtime_version`, 16 bytes) for the float model.

    Args:
      model: changed in place.

    Returns:
      Whether it said something else.
    """
    version = (min_runtime(model)["version"] or "").encode()
    changed = False
    for entry in model.schema.metadata or []:
        if text(entry.name) != _METADATA_NAME or len(version) >= _METADATA_BYTES:
            continue
        data = np.frombuffer(version.ljust(_METADATA_BYTES, b"\0"), np.uint8)
        old = model.schema.buffers[entry.buffer].data
        if old is None or bytes(bytearray(old)) != data.tobytes():
            # A buffer of its own: equal ones may be shared.
            entry.buffer = model.add_constant(data)
            changed = True
    return changed
