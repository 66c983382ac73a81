"""Pass: corrects the rounded weights of schemes that compute in float, by calibration data.

Schemes that round weights alone, and those whose kernels find ranges as they run, need no data.
Where there are some, what rounding moves can be taken back: both models run side by side over
the samples, one layer at a time (tools.quantization.layer_execution), so that what enters a layer
has been through all corrected layers before it. Two candidates are made. In one of them biases
bring the mean of each output channel back (tools.quantization.bias_correction). In the other
one weights are fitted to what really enters as well (tools.quantization.weight_refit), and rounded
to the step below or above by its second moments (`rounded_by_inputs` of
tools.quantization.head_correction, whose objective is that of Frantar et al. 2022, "GPTQ: Accurate
Post-Training Quantization for Generative Pre-trained Transformers", eq. 1). Weights of two
bits get their steps by what enters as well (tools.quantization.weight_steps).

Output heads are rounded and not fitted: a fit would serve the many places where nothing is seen
before the few that decide. Weights in float16 stay, and get a bias.

A quarter of the samples takes no part. It judges as tools.quantization.corrections says: the best
candidate is kept, or none.
"""

import dataclasses
import math
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
    stored_weights,
)
from tools.quantization.head_correction import MOST_TERMS, moved_bias, rounded_by_inputs
from tools.quantization.layer_execution import LayerExecution
from tools.quantization.layer_inputs import LAYERS, is_plain
from tools.quantization.output_heads import output_heads
from tools.quantization.weight_refit import refitted
from tools.quantization.weight_steps import BITS, fitted_steps, most_code

# What is done to a candidate's layers.
_WITH_BIASES = "biases"
_ROUNDED = "weights and biases"


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A layer of the float model and what became of it.

    Attributes:
      operator: of the float model.
      quantized: of the artifact; what enters it is float.
      weights: as they are stored; one scale a tensor or an output where they are integers.
      bias: float32.
      is_head: whether it is an output head.
    """

    operator: schema.OperatorT
    quantized: schema.OperatorT
    weights: schema.TensorT
    bias: schema.TensorT
    is_head: bool


def _can_be_written(weights: schema.TensorT) -> bool:
    if weights.type == schema.TensorType.FLOAT16:
        return True
    return weights.type in BITS and weights.quantization.details is None


def _layers(floating: Topology, graph: Topology, execution: LayerExecution) -> list[_Layer]:
    """Pairs the layers whose constants can be written, in the artifact's order.

    Args:
      floating: of the float model.
      graph: of the artifact.
      execution: of the float model.

    Returns:
      The layers whose input depends on the samples.
    """
    by_name = {
        tensor_name(floating.tensor(operator.outputs[0])): operator
        for operator in floating.subgraph.operators
        if is_plain(floating, operator) and execution.is_computed(operator.inputs[0])
    }
    heads = {id(operator) for operator in output_heads(floating)}
    holders, result = Holders(graph), []
    for operator in graph.subgraph.operators:
        before = by_name.get(tensor_name(graph.tensor(operator.outputs[0])))
        if before is None or graph.name(operator) not in LAYERS or len(operator.inputs) < 3:
            continue
        index, place = stored_weights(graph, operator), int(operator.inputs[2])
        if index is None or place == -1 or not graph.is_constant(place):
            continue
        weights, bias, shape = (
            graph.tensor(index),
            graph.tensor(place),
            shape_of(graph.tensor(index)),
        )
        depthwise = graph.name(operator) == "DEPTHWISE_CONV_2D"
        terms = math.prod(shape[1:-1] if depthwise else shape[1:])
        if (
            _can_be_written(weights)
            and bias.type == schema.TensorType.FLOAT32
            and len(graph.consumers[place]) == 1
            and graph.tensor(operator.inputs[0]).type == schema.TensorType.FLOAT32
            and shape == shape_of(floating.tensor(before.inputs[1]))
            and terms <= MOST_TERMS
            and holders.one_has(weights)
        ):
            result.append(_Layer(before, operator, weights, bias, id(before) in heads))
    return result


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A copy of the artifact whose layers are corrected, one after the other.

    Attributes:
      execution: of the copy.
      layers: of the copy, paired with the float model's.
      kind: what is done to them.
    """

    execution: LayerExecution
    layers: list[_Layer]
    kind: str

    def correct(self, layer: _Layer, floating: FloatLayer) -> None:
        """Writes new constants of a layer that has not run yet.

        Args:
          layer: one of this candidate's.
          floating: the float model's, which has run.
        """
        self.execution.run_until(layer.quantized)
        model, places = self.execution.graph.model, floating.places
        values = self.execution.values[int(layer.quantized.inputs[0])]
        bits = BITS.get(layer.weights.type, 0)
        rounds = bits > 0 and self.kind == _ROUNDED
        scales = np.array(layer.weights.quantization.scale if bits else [1.0], np.float64)
        scales = scales.reshape(-1, 1)
        # At four bits a step that cuts weights off fails on inputs that no sample was like, where
        # no range of integers bounds what comes out.
        fits_steps = rounds and bits == 2 and len(scales) > 1
        codes = places.matrix(model.constant(layer.weights)).copy()
        bias = np.empty(floating.bias.size)
        for part in places.parts():
            inputs, changed = (places.rows(one, part=part) for one in (floating.values, values))
            weights = floating.weights[part]
            steps = scales[part] if len(scales) > 1 else scales
            if rounds:
                wanted = weights if layer.is_head else refitted(weights, inputs, changed)
                if fits_steps:
                    steps[:] = fitted_steps(wanted, steps, changed, bits)
                codes[part] = rounded_by_inputs(wanted, steps, changed, most_code(bits))
            known = floating.bias[part], weights, codes[part] * steps, inputs, changed
            bias[part] = (
                moved_bias(*known, places.of_a_sample) if layer.is_head else corrected_bias(*known)
            )
        if rounds:
            content = places.weights(codes)
            layer.weights.buffer = model.add_constant(packed(content, bits))
        if fits_steps:
            layer.weights.quantization.scale = scales.reshape(-1).astype(np.float32)
        values = bias.astype(np.float32).reshape(shape_of(layer.bias))
        layer.bias.buffer = model.add_constant(values)


def _sweep(
    floating: LayerExecution,
    candidates: Sequence[_Candidate],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Corrects all layers of candidates in place."""
    layers = list(zip(*(candidate.layers for candidate in candidates), strict=True))
    originals = [pair[0].operator for pair in layers]
    for original in originals:
        floating.hold(original.inputs[0])
    for number, (original, pair) in enumerate(zip(originals, layers, strict=True)):
        producer = floating.graph.producer.get(int(original.inputs[0]))
        if producer is not None:
            floating.run_through(producer)
        layer = FloatLayer(floating, original)
        for candidate, own in zip(candidates, pair, strict=True):
            candidate.correct(own, layer)
        floating.release(original.inputs[0])
        if progress:
            progress(number + 1, len(layers))


@dataclasses.dataclass(frozen=True)
class _Choice:
    """What became of the layers.

    Attributes:
      model: to go on with.
      layers: how many of them are not as they were.
      kind: what was done to them; "" where nothing was.
      before: decibels, of the artifact as it was.
      after: of the model.
    """

    model: TfliteModel
    layers: int
    kind: str
    before: float
    after: float


def _best(
    model: TfliteModel,
    artifact: TfliteModel,
    judges: Judges,
    progress: Callable[[int, int], None] | None,
) -> _Choice:
    """Corrects copies of an artifact and chooses one."""
    graph = Topology(model)
    floating = LayerExecution(graph, judges.learning)
    candidates = []
    for kind in (_WITH_BIASES, _ROUNDED):
        copy = Topology(copied_model(artifact))
        layers = _layers(graph, copy, floating)
        execution = LayerExecution(copy, judges.learning, judges.tables)
        candidates.append(_Candidate(execution, layers, kind))
    _sweep(floating, candidates, progress)
    first = judges.ratios(Topology(artifact))
    before = mean_ratio(first)
    best = _Choice(artifact, 0, "", before, before)
    for candidate in candidates:
        ratios = judges.ratios(candidate.execution.graph) if candidate.layers else first
        after = mean_ratio(ratios)
        if after > best.after and gains_enough(first, ratios):
            changed = candidate.execution.graph.model
            best = _Choice(changed, len(candidate.layers), candidate.kind, before, after)
    return best


def correct_weights(
    model: TfliteModel,
    artifact: TfliteModel,
    samples: Sequence[Mapping[str, np.ndarray]],
    most_samples: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[TfliteModel, dict]:
    """Corrects the rounded weights, and the biases, of layers that take in floats.

    Args:
      model: the float model that was quantized.
      artifact: the quantized one; its activations have the float model's names. It is not
        changed.
      samples: the representative dataset; each maps signature input names to arrays.
      most_samples: of those, how many are used, spread evenly.
      progress: called with (layers done, layers in all).

    Returns:
      The model to go on with, and the report's entry.
    """
    entry = {"changed": 0, "detail": "", "name": "weight_correction"}
    reason = reason_to_leave(Topology(artifact), min(len(samples), most_samples))
    if reason:
        return artifact, entry | {"detail": f"weights are left: {reason}"}
    try:
        judges = Judges(model, samples, most_samples)
        best = _best(model, artifact, judges, progress)
    except (InputError, RuntimeError, ValueError) as error:
        # A kernel may run in the whole model alone; that was tried.
        reason = " ".join(str(error).split())[:300]
        return artifact, entry | {"detail": f"weights are left: {reason}"}
    detail = f"{best.kind} of {best.layers} layers corrected, on {len(judges.learning)} samples"
    return best.model, entry | {
        "changed": best.layers,
        "detail": detail
        if best.layers
        else f"weights are as they were: no correction gained {LEAST_GAIN} dB",
        "gain": {
            "metric": judges.metric,
            "before": round(best.before, 2),
            "after": round(best.after, 2),
        },
    }
