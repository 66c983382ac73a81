"""Pass: corrects a quantized model layer by layer against the float one.

Both models run side by side over calibration samples, one layer at a time
(tools.quantization.layer_execution). What enters a layer of the quantized model has then
been through all corrected layers before it. The layer's weights are fitted to it
(tools.quantization.weight_refit) and its bias corrected
(tools.quantization.bias_correction); only then does it run. Two candidates, with weights
fitted and without, go through the layers beside one run of the float model. Fitted weights of
fewer than eight bits get new steps (tools.quantization.weight_steps), and are rounded as those of
heads are.

Layers that compute in float are left, but for float islands, which are fitted as int8 layers
are, and output heads. Heads are corrected in another way (tools.quantization.head_correction):
a fit would serve the many places where nothing is seen before the few that decide. A third
candidate has nothing but its heads corrected.

A quarter of the samples takes no part. It judges (tools.quantization.corrections): of the model
as it was, with biases corrected, and with weights fitted too, the best is kept. Heads that lead to
the same outputs are kept, or put back, by what those outputs gain.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, copied_model, packed, shape_of, tensor_name
from tools.graph.topology import Topology
from tools.quantization.bias_correction import corrected_bias
from tools.quantization.corrections import (
    LEAST_GAIN,
    FloatLayer,
    Holders,
    Judges,
    gains_enough,
    mean_ratio,
    reason_to_leave,
)
from tools.quantization.head_correction import (
    Head,
    find_heads,
    find_islands,
    groups,
    moved_bias,
    rounded_by_inputs,
)
from tools.quantization.layer_execution import LayerExecution, dequantized
from tools.quantization.layer_inputs import LAYERS, is_plain
from tools.quantization.weight_refit import refitted, rounded_codes
from tools.quantization.weight_steps import BITS, fitted_steps, most_code

_BIAS_TYPES: dict[int, type[np.signedinteger]] = {
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}
# What is done to a candidate's layers.
_AS_IT_WAS = "as they were"
_WITH_BIASES = "given corrected biases"
_FITTED = "fitted, and their biases corrected"


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A layer of the float model and what became of it."""

    operator: schema.OperatorT
    quantized: schema.OperatorT
    weights: schema.TensorT
    bias: schema.TensorT


def _layers(
    floating: Topology, graph: Topology, islands: Sequence[schema.OperatorT]
) -> list[_Layer]:
    """Pairs the layers whose weights and bias can be written."""
    by_name = {
        tensor_name(floating.tensor(operator.outputs[0])): operator
        for operator in floating.subgraph.operators
        if is_plain(floating, operator)
    }
    result = []
    holders = Holders(graph)
    for operator in graph.subgraph.operators:
        if graph.name(operator) not in LAYERS or len(operator.inputs) < 3:
            continue
        before = by_name.get(tensor_name(graph.tensor(operator.outputs[0])))
        index, bias = (int(i) for i in operator.inputs[1:3])
        if before is None or bias == -1:
            continue
        weights, values = graph.tensor(index), graph.tensor(bias)
        shapes = {shape_of(weights), shape_of(floating.tensor(before.inputs[1]))}
        if (
            len(shapes) == 1
            and weights.type in BITS
            and weights.quantization.details is None
            and values.type in _BIAS_TYPES
            and graph.is_constant(index)
            and graph.is_constant(bias)
            and len(graph.consumers[index]) == len(graph.consumers[bias]) == 1
            and holders.one_has(weights)
        ):
            result.append(_Layer(before, operator, weights, values))
    for layer in find_islands(floating, graph, islands):
        weights = layer.weights
        if weights.type == schema.TensorType.INT8 and holders.one_has(weights):
            result.append(_Layer(layer.operator, layer.quantized, weights, layer.bias))
    return result


def _write_bias(graph: Topology, tensor: schema.TensorT, bias: np.ndarray) -> None:
    if tensor.type == schema.TensorType.FLOAT32:
        values = bias.astype(np.float32).reshape(shape_of(tensor))
        tensor.buffer = graph.model.add_constant(values)
        return
    dtype = _BIAS_TYPES[tensor.type]
    # Half of what an integer holds is kept for what is added to it.
    most = float(np.iinfo(dtype).max // 2)
    codes = np.round(bias / np.asarray(tensor.quantization.scale, np.float64))
    codes = np.clip(codes, -most, most).astype(dtype)
    tensor.buffer = graph.model.add_constant(codes.reshape(shape_of(tensor)))


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A copy of the artifact whose layers are corrected, one after the other.

    Attributes:
      execution: of the copy.
      layers: of the copy, paired with the float model's, and heads, in the copy's order.
      kind: what is done to layers that are no heads.
    """

    execution: LayerExecution
    layers: list[_Layer | Head]
    kind: str


class _Correction:
    """New constants of one layer of a candidate, which has run up to it."""

    def __init__(self, layer: _Layer, floating: FloatLayer, candidate: _Candidate):
        execution, self._refit = candidate.execution, candidate.kind == _FITTED
        self._layer, self._floating, self._graph = layer, floating, execution.graph
        source = int(layer.quantized.inputs[0])
        self._values, self._source = execution.values[source], self._graph.tensor(source)
        self._codes = floating.places.matrix(self._graph.model.constant(layer.weights)).copy()
        self._scales = np.array(layer.weights.quantization.scale, np.float64).reshape(-1, 1)
        self._bits = BITS[layer.weights.type]
        self._bias = np.empty(floating.bias.size)

    def find(self, part: slice, inputs: np.ndarray) -> None:
        """Finds the constants of some outputs.

        Args:
          part: which.
          inputs: what enters the float layer for them, from `LayerInputs.rows`.
        """
        floating, zero = self._floating, 0
        if self._source.type != schema.TensorType.FLOAT32:
            zero = int(self._source.quantization.zeroPoint[0])
        changed = dequantized(self._source, floating.places.rows(self._values, zero, part))
        weights, codes = floating.weights[part], self._codes[part]
        scales = self._scales[part] if len(self._scales) > 1 else self._scales
        if self._refit:
            wanted, most = refitted(weights, inputs, changed), most_code(self._bits)
            if self._bits == 8:
                codes[:] = rounded_codes(wanted, scales, most)
            else:
                if len(self._scales) > 1:
                    scales[:] = fitted_steps(wanted, scales, changed, self._bits)
                codes[:] = rounded_by_inputs(wanted, scales, changed, most)
        stored = codes * scales
        self._bias[part] = corrected_bias(floating.bias[part], weights, stored, inputs, changed)

    def write(self) -> None:
        """Puts what was found into the candidate."""
        if self._refit:
            codes, layer = self._floating.places.weights(self._codes), self._layer
            if self._bits < 8:
                steps = self._scales.reshape(-1).astype(np.float32)
                layer.weights.quantization.scale = steps
                if layer.bias.type != schema.TensorType.FLOAT32:
                    layer.bias.quantization.scale = steps * np.float32(
                        self._source.quantization.scale[0]
                    )
            layer.weights.buffer = self._graph.model.add_constant(packed(codes, self._bits))
        _write_bias(self._graph, self._layer.bias, self._bias)


class _HeadCorrection:
    """New constants of one head of a candidate, which has run up to it."""

    def __init__(self, head: Head, floating: FloatLayer, candidate: _Candidate):
        self._graph = candidate.execution.graph
        self._head, self._floating, self._model = head, floating, self._graph.model
        self._values = candidate.execution.values[int(head.quantized.inputs[0])]
        self._codes = floating.places.matrix(self._model.constant(head.weights)).copy()
        self._rounds = head.weights.type == schema.TensorType.INT8
        scales = head.weights.quantization.scale if self._rounds else [1.0]
        self._scales = np.asarray(scales, np.float64).reshape(-1, 1)
        self._bias = np.empty(floating.bias.size)

    def find(self, part: slice, inputs: np.ndarray) -> None:
        """Finds the constants of some outputs; as of `_Correction`."""
        floating, places = self._floating, self._floating.places
        changed, weights = places.rows(self._values, part=part), floating.weights[part]
        scales = self._scales[part] if len(self._scales) > 1 else self._scales
        if self._rounds:
            self._codes[part] = rounded_by_inputs(weights, scales, changed)
        stored = self._codes[part] * scales
        self._bias[part] = moved_bias(
            floating.bias[part], weights, stored, inputs, changed, places.of_a_sample
        )

    def write(self) -> None:
        """Puts what was found into the candidate."""
        head, codes = self._head, self._floating.places.weights(self._codes)
        if self._rounds:
            head.weights.buffer = self._model.add_constant(codes)
        _write_bias(self._graph, head.bias, self._bias)


def _sweep(
    floating: LayerExecution,
    candidates: Sequence[_Candidate],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Corrects all layers of candidates in place."""
    layers = [candidate.layers for candidate in candidates]
    originals = [layer.operator for layer in layers[0]]
    for original in originals:
        floating.hold(original.inputs[0])
    for number, (original, *pairs) in enumerate(zip(originals, *layers, strict=True)):
        producer = floating.graph.producer.get(int(original.inputs[0]))
        if producer is not None:
            floating.run_through(producer)
        layer = FloatLayer(floating, original)
        corrections: list[_Correction | _HeadCorrection] = []
        for candidate, pair in zip(candidates, pairs, strict=True):
            if isinstance(pair, Head):
                candidate.execution.run_until(pair.quantized)
                corrections.append(_HeadCorrection(pair, layer, candidate))
            elif candidate.kind != _AS_IT_WAS:
                candidate.execution.run_until(pair.quantized)
                corrections.append(_Correction(pair, layer, candidate))
        for part in layer.places.parts():
            inputs = layer.places.rows(layer.values, part=part)
            for correction in corrections:
                correction.find(part, inputs)
        for correction in corrections:
            correction.write()
        floating.release(original.inputs[0])
        if progress:
            progress(number + 1, len(originals))


@dataclasses.dataclass(frozen=True)
class _Choice:
    """What became of the layers.

    Attributes:
      model: to go on with.
      layers: how many layers are not as they were, heads apart.
      heads: how many heads are not.
      kind: what was done to the layers.
      before: decibels, of the artifact as it was.
      after: of the model.
    """

    model: TfliteModel
    layers: int
    heads: int
    kind: str
    before: float
    after: float


def _keep_heads(
    candidate: _Candidate, buffers: Sequence[tuple[int, int]], judges: Judges
) -> tuple[int, list[float | None], float]:
    """Puts those heads of a candidate back that gain too little.

    Args:
      candidate: which has been through the sweep; changed in place.
      buffers: of its heads' weights and biases before that.
      judges: of the candidate.

    Returns:
      (how many heads are corrected, the ratios then, the mean of those without any).
    """
    graph = candidate.execution.graph
    heads = [layer for layer in candidate.layers if isinstance(layer, Head)]
    corrected = [(head.weights.buffer, head.bias.buffer) for head in heads]
    ratios = judges.ratios(graph)

    def put(head: Head, pair: tuple[int, int]) -> None:
        head.weights.buffer, head.bias.buffer = pair

    for head, pair in zip(heads, buffers, strict=True):
        put(head, pair)
    without = judges.ratios(graph) if heads else ratios
    kept, result = 0, list(without)
    for group in groups(heads):
        outputs = frozenset().union(*(head.outputs for head in group))
        pairs = [(ratios[place], without[place]) for place in outputs]
        changes = [new - old for new, old in pairs if new is not None and old is not None]
        if not changes or np.mean(changes) < LEAST_GAIN:
            continue
        kept += len(group)
        for place in outputs:
            result[place] = ratios[place]
        for head, pair in zip(heads, corrected, strict=True):
            if any(head is one for one in group):
                put(head, pair)
    return kept, result, mean_ratio(without)


def _in_order(graph: Topology, layers: Sequence[_Layer | Head]) -> list[_Layer | Head]:
    places = {id(operator): place for place, operator in enumerate(graph.subgraph.operators)}
    return sorted(layers, key=lambda layer: places[id(layer.quantized)])


def _best(
    model: TfliteModel,
    artifact: Topology,
    judges: Judges,
    kinds: Sequence[str],
    with_heads: bool,
    progress: Callable[[int, int], None] | None,
    islands: Sequence[schema.OperatorT],
) -> _Choice:
    """Corrects copies of an artifact and chooses one.

    Args:
      model: the float model.
      artifact: the quantized one.
      judges: which judge, and have the samples that are learnt from.
      kinds: what is done to each copy's layers.
      with_heads: whether heads are corrected.
      progress: called with (layers done, layers in all).
      islands: as of `correct_layers`.

    Returns:
      The choice.
    """
    graph = Topology(model)
    floating = LayerExecution(graph, judges.learning)
    candidates, buffers = [], []
    for kind in kinds:
        copy = Topology(copied_model(artifact.model))
        heads = find_heads(graph, copy) if with_heads else []
        # What reads constants alone is the same for all samples.
        heads = [head for head in heads if floating.is_computed(head.operator.inputs[0])]
        buffers = [(head.weights.buffer, head.bias.buffer) for head in heads]
        plain = _layers(graph, copy, islands)
        plain = [layer for layer in plain if floating.is_computed(layer.operator.inputs[0])]
        layers = _in_order(copy, [*plain, *heads])
        candidates.append(
            _Candidate(LayerExecution(copy, judges.learning, judges.tables), layers, kind)
        )
    count = len(candidates[0].layers) - len(buffers)
    if not count:
        candidates = candidates[:1]
    _sweep(floating, candidates, progress)
    best: _Choice | None = None
    first: Sequence[float | None] = ()
    for candidate in candidates:
        kept, ratios, alone = _keep_heads(candidate, buffers, judges)
        ratio = mean_ratio(ratios)
        changed = candidate.execution.graph.model
        if best is None:
            model = changed if kept else artifact.model
            best = _Choice(model, 0, kept, candidate.kind, alone, ratio)
            first = ratios
        elif ratio > best.after and gains_enough(first, ratios):
            best = _Choice(changed, count, kept, candidate.kind, best.before, ratio)
    assert best is not None
    return best


def correct_layers(
    model: TfliteModel,
    artifact: TfliteModel,
    samples: Sequence[Mapping[str, np.ndarray]],
    most_samples: int,
    refit: bool = True,
    heads: bool = True,
    progress: Callable[[int, int], None] | None = None,
    islands: Sequence[schema.OperatorT] = (),
) -> tuple[TfliteModel, dict]:
    """Corrects what the quantizer wrote.

    Args:
      model: the float model that was quantized.
      artifact: the quantized one; its activations have the float model's names. It is
        not changed.
      samples: the representative dataset; each maps signature input names to arrays.
      most_samples: of those, how many are used, spread evenly.
      refit: whether weights are fitted too.
      heads: whether output heads are rounded anew.
      progress: called with (layers done, layers in all).
      islands: operators of the float model that compute in float between int8 ones, whose
        weights are fitted as those of int8 layers are.

    Returns:
      The model to go on with, and the report's entry.
    """
    graph = Topology(artifact)
    count = min(len(samples), most_samples)
    reason = reason_to_leave(graph, count)
    if reason:
        entry = {"changed": 0, "detail": f"layers are left: {reason}", "name": "layer_correction"}
        return artifact, entry
    try:
        judges = Judges(model, samples, most_samples)
        kinds = (_AS_IT_WAS, _WITH_BIASES, _FITTED) if refit else (_AS_IT_WAS, _WITH_BIASES)
        best = _best(model, graph, judges, kinds, heads, progress, islands)
    except (InputError, RuntimeError, ValueError) as error:
        # A kernel may run in the whole model alone; that was tried.
        reason = " ".join(str(error).split())[:300]
        entry = {"changed": 0, "detail": f"layers are left: {reason}", "name": "layer_correction"}
        return artifact, entry
    told = [
        f"{best.layers} layers {best.kind}" if best.layers else "layers are as they were",
        f"{best.heads} output heads corrected" if best.heads else "",
    ]
    return best.model, {
        "changed": best.layers + best.heads,
        "detail": f"{'; '.join(filter(None, told))}, on {len(judges.learning)} samples"
        if best.layers + best.heads
        else "layers are as they were: no correction gained 0.75 dB",
        "gain": {
            "metric": judges.metric,
            "before": round(best.before, 2),
            "after": round(best.after, 2),
        },
        "name": "layer_correction",
    }
