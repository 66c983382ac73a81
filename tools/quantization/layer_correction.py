"""Pass: corrects a quantized model layer by layer against the float one.

Both models run side by side over calibration samples, one layer at a time
(tools.quantization.layer_execution). What enters a layer of the quantized model has then
been through all corrected layers before it. The layer's weights are fitted to it
(tools.quantization.weight_refit) and its bias corrected
(tools.quantization.bias_correction); only then does it run. One sweep over the model
costs about two runs of either model a sample.

Layers that compute in float are left: what enters them is corrected, and of an output
head a fit would serve the many places where nothing is seen before the few that decide.

A quarter of the samples takes no part. It judges: of the model as it was, with biases
corrected, and with weights fitted too, the one is kept whose outputs have the largest
signal-to-noise ratio on them, in decibels, averaged over outputs. Signal and noise are of
asinh(output), which is linear around zero and logarithmic beyond: a logit of -700 may
move by a few units, one of 0 may not. What gains less than 0.75 decibels is not kept: other
samples could judge otherwise, and corrected biases are no longer equal to each other,
which costs bytes.
"""

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model, shape_of, tensor_name
from tools.graph.topology import Topology
from tools.quantization.bias_correction import corrected_bias
from tools.quantization.layer_execution import LayerExecution, dequantized
from tools.quantization.layer_inputs import LAYERS, LayerInputs, is_plain
from tools.quantization.weight_refit import refitted, rounded_codes

# Places of a layer's output that are looked at, over all samples.
_ROWS = 4096
_DEPTHWISE_ROWS = 1024
# Fewer do not tell what enters a layer.
_LEAST_SAMPLES = 16
_MOST_CODE = 127
_BIAS_TYPES = {schema.TensorType.INT32: np.int32, schema.TensorType.INT64: np.int64}
# Decibels that a correction must gain.
_LEAST_GAIN = 0.75
# What these compute is not all in the operators of one piece.
_STATEFUL = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"})


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A layer of the float model and what became of it."""

    operator: schema.OperatorT
    quantized: schema.OperatorT
    weights: schema.TensorT
    bias: schema.TensorT


def _layers(floating: Topology, graph: Topology) -> list[_Layer]:
    """Pairs the layers whose weights and bias can be written."""
    by_name = {
        tensor_name(floating.tensor(operator.outputs[0])): operator
        for operator in floating.subgraph.operators
        if is_plain(floating, operator)
    }
    result = []
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
            and weights.type == schema.TensorType.INT8
            and weights.quantization.details is None
            and values.type in _BIAS_TYPES
            and graph.is_constant(index)
            and graph.is_constant(bias)
            and len(graph.consumers[index]) == len(graph.consumers[bias]) == 1
        ):
            result.append(_Layer(before, operator, weights, values))
    return result


def _write_bias(graph: Topology, tensor: schema.TensorT, bias: np.ndarray) -> None:
    dtype = _BIAS_TYPES[tensor.type]
    # Half of what an integer holds is kept for what is added to it.
    most = float(np.iinfo(dtype).max // 2)
    codes = np.round(bias / np.asarray(tensor.quantization.scale, np.float64))
    codes = np.clip(codes, -most, most).astype(dtype)
    tensor.buffer = graph.model.add_constant(codes.reshape(shape_of(tensor)))


def _correct(
    floating: LayerExecution, quantized: LayerExecution, layer: _Layer, refit: bool
) -> None:
    """Changes one layer's constants."""
    source, changed_source = int(layer.operator.inputs[0]), int(layer.quantized.inputs[0])
    values, changed = floating.values[source], quantized.values[changed_source]
    tensor = quantized.graph.tensor(changed_source)
    zero = int(tensor.quantization.zeroPoint[0])
    depthwise = floating.graph.name(layer.operator) == "DEPTHWISE_CONV_2D"
    rows = _DEPTHWISE_ROWS if depthwise else _ROWS
    gather = LayerInputs(floating.graph, layer.operator, len(values), rows)
    inputs = gather.rows(values)
    changed_inputs = dequantized(tensor, gather.rows(changed, zero))
    model = floating.graph.model
    weights = gather.matrix(model.tensor_data(floating.graph.tensor(layer.operator.inputs[1])))
    bias = model.tensor_data(floating.graph.tensor(layer.operator.inputs[2])).reshape(-1)
    scales = np.asarray(layer.weights.quantization.scale, np.float64)
    if refit:
        codes = rounded_codes(refitted(weights, inputs, changed_inputs), scales, _MOST_CODE)
        layer.weights.buffer = quantized.graph.model.add_constant(gather.weights(codes))
    codes = gather.matrix(quantized.graph.model.tensor_data(layer.weights))
    stored = codes * scales.reshape(-1, 1)
    corrected = corrected_bias(bias, weights, stored, inputs, changed_inputs)
    _write_bias(quantized.graph, layer.bias, corrected)


def _sweep(
    model: TfliteModel,
    artifact: TfliteModel,
    samples: Sequence[Mapping[str, np.ndarray]],
    refit: bool,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Corrects all layers of an artifact in place. Returns how many there are."""
    floating = LayerExecution(Topology(model), samples)
    quantized = LayerExecution(Topology(artifact), samples)
    layers = _layers(floating.graph, quantized.graph)
    for layer in layers:
        floating.hold(layer.operator.inputs[0])
    for number, layer in enumerate(layers):
        producer = floating.graph.producer.get(int(layer.operator.inputs[0]))
        if producer is not None:
            floating.run_through(producer)
        quantized.run_until(layer.quantized)
        _correct(floating, quantized, layer, refit)
        floating.release(layer.operator.inputs[0])
        if progress:
            progress(number + 1, len(layers))
    return len(layers)


def _signal_to_noise(expected: list[np.ndarray], found: list[np.ndarray]) -> float:
    """Gives the mean over outputs of the signal-to-noise ratio of asinh, in decibels."""
    ratios = []
    for one, other in zip(expected, found, strict=True):
        truth, value = (np.arcsinh(values.astype(np.float64)) for values in (one, other))
        signal, noise = np.square(truth).sum(), np.square(truth - value).sum()
        ratios.append(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-30)))
    return float(np.mean(ratios))


def _outputs(model: TfliteModel, samples: Sequence[Mapping[str, np.ndarray]]) -> list[np.ndarray]:
    return LayerExecution(Topology(model), samples).run_all()


def correct_layers(
    model: TfliteModel,
    artifact: TfliteModel,
    samples: Sequence[Mapping[str, np.ndarray]],
    most_samples: int,
    refit: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[TfliteModel, dict]:
    """Corrects what the quantizer wrote.

    Args:
      model: the float model that was quantized.
      artifact: the quantized one; its activations have the float model's names. It is
        not changed.
      samples: the representative dataset; each maps signature input names to arrays.
      most_samples: of those, how many are used, spread evenly.
      refit: whether weights are fitted too.
      progress: called with (layers done, layers in all) of each sweep.

    Returns:
      The model to go on with, and the report's entry.
    """
    graph = Topology(artifact)
    names = {graph.name(operator) for operator in graph.subgraph.operators}
    count, reason = min(len(samples), most_samples), ""
    if len(model.schema.subgraphs) > 1 or names & _STATEFUL:
        reason = "the model has several subgraphs or a state"
    elif count < _LEAST_SAMPLES:
        reason = f"{count} samples are too few to correct by"
    if reason:
        entry = {"changed": 0, "detail": f"layers are left: {reason}", "name": "layer_correction"}
        return artifact, entry
    chosen = np.unique(np.linspace(0, len(samples) - 1, count).astype(int))
    used = [samples[int(number)] for number in chosen]
    judges = used[3::4]
    learning = [sample for number, sample in enumerate(used) if number % 4 != 3]
    expected = _outputs(model, judges)
    before = _signal_to_noise(expected, _outputs(artifact, judges))
    best, kept, detail, changed = before, artifact, "as they were", 0
    for fits in (False, True) if refit else (False,):
        candidate = dataclasses.replace(artifact, schema=copy.deepcopy(artifact.schema))
        count = _sweep(model, candidate, learning, fits, progress)
        ratio = _signal_to_noise(expected, _outputs(candidate, judges))
        if count and ratio > best and ratio >= before + _LEAST_GAIN:
            best, kept, changed = ratio, candidate, count
            detail = "fitted, and their biases corrected" if fits else "given corrected biases"
    return parse_model(model_bytes(kept), artifact.where), {
        "changed": changed,
        "detail": f"{changed} layers {detail}, on {len(learning)} samples"
        if changed
        else "layers are as they were: no correction gained 0.75 dB",
        "gain": {
            "metric": f"signal-to-noise ratio of asinh(outputs) on {len(judges)} other samples, dB",
            "before": round(before, 2),
            "after": round(best, 2),
        },
        "name": "layer_correction",
    }
