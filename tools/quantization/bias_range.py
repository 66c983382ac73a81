"""Pass: gives a channel weights that are large enough for its bias.

A quantized bias counts in steps of (input's step) x (channel's weight step), in 32 bits.
Training leaves channels whose weights are all but zero and whose bias is not: their
step is so fine that the bias does not fit, and the library clips it, at worst to the
other sign. There, the channel's largest weight is raised until the bias takes 28 bits.
What it adds to the sum is at most 127 x 255 / 2^28, a ten-thousandth of the bias.
"""

import numpy as np

from tools.graph.flatbuffer import TfliteModel, tensor_name
from tools.graph.topology import WEIGHTED, Topology

_MOST_BIAS_STEPS = 2.0**28
_ACTIVATION_STEPS = 255
_WEIGHT_STEPS = 127
# What the library takes for a range of nothing.
_LEAST_WIDTH = 1e-9


def make_room_for_biases(model: TfliteModel, ranges: dict[str, dict[str, np.ndarray]]) -> dict:
    """Raises weights where the bias would not fit.

    Args:
      model: a float model; changed in place.
      ranges: from `estimate_ranges`, of this model.

    Returns:
      The report's entry: {"name", "changed", "detail"}; `changed` counts channels.
    """
    graph = Topology(model)
    changed = 0
    for operator in graph.subgraph.operators:
        name = graph.name(operator)
        inputs = [int(index) for index in operator.inputs]
        # TRANSPOSE_CONV has the shape of its result first.
        source, bias = (2, 3) if name == "TRANSPOSE_CONV" else (0, 2)
        if name not in WEIGHTED or len(inputs) <= bias or inputs[bias] == -1:
            continue
        limits = ranges.get(tensor_name(graph.tensor(inputs[source])))
        if limits is None or not all(graph.is_constant(inputs[i]) for i in (1, bias)):
            continue
        width = max(limits["max"].max(), 0) - min(limits["min"].min(), 0)
        step = max(width, _LEAST_WIDTH) / _ACTIVATION_STEPS
        biases = np.abs(model.constant(graph.tensor(inputs[bias]))).reshape(-1)
        least = (biases / _MOST_BIAS_STEPS / step * _WEIGHT_STEPS).astype(np.float32)
        # One row for each channel; a depthwise kernel has the channels last.
        values = model.constant(graph.tensor(inputs[1]))
        turned = name == "DEPTHWISE_CONV_2D"
        rows = values.reshape(-1, biases.size).T if turned else values.reshape(biases.size, -1)
        rows = rows.copy()
        channels = np.arange(biases.size)
        largest = np.abs(rows).argmax(axis=1)
        small = np.abs(rows[channels, largest]) < least
        if small.any():
            place = channels[small], largest[small]
            rows[place] = np.copysign(least[small], rows[place])
            graph.tensor(inputs[1]).buffer = model.add_constant(rows.T if turned else rows)
            changed += int(small.sum())
    return {
        "changed": changed,
        "detail": f"{changed} channels have a bias that their weights had no step for",
        "name": "bias_range",
    }
