"""Pass: clips the ranges of what is added up to what the sum's activation lets through.

Of y = clip(a + b, 0, 6) everything below 0 and above 6 is lost. With a from A to A' and b read
here alone, b under -A' gives 0 as b = -A' does, and b over 6 - A gives 6 as b = 6 - A does: the
range of b ends there, with a finer step, and no sum of values within the ranges changes. In
networks with residual streams the addends are up to five times as wide as what of them counts.
"""

from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import tensor_name
from tools.graph.topology import Topology
from tools.quantization.ranges import widen_to_sums

_KIND = schema.ActivationFunctionType
# What an activation lets through.
_BOUNDS = {
    _KIND.RELU: (0.0, np.inf),
    _KIND.RELU6: (0.0, 6.0),
    _KIND.RELU_N1_TO_1: (-1.0, 1.0),
}


def _clipped(
    own: tuple[float, float], other: tuple[float, float], bounds: tuple[float, float]
) -> tuple[float, float]:
    """Gives the range that an addend needs beside another; it has 0 in it, as all ranges have."""
    low = max(own[0], bounds[0] - other[1])
    high = min(own[1], bounds[1] - other[0])
    return min(low, 0.0), max(high, 0.0)


def _widen(graph: Topology, ranges: Mapping[str, dict[str, np.ndarray]]) -> None:
    """Widens what is now finer than kernels can sum up."""
    indices = {tensor_name(tensor): i for i, tensor in enumerate(graph.subgraph.tensors)}
    bounds = {
        indices[name]: [float(limits["min"].min()), float(limits["max"].max())]
        for name, limits in ranges.items()
        if name in indices
    }
    widen_to_sums(graph, bounds)
    for name, limits in ranges.items():
        if name in indices:
            limits["max"][...] = bounds[indices[name]][1]


def clip_addends(graph: Topology, ranges: Mapping[str, dict[str, np.ndarray]]) -> dict | None:
    """Clips ranges.

    Args:
      graph: of a float model, with activations fused into its ADDs.
      ranges: as of `estimate_ranges`; changed in place.

    Returns:
      The report's entry; None where nothing is to be clipped.
    """
    changed = 0
    for operator in graph.subgraph.operators:
        if graph.name(operator) != "ADD":
            continue
        bounds = _BOUNDS.get(operator.builtinOptions.fusedActivationFunction)
        indices = [int(index) for index in operator.inputs]
        names = [tensor_name(graph.tensor(index)) for index in indices]
        if bounds is None or indices[0] == indices[1] or any(n not in ranges for n in names):
            continue
        for own, other in ((0, 1), (1, 0)):
            index = indices[own]
            alone = len(graph.consumers[index]) == 1 and index not in graph.outputs
            if not alone or index not in graph.producer:
                continue
            one, two = (
                (float(ranges[names[place]]["min"].min()), float(ranges[names[place]]["max"].max()))
                for place in (own, other)
            )
            low, high = _clipped(one, two, bounds)
            # A range without width has no step.
            if (low, high) != one and low < high:
                ranges[names[own]]["min"][...] = low
                ranges[names[own]]["max"][...] = high
                changed += 1
    if not changed:
        return None
    _widen(graph, ranges)
    return {
        "changed": changed,
        "detail": f"{changed} ranges of addends end where the sum's activation does",
        "name": "addends",
    }
