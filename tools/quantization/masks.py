"""Finds masks and padding: constants that are no values but say "not this one".

Attention adds -1e9, or the lowest float, to scores that softmax is to pass over; pooling pads
with it. Such a number sets no range: its step would be all that is left of the scores. What
holds it is computed in float, from where it comes in to the operator that no longer shows it
(SOFTMAX, MAX_POOL_2D, a comparison). Padding that only pools read is clamped instead to the
lowest value of what it pads, which gives the same maximum.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import tensor_name
from tools.graph.topology import MULTIPLYING, Topology

# Half-precision masks are -1e4 and -65504; the largest pixel, coordinate or class number is less.
_LOWEST, _HIGHEST = -9999.0, 1e6
# Softmax of what is so far below is nothing (e^-30 = 1e-13): before it, less is a mask.
_BELOW_SOFTMAX = -30.0
# The inputs at which an operator puts a constant among its results.
_VALUES: dict[str, tuple[int, ...] | None] = {
    "ADD": None,
    "BROADCAST_TO": (0,),
    "CONCATENATION": None,
    "DYNAMIC_UPDATE_SLICE": (0, 1),
    "FILL": (1,),
    "MUL": None,
    "PACK": None,
    "PADV2": (2,),
    "RESHAPE": (0,),
    "SCATTER_ND": (1,),
    "SELECT": (1, 2),
    "SELECT_V2": (1, 2),
    "SUB": None,
    "TILE": (0,),
}
# Operators whose results show what goes in.
_HAND_ON = frozenset(
    {
        *_VALUES,
        "CAST",
        "DIV",
        "EXPAND_DIMS",
        "GATHER",
        "GATHER_ND",
        "MIRROR_PAD",
        "NEG",
        "PAD",
        "REVERSE_V2",
        "SLICE",
        "SPLIT",
        "SPLIT_V",
        "SQUEEZE",
        "STRIDED_SLICE",
        "TRANSPOSE",
        "UNPACK",
    }
)
# Those that need not show it: they look for the largest, or saturate.
_HIDE = frozenset(
    {
        "ARG_MAX",
        "EXP",
        "LOGISTIC",
        "LOG_SOFTMAX",
        "MAXIMUM",
        "MAX_POOL_2D",
        "REDUCE_MAX",
        "RELU",
        "SOFTMAX",
        "TANH",
        "TOPK_V2",
    }
)
_FLOAT32 = schema.TensorType.FLOAT32


@dataclasses.dataclass(frozen=True)
class Masks:
    """What a graph has of masks and padding.

    Attributes:
      constants: indices of the constants that are such.
      tensors: of the activations that hold them.
      operators: that are to compute in float, in the model's order.
      paddings: PADV2 operators whose result only MAX_POOL_2D reads; they are none of
        `operators`.
    """

    constants: frozenset[int]
    tensors: frozenset[int]
    operators: tuple[schema.OperatorT, ...]
    paddings: tuple[schema.OperatorT, ...]


class _Search:
    """Follows masks through a graph."""

    def __init__(self, graph: Topology):
        self.graph = graph
        self.constants: set[int] = set()
        self.tensors: set[int] = set()
        self.operators: set[int] = set()
        self.paddings: set[int] = set()

    def is_hidden(self, start: int) -> bool:
        """Says whether all that an activation is used for hides how low it is."""
        seen, waiting = {start}, [start]
        while waiting:
            index = waiting.pop()
            if index in self.graph.outputs:
                return False
            for operator, _ in self.graph.consumers.get(index, ()):
                name = self.graph.name(operator)
                if name in _HIDE:
                    continue
                if name not in _HAND_ON:
                    return False
                after = {int(output) for output in operator.outputs} - seen
                seen |= after
                waiting += after
        return True

    def follow(self, start: int) -> None:
        """Marks what holds a mask, from an activation on, and what reads it."""
        waiting = [start]
        while waiting:
            index = waiting.pop()
            if index in self.tensors:
                continue
            self.tensors.add(index)
            for operator, _ in self.graph.consumers.get(index, ()):
                self.operators.add(id(operator))
                if self.graph.name(operator) in _HAND_ON:
                    waiting += self.floats(operator.outputs)

    def make(self, operator: schema.OperatorT) -> None:
        """Marks what a mask is made of: operators without weights before a product."""
        waiting = [int(index) for index in operator.inputs]
        while waiting:
            producer = self.graph.producer.get(waiting.pop())
            if producer is None or id(producer) in self.operators:
                continue
            if self.graph.name(producer) in _VALUES:
                self.operators.add(id(producer))
                waiting += [int(index) for index in producer.inputs]

    def floats(self, indices) -> list[int]:
        return [int(i) for i in indices if self.graph.tensor(i).type == _FLOAT32]


def _bounds(graph: Topology, index: int) -> tuple[float, float] | None:
    """Reads a float constant's smallest and largest value; None for what is none."""
    if index == -1 or graph.tensor(index).type != _FLOAT32 or not graph.is_constant(index):
        return None
    values = graph.model.constant(graph.tensor(index))
    return (float(values.min()), float(values.max())) if values.size else None


def _is_extreme(low: float, high: float) -> bool:
    return low <= _LOWEST or high >= _HIGHEST


def _from_constant(search: _Search, operator: schema.OperatorT, place: int, index: int) -> None:
    """Marks what an operator makes of a constant, if that is a mask."""
    graph, name, bounds = search.graph, search.graph.name(operator), _bounds(search.graph, index)
    if bounds is None or name in MULTIPLYING:
        return
    positions = _VALUES.get(name, ())
    results = search.floats(operator.outputs)
    shown = positions is None or place in positions
    if not _is_extreme(*bounds):
        low = bounds[0] if name != "SUB" or place == 0 else -bounds[1]
        hidden = shown and low <= _BELOW_SOFTMAX and name != "MUL"
        if not hidden or not all(search.is_hidden(result) for result in results):
            return
        if not all(_reaches_softmax(graph, result) for result in results):
            return
    search.constants.add(index)
    readers = [reader for result in results for reader, _ in graph.consumers.get(result, ())]
    pools = readers and all(graph.name(reader) == "MAX_POOL_2D" for reader in readers)
    if name == "PADV2" and pools and not graph.outputs & set(results):
        search.paddings.add(id(operator))
        search.tensors.update(results)
        return
    search.operators.add(id(operator))
    if name == "MUL":
        search.make(operator)
    for result in results if shown else ():
        search.follow(result)


def _reaches_softmax(graph: Topology, start: int) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        for operator, _ in graph.consumers.get(waiting.pop(), ()):
            name = graph.name(operator)
            if name in ("SOFTMAX", "LOG_SOFTMAX"):
                return True
            if name in _HAND_ON:
                after = {int(output) for output in operator.outputs} - seen
                seen |= after
                waiting += after
    return False


def find_masks(graph: Topology, lowest: Mapping[int, float] | None = None) -> Masks:
    """Finds masks by their constants, and by what activations did.

    Args:
      graph: of a float model.
      lowest: tensor index to the smallest value that it had; None before calibration. A mask
        may be an input, or be computed from one.

    Returns:
      What there is; the same arguments give the same.
    """
    search = _Search(graph)
    for operator in graph.subgraph.operators:
        for place, index in enumerate(operator.inputs):
            _from_constant(search, operator, place, int(index))
    for index, low in (lowest or {}).items():
        if low <= _LOWEST and search.is_hidden(index) and _reaches_softmax(graph, index):
            search.follow(index)
    operators = graph.subgraph.operators
    kept = [op for op in operators if id(op) in search.operators and id(op) not in search.paddings]
    paddings = [op for op in operators if id(op) in search.paddings]
    return Masks(
        frozenset(search.constants), frozenset(search.tensors), tuple(kept), tuple(paddings)
    )


def clamp_paddings(graph: Topology, masks: Masks, ranges: dict[str, dict]) -> int:
    """Pads for pools with the lowest value of what is padded.

    Args:
      graph: of a float model; constants are changed.
      masks: of this graph.
      ranges: of the activations, by name. Each padded one gets that of what it pads.

    Returns:
      How many paddings were clamped.
    """
    clamped = 0
    for operator in masks.paddings:
        source, _, constant = (int(index) for index in operator.inputs)
        limits = ranges.get(tensor_name(graph.tensor(source)))
        if limits is None:
            continue
        clamped += 1
        ranges[tensor_name(graph.tensor(operator.outputs[0]))] = dict(limits)
        tensor = graph.tensor(constant)
        value = np.float32(min(float(limits["min"].min()), 0.0))
        tensor.buffer = graph.model.add_constant(np.full(tensor.shape, value, np.float32))
    return clamped
