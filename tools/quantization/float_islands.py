"""Pass: finds the operators that int8 arithmetic costs most, and computes them in float.

What an operator loses by rounded activations says nothing of what the model loses by it: of a
network with hundreds of tensors a tail of 2x2 pixels can take most of what landmarks lose, and
the last maps of a decoder all that a mask does. So it is measured. The operators are divided
into segments, runs of operators whose results have the same height and width. In turn each
computes in int8 while all others compute in float (tools.quantization.activation_rounding), on
samples of the calibration data. With y an output's float values, y' those of such a model and
the sums over all samples,

    sum (asinh y - asinh y')^2

is the segment's noise there; asinh keeps the deep negatives of a mask's logits from deciding.
Rounding in one place knows little of that in another, so that the noises of several segments
add up: what a segment in float would win is known without a run for each set of them.

Segments are taken one after the other: the one first that wins the most decibels, summed over
the outputs, for the time that it costs, by the estimates of tools.quantization.dynamic_cost and
what it takes to convert at its ends. Each must win a decibel, and half a decibel for a hundredth
of the model's time; all together may cost 6 hundredths; and each is kept only where a run of all
that was chosen so far bears it out. An output at 40 dB is as good as right.

Weights stay int8: no byte is added.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, runnable_bytes, shape_of, tensor_name
from tools.graph.topology import Topology
from tools.quantization.activation_rounding import Step, steps_of, with_rounding
from tools.quantization.calibration import evenly_spread
from tools.quantization.choice import energies, outputs_of
from tools.quantization.dynamic_cost import FloatCost

_JUDGES = 16
_LEAST_SAMPLES = 16
# Decibels, summed over outputs.
_LEAST_GAIN = 1.0
_LEAST_GAIN_FOR_PERCENT = 0.5
_ENOUGH = 40.0
# Of a model's time.
_MOST_COST = 0.06
# A segment that costs less counts as one that costs so much.
_NO_COST = 1e-3
_MOST_SEGMENTS = 24
_LONGEST_RUN = 3
_MOST_TRIED = 8
# Of the noise, which no segment is expected to take away.
_LEAST_LEFT = 0.05
# They compute nothing, and stand with what follows.
_PADDINGS = frozenset({"MIRROR_PAD", "PAD", "PADV2"})


def _size(graph: Topology, operator: schema.OperatorT) -> tuple[int, ...]:
    shape = shape_of(graph.tensor(operator.outputs[0]))
    return shape[1:-1] if len(shape) == 4 else ()


def segments(graph: Topology, integer: Iterable[int]) -> list[list[int]]:
    """Divides the operators that compute in int8.

    Args:
      graph: of a float model.
      integer: the places of these operators.

    Returns:
      Runs of places; each operator's result in a run has the same height and width, but of
      paddings, which stand with what follows them.
    """
    operators = graph.subgraph.operators
    result: list[list[int]] = []
    last: tuple[int, ...] | None = None
    waiting: list[int] = []
    for place in sorted(integer):
        operator = operators[place]
        if graph.name(operator) in _PADDINGS:
            waiting.append(place)
            continue
        size = _size(graph, operator)
        if size != last:
            result.append([])
            last = size
        result[-1] += [*waiting, place]
        waiting = []
    if waiting:
        result.append(waiting)
    return result


# Compared by identity: arrays have no single equality.
@dataclasses.dataclass(frozen=True, eq=False)
class _Segment:
    """Operators that are put in float together: a segment, or several that follow each other.

    Attributes:
      places: of these, in the main subgraph.
      noise: what their rounding adds to each output, float64 [outputs].
    """

    places: frozenset[int]
    noise: np.ndarray


class _Search:
    """Measures what rounding costs, and chooses segments."""

    def __init__(
        self,
        graph: Topology,
        steps: Mapping[int, Step],
        samples: Sequence[Mapping[str, np.ndarray]],
    ):
        self._graph, self._steps = graph, steps
        self._judges = evenly_spread(samples, _JUDGES)
        self.all = frozenset(range(len(graph.subgraph.operators)))
        self.integer = frozenset(
            place
            for place, operator in enumerate(graph.subgraph.operators)
            if any(int(i) in steps and steps[int(i)].by_operator for i in operator.outputs)
        )
        self._expected = self._run(graph.model)
        self._signal = energies(self._expected, self._expected)[..., 0].sum(axis=0)
        self._cost = FloatCost(graph, self.integer)

    def _run(self, model: TfliteModel) -> list[list[np.ndarray]]:
        found = outputs_of(model, runnable_bytes(model), self._judges)
        return [[np.arcsinh(values) for values in outputs] for outputs in found]

    def noise(self, floating: frozenset[int]) -> np.ndarray:
        """Measures, float64 [outputs], what the model loses where these compute in float."""
        found = self._run(with_rounding(self._graph.model, self._steps, floating))
        return energies(self._expected, found)[..., 1].sum(axis=0)

    def quality(self, noise: np.ndarray) -> float:
        """Gives the sum over outputs of their signal-to-noise ratios, in decibels."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = 10 * np.log10(self._signal / np.maximum(noise, 0))
        ratios = np.where((noise <= 0) | (self._signal == 0), _ENOUGH, ratios)
        return float(np.clip(ratios, 0, _ENOUGH).sum())

    def candidates(self) -> list[_Segment]:
        """Measures each segment that could be in float; gives them, and runs of them.

        Two neighbours share what one gives the other: where its step is what costs, neither
        wins anything without the other.
        """
        divided = [frozenset(places) for places in segments(self._graph, self.integer)]
        costs = [self._cost.share(places) for places in divided]
        # Those that cost least, where there are too many to measure all.
        cheap = sorted(range(len(divided)), key=lambda number: (costs[number], number))
        measured = {
            number: self.noise(self.all - divided[number])
            for number in cheap[:_MOST_SEGMENTS]
            if costs[number] <= _MOST_COST
        }
        result = []
        for length in range(1, _LONGEST_RUN + 1):
            for first in range(len(divided) - length + 1):
                run = range(first, first + length)
                if measured.keys() >= set(run):
                    places = frozenset[int]().union(*(divided[number] for number in run))
                    noise = np.sum([measured[number] for number in run], axis=0)
                    result.append(_Segment(places, noise))
        return result

    def choose(self) -> tuple[frozenset[int], float, float]:
        """Chooses what computes in float.

        Returns:
          (places of operators, the quality without and with them).
        """
        floating = self.all - self.integer
        before = self.noise(floating)
        first = now = self.quality(before)
        left, chosen = self.candidates(), frozenset[int]()
        for _ in range(_MOST_TRIED):
            options = []
            for segment in left:
                cost = self._cost.share(chosen | segment.places)
                # What two of a run share is counted twice.
                after = np.maximum(before - segment.noise, _LEAST_LEFT * before)
                gain = self.quality(after) - now
                added = max(cost - self._cost.share(chosen), _NO_COST)
                worth = gain / (100 * added)
                if cost <= _MOST_COST and gain >= _LEAST_GAIN and worth >= _LEAST_GAIN_FOR_PERCENT:
                    options.append((worth, -len(segment.places), -min(segment.places), segment))
            if not options:
                break
            segment = max(options, key=lambda option: option[:-1])[-1]
            left.remove(segment)
            noise = self.noise(floating | chosen | segment.places)
            if self.quality(noise) >= now + _LEAST_GAIN:
                chosen |= segment.places
                before, now = noise, self.quality(noise)
                left = [one for one in left if not one.places <= chosen]
        return chosen, first, now


def find_islands(
    model: TfliteModel, artifact: TfliteModel, samples: Sequence[Mapping[str, np.ndarray]]
) -> tuple[list[schema.OperatorT], dict | None]:
    """Finds them.

    Args:
      model: the float model that is quantized, of one subgraph.
      artifact: what the library makes of it without islands.
      samples: the representative dataset.

    Returns:
      (operators of the model, in its order; the report's entry, None where nothing was tried).
    """
    graph = Topology(model)
    names = {tensor_name(tensor): index for index, tensor in enumerate(graph.subgraph.tensors)}
    steps = {names[name]: step for name, step in steps_of(artifact).items() if name in names}
    if len(samples) < _LEAST_SAMPLES or not steps:
        return [], None
    try:
        search = _Search(graph, steps, samples)
        chosen, before, after = search.choose()
    except RuntimeError:
        # Calibration runs the model; with other operators between, a kernel may refuse.
        return [], None
    operators = [graph.subgraph.operators[place] for place in sorted(chosen)]
    return operators, {
        "changed": len(operators),
        "detail": _told(graph, operators),
        "gain": {
            "metric": "mean signal-to-noise ratio of asinh(outputs), of rounded activations alone, "
            f"on {_JUDGES} samples, dB",
            "before": round(before / len(graph.outputs), 2),
            "after": round(after / len(graph.outputs), 2),
        },
        "name": "float_islands",
    }


def _told(graph: Topology, operators: Sequence[schema.OperatorT]) -> str:
    if not operators:
        return "no operators win enough in float for what they cost"
    sizes = list(dict.fromkeys("x".join(map(str, _size(graph, o))) or "1" for o in operators))
    return f"{len(operators)} operators compute in float, with results of {', '.join(sizes)}"
