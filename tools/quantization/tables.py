"""Pass: stores tables, and the weights of rarer operators, in fewer bits.

The library quantizes a table (an embedding, mostly) where GATHER computes in int8, and knows no
form of it that keeps float arithmetic; of recurrent layers, three-dimensional convolutions and
products with several constant matrices it knows none, or none of float16. Here GATHER picks int8
rows, and a DEQUANTIZE behind it turns what was picked into float; all else stands behind a
DEQUANTIZE, which expands it when the model is opened. One step serves a whole table, as GATHER's
kernel has it, and each row of weights has its own; where that leaves too little of the smaller
rows, float16 it is.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import TfliteModel, model_bytes
from tools.graph.topology import Topology
from tools.quantization import patterns
from tools.quantization.settings import QuantizationSettings

_FLOAT32 = schema.TensorType.FLOAT32
# Below, the operator and its tensor take what it saves.
_LEAST_BYTES = 512
# Of a row's length, by which rounding may move nearly all rows.
_MOST_ERROR = 0.05
_NEARLY_ALL = 99
_MOST_CODE = 127
# From here on, GATHER takes int8.
_GATHER_VERSION = 2
# The inputs of other operators that are weights.
_WEIGHTS: dict[str, tuple[int, ...]] = {
    "BATCH_MATMUL": (0, 1),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 9), *range(18, 26)),
    "BIDIRECTIONAL_SEQUENCE_RNN": (1, 2, 5, 6),
    "CONV_3D": (1,),
    "CONV_3D_TRANSPOSE": (1,),
    "GATHER": (0,),
    "LSTM": tuple(range(1, 9)),
    "RNN": (1, 2),
    "SVDF": (1, 2),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 9), 16),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (1, 2),
}


def _wanted(graph: Topology, operator: schema.OperatorT, settings: QuantizationSettings) -> str:
    """Finds what the settings give a table: "float", "float16" or "int8"."""
    scheme = settings.scheme
    for pattern, given in settings.layers:
        if patterns.matches(graph, operator, pattern):
            scheme = given
    return scheme if scheme in ("float", "float16") else "int8"


def _codes(values: np.ndarray, by_row: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Rounds values to int8.

    Args:
      values: float32 [rows, ...].
      by_row: whether each row has a step of its own.

    Returns:
      (codes, steps); None where too little is left of the rows.
    """
    rows = values.reshape(values.shape[0], -1)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scales = (largest if by_row else largest.max(keepdims=True)) / np.float32(_MOST_CODE)
    if not np.isfinite(scales).all() or not scales.any():
        return None
    scales[scales == 0] = 1
    codes = np.round(rows / scales).astype(np.int8)
    lengths = np.linalg.norm(rows, axis=1)
    errors = np.linalg.norm(rows - codes * scales, axis=1)
    moved = errors[lengths > 0] / lengths[lengths > 0]
    if np.percentile(moved, _NEARLY_ALL) > _MOST_ERROR:
        return None
    return codes.reshape(values.shape), scales.reshape(-1)


class _Rewriting:
    """Puts constants of a graph behind DEQUANTIZE."""

    def __init__(self, graph: Topology):
        self.graph = graph
        self.extension = GraphExtension(graph.model, graph.subgraph)

    def dequantize(self, source: int, result: int) -> schema.OperatorT:
        # From version 3 on it takes float16.
        return self.extension.operator("DEQUANTIZE", [source], [result], version=3)

    def added(
        self, like: int, kind: int, values: np.ndarray | None, scales: np.ndarray | None = None
    ) -> int:
        """Adds a tensor like another, of another type."""
        index = self.extension.copied(like, "/stored", values, kind)
        if scales is not None:
            tensor = self.graph.tensor(index)
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.asarray(scales, np.float32)
            tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
        return index


def _expanded(
    work: _Rewriting, operator: schema.OperatorT, place: int, wanted: str
) -> schema.OperatorT | None:
    """Puts a constant behind DEQUANTIZE; None where it stays as it is."""
    index = int(operator.inputs[place])
    values = work.graph.model.constant(work.graph.tensor(index))
    by_row = wanted == "int8" and values.ndim == 2 and work.graph.name(operator) != "GATHER"
    rounded = _codes(values, by_row) if wanted == "int8" else None
    if rounded is not None:
        stored = work.added(index, schema.TensorType.INT8, *rounded)
    elif np.abs(values).max() <= np.finfo(np.float16).max:
        stored = work.added(index, schema.TensorType.FLOAT16, values.astype(np.float16))
    else:
        return None
    expanded = work.added(index, _FLOAT32, None)
    operator.inputs = [
        expanded if number == place else int(one) for number, one in enumerate(operator.inputs)
    ]
    return work.dequantize(stored, expanded)


def _picked(work: _Rewriting, operator: schema.OperatorT) -> schema.OperatorT | None:
    """Has GATHER pick rows of int8; None where too little would be left of them."""
    graph, index, result = work.graph, int(operator.inputs[0]), int(operator.outputs[0])
    rounded = _codes(graph.model.constant(graph.tensor(index)), False)
    if rounded is None:
        return None
    codes, scales = rounded
    stored = work.added(index, schema.TensorType.INT8, codes, scales)
    picked = work.added(result, schema.TensorType.INT8, None, scales)
    operator.inputs, operator.outputs = [stored, *operator.inputs[1:]], [picked]
    version = graph.model.schema.operatorCodes[operator.opcodeIndex].version
    operator.opcodeIndex = work.extension.operator_code("GATHER", max(version, _GATHER_VERSION))
    return work.dequantize(picked, result)


def _candidates(graph: Topology, operator: schema.OperatorT) -> list[int]:
    """Lists the inputs of an operator that are float constants worth storing in fewer bits."""
    found = []
    for place in _WEIGHTS.get(graph.name(operator), ()):
        index = int(operator.inputs[place]) if place < len(operator.inputs) else -1
        if index == -1 or graph.tensor(index).type != _FLOAT32 or not graph.is_constant(index):
            continue
        values = graph.model.constant(graph.tensor(index))
        if values.ndim and values.nbytes > _LEAST_BYTES:
            found.append(place)
    return found


def store_tables(model: TfliteModel, settings: QuantizationSettings) -> dict:
    """Stores what the library left in float, in every subgraph.

    Args:
      model: a quantized model; changed in place.
      settings: which say what each operator gets.

    Returns:
      The report's entry; its gain is in bytes of the file.
    """
    changed, before = 0, 0
    for number in range(len(model.schema.subgraphs)):
        graph = Topology(model, number)
        work, operators = _Rewriting(graph), []
        for operator in graph.subgraph.operators:
            places = _candidates(graph, operator)
            wanted = _wanted(graph, operator, settings) if places else "float"
            if wanted == "float":
                operators.append(operator)
                continue
            before = before or len(model_bytes(model))
            behind = None
            if graph.name(operator) == "GATHER" and wanted == "int8":
                behind = _picked(work, operator)
                changed += behind is not None
            added = []
            for place in places if behind is None else ():
                added.append(_expanded(work, operator, place, wanted))
            added = [one for one in added if one is not None]
            changed += len(added)
            operators += [*added, operator, *([behind] if behind else [])]
        graph.subgraph.operators = operators
    gain = None
    if changed:
        gain = {"metric": "file, bytes", "before": before, "after": len(model_bytes(model))}
    return {
        "changed": changed,
        "detail": f"{changed} tables and weights of rarer operators stored in fewer bits",
        "gain": gain,
        "name": "tables",
    }
