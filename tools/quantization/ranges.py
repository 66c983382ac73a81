"""Turns calibration statistics into one range a tensor.

The range runs from the p-th percentile of the samples' minima to the (100 - p)-th of
their maxima: a few samples on which activations explode (pictures without the object,
most often) do not take the bits from all others. p = 0 is min/max calibration.
"""

import numpy as np

from tools.graph.flatbuffer import shape_of, tensor_name
from tools.graph.topology import WEIGHTED, Topology
from tools.quantization.activation_statistics import TensorStatistics

_STEPS = 255
_WEIGHT_STEPS = 127
# XNNPACK's int8 kernels take at most 256 steps of the result for one step of what is
# summed up (qs8 requantization); its delegate crashes beyond. Half of it is kept clear.
_MOST_STEPS_A_SUM = 128


def _least_widths(graph: Topology, bounds: dict[int, list[float]]) -> None:
    """Widens ranges that are finer than their operator's inputs can resolve.

    An activation that was 0 on all samples has no width at all.

    Args:
      graph: the model.
      bounds: [low, high] by tensor index; changed in place, in the operators' order.
    """

    def step(index: int) -> float:
        if graph.is_constant(index):
            values = graph.model.tensor_data(graph.tensor(index))
            low, high = float(values.min()), float(values.max())
        else:
            low, high = bounds.get(int(index), (0, 0))
        return (max(high, 0) - min(low, 0)) / _STEPS

    for operator in graph.subgraph.operators:
        name = graph.name(operator)
        result = int(operator.outputs[0]) if len(operator.outputs) else -1
        if result not in bounds:
            continue
        if name in WEIGHTED and graph.is_constant(operator.inputs[1]):
            weights = graph.model.tensor_data(graph.tensor(operator.inputs[1]))
            source = operator.inputs[2 if name == "TRANSPOSE_CONV" else 0]
            summed = step(source) * float(np.abs(weights).max()) / _WEIGHT_STEPS
        elif name in ("ADD", "SUB"):
            summed = max(step(index) for index in operator.inputs)
        elif name == "MUL":
            summed = step(operator.inputs[0]) * step(operator.inputs[1])
        else:
            continue
        missing = summed / _MOST_STEPS_A_SUM - step(result)
        if missing > 0:
            bounds[result][1] = max(bounds[result][1], 0) + missing * _STEPS


def estimate_ranges(
    graph: Topology, statistics: dict[int, TensorStatistics], percentile: float
) -> dict[str, dict[str, np.ndarray]]:
    """Estimates ranges.

    Args:
      graph: of the model that the statistics are of.
      statistics: by tensor index.
      percentile: 0 to 50, of the samples' extremes that may fall outside.

    Returns:
      Tensor name to {"min", "max"}: float32 arrays of one element and the tensor's
      rank, the form in which ai-edge-quantizer takes ranges.
    """
    bounds: dict[int, list[float]] = {}
    for index, values in statistics.items():
        low = np.percentile(values.lowest, percentile)
        high = np.percentile(values.highest, 100 - percentile)
        # The input's values are given, not estimated: none may be clipped.
        if index in graph.inputs:
            low, high = values.lowest.min(), values.highest.max()
        bounds[index] = [float(low), float(high)]
    _least_widths(graph, bounds)
    ranges = {}
    for index, (low, high) in bounds.items():
        shape = [1] * len(shape_of(graph.tensor(index)))
        ranges[tensor_name(graph.tensor(index))] = {
            "max": np.full(shape, high, np.float32),
            "min": np.full(shape, low, np.float32),
        }
    return ranges
