"""Rounds the weights of output heads again, by what really enters them.

A head (tools.quantization.output_heads) computes in float with int8 weights. Rounding each to
the nearest step moves its outputs by a nearly constant vector wherever what enters is nearly
the same, as in front of landmarks. With x what enters in the quantized model, H its covariance
over calibration data and W the float weights, a row of codes c with step s moves the output by
(c s - W) x, whose variance is

    (c s - W) H (c s - W)^T.

Each code is the step below the weight or the one above it; coordinate descent takes whichever
makes this less, one code after the other, until none moves. Of H's mean diagonal 2% are added,
so that directions in which inputs hardly move keep the trained weights. The bias takes up what
is left in the mean: so does AdaRound (Nagel et al. 2020, "Up or Down? Adaptive Rounding for
Post-Training Quantization", eq. 20, a quadratic problem over floor and ceiling) with another
search.

Weights in float16 stay as they are; their bias alone takes up what the layers before have moved.
"""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import shape_of, tensor_name
from tools.graph.topology import Topology
from tools.quantization.bias_correction import corrected_bias
from tools.quantization.layer_inputs import LAYERS, is_plain
from tools.quantization.output_heads import output_heads

_DAMPING = 0.02
_MOST_SWEEPS = 8
# The covariance has as many rows and columns.
MOST_TERMS = 4096
_MOST_CODE = 127
# Of what a flip must gain: less is the last bits of a sum.
_LEAST_GAIN = 1e-9


@dataclasses.dataclass(frozen=True)
class Head:
    """A head of the float model and what became of it.

    Attributes:
      operator: of the float model.
      quantized: of the artifact, with float arithmetic.
      weights: int8 or float16, behind DEQUANTIZE.
      bias: float32.
      outputs: which of the model's outputs it leads to, by their place.
    """

    operator: schema.OperatorT
    quantized: schema.OperatorT
    weights: schema.TensorT
    bias: schema.TensorT
    outputs: frozenset[int]


def _stored_weights(graph: Topology, operator: schema.OperatorT) -> int | None:
    """Finds the constant that one DEQUANTIZE expands for an operator alone."""
    index = int(operator.inputs[1])
    producer = graph.producer.get(index)
    if producer is None or graph.name(producer) != "DEQUANTIZE":
        return None
    source = int(producer.inputs[0])
    tensor = graph.tensor(source)
    alone = len(graph.consumers[index]) == len(graph.consumers[source]) == 1
    plain = tensor.type == schema.TensorType.FLOAT16 or (
        tensor.type == schema.TensorType.INT8 and tensor.quantization.details is None
    )
    return source if alone and plain and graph.is_constant(source) else None


def _reached_outputs(graph: Topology, operator: schema.OperatorT) -> frozenset[int]:
    """Says which outputs, by their place, depend on what an operator computes."""
    reached = {int(index) for index in operator.outputs}
    waiting = list(reached)
    while waiting:
        for reader, _ in graph.consumers.get(waiting.pop(), []):
            found = {int(index) for index in reader.outputs} - reached
            reached |= found
            waiting += found
    return frozenset(
        place for place, index in enumerate(graph.subgraph.outputs) if int(index) in reached
    )


def _paired(
    floating: Topology, graph: Topology, operators: Iterable[schema.OperatorT]
) -> list[Head]:
    """Pairs operators of the float model with those of the artifact that compute in float."""
    by_name = {
        tensor_name(floating.tensor(operator.outputs[0])): operator
        for operator in operators
        if is_plain(floating, operator)
    }
    result = []
    for operator in graph.subgraph.operators:
        before = by_name.get(tensor_name(graph.tensor(operator.outputs[0])))
        if before is None or graph.name(operator) not in LAYERS or len(operator.inputs) < 3:
            continue
        weights, bias = _stored_weights(graph, operator), int(operator.inputs[2])
        if weights is None or bias == -1 or not graph.is_constant(bias):
            continue
        shape = shape_of(graph.tensor(weights))
        depthwise = graph.name(operator) == "DEPTHWISE_CONV_2D"
        terms = math.prod(shape[1:-1] if depthwise else shape[1:])
        if (
            graph.tensor(bias).type == schema.TensorType.FLOAT32
            and len(graph.consumers[bias]) == 1
            and graph.tensor(operator.inputs[0]).type == schema.TensorType.FLOAT32
            and shape == shape_of(floating.tensor(before.inputs[1]))
            and terms <= MOST_TERMS
        ):
            outputs = _reached_outputs(graph, operator)
            tensors = graph.tensor(weights), graph.tensor(bias)
            result.append(Head(before, operator, *tensors, outputs))
    return result


def find_heads(floating: Topology, graph: Topology) -> list[Head]:
    """Pairs the heads whose weights and bias can be written.

    Args:
      floating: of the float model.
      graph: of the artifact.

    Returns:
      The heads, in the artifact's order.
    """
    return _paired(floating, graph, output_heads(floating))


def find_islands(
    floating: Topology, graph: Topology, islands: Iterable[schema.OperatorT]
) -> list[Head]:
    """Pairs operators that compute in float before others, but for heads; as `find_heads`."""
    heads = {id(operator) for operator in output_heads(floating)}
    return _paired(floating, graph, [one for one in islands if id(one) not in heads])


def groups(heads: Iterable[Head]) -> list[list[Head]]:
    """Puts heads together that lead to the same outputs; groups have no output in common."""
    found: list[list[Head]] = []
    for head in heads:
        outputs = head.outputs
        apart = [group for group in found if not any(one.outputs & outputs for one in group)]
        joined = [one for group in found if group not in apart for one in group]
        found = [*apart, [*joined, head]]
    return found


def _covariance(inputs: np.ndarray) -> np.ndarray:
    """Gives the damped covariance of rows, float64 [..., terms, terms]."""
    centred = inputs - inputs.mean(axis=-2, keepdims=True)
    products = np.swapaxes(centred, -1, -2) @ centred / inputs.shape[-2]
    terms = products.shape[-1]
    damping = np.trace(products, axis1=-2, axis2=-1) / terms * _DAMPING
    # Inputs that never move leave the nearest step.
    damping = np.maximum(damping, np.finfo(np.float32).tiny)
    return products + damping[..., None, None] * np.eye(terms)


def rounded_by_inputs(
    weights: np.ndarray,
    scales: np.ndarray,
    inputs: np.ndarray,
    most: int = _MOST_CODE,
) -> np.ndarray:
    """Rounds weights to the step below or above, whichever moves the outputs least.

    Args:
      weights: [outputs, terms].
      scales: [outputs, 1] or [1, 1], the step of each row.
      inputs: [rows, terms], what enters; [outputs, rows, terms] where each output has
        inputs of its own.
      most: the largest code.

    Returns:
      int8 [outputs, terms], each within one step of its weight, unless that is beyond -most
      or most.
    """
    exact = weights.astype(np.float64) / scales
    low = np.clip(np.floor(exact), -most, most)
    high = np.clip(np.ceil(exact), -most, most)
    codes = np.clip(np.round(exact), low, high)
    covariance = _covariance(inputs.astype(np.float64))
    # In steps of each row: its scale stands before all of what is compared.
    errors = codes - exact
    if covariance.ndim == 2:
        moved = errors @ covariance
    else:
        moved = (errors[:, None, :] @ covariance)[:, 0, :]
    diagonal = np.diagonal(covariance, axis1=-2, axis2=-1)
    for _ in range(_MOST_SWEEPS):
        flips = 0
        for term in range(codes.shape[1]):
            change = np.where(codes[:, term] == low[:, term], high[:, term], low[:, term])
            change -= codes[:, term]
            own = diagonal[..., term]
            gain = -(2 * change * moved[:, term] + change**2 * own)
            change[gain <= _LEAST_GAIN * own] = 0
            rows = np.flatnonzero(change)
            flips += rows.size
            codes[rows, term] += change[rows]
            across = covariance[term] if covariance.ndim == 2 else covariance[rows, term]
            moved[rows] += change[rows, None] * across
        if not flips:
            break
    return codes.astype(np.int8)


def moved_bias(
    bias: np.ndarray,
    weights: np.ndarray,
    stored: np.ndarray,
    inputs: np.ndarray,
    quantized_inputs: np.ndarray,
    places: int,
) -> np.ndarray:
    """Has a bias take up what rounding moved in the mean.

    Where a head has one place a sample, as landmarks have, the mean over samples is all that
    there is, and the change of what enters is taken up too. Of a map it is the mean over many
    places where nothing is seen.

    Args:
      bias: as of `corrected_bias`, like those that follow.
      weights: the float head's.
      stored: what the codes stand for.
      inputs: of the float head.
      quantized_inputs: of the quantized model.
      places: of a sample.

    Returns:
      float64 [outputs].
    """
    given = inputs if places == 1 else quantized_inputs
    return corrected_bias(bias, weights, stored, given, quantized_inputs)
