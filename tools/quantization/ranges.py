"""Turns calibration statistics into one range a tensor.

The range runs from the p-th percentile of the samples' minima to the (100 - p)-th of
their maxima: a few samples on which activations explode (pictures without the object,
most often) do not take the bits from all others. p = 0 is min/max calibration.
"""

import numpy as np

from tools.graph.flatbuffer import shape_of, tensor_name
from tools.graph.topology import Topology
from tools.quantization.calibration import TensorStatistics


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
    ranges = {}
    for index, values in statistics.items():
        tensor = graph.tensor(index)
        low = np.percentile(values.lowest, percentile)
        high = np.percentile(values.highest, 100 - percentile)
        # The input's values are given, not estimated: none may be clipped.
        if index in graph.inputs:
            low, high = values.lowest.min(), values.highest.max()
        shape = [1] * len(shape_of(tensor))
        ranges[tensor_name(tensor)] = {
            "max": np.full(shape, high, np.float32),
            "min": np.full(shape, low, np.float32),
        }
    return ranges
