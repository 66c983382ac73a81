"""Pass: gives more bits to the layers that cannot do with four or two.

Of a model's layers most lose little when their weights are rounded to four bits, and a few lose
what the model knows. Which ones those are does not show in the weights, so it is measured: on
samples of the calibration data each layer's weights are rounded in turn, as the passes that correct
layers will round them (tools.quantization.weight_steps), all else stays float, and with y an
output's values and y' those of such a model

    sum (y - y')^2 / sum y^2

is the layer's noise there. Rounding one layer knows little of rounding another, so that noises
add up. From all layers at the fewest bits, one after the other gets more (two bits, four, eight):
the one that takes away most noise for the bytes that it costs, of the outputs that have too much.
That goes on until every output keeps `least_sqnr_db` decibels of signal over the noise that all
layers at eight bits do not have, or the weights take a given percentage of their float bytes. A run
of all that was chosen tells what is reached; where noises added up to more than expected, it goes
on from there.

Without calibration data all layers have the fewest bits.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, copied_model, runnable_bytes, shape_of
from tools.graph.topology import WEIGHTED, Topology
from tools.quantization.bias_correction import corrected_bias
from tools.quantization.calibration import evenly_spread
from tools.quantization.choice import energies, outputs_of
from tools.quantization.corrections import FloatLayer, Holders, reason_to_leave
from tools.quantization.head_correction import MOST_TERMS, rounded_by_inputs
from tools.quantization.layer_execution import LayerExecution
from tools.quantization.layer_inputs import is_plain
from tools.quantization.weight_steps import fitted_steps, most_code

_JUDGES = 8
# Samples beside these, by which weights are rounded.
_LEARNING = 24
_BITS = {"int2": 2, "int4": 4, "dynamic_int4": 4, "weight_only_int4": 4}
# What a layer gets instead, step by step, from each scheme of few bits.
_WIDER = {
    "int2": ("dynamic_int4", "dynamic"),
    "int4": ("int8",),
    "dynamic_int4": ("dynamic",),
    "weight_only_int4": ("weight_only_int8",),
}
_BLOCKWISE = "blockwise_int4_"
_MOST_RUNS = 8
_HALVINGS = 4
_LEAST_NOISE = 1e-12


def rounded_weights(weights: np.ndarray, bits: int, block: int | None = None) -> np.ndarray:
    """Rounds weights as the library does.

    Args:
      weights: float32 [outputs, ..., inputs].
      bits: 2, 4 or 8, of codes that are as many below zero as above.
      block: how many inputs share a step; all of an output without it.

    Returns:
      float32, of the same shape.
    """
    most = most_code(bits)
    rows = weights.reshape(-1, block) if block else weights.reshape(len(weights), -1)
    steps = np.abs(rows.astype(np.float64)).max(axis=1, keepdims=True) / most
    steps[steps == 0] = 1
    codes = np.clip(np.round(rows / steps), -most, most)
    return (codes * steps).astype(np.float32).reshape(weights.shape)


@dataclasses.dataclass
class _Layer:
    """A layer whose weights get few bits.

    Attributes:
      place: of the operator in the main subgraph.
      schemes: that it can have, from the fewest bits on.
      bits: of these.
      block: inputs that share a step in the first scheme; None for all.
      rounded: for each scheme but the last the weights, and the bias where there is a new one.
      noises: for each scheme float64 [outputs].
      level: which scheme it has.
    """

    place: int
    schemes: tuple[str, ...]
    bits: tuple[int, ...]
    block: int | None
    rounded: list[tuple[np.ndarray, np.ndarray | None]] = dataclasses.field(default_factory=list)
    noises: list[np.ndarray] = dataclasses.field(default_factory=list)
    level: int = 0


def _layer(place: int, scheme: str) -> _Layer:
    if scheme.startswith(_BLOCKWISE):
        return _Layer(place, (scheme, "dynamic"), (4, 8), int(scheme.removeprefix(_BLOCKWISE)))
    schemes = (scheme, *_WIDER[scheme])
    return _Layer(place, schemes, tuple(_BITS.get(one, 8) for one in schemes), None)


def _rounded_by_data(floating: FloatLayer, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Rounds one layer's weights; returns them and the bias that goes with them, float32."""
    places, weights = floating.places, floating.weights
    stored, bias = np.empty(weights.shape), np.empty(floating.bias.size)
    for part in places.parts():
        inputs, own = places.rows(floating.values, part=part), weights[part]
        steps = fitted_steps(own, np.ones((len(own), 1)), inputs, bits)
        stored[part] = rounded_by_inputs(own, steps, inputs, most_code(bits)) * steps
        bias[part] = corrected_bias(floating.bias[part], own, stored[part], inputs, inputs)
    return places.weights(stored).astype(np.float32), bias.astype(np.float32)


def _round_by_data(
    model: TfliteModel, layers: Sequence[_Layer], samples: Sequence[Mapping[str, np.ndarray]]
) -> None:
    """Rounds layers' weights as the correction of layers will, for what enters in the float model.

    Layers that it leaves are left here.

    Args:
      model: the float model.
      layers: whose `rounded` is filled.
      samples: what enters is taken from.

    Raises:
      InputError: when the runtime cannot run a part of the model.
    """
    graph = Topology(model)
    execution, holders = LayerExecution(graph, samples), Holders(graph)
    chosen = [(layer, graph.subgraph.operators[layer.place]) for layer in layers if not layer.block]
    chosen = [
        (layer, operator)
        for layer, operator in chosen
        if is_plain(graph, operator)
        and holders.one_has(graph.tensor(operator.inputs[1]))
        and len(graph.consumers[int(operator.inputs[2])]) == 1
        and math.prod(shape_of(graph.tensor(operator.inputs[1]))[1:]) <= MOST_TERMS
        and execution.is_computed(operator.inputs[0])
    ]
    for _, operator in chosen:
        execution.hold(operator.inputs[0])
    for layer, operator in chosen:
        producer = graph.producer.get(int(operator.inputs[0]))
        if producer is not None:
            execution.run_through(producer)
        floating = FloatLayer(execution, operator)
        layer.rounded = [_rounded_by_data(floating, bits) for bits in layer.bits[:-1]]
        execution.release(operator.inputs[0])


class _Search:
    """Measures layers, and chooses what each gets."""

    def __init__(
        self,
        model: TfliteModel,
        layers: Sequence[_Layer],
        samples: Sequence[Mapping[str, np.ndarray]],
        corrected: bool,
    ):
        """Runs the float model, and rounds what can be rounded.

        Args:
          model: the float model.
          layers: that get few bits.
          samples: the representative dataset.
          corrected: whether the artifact's layers will be corrected by so many samples.
        """
        self._model, self._graph, self.layers = model, Topology(model), layers
        self._judges = evenly_spread(samples, _JUDGES)
        self._expected = outputs_of(model, runnable_bytes(model), self._judges)
        if corrected and not reason_to_leave(self._graph, len(samples)):
            judging = set(evenly_spread(range(len(samples)), _JUDGES))
            others = [number for number in range(len(samples)) if number not in judging]
            learning = [samples[number] for number in evenly_spread(others, _LEARNING)]
            _round_by_data(model, layers, learning)
        for layer in layers:
            if not layer.rounded:
                sizes = [(bits, layer.block) for bits in layer.bits[:1]]
                sizes += [(bits, None) for bits in layer.bits[1:-1]]
                weights = self._weights(layer)
                layer.rounded = [(rounded_weights(weights, *one), None) for one in sizes]
        self._sizes = {layer.place: self._weights(layer).size for layer in layers}
        self.all_bits = 32 * self._all_weights()

    def _weights(self, layer: _Layer) -> np.ndarray:
        operator = self._graph.subgraph.operators[layer.place]
        return self._model.constant(self._graph.tensor(operator.inputs[1]))

    def _all_weights(self) -> int:
        """Counts the weights of all layers, those of eight bits too."""
        tensors = {
            int(operator.inputs[1])
            for operator in self._graph.subgraph.operators
            if self._graph.name(operator) in WEIGHTED
            and self._graph.is_constant(operator.inputs[1])
        }
        return sum(self._model.constant(self._graph.tensor(index)).size for index in tensors)

    def noise(self, levels: Mapping[int, int]) -> np.ndarray:
        """Measures, float64 [outputs], the noise of some layers at their levels."""
        copy = copied_model(self._model)
        subgraph = copy.schema.subgraphs[0]
        for layer in self.layers:
            if layer.place not in levels:
                continue
            level, operator = levels[layer.place], subgraph.operators[layer.place]
            if level < len(layer.rounded):
                values, bias = layer.rounded[level]
            else:
                values, bias = rounded_weights(self._weights(layer), layer.bits[level]), None
            subgraph.tensors[operator.inputs[1]].buffer = copy.add_constant(values)
            if bias is not None:
                tensor = subgraph.tensors[operator.inputs[2]]
                tensor.buffer = copy.add_constant(bias.reshape(shape_of(tensor)))
        sums = energies(self._expected, outputs_of(copy, runnable_bytes(copy), self._judges))
        signal, noise = sums[..., 0].sum(axis=0), sums[..., 1].sum(axis=0)
        # An output that is zero throughout asks for nothing.
        return np.where(signal > 0, noise / np.maximum(signal, np.finfo(np.float64).tiny), 0)

    def measure(self) -> None:
        """Measures each layer at each number of bits but the most, whose noise is estimated.

        Noise goes with the square of the step.
        """
        for layer in self.layers:
            fewer = range(len(layer.schemes) - 1)
            layer.noises = [self.noise({layer.place: level}) for level in fewer]
            step = most_code(layer.bits[-2]) / most_code(layer.bits[-1])
            layer.noises.append(layer.noises[-1] * step**2)

    def added_bits(self, layer: _Layer, level: int) -> int:
        """Gives the bits that another scheme adds to a layer's weights."""
        return self._sizes[layer.place] * (layer.bits[level] - layer.bits[layer.level])

    def all_levels(self) -> dict[int, int]:
        return {layer.place: layer.level for layer in self.layers}

    def used_bits(self) -> int:
        """Gives the bits of all weights: eight of each that has no few."""
        few = sum(self._sizes[one.place] * (8 - one.bits[one.level]) for one in self.layers)
        return self.all_bits // 4 - few

    def _raises(self) -> Iterator[tuple[_Layer, int, np.ndarray, int]]:
        """Lists what can be raised: layer, level, the noise that it takes away, bits."""
        for layer in self.layers:
            for level in range(layer.level + 1, len(layer.schemes)):
                won = layer.noises[layer.level] - layer.noises[level]
                yield layer, level, won, self.added_bits(layer, level)

    def _raise_layers(self, noise: np.ndarray, most_noise: np.ndarray, most_bits: float) -> bool:
        """Raises layers until what is expected of each output is enough; says whether any."""
        expected, raised = noise.copy(), False
        while (wanting := expected > most_noise).any():
            # Of the outputs that have too much, as shares of what they have.
            options = [
                ((won / np.maximum(expected, _LEAST_NOISE))[wanting].sum() / bits, layer, level)
                for layer, level, won, bits in self._raises()
                if self.used_bits() + bits <= most_bits
            ]
            worth, layer, level = max(options, key=lambda one: one[0], default=(0, None, 0))
            if layer is None or worth <= 0:
                break
            expected -= layer.noises[layer.level] - layer.noises[level]
            layer.level, raised = level, True
        return raised

    def choose(self, added_noise: float, most_bits: float) -> tuple[np.ndarray, np.ndarray]:
        """Raises layers one after the other.

        Args:
          added_noise: that an output may have beyond that of eight bits.
          most_bits: of all weights.

        Returns:
          What each output has beyond that of eight bits (with all layers at the fewest bits, as
          chosen), measured.
        """
        least = self.noise({layer.place: len(layer.schemes) - 1 for layer in self.layers})
        most_noise = least + added_noise
        first = now = best = self.noise(self.all_levels())
        chosen = self.all_levels()
        for _ in range(_MOST_RUNS):
            if not self._raise_layers(now, most_noise, most_bits):
                break
            now = self.noise(self.all_levels())
            # Noises that cancelled each other may do so no longer.
            if (now / most_noise).max() < (best / most_noise).max():
                best, chosen = now, self.all_levels()
        for layer in self.layers:
            layer.level = chosen[layer.place]
        return first - least, best - least

    def needed_percent(self, added_noise: float, most_percent: float) -> float | None:
        """Finds the bits with which every output has little enough; the layers stay as they are.

        Args:
          added_noise: as of `choose`.
          most_percent: of the float bytes of all weights, which is too little.

        Returns:
          Percent of these that does, to a sixteenth of what lies between; None where none does.
        """
        levels = self.all_levels()

        def reached(percent: float) -> bool:
            for layer in self.layers:
                layer.level = 0
            _, noise = self.choose(added_noise, self.all_bits * percent / 100)
            return bool((noise <= added_noise).all())

        low, high, needed = most_percent, 100.0, None
        if reached(high):
            needed = high = 100 * self.used_bits() / self.all_bits
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                if reached(middle):
                    needed = high = middle
                else:
                    low = middle
        for layer in self.layers:
            layer.level = levels[layer.place]
        return needed


def _decibels(noise: np.ndarray) -> float:
    """Gives the signal-to-noise ratio of the output that has the least, at most 120."""
    return float(-10 * np.log10(max(noise.max(), _LEAST_NOISE)))


def find_wider_weights(
    model: TfliteModel,
    few: Mapping[int, str],
    samples: Sequence[Mapping[str, np.ndarray]],
    least_sqnr_db: float,
    most_percent: float,
    corrected: bool = False,
) -> tuple[dict[int, str], dict | None]:
    """Finds the layers that need more bits.

    Args:
      model: the float model that is quantized, of one subgraph.
      few: by the place of an operator in the main subgraph, its scheme of few bits.
      samples: the representative dataset.
      least_sqnr_db: decibels of signal over what rounding weights to fewer than eight bits
        adds to their noise, that every output is to keep.
      corrected: whether the artifact's layers will be corrected by the dataset.
      most_percent: of the float bytes of all weights, that their codes may take; layers that have
        eight bits in any case count, and biases and scales do not.

    Returns:
      (by place, the scheme that an operator gets instead; the report's entry, None where
      nothing was tried).
    """
    if not few or not samples:
        return {}, None
    layers = [_layer(place, scheme) for place, scheme in sorted(few.items())]
    try:
        search = _Search(model, layers, samples, corrected)
        search.measure()
        added_noise = 10 ** (-least_sqnr_db / 10)
        first, last = search.choose(added_noise, search.all_bits * most_percent / 100)
    except (InputError, RuntimeError):
        # Calibration runs the model; with other weights, a kernel may refuse.
        return {}, None
    wider = {layer.place: layer.schemes[layer.level] for layer in layers if layer.level}
    reached = _decibels(last)
    share = search.used_bits() / search.all_bits
    told = (
        f"{len(wider)} of {len(layers)} layers get more bits, in all {share:.1%} of the weights' "
        "float bytes"
    )
    if reached < least_sqnr_db:
        told += (
            f"; within {most_percent:g}% an output keeps {reached:.1f} dB, less than "
            f"{least_sqnr_db:g}"
        )
        needed = search.needed_percent(added_noise, most_percent)
        told += f", which takes {math.ceil(10 * needed) / 10:.1f}%" if needed else ""
    return wider, {
        "changed": len(wider),
        "detail": told,
        "gain": {
            "metric": "signal over the noise of fewer than eight bits in weights, of the output "
            "that has the least, dB",
            "before": round(_decibels(first), 2),
            "after": round(reached, 2),
        },
        "name": "weight_bits",
    }
