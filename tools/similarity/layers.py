"""How alike a quantized model's layers are to the float model's, tensor by tensor.

A tensor of the artifact is compared with the float graph's tensor of the same name and
shape: activations keep their names through quantization. All of them become outputs of a
copy of each model, which runs as the model itself does, with the delegate. With f the float
values and q the artifact's, over all positions and samples:

* SQNR: 10 log10(sum f^2 / sum (f - q)^2), in decibels;
* cosine similarity: sum f q / sqrt(sum f^2 sum q^2);
* correlation: Pearson's of each channel (the last dimension), averaged with the channel's
  share of the tensor's variance as weight. It does not change when a channel is scaled or
  shifted, so that it compares an artifact with the float master itself although
  equalization gave the channels other scales; and a layer that gives a constant has 0.

Equalization multiplies channels by powers of two. Compared with the float graph as it was
prepared for quantization, f and q have the same scales. Compared with the float master,
each channel of q is multiplied by the power of two that brings its root mean square
nearest to that of f; an error of a channel's scale by more than 1.41 is then partly hidden.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.documents.json_file import rounded, significant
from tools.documents.layers import LayerError, LayerReport
from tools.documents.models import FileIdentity
from tools.documents.report import LayerFigures
from tools.errors import InputError
from tools.graph.data_sized import data_sized
from tools.graph.flatbuffer import (
    copied_model,
    model_bytes,
    model_to_read,
    shape_of,
    tensor_name,
    type_name,
)
from tools.graph.topology import WEIGHTED, Topology
from tools.quantization.dead_channels import remove_dead_channels
from tools.similarity.model_outputs import ModelOutputs, paired

# A correlation of fewer values says little: in a channel, and in all of them.
_MINIMUM_POSITIONS = 4
_MINIMUM_VALUES = 64
# A fall of the SQNR by as much is twice the error.
JUMP_DB = 6.0
# How many samples a report's layers are compared on.
REPORT_SAMPLES = 8
# Operators that change how a tensor is stored, and make no layer.
_CONVERSIONS = frozenset({"DENSIFY", "DEQUANTIZE", "QUANTIZE"})
_FLOAT = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
# Eight bits of one layer give about as much; a fall from infinity would be of any height.
CEILING_DB = 35.0


@dataclasses.dataclass
class _Channels:
    """Sums over the positions and samples of each channel, float64 [channels]."""

    count: int
    expected: np.ndarray
    actual: np.ndarray
    expected_squares: np.ndarray
    actual_squares: np.ndarray
    products: np.ndarray

    @classmethod
    def empty(cls, channels: int) -> "_Channels":
        return cls(0, *(np.zeros(channels) for _ in range(5)))

    def add(self, expected: np.ndarray, actual: np.ndarray) -> None:
        """Adds float32 arrays [positions, channels]."""
        self.count += len(expected)
        expected, actual = expected.astype(np.float64), actual.astype(np.float64)
        # A product takes a fifth of the time of numpy's sum over few channels.
        positions = np.ones(len(expected))
        self.expected += positions @ expected
        self.actual += positions @ actual
        self.expected_squares += np.einsum("pc,pc->c", expected, expected)
        self.actual_squares += np.einsum("pc,pc->c", actual, actual)
        self.products += np.einsum("pc,pc->c", expected, actual)

    def are_finite(self) -> tuple[bool, bool]:
        """Says of expected and actual values whether all were numbers.

        A square of a float32 is one in float64, and NaN or infinity stays in a sum.
        """
        expected, actual = self.expected_squares, self.actual_squares
        return bool(np.isfinite(expected).all()), bool(np.isfinite(actual).all())

    def powers_of_two(self) -> np.ndarray:
        """Gives the factor of each of the artifact's channels, float64 [channels]."""
        both = (self.expected_squares > 0) & (self.actual_squares > 0)
        ratio = np.divide(
            self.expected_squares, self.actual_squares, out=np.ones_like(self.expected), where=both
        )
        return 2.0 ** np.round(np.log2(ratio) / 2)

    def sqnr_db(self, factors: np.ndarray) -> float:
        """Gives the SQNR: infinite without an error, -infinite without a signal."""
        noise = (
            self.expected_squares - 2 * factors * self.products + factors**2 * self.actual_squares
        )
        # A difference of sums: equal values leave a little of either sign.
        noise = np.where(noise > 1e-12 * self.expected_squares, noise, 0.0).sum()
        if noise == 0:
            return float("inf")
        with np.errstate(divide="ignore"):
            return float(10 * (np.log10(self.expected_squares.sum()) - np.log10(noise)))

    def cosine(self, factors: np.ndarray) -> float:
        """Gives the cosine similarity; 1 where both are zero, 0 where one is."""
        lengths = self.expected_squares.sum() * (factors**2 * self.actual_squares).sum()
        if lengths == 0:
            return float(self.expected_squares.sum() == self.actual_squares.sum())
        return float(np.clip((factors * self.products).sum() / np.sqrt(lengths), -1, 1))

    def correlation(self) -> float | None:
        """Gives the mean correlation of channels; None where the float values are constant."""
        means = self.expected / self.count, self.actual / self.count
        spread = [
            np.maximum(squares / self.count - mean**2, 0)
            for squares, mean in zip(
                (self.expected_squares, self.actual_squares), means, strict=True
            )
        ]
        # What is left of a constant channel's squares is rounding.
        expected, actual = (
            np.where(values > 1e-9 * squares / self.count, values, 0)
            for values, squares in zip(
                spread, (self.expected_squares, self.actual_squares), strict=True
            )
        )
        if not expected.any():
            return None
        together = self.products / self.count - means[0] * means[1]
        lengths = np.sqrt(expected * actual)
        found = np.divide(together, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return float(np.clip((found * expected).sum() / expected.sum(), -1, 1))


@dataclasses.dataclass(frozen=True)
class Layer:
    """A tensor of the artifact, and the float graph's of the same name.

    Attributes:
      name: of both.
      operator: that makes it in the artifact, such as CONV_2D.
      position: of that operator in the artifact.
      dtype: of the tensor in the artifact, such as INT8.
      weights: type of the operator's weights, or "" where it has none.
      shape: with the batch.
      inputs: names of the nearest compared tensors that it is made from.
    """

    name: str
    operator: str
    position: int
    dtype: str
    weights: str
    shape: tuple[int, ...]
    inputs: tuple[str, ...]


def _by_name(graph: Topology) -> dict[str, int]:
    """Maps names of computed float tensors to indices; a name of two tensors is none."""
    names: dict[str, list[int]] = {}
    for index, operator in graph.producer.items():
        tensor = graph.tensor(index)
        # What quantizes an input, or makes constants float or dense again, is no layer.
        inner = graph.name(operator) in _CONVERSIONS and index not in graph.outputs
        values = tensor.type in _FLOAT or tensor.quantization is not None
        if not inner and values and np.prod(shape_of(tensor)) > 0:
            names.setdefault(tensor_name(tensor), []).append(index)
    return {name: indices[0] for name, indices in names.items() if name and len(indices) == 1}


def _matches(reference: Topology, artifact: Topology) -> dict[str, tuple[int, int]]:
    """Pairs tensors by name and shape: {name: (the float graph's index, the artifact's)}.

    Where a size depends on values, nothing says which value belongs to which.
    """
    known, unknowable = _by_name(reference), data_sized(reference)
    return {
        name: (known[name], index)
        for name, index in _by_name(artifact).items()
        if name in known
        and known[name] not in unknowable
        and shape_of(reference.tensor(known[name])) == shape_of(artifact.tensor(index))
    }


class LayerComparison:
    """Runs a float graph and an artifact side by side.

    Attributes:
      layers: what is compared, in the artifact's order.
      unmatched: names of the artifact's tensors without a counterpart, or whose size depends
        on values.
    """

    def __init__(self, reference: bytes, artifact: bytes, where: tuple[str, str]):
        """Opens both models.

        Args:
          reference: the float graph.
          artifact: the quantized model.
          where: how messages name them.

        Raises:
          InputError: when one cannot be run, or no tensor has a counterpart.
        """
        graphs = [
            Topology(model_to_read(content, name))
            for content, name in zip((reference, artifact), where, strict=True)
        ]
        self._pairs = _matches(*graphs)
        self.unmatched = [name for name in _by_name(graphs[1]) if name not in self._pairs]
        if not self._pairs:
            raise InputError(
                "model.other",
                f"{where[1]}: none of its tensors has a name and fixed shape of {where[0]}'s; give "
                "the model that it was made from",
            )
        self.layers = self._layers(graphs[1])
        self._sums = {
            layer.name: _Channels.empty(layer.shape[-1] if layer.shape else 1)
            for layer in self.layers
        }
        self._reference, self._artifact = (
            ModelOutputs(content, name, also)
            for content, name, also in zip(
                (reference, artifact), where, zip(*self._pairs.values(), strict=True), strict=True
            )
        )
        self._inputs, _ = paired(self._reference, self._artifact)

    def _layers(self, graph: Topology) -> list[Layer]:
        names = {index: name for name, (_, index) in self._pairs.items()}
        result = []
        for position, operator in enumerate(graph.subgraph.operators):
            for index in operator.outputs:
                if int(index) not in names:
                    continue
                tensor = graph.tensor(index)
                result.append(
                    Layer(
                        name=names[int(index)],
                        operator=graph.name(operator),
                        position=position,
                        dtype=type_name(tensor),
                        weights=_weight_type(graph, operator),
                        shape=shape_of(tensor),
                        inputs=tuple(_compared_inputs(graph, operator, names)),
                    )
                )
        return result

    def add(self, sample: Mapping[str, np.ndarray]) -> None:
        """Runs one sample through both models.

        Args:
          sample: the float graph's input name to float32 array.

        Raises:
          InputError: when a runtime fails, or a value is NaN or infinite.
        """
        self._reference(sample)
        self._artifact({theirs: sample[ours] for theirs, ours in self._inputs.items()})
        for layer in self.layers:
            pair = zip((self._reference, self._artifact), self._pairs[layer.name], strict=True)
            channels = layer.shape[-1] if layer.shape else 1
            own = [model.tensor(index) for model, index in pair]
            if own[0].shape != own[1].shape or own[0].size % channels:
                # The shape that is stated is not the one that it has.
                self._drop(layer)
                continue
            values = [one.reshape(-1, channels) for one in own]
            sums = self._sums[layer.name]
            sums.add(*values)
            models = (self._reference, self._artifact)
            for is_finite, model in zip(sums.are_finite(), models, strict=True):
                if not is_finite:
                    raise InputError(
                        "model.value", f"{model.where}: tensor {layer.name} is NaN or infinite"
                    )

    def _drop(self, layer: Layer) -> None:
        self.layers = [one for one in self.layers if one is not layer]
        self.unmatched.append(layer.name)
        del self._sums[layer.name]

    def correlations(self) -> dict[str, float | None]:
        """Gives the correlation of each layer by name, None where it says nothing.

        That is where the float values are constant, or too few.
        """
        return {
            name: sums.correlation()
            if sums.count >= _MINIMUM_POSITIONS
            and sums.count * len(sums.expected) >= _MINIMUM_VALUES
            else None
            for name, sums in self._sums.items()
        }

    def errors(self, same_scales: bool) -> list[LayerError]:
        """Gives each layer's error, in the artifact's order.

        Args:
          same_scales: whether the float graph's channels have the artifact's scales; else
            powers of two are fitted.

        Returns:
          An entry for each layer. The jump is how far the SQNR falls below that of the
          layer's worst input, both taken to lie within CEILING_DB and its negative.
        """
        result: list[LayerError] = []
        known: dict[str, float] = {}
        for layer in self.layers:
            sums = self._sums[layer.name]
            ones = np.ones_like(sums.expected)
            factors = ones if same_scales else sums.powers_of_two()
            sqnr, correlation = sums.sqnr_db(factors), sums.correlation()
            known[layer.name] = max(min(sqnr, CEILING_DB), -CEILING_DB)
            before = min((known[name] for name in layer.inputs), default=CEILING_DB)
            result.append(
                LayerError(
                    correlation=None if correlation is None else rounded(correlation),
                    cosine=significant(sums.cosine(factors)),
                    dtype=layer.dtype,
                    jump_db=round(before - known[layer.name], 3),
                    name=layer.name,
                    operator=layer.operator,
                    position=layer.position,
                    rescaled_channels=int((factors != 1).sum()),
                    shape=tuple(layer.shape),
                    sqnr_db=rounded(sqnr, 5),
                    weights=layer.weights,
                )
            )
        return result


def best_reference(master: bytes, artifact: bytes, where: tuple[str, str]) -> bytes:
    """Finds the float graph whose tensors have the artifact's shapes.

    Args:
      master: the float master.
      artifact: the quantized model.
      where: how messages name both.

    Returns:
      The master, or the master without the channels that no result depends on.
    """
    whole = model_to_read(master, where[0])
    smaller = copied_model(whole)
    remove_dead_channels(smaller)
    graph = Topology(model_to_read(artifact, where[1]))
    if len(_matches(Topology(smaller), graph)) > len(_matches(Topology(whole), graph)):
        return model_bytes(smaller)
    return master


def spread(count: int, most: int) -> list[int]:
    """Picks at most so many of `count` samples, spread evenly, the first and last among them."""
    return [int(n) for n in np.linspace(0, count - 1, min(count, most)).round()]


def layer_report_of(
    comparison: LayerComparison, name: str, prepared: bool, samples: int, artifact: bytes
) -> LayerReport:
    """Puts a layer report together.

    Args:
      comparison: that has seen its samples.
      name: of the artifact.
      prepared: whether it was compared with the float graph as it was prepared.
      samples: how many.
      artifact: the quantized model.
    """
    layers = comparison.errors(same_scales=prepared)
    jumps = [layer.name for layer in layers if layer.jump_db >= JUMP_DB]
    return LayerReport(
        artifact=FileIdentity(len(artifact), hashlib.sha256(artifact).hexdigest()),
        compared_with="prepared" if prepared else "float_master",
        first_jump=jumps[0] if jumps else None,
        jump_threshold_db=JUMP_DB,
        layers=tuple(layers),
        name=name,
        samples=samples,
        unmatched=tuple(comparison.unmatched),
    )


def compare_layers(
    master: bytes, artifact: bytes, samples: Sequence[Mapping[str, np.ndarray]], where: str
) -> LayerFigures | None:
    """Finds the layer that is least like the float model's, for a report.

    Args:
      master: the float master.
      artifact: the quantized model.
      samples: test data; REPORT_SAMPLES of them, spread over all, are used.
      where: how messages name the artifact.

    Returns:
      None where no tensor of the artifact has a name and shape of the master's.

    Raises:
      InputError: when a runtime fails, or a value is NaN or infinite.
    """
    reference = best_reference(master, artifact, ("float model", where))
    if not _matches(Topology(model_to_read(reference)), Topology(model_to_read(artifact, where))):
        return None
    comparison = LayerComparison(reference, artifact, ("float model", where))
    numbers = spread(len(samples), REPORT_SAMPLES)
    for number in numbers:
        comparison.add(samples[number])
    known = {name: c for name, c in comparison.correlations().items() if c is not None}
    worst = min(known, key=lambda name: known[name], default=None)
    return LayerFigures(
        compared=len(known),
        correlation_min=None if worst is None else rounded(known[worst]),
        samples=len(numbers),
        worst=worst,
    )


def _weight_type(graph: Topology, operator) -> str:
    """Names the type of an operator's weights as the file stores them, "" without any."""
    if graph.name(operator) not in WEIGHTED or len(operator.inputs) < 2:
        return ""
    index = int(operator.inputs[1])
    producer = graph.producer.get(index)
    if producer is not None and graph.name(producer) == "DEQUANTIZE":
        index = int(producer.inputs[0])
    return type_name(graph.tensor(index))


def _compared_inputs(graph: Topology, operator, names: Mapping[int, str]) -> Iterator[str]:
    """Finds the nearest tensors before an operator that are compared."""
    seen: set[int] = set()
    open_tensors = [int(index) for index in operator.inputs if index != -1]
    while open_tensors:
        index = open_tensors.pop()
        if index in seen:
            continue
        seen.add(index)
        if index in names:
            yield names[index]
        elif index in graph.producer:
            open_tensors += [int(i) for i in graph.producer[index].inputs if i != -1]
