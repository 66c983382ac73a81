"""What a layer with weights multiplies: rows of inputs, one for each place of its output.

CONV_2D and FULLY_CONNECTED are y = W x + b with W [outputs, terms] and x a row of that
many terms: a pixel's neighbourhood, with zeros where it reaches beyond the picture.
DEPTHWISE_CONV_2D has such a product for each channel, W [channels, taps].
"""

import functools
import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import shape_of
from tools.graph.topology import Topology

# Numbers that are gathered at once, where they are of outputs that have nothing in common.
_MOST_GATHERED = 1 << 21
_ALL = slice(None)
LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})


class LayerInputs:
    """Places of a layer's output, chosen at random, and the inputs that lead there.

    Attributes:
      name: of the layer's operator.
      of_a_sample: how many places a sample has, before they are chosen.
    """

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
        self._places: tuple[int, ...]
        if self.name == "FULLY_CONNECTED":
            self._places = (samples * int(np.prod(self._input)) // self._weights[-1],)
        else:
            batch, *place = shape_of(graph.tensor(operator.outputs[0]))[:3]
            self._places = (samples * batch, *place)
        total = int(np.prod(self._places))
        # Of a head of landmarks this is 1.
        self.of_a_sample = total // max(samples, 1)
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

    def parts(self) -> list[slice]:
        """Shares out the outputs, so that what `rows` gathers for a part is not large."""
        outputs = self._weights[-1]
        if self.name != "DEPTHWISE_CONV_2D" or outputs != self._input[-1]:
            return [slice(None)]
        step = max(1, _MOST_GATHERED // (self._chosen[0].size * math.prod(self._weights[:-1])))
        return [slice(start, start + step) for start in range(0, outputs, step)]

    def rows(self, values: np.ndarray, zero: int = 0, part: slice = _ALL) -> np.ndarray:
        """Gathers the inputs of the chosen places.

        Args:
          values: [samples, *the input's shape].
          zero: what stands beyond the picture's edge.
          part: for which outputs, one of `parts`.

        Returns:
          [rows, terms]; [outputs, rows, taps] of DEPTHWISE_CONV_2D; of the values' type.
        """
        if self.name == "FULLY_CONNECTED":
            return values.reshape(-1, self._weights[-1])[self._chosen]
        pictures = values.reshape(-1, *self._input[1:])
        number, rows, columns, outside = self._reads
        # Whole pictures with an edge would be many times what is looked at.
        found = pictures[number, rows, columns, part]
        if outside is not None:
            found[outside] = zero
        if self.name == "CONV_2D":
            return found.reshape(len(found), -1)
        found = found.reshape(len(found), -1, found.shape[-1]).transpose(2, 0, 1)
        repeats = 1 if part != _ALL else self._weights[-1] // found.shape[0]
        return found if repeats == 1 else np.repeat(found, repeats, axis=0)

    @functools.cached_property
    def _reads(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
        """Finds what the kernel reads for each chosen place.

        Returns:
          (sample, row and column in its picture, which of them are beyond its edge, or None
          where none is); together each [places, the kernel's height, its width].
        """
        number, *place = self._chosen
        (rows, above), (columns, beside) = (self._taps(axis, place[axis]) for axis in (0, 1))
        outside = above[:, :, None] | beside[:, None, :]
        edge = outside if outside.any() else None
        return number[:, None, None], rows[:, :, None], columns[:, None, :], edge

    def _taps(self, axis: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Finds what the kernel reads along one axis of a picture.

        Args:
          axis: 0 is down, 1 across.
          places: of the output, [rows].

        Returns:
          (positions in the picture, whether they are beyond its edge and stand for zero),
          both [rows, the kernel's size].
        """
        options, size = self._options, self._weights[axis + 1]
        step = (options.strideH, options.strideW)[axis]
        spread = (options.dilationHFactor, options.dilationWFactor)[axis]
        length = self._input[axis + 1]
        reach = (self._places[axis + 1] - 1) * step + (size - 1) * spread + 1
        missing = 0 if options.padding == schema.Padding.VALID else max(reach - length, 0)
        wanted = places[:, None] * step - missing // 2 + np.arange(size) * spread
        inside = np.clip(wanted, 0, length - 1)
        return inside, inside != wanted


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
