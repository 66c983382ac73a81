"""What a layer with weights multiplies: rows of inputs, one for each place of its output.

CONV_2D and FULLY_CONNECTED are y = W x + b with W [outputs, terms] and x a row of that
many terms: a pixel's neighbourhood, with zeros where it reaches beyond the picture.
DEPTHWISE_CONV_2D has such a product for each channel, W [channels, taps].
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import shape_of
from tools.graph.topology import Topology

LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})


class LayerInputs:
    """Places of a layer's output, chosen at random, and the inputs that lead there."""

    def __init__(self, graph: Topology, operator: schema.OperatorT, samples: int, rows: int):
        """Chooses places.

        Args:
          graph: of the model.
          operator: one of LAYERS, in which `is_plain` holds.
          samples: how many there are.
          rows: how many places at most, over all samples. The same arguments give the
            same places.
        """
        self.name = graph.name(operator)
        self._options = operator.builtinOptions
        self._weights = shape_of(graph.tensor(operator.inputs[1]))
        self._input = shape_of(graph.tensor(operator.inputs[0]))
        if self.name == "FULLY_CONNECTED":
            self._places = (samples * int(np.prod(self._input)) // self._weights[-1],)
        else:
            self._places = (samples, *shape_of(graph.tensor(operator.outputs[0]))[1:3])
        total = int(np.prod(self._places))
        chosen = np.arange(total)
        if total > rows:
            chosen = np.sort(np.random.default_rng(0).choice(total, rows, replace=False))
        self._chosen = np.unravel_index(chosen, self._places)

    def matrix(self, weights: np.ndarray) -> np.ndarray:
        """Brings weights, in the model's shape, into one row for each output channel."""
        if self.name == "DEPTHWISE_CONV_2D":
            return weights.reshape(-1, self._weights[-1]).T
        return weights.reshape(self._weights[0], -1)

    def weights(self, matrix: np.ndarray) -> np.ndarray:
        """Brings rows back into the model's shape."""
        turned = matrix.T if self.name == "DEPTHWISE_CONV_2D" else matrix
        return np.ascontiguousarray(turned).reshape(self._weights)

    def rows(self, values: np.ndarray, zero: int = 0) -> np.ndarray:
        """Gathers the inputs of the chosen places.

        Args:
          values: [samples, *the input's shape].
          zero: what stands beyond the picture's edge.

        Returns:
          [rows, terms]; [channels, rows, taps] of DEPTHWISE_CONV_2D; of the values' type.
        """
        if self.name == "FULLY_CONNECTED":
            return values.reshape(-1, self._weights[-1])[self._chosen]
        pictures = values.reshape(values.shape[0], *self._input[1:])
        options, (height, width) = self._options, self._weights[1:3]
        steps = (options.strideH, options.strideW)
        spread = (options.dilationHFactor, options.dilationWFactor)
        edges = [(0, 0)]
        for axis, size in enumerate((height, width)):
            reach = (self._places[axis + 1] - 1) * steps[axis] + (size - 1) * spread[axis] + 1
            missing = max(reach - self._input[axis + 1], 0)
            if options.padding == schema.Padding.VALID:
                missing = 0
            edges.append((missing // 2, missing - missing // 2))
        padded = np.pad(pictures, [*edges, (0, 0)], constant_values=zero)
        number, row, column = self._chosen
        taps = [
            padded[number, row * steps[0] + y * spread[0], column * steps[1] + x * spread[1]]
            for y in range(height)
            for x in range(width)
        ]
        if self.name == "CONV_2D":
            return np.stack(taps, axis=1).reshape(len(number), -1)
        found = np.stack(taps, axis=2).transpose(1, 0, 2)
        return np.repeat(found, self._weights[-1] // found.shape[0], axis=0)


def is_plain(graph: Topology, operator: schema.OperatorT) -> bool:
    """Says whether a layer is such a product: of constant weights, and not in groups."""
    name = graph.name(operator)
    if name not in LAYERS or len(operator.inputs) < 3 or -1 in operator.inputs[:3]:
        return False
    if not all(graph.is_constant(index) for index in operator.inputs[1:3]):
        return False
    weights = shape_of(graph.tensor(operator.inputs[1]))
    channels = shape_of(graph.tensor(operator.inputs[0]))[-1:]
    if name == "DEPTHWISE_CONV_2D":
        return channels != () and weights[-1] % channels[0] == 0
    return name == "FULLY_CONNECTED" or weights[-1:] == channels
