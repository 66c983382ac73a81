"""Inputs that a model can take, where nobody gave any: indices that exist, pixels, masks.

Numbers drawn from a type's whole range end many a model: a token that the table does not
have is read beyond it. So an integer input is followed to what reads it.
"""

import dataclasses

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, shape_of, tensor_name, type_name
from tools.graph.topology import Topology

# The input whose values these operators hand on, each as it is.
_HANDS_ON = {
    "BROADCAST_TO": (0,),
    "CAST": (0,),
    "CONCATENATION": None,
    "DYNAMIC_UPDATE_SLICE": (0, 1),
    "EXPAND_DIMS": (0,),
    "GATHER": (0,),
    "GATHER_ND": (0,),
    "MIRROR_PAD": (0,),
    "PACK": None,
    "PAD": (0,),
    "PADV2": (0,),
    "RESHAPE": (0,),
    "REVERSE_V2": (0,),
    "SELECT": (1, 2),
    "SELECT_V2": (1, 2),
    "SLICE": (0,),
    "SPLIT": (1,),
    "SPLIT_V": (0,),
    "SQUEEZE": (0,),
    "STRIDED_SLICE": (0,),
    "TILE": (0,),
    "TRANSPOSE": (0,),
    "UNPACK": (0,),
}
# Which of an operator's inputs are indices.
_INDICES = {
    "EMBEDDING_LOOKUP": 0,
    "EMBEDDING_LOOKUP_SPARSE": 0,
    "GATHER": 1,
    "GATHER_ND": 1,
    "ONE_HOT": 0,
}
_INTEGERS = {"INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8, "INT8": np.int8}
# A path from an input to a table is short; a graph that loops is not followed for ever.
_MOST_STEPS = 10_000


@dataclasses.dataclass(frozen=True)
class _Place:
    """A tensor on the way from an input.

    Attributes:
      subgraph: its number.
      tensor: its index there.
      offset: what has been added to the input's value.
    """

    subgraph: int
    tensor: int
    offset: int = 0


def _table_size(graph: Topology, operator: schema.OperatorT) -> int | None:
    """Counts the rows that an index of an operator may name; None where it is open."""
    name = graph.name(operator)
    if name == "ONE_HOT":
        depth = graph.model.tensor_data(graph.tensor(operator.inputs[1]))
        return None if depth is None else int(depth.reshape(-1)[0])
    position = {"EMBEDDING_LOOKUP": 1, "EMBEDDING_LOOKUP_SPARSE": 3}.get(name, 0)
    shape = shape_of(graph.tensor(operator.inputs[position]))
    if name == "GATHER_ND":
        indices = shape_of(graph.tensor(operator.inputs[1]))
        shape = shape[: indices[-1]] if indices else ()
        return min(shape) if shape else None
    axis, batch = 0, 0
    if name == "GATHER" and operator.builtinOptions is not None:
        axis, batch = operator.builtinOptions.axis, operator.builtinOptions.batchDims
    axis = axis + len(shape) if axis < 0 else max(axis, batch)
    return shape[axis] if axis < len(shape) else None


def _inner_places(graph: Topology, operator: schema.OperatorT, position: int, offset: int):
    """Finds the tensors of other subgraphs that an operator hands its input to."""
    options = operator.builtinOptions
    name = graph.name(operator)
    numbers, shift = [], 0
    if name == "IF":
        numbers, shift = [options.thenSubgraphIndex, options.elseSubgraphIndex], 1
    elif name == "WHILE":
        numbers = [options.condSubgraphIndex, options.bodySubgraphIndex]
    elif name == "STABLEHLO_COMPOSITE":
        numbers = [operator.builtinOptions2.decompositionSubgraphIndex]
    for number in numbers:
        inputs = graph.model.schema.subgraphs[number].inputs
        if 0 <= position - shift < len(inputs):
            yield _Place(number, int(inputs[position - shift]), offset)


def _added(graph: Topology, operator: schema.OperatorT, position: int) -> int | None:
    """Reads what an ADD or SUB of one constant adds to its other input."""
    name = graph.name(operator)
    if name not in ("ADD", "SUB") or (name == "SUB" and position != 0):
        return None
    other = graph.model.tensor_data(graph.tensor(operator.inputs[1 - position]))
    if other is None or other.size != 1 or other.dtype.kind not in "iu":
        return None
    value = int(other.reshape(-1)[0])
    return value if name == "ADD" else -value


def _bounds_of(model: TfliteModel, index: int) -> tuple[int, int] | None:
    """Finds the lowest and the highest value of an integer input that is an index.

    Returns:
      Both included; None for an input that no table is read by.
    """
    graphs: dict[int, Topology] = {}
    low, high, found = -(2**31), 2**31 - 1, False
    start = _Place(0, index)
    seen, open_places = {start}, [start]
    while open_places and len(seen) < _MOST_STEPS:
        place = open_places.pop()
        if place.subgraph not in graphs:
            graphs[place.subgraph] = Topology(model, place.subgraph)
        graph = graphs[place.subgraph]
        for operator, position in graph.consumers.get(place.tensor, ()):
            name = graph.name(operator)
            if _INDICES.get(name) == position:
                size = _table_size(graph, operator)
                if size:
                    low, high = max(low, -place.offset), min(high, size - 1 - place.offset)
                    found = True
                continue
            offset = place.offset
            added = _added(graph, operator, position)
            after = list(_inner_places(graph, operator, position, offset))
            positions = _HANDS_ON.get(name, ())
            if positions is None or position in positions or added is not None:
                offset += added or 0
                after += [_Place(place.subgraph, int(o), offset) for o in operator.outputs]
            open_places += [one for one in after if one not in seen]
            seen.update(after)
    return (low, max(low, high)) if found else None


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and (shape[-1] in (1, 3) or shape[1] in (1, 3))


def _has_scale(tensor: schema.TensorT) -> bool:
    scale = None if tensor.quantization is None else tensor.quantization.scale
    return scale is not None and len(scale) > 0


class MadeUpInputs:
    """Makes values for the inputs of a model's main subgraph."""

    def __init__(self, model: TfliteModel):
        """Looks at what reads each input.

        Args:
          model: any model.
        """
        subgraph = model.schema.subgraphs[0]
        self._tensors = {int(index): subgraph.tensors[int(index)] for index in subgraph.inputs}
        self._bounds = {index: _bounds_of(model, index) for index in self._tensors}

    def values(
        self, index: int, shape: tuple[int, ...], dtype, random: np.random.Generator
    ) -> np.ndarray:
        """Makes values for one input.

        Args:
          index: the tensor's.
          shape: wanted.
          dtype: numpy's, of the input.
          random: where numbers are drawn from.

        Returns:
          `shape` in `dtype`. Floats lie between 0 and 1. Integers that a table is read by are
          rows that it has, those of quantized values and of images cover the type up to a
          byte, and others are 0 or 1, as bools are. Text is one letter.
        """
        dtype = np.dtype(dtype)
        if dtype.kind == "f":
            return random.random(shape, np.float32).astype(dtype, copy=False)
        if dtype.kind not in "biu":
            return np.full(shape, b"a", dtype=object)
        low, high = self.bounds(index, shape, dtype)
        if dtype.kind == "b":
            return random.integers(low, high, shape, endpoint=True).astype(dtype)
        return random.integers(low, high, shape, dtype=dtype, endpoint=True)

    def bounds(self, index: int, shape: tuple[int, ...], dtype) -> tuple[int, int]:
        """Gives the lowest and the highest value that an input of integers or bools is given.

        Args:
          index: the tensor's.
          shape: wanted.
          dtype: numpy's, of the input.

        Returns:
          Both included.
        """
        dtype = np.dtype(dtype)
        if dtype.kind == "b":
            return 0, 1
        limits = np.iinfo(dtype)
        is_quantized = _has_scale(self._tensors[index])
        bounds = self._bounds.get(index)
        if bounds is None and is_quantized:
            bounds = limits.min, limits.max
        elif bounds is None:
            bounds = (0, 255) if _is_image(tuple(shape)) else (0, 1)
        # What an offset leaves of a table may begin below zero; a token does not.
        least = limits.min if is_quantized else 0
        low, high = np.clip(bounds, least, limits.max).tolist()
        return low, high

    def value_range_flags(self) -> dict[str, str]:
        """Says in flags of TFLite's benchmark_model what it may draw integer inputs from.

        Returns:
          Flags without dashes; none where no input is of integers that are no quantized values,
          or a tensor's name has the characters that its lists are split at.
        """
        names, shapes, ranges = [], [], []
        for index, tensor in self._tensors.items():
            name, shape = tensor_name(tensor), shape_of(tensor)
            dtype = _INTEGERS.get(type_name(tensor))
            names.append(name)
            shapes.append(",".join(map(str, shape)))
            if dtype and not _has_scale(tensor):
                low, high = self.bounds(index, shape, dtype)
                ranges.append(f"{name},{low},{high}")
        if not ranges or any(set(name) & set(",:") for name in names):
            return {}
        return {
            "input_layer": ",".join(names),
            "input_layer_shape": ":".join(shapes),
            "input_layer_value_range": ":".join(ranges),
        }
