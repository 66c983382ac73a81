"""What the passes that correct layers share: what is looked at, and what judges.

Corrections are found on three quarters of the samples. The other quarter judges, by the
signal-to-noise ratio of each output in decibels, at most 40, averaged over outputs. Signal and
noise are of asinh(output), which is linear around zero and logarithmic beyond: a logit of
-700 may move by a few units, one of 0 may not. What gains less than 0.75 decibels is not
kept: other samples could judge otherwise, and what is corrected is no longer equal to anything
else, which costs bytes. Nor is what costs one output more than 3 decibels, whatever the
others gain.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, shape_of
from tools.graph.topology import Topology
from tools.quantization.calibration import evenly_spread
from tools.quantization.layer_execution import LayerExecution
from tools.quantization.layer_inputs import LAYERS, LayerInputs

# Decibels that a correction must gain.
LEAST_GAIN = 0.75
# Fewer samples do not tell what enters a layer.
_LEAST_SAMPLES = 16
# Numbers that one activation may have over all samples: all of them are in memory.
_MOST_VALUES = 1 << 27
# Places of a layer's output that are looked at, over all samples.
_ROWS = 4096
_DEPTHWISE_ROWS = 1024
# Decibels that an output may lose where the mean gains, and beyond which none counts: a presence
# that is sure of itself gains more than any mask can lose.
_MOST_LOSS = 3.0
_ENOUGH = 30.0
# An output of so many decibels is as good as right: what it gains beyond outweighs no other's loss.
_RIGHT = 40.0
# What these compute is not all in the operators of one piece.
_STATEFUL = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"})


class FloatLayer:
    """A layer of the float model, which has run.

    Attributes:
      places: of its output that are looked at.
      values: what enters it, [samples, *shape].
      weights: float32 [outputs, terms].
      bias: float32 [outputs].
    """

    def __init__(self, execution: LayerExecution, operator: schema.OperatorT):
        """Reads a layer.

        Args:
          execution: of the float model, up to the layer.
          operator: one of its, in which `is_plain` holds.
        """
        graph = execution.graph
        self.values = execution.values[int(operator.inputs[0])]
        depthwise = graph.name(operator) == "DEPTHWISE_CONV_2D"
        rows = _DEPTHWISE_ROWS if depthwise else _ROWS
        self.places = LayerInputs(graph, operator, len(self.values), rows)
        weights, bias = (graph.model.constant(graph.tensor(i)) for i in operator.inputs[1:3])
        self.weights, self.bias = self.places.matrix(weights), bias.reshape(-1)


class Judges:
    """A quarter of the samples, on which candidates are compared with the float model.

    Attributes:
      learning: the other samples.
      count: how many judge.
      tables: of the pieces of all candidates; see `LayerExecution`.
    """

    def __init__(self, model: TfliteModel, samples: Sequence[Mapping[str, np.ndarray]], most: int):
        """Divides samples, and runs the float model on a quarter of them.

        Args:
          model: the float model.
          samples: each maps signature input names to arrays.
          most: of those, how many are used, spread evenly.

        Raises:
          InputError: when the runtime cannot run a part of the model.
        """
        used = evenly_spread(samples, most)
        self.learning = [sample for number, sample in enumerate(used) if number % 4 != 3]
        self._judges = used[3::4]
        self.count = len(self._judges)
        self.tables: MutableMapping[tuple, bytes] = {}
        self._expected = LayerExecution(Topology(model), self._judges).run_all()

    @property
    def metric(self) -> str:
        """What `ratios` gives, in words for the report."""
        return f"signal-to-noise ratio of asinh(outputs) on {self.count} other samples, dB"

    def ratios(self, candidate: Topology) -> list[float | None]:
        """Gives the signal-to-noise ratio of asinh of each output, in decibels.

        Args:
          candidate: a model that differs from others in its constants' values alone.

        Returns:
          One for each output; None where it is a constant or text.
        """
        found = LayerExecution(candidate, self._judges, self.tables).run_all()
        ratios: list[float | None] = []
        for one, other in zip(self._expected, found, strict=True):
            if one is None or other is None:
                ratios.append(None)
                continue
            truth, value = (np.arcsinh(values.astype(np.float64)) for values in (one, other))
            signal, noise = np.square(truth).sum(), np.square(truth - value).sum()
            ratios.append(float(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-30))))
        return ratios


def mean_ratio(ratios: Sequence[float | None]) -> float:
    """Gives the mean of ratios as far as they count, in decibels; 0 where there are none."""
    known = [min(ratio, _RIGHT) for ratio in ratios if ratio is not None]
    return float(np.mean(known)) if known else 0.0


def _largest_loss(before: Sequence[float | None], after: Sequence[float | None]) -> float:
    """Gives the decibels that one output loses at most, of those that count."""
    pairs = zip(before, after, strict=True)
    losses = [
        min(one, _ENOUGH) - min(other, _ENOUGH)
        for one, other in pairs
        if one is not None and other is not None
    ]
    return max(losses, default=0.0)


def gains_enough(before: Sequence[float | None], after: Sequence[float | None]) -> bool:
    """Says whether a correction is worth keeping.

    Args:
      before: the ratio of each output without it, from `Judges.ratios`.
      after: with it.
    """
    gained = mean_ratio(after) >= mean_ratio(before) + LEAST_GAIN
    return gained and _largest_loss(before, after) <= _MOST_LOSS


def reason_to_leave(graph: Topology, count: int) -> str:
    """Says why layers cannot be corrected.

    Args:
      graph: of the artifact.
      count: how many samples there are.

    Returns:
      A clause; "" where they can.
    """
    names = {graph.name(operator) for operator in graph.subgraph.operators}
    if not names & LAYERS:
        return "the model has none"
    variable = any(tensor.isVariable for tensor in graph.subgraph.tensors)
    if len(graph.model.schema.subgraphs) > 1 or names & _STATEFUL or variable:
        return "the model has several subgraphs or a state"
    if count < _LEAST_SAMPLES:
        return f"{count} samples are too few to correct by"
    largest = max((math.prod(shape_of(t)) for t in graph.subgraph.tensors), default=0)
    return "its activations are too large" if largest * count > _MOST_VALUES else ""


def stored_weights(graph: Topology, operator: schema.OperatorT) -> int | None:
    """Finds the constant that holds a layer's weights, be it behind a DEQUANTIZE.

    Args:
      graph: of the artifact.
      operator: one of LAYERS.

    Returns:
      The tensor's index; None where weights are computed in another way.
    """
    index = int(operator.inputs[1])
    producer = graph.producer.get(index)
    if producer is not None and graph.name(producer) == "DEQUANTIZE":
        index = int(producer.inputs[0])
    return index if graph.is_constant(index) else None


class Holders:
    """How many layers of an artifact have the same weights."""

    def __init__(self, graph: Topology):
        self._graph = graph
        weights = [
            stored_weights(graph, operator)
            for operator in graph.subgraph.operators
            if graph.name(operator) in LAYERS
        ]
        known = [graph.tensor(index) for index in weights if index is not None]
        self._counts = Counter(map(self._digest, known))

    def _digest(self, tensor: schema.TensorT) -> bytes:
        data = self._graph.model.schema.buffers[tensor.buffer].data
        return hashlib.sha256(np.asarray(data, np.uint8).data).digest()

    def one_has(self, weights: schema.TensorT) -> bool:
        """Says whether one layer alone has them.

        Equal weights are stored once, corrected ones would be each by itself.
        """
        return self._counts[self._digest(weights)] == 1
