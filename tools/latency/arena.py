"""Plans where a graph's activations lie, as an inference engine's arena does.

TFLite's arena and XNNPACK's workspace put tensors that are not needed at the same time into
the same place, "greedy by size": the largest tensor first, each into the smallest gap that
is wide enough among those whose lifetimes touch its own (Pisarchyk and Lee, "Efficient memory
management for deep neural net inference", 2020, 5.2). The size that results is a property of
the graph. A kernel's own scratch is not in it, and neither is what an engine saves where an
operator may write over its input.
"""

import math
import re

from tools.graph.flatbuffer import TfliteModel, shape_of, type_name
from tools.graph.topology import Topology

_ALIGNMENT = 64


def tensor_bytes(tensor) -> int:
    """Says how much room a tensor takes, a multiple of 64 bytes."""
    name = type_name(tensor)
    bits = 8 if name == "BOOL" else int((re.findall(r"\d+$", name) or ["0"])[0])
    # A size that is not known before the first input is -1 or 1.
    size = -(-math.prod(abs(side) for side in shape_of(tensor)) * bits // 8)
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def lifetimes(graph: Topology) -> dict[int, tuple[int, int]]:
    """Says when tensors that are computed have to be there.

    Args:
      graph: of a subgraph.

    Returns:
      Tensor index to the numbers of the first and the last operator that need it; the
      subgraph's inputs, outputs and variables are always needed.
    """
    end = len(graph.subgraph.operators or [])
    found = dict.fromkeys(graph.inputs | graph.outputs, (0, end))
    for place, operator in enumerate(graph.subgraph.operators or []):
        for index in [int(one) for one in (*operator.inputs, *operator.outputs) if one >= 0]:
            if graph.tensor(index).isVariable:
                found[index] = (0, end)
            elif not graph.is_constant(index):
                first, last = found.get(index, (place, place))
                found[index] = (first, max(last, place))
    return {index: life for index, life in found.items() if not graph.is_constant(index)}


def _planned(graph: Topology) -> int:
    lives = lifetimes(graph)
    sizes = {index: tensor_bytes(graph.tensor(index)) for index in lives}
    placed: list[tuple[int, int, int, int]] = []
    for index in sorted(lives, key=lambda one: (-sizes[one], lives[one], one)):
        first, last = lives[index]
        size = sizes[index]
        best, narrowest, end = None, math.inf, 0
        for start, stop, begins, ends in sorted(placed):
            if begins > last or ends < first:
                continue
            gap = start - end
            if size <= gap < narrowest:
                best, narrowest = end, gap
            end = max(end, stop)
        best = end if best is None else best
        placed.append((best, best + size, first, last))
    return max((stop for _, stop, _, _ in placed), default=0)


def arena_bytes(model: TfliteModel) -> int:
    """Sizes the memory of a model's activations.

    Args:
      model: a model; sizes that are not known count as 1.

    Returns:
      Bytes, over all subgraphs.
    """
    return sum(_planned(Topology(model, number)) for number in range(len(model.schema.subgraphs)))
