"""A copy of a model that computes statistics of its own activations.

A delegate writes only what leaves it, so activations cannot be read from outside while
it runs; without it, or with every activation written out and read in Python, a run
takes several times as long. The copy made here has a REDUCE_MAX and a REDUCE_MIN (or a
MEAN) behind each operator, over all dimensions but the last, and gives nothing but
their results, joined to one vector for each statistic. The delegate runs them as it
runs the rest, on values that it has at hand, and nothing large is written. They only
read: the values of all other tensors stay the same, to the bit.

Three kinds are not reduced, because their statistics follow from others:

- the result of PAD, whose paddings are zeros. (A reader more would keep the delegate
  from folding the PAD into the convolution that follows.)
- the result of RESHAPE that keeps the last dimension.
- the minimum where the operator clamps at zero (RELU, RELU6): it is taken as 0, which is
  a bound from below and lies in every range.
"""

import dataclasses
from collections.abc import Collection

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import (
    TfliteModel,
    copied_model,
    runnable_bytes,
    shape_of,
    tensor_name,
)
from tools.graph.pruning import prune
from tools.graph.topology import Topology, channel_count

HIGHEST, LOWEST, MEAN = "highest", "lowest", "mean"

_FUSED_CLAMPS = frozenset({schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6})
_CLAMPS = frozenset({"RELU", "RELU6", "RELU_0_TO_1"})

# Operators that give finite results for finite inputs, but where numbers overflow. The
# delegate's REDUCE_MAX and REDUCE_MIN pass over NaN, a MEAN does not: what any other
# operator writes gets one.
_FINITE = frozenset(
    {
        "ABS",
        "ADD",
        "AVERAGE_POOL_2D",
        "BATCH_MATMUL",
        "BATCH_TO_SPACE_ND",
        "BROADCAST_TO",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "DEPTH_TO_SPACE",
        "DEQUANTIZE",
        "ELU",
        "EXPAND_DIMS",
        "FULLY_CONNECTED",
        "GATHER",
        "GELU",
        "HARD_SWISH",
        "LEAKY_RELU",
        "LOGISTIC",
        "MAXIMUM",
        "MAX_POOL_2D",
        "MEAN",
        "MINIMUM",
        "MIRROR_PAD",
        "MUL",
        "NEG",
        "PACK",
        "PAD",
        "PADV2",
        "PRELU",
        "QUANTIZE",
        "REDUCE_MAX",
        "REDUCE_MIN",
        "RELU",
        "RELU6",
        "RELU_0_TO_1",
        "RELU_N1_TO_1",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "SLICE",
        "SOFTMAX",
        "SPACE_TO_BATCH_ND",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SPLIT_V",
        "SQUARE",
        "SQUARED_DIFFERENCE",
        "SQUEEZE",
        "STRIDED_SLICE",
        "SUB",
        "SUM",
        "TANH",
        "TILE",
        "TRANSPOSE",
        "TRANSPOSE_CONV",
        "UNPACK",
    }
)


@dataclasses.dataclass(frozen=True)
class PaddedFrom:
    """A tensor whose values are another's, and zeros.

    Attributes:
      source: index of the other tensor.
      before: number of channels of zeros that stand before the other's.
      around: whether there are zeros in its channels as well.
    """

    source: int
    before: int = 0
    around: bool = False


@dataclasses.dataclass(frozen=True)
class Layout:
    """What stands where in the row of numbers that one run of the copy gives.

    Attributes:
      channels: tensor index to the size of its last dimension (1 for a scalar), of
        every tensor that was asked for or that one of those is derived from.
      names: tensor index to name, for the same.
      columns: statistic (HIGHEST, LOWEST, MEAN) to tensor index to columns, for what is
        reduced. Statistics follow one another, each as one block.
      padded: tensor index to where its extremes come from, for what is not reduced.
      width: how many columns there are.
    """

    channels: dict[int, int]
    names: dict[int, str]
    columns: dict[str, dict[int, slice]]
    padded: dict[int, PaddedFrom]
    width: int

    def extremes(self, rows: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Takes one tensor's channel extremes out of rows.

        Args:
          rows: float32 [samples, width].
          index: of a tensor whose extremes were asked for.

        Returns:
          Its smallest and largest values, each float32 [samples, channels].
        """
        if index in self.padded:
            how = self.padded[index]
            lows, highs = self.extremes(rows, how.source)
            if how.around:
                lows, highs = np.minimum(lows, 0), np.maximum(highs, 0)
            after = self.channels[index] - how.before - self.channels[how.source]
            if how.before or after:
                lows, highs = (
                    np.pad(values, ((0, 0), (how.before, after))) for values in (lows, highs)
                )
            return lows, highs
        highs = rows[:, self.columns[HIGHEST][index]]
        place = self.columns[LOWEST].get(index)
        return (np.zeros_like(highs) if place is None else rows[:, place]), highs


def _padding(graph: Topology, operator: schema.OperatorT) -> PaddedFrom | None:
    """Says how an operator's result follows from its input, where it does."""
    name, source = graph.name(operator), int(operator.inputs[0]) if len(operator.inputs) else -1
    if source == -1 or graph.is_constant(source):
        return None
    before, after = (shape_of(graph.tensor(index)) for index in (source, operator.outputs[0]))
    ends = (graph.tensor(index) for index in (source, operator.outputs[0]))
    if any(shape_of(tensor)[-1:] != (channel_count(tensor),) for tensor in ends):
        return None
    if name == "RESHAPE" and before and after and before[-1] == after[-1]:
        return PaddedFrom(source)
    if name == "PAD" and graph.tensor(operator.outputs[0]).type == schema.TensorType.FLOAT32:
        amounts = graph.model.tensor_data(graph.tensor(operator.inputs[1]))
        if amounts is not None and (amounts >= 0).all():
            amounts = amounts.reshape(-1, 2)
            return PaddedFrom(source, int(amounts[-1][0]), bool(amounts[:-1].any()))
    return None


def _clamps(graph: Topology, operator: schema.OperatorT | None) -> bool:
    if operator is None:
        return False
    fused = getattr(operator.builtinOptions, "fusedActivationFunction", None)
    return fused in _FUSED_CLAMPS or graph.name(operator) in _CLAMPS


def plan_layout(
    model: TfliteModel,
    extremes: Collection[int],
    means: Collection[int] = (),
) -> Layout:
    """Decides which reductions a copy needs.

    Args:
      model: a float model.
      extremes: indices of tensors whose channel extremes are wanted.
      means: of tensors whose channel means are wanted.

    Returns:
      The layout; the same model and tensors give the same.
    """
    graph = Topology(model)
    padded: dict[int, PaddedFrom] = {}
    reduced: set[int] = set()
    waiting = [int(index) for index in extremes]
    seen: set[int] = set()
    while waiting:
        index = waiting.pop()
        if index in seen:
            continue
        seen.add(index)
        producer = graph.producer.get(index)
        how = _padding(graph, producer) if producer else None
        if how is None:
            reduced.add(index)
        else:
            padded[index] = how
            waiting.append(how.source)
    averaged = {int(index) for index in means}
    for index in reduced:
        producer = graph.producer.get(index)
        if producer is not None and graph.name(producer) not in _FINITE:
            averaged.add(index)
    known = sorted(seen | averaged)
    channels = {index: channel_count(graph.tensor(index)) for index in known}
    columns: dict[str, dict[int, slice]] = {}
    width = 0
    for statistic, tensors in (
        (HIGHEST, reduced),
        (LOWEST, {i for i in reduced if not _clamps(graph, graph.producer.get(i))}),
        (MEAN, averaged),
    ):
        columns[statistic] = {}
        for index in sorted(tensors):
            columns[statistic][index] = slice(width, width + channels[index])
            width += channels[index]
    names = {index: tensor_name(graph.tensor(index)) for index in known}
    return Layout(channels, names, columns, padded, width)


class _Reductions:
    """Adds operators that reduce tensors to their channels."""

    def __init__(self, model: TfliteModel):
        self.subgraph = model.schema.subgraphs[0]
        self._extension = GraphExtension(model, self.subgraph)
        self._constants: dict[tuple[int, ...], int] = {}

    def _name(self) -> str:
        return f"instrumentation_{len(self.subgraph.tensors)}"

    def integers(self, values: tuple[int, ...]) -> int:
        """Adds a constant of int32, once."""
        if values not in self._constants:
            array = np.array(values, np.int32)
            self._constants[values] = self._extension.constant(self._name(), array)
        return self._constants[values]

    def operator(self, name: str, inputs, shape, options):
        """Makes an operator with one float result; it is not in the subgraph yet.

        Returns:
          (the operator, its result's index).
        """
        result = self._extension.activation(self._name(), shape)
        return self._extension.operator(name, inputs, [result], options), result

    def reduce(self, name: str, index: int, operators: list) -> int:
        """Reduces a tensor to its channels, which adds to the operators.

        Means are taken in two steps: the delegate adds one value after the other, and the
        longer such a sum, the less exact.
        """
        shape = shape_of(self.subgraph.tensors[index])
        count = channel_count(self.subgraph.tensors[index])
        is_row = shape in ((), (count,))
        axes = tuple(range(len(shape) - (shape[-1:] == (count,))))
        for part in [axes[-1:], axes[:-1]] if name == "MEAN" else [axes]:
            if is_row or not part:
                continue
            options = schema.ReducerOptionsT()
            options.keepDims = False
            shape = tuple(size for axis, size in enumerate(shape) if axis not in part)
            operator, index = self.operator(name, [index, self.integers(part)], shape, options)
            operators.append(operator)
        if is_row or not shape:
            inputs, options = [index, self.integers((count,))], schema.ReshapeOptionsT()
            operator, index = self.operator("RESHAPE", inputs, [count], options)
            operators.append(operator)
        return index


_REDUCTIONS = {HIGHEST: "REDUCE_MAX", LOWEST: "REDUCE_MIN", MEAN: "MEAN"}


def instrumented(model: TfliteModel, layout: Layout) -> bytes:
    """Makes the copy.

    Args:
      model: it is not changed.
      layout: of this model, from `plan_layout`.

    Returns:
      A .tflite file without a signature, with the model's inputs in the model's order
      and the statistics that have columns as its outputs, each float32, in the order
      of the layout's columns. Operators that none of them depends on are left out.
    """
    changed = copied_model(model)
    reductions = _Reductions(changed)
    added: dict[int, list] = {}
    results: dict[str, list[int]] = {}
    for statistic, places in layout.columns.items():
        for index in places:
            operators = added.setdefault(index, [])
            result = reductions.reduce(_REDUCTIONS[statistic], index, operators)
            results.setdefault(statistic, []).append(result)
    operators = [new for index in Topology(changed).inputs for new in added.get(index, [])]
    for operator in reductions.subgraph.operators:
        operators.append(operator)
        operators += [new for index in operator.outputs for new in added.get(int(index), [])]
    outputs = []
    for statistic, parts in results.items():
        width = sum(place.stop - place.start for place in layout.columns[statistic].values())
        options = schema.ConcatenationOptionsT()
        joined, result = reductions.operator("CONCATENATION", parts, [width], options)
        operators.append(joined)
        outputs.append(result)
    reductions.subgraph.operators = operators
    reductions.subgraph.outputs = outputs
    changed.schema.signatureDefs = None
    prune(changed)
    return runnable_bytes(changed)


def with_outputs(model: TfliteModel, tensors: Collection[int]) -> bytes:
    """Makes a copy that gives chosen tensors as they are.

    Args:
      model: it is not changed.
      tensors: indices of tensors that operators compute.

    Returns:
      A .tflite file without a signature; its outputs are the tensors, in this order.
    """
    changed = copied_model(model)
    changed.schema.subgraphs[0].outputs = [int(index) for index in tensors]
    changed.schema.signatureDefs = None
    prune(changed)
    return runnable_bytes(changed)
