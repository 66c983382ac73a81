"""Estimates how long an artifact takes by how long its float master does, without a clock.

Each operator is a few amounts: products, elements written, weights read. Nanoseconds for one of
each come from a table of forms, by type and by whether the delegate computes the operator; the sum
over all operators is the model's time. What a delegate takes is read from the runtime
(tools.graph.delegate), which opens the model and runs nothing for it.

There are two tables, since int8 gains by what the processor has. `AVX2` is of x86-64 without
instructions for int8, where a product is hardly faster than in float: least relative squares, held
near what single operators take, on 174 files of 44 models, each timed as a whole, one thread.
`VNNI` is of x86-64 with AVX512-VNNI: what tools.quantization.dynamic_cost says of products, and the
rest as in `AVX2`. ARM's dot product lies nearer to the second.

An int8 kernel multiplies 8 input channels a step, so that one channel costs as much as 8; float
kernels compute 16 output channels a step. A matrix product of few rows is bound by reading its
weights.

A model with control flow, custom operators or 16-bit activations is not estimated: how often a loop
runs is known when it does, and the others have no row in the table.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as schema

from tools.graph.delegate import Delegation
from tools.graph.flatbuffer import TfliteModel, shape_of
from tools.graph.topology import WEIGHTED, Topology
from tools.quantization.dynamic_cost import (
    DYNAMIC_INPUT,
    DYNAMIC_RESULT,
    FLOAT_DEPTHWISE,
    FLOAT_PRODUCT,
    INT8_DEPTHWISE,
    INT8_PRODUCT,
)

_STEP, _LANES = 8, 16
_TYPE = schema.TensorType
_INTEGERS = frozenset({_TYPE.INT8, _TYPE.UINT8})
_NARROW = _INTEGERS | {_TYPE.INT4, _TYPE.INT2}
# Whose time nobody can tell by its shapes.
_UNKNOWN = frozenset({"CALL", "CALL_ONCE", "IF", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE", "WHILE"})
_CURVES = frozenset(
    {"COS", "DIV", "ELU", "EXP", "GELU", "LOG", "LOGISTIC", "LOG_SOFTMAX", "POW", "RSQRT", "SIN"}
    | {"SOFTMAX", "SQRT", "TANH"}
)
_POOLS = frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D"})
_REDUCING = frozenset({"ARG_MAX", "ARG_MIN", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "SUM"})
_RENAMING = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})
# MediaPipe's transposed convolution, whose inputs stand in another order.
_TRANSPOSED_WITH_BIAS = "Convolution2DTransposeBias"
_RECURRENT = frozenset({"LSTM", "RNN", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM"})

# Nanoseconds for one of each.
_OUTSIDE: Mapping[str, float] = {
    "outside: converted element": 0.5,
    "outside: dynamic depthwise": 0.3,
    "outside: dynamic input": 1.0,
    "outside: dynamic product": 0.1,
    "outside: dynamic result": 1.0,
    "outside: dynamic weight": 0.01,
    "outside: float curve": 5.0,
    "outside: float depthwise": 0.3,
    "outside: float element": 0.18,
    "outside: float matmul": 0.16,
    "outside: float product": 0.16,
    "outside: float result": 1.1,
    "outside: float weight": 0.06,
    "outside: float window": 1.0,
    "outside: int8 depthwise": 0.3,
    "outside: int8 element": 9.7,
    "outside: int8 matmul": 0.35,
    "outside: int8 product": 0.12,
    "outside: int8 result": 1.0,
    "outside: int8 weight": 0.01,
    "outside: int8 window": 1.6,
    "outside: operator": 240.0,
    "outside: recurrent product": 0.1,
}
AVX2: Mapping[str, float] = {
    "call": 1500.0,
    "converted element": 0.11,
    "dynamic depthwise": 0.1,
    "dynamic input": 0.097,
    "dynamic product": 0.034,
    "dynamic result": 0.52,
    "dynamic weight": 0.0048,
    "float curve": 2.7,
    "float depthwise": 0.022,
    "float element": 0.32,
    "float matmul": 0.047,
    "float product": 0.032,
    "float result": 0.5,
    "float weight": 0.067,
    "float window": 0.86,
    "int8 depthwise": 0.12,
    "int8 element": 0.21,
    "int8 matmul": 0.03,
    "int8 product": 0.028,
    "int8 result": 0.46,
    "int8 weight": 0.0022,
    "int8 window": 0.19,
    "operator": 65.0,
    "partition": 350.0,
    "recurrent product": 0.1,
    **_OUTSIDE,
}
VNNI: Mapping[str, float] = {
    **AVX2,
    "dynamic input": DYNAMIC_INPUT,
    "dynamic product": INT8_PRODUCT,
    "dynamic result": DYNAMIC_RESULT,
    "float depthwise": FLOAT_DEPTHWISE,
    "float matmul": FLOAT_PRODUCT,
    "float product": FLOAT_PRODUCT,
    "float result": 0.0,
    "int8 depthwise": INT8_DEPTHWISE,
    "int8 matmul": INT8_PRODUCT,
    "int8 product": INT8_PRODUCT,
    "int8 result": DYNAMIC_RESULT,
}

# A user is warned where both tables agree, by about as much as half of the estimates are off.
_SLOWER = 1.15
_NAMED = 3
# What is not worth a word, as a share of the time lost.
_SMALL = 0.1


@dataclasses.dataclass(frozen=True)
class Estimate:
    """How long an artifact takes by its float master's time.

    Attributes:
      avx2: on x86-64 without instructions for int8.
      vnni: with them.
      blamed: kinds of operators in which it loses time, those first that lose most.
    """

    avx2: float
    vnni: float
    blamed: tuple[str, ...]

    @property
    def is_slower(self) -> bool:
        """Says whether it is slower on either processor."""
        return min(self.avx2, self.vnni) > _SLOWER


def _count(graph: Topology, index: int) -> int:
    return abs(math.prod(shape_of(graph.tensor(index))))


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _layer(graph: Topology, operator: schema.OperatorT, name: str) -> Counter[str]:
    """Counts what an operator with weights does."""
    source = int(operator.inputs[2 if name == "TRANSPOSE_CONV" else 0])
    weights = shape_of(graph.tensor(operator.inputs[1]))
    kind = "int8" if graph.tensor(source).type in _INTEGERS else "float"
    if kind == "float" and graph.tensor(operator.inputs[1]).type in _NARROW:
        kind = "dynamic"
    written = _count(graph, operator.outputs[0])
    # A transposed convolution multiplies for each pixel that goes in.
    transposed = name in {"TRANSPOSE_CONV", _TRANSPOSED_WITH_BIAS}
    rows = source if transposed else operator.outputs[0]
    pixels = abs(math.prod(shape_of(graph.tensor(rows))[:-1]))
    found: Counter[str] = Counter()
    if name == "DEPTHWISE_CONV_2D":
        found[f"{kind} depthwise"] = pixels * math.prod(weights)
    else:
        channels = weights[-1] if kind == "float" else _up(weights[-1], _STEP)
        kernel = math.prod(weights[1:-1])
        found[f"{kind} product"] = pixels * kernel * channels * _up(weights[0], _LANES)
        found[f"{kind} weight"] = math.prod(weights)
    if kind == "dynamic":
        found["dynamic input"] = _count(graph, source)
    found[f"{kind} result"] = written
    return found


def _amounts(graph: Topology, operator: schema.OperatorT) -> Counter[str]:
    """Counts what an operator does, in the terms of the tables."""
    name = graph.name(operator)
    if name in WEIGHTED or name == _TRANSPOSED_WITH_BIAS:
        return _layer(graph, operator, name)
    computed = [int(i) for i in operator.inputs if i != -1 and not graph.is_constant(i)]
    kind = "int8" if computed and graph.tensor(computed[0]).type in _INTEGERS else "float"
    written = sum(_count(graph, index) for index in operator.outputs)
    if name == "BATCH_MATMUL":
        shape = shape_of(graph.tensor(operator.inputs[0]))
        inner = shape[-2] if operator.builtinOptions.adjX else shape[-1]
        return Counter({f"{kind} matmul": written * inner})
    if name in _RECURRENT:
        steps = abs(math.prod(shape_of(graph.tensor(operator.inputs[0]))[:-1]))
        constants = sum(
            _count(graph, i) for i in operator.inputs if i != -1 and graph.is_constant(i)
        )
        return Counter({"recurrent product": steps * constants})
    if name in _RENAMING:
        return Counter()
    if name in _POOLS:
        options = operator.builtinOptions
        return Counter({f"{kind} window": written * options.filterWidth * options.filterHeight})
    if name in _REDUCING:
        return Counter({f"{kind} element": sum(_count(graph, index) for index in computed)})
    if name in {"QUANTIZE", "DEQUANTIZE"}:
        return Counter({"converted element": written})
    if name in _CURVES and kind == "float":
        return Counter({"float curve": written})
    return Counter({f"{kind} element": written})


def amounts(model: TfliteModel, delegation: Delegation) -> dict[str, Counter[str]] | None:
    """Counts what a model does.

    Args:
      model: a float master or an artifact.
      delegation: what the delegate takes of it.

    Returns:
      Amounts by kind of operator, "ADD" or "ADD outside the delegate"; "" has what belongs to no
      operator. None where the model cannot be estimated.
    """
    graph, found = Topology(model), {"": Counter({"call": 1, "partition": delegation.partitions})}
    for place, operator in enumerate(graph.subgraph.operators):
        name = graph.name(operator)
        if place not in delegation.needed:
            continue
        is_known = hasattr(schema.BuiltinOperator, name) or name == _TRANSPOSED_WITH_BIAS
        if name in _UNKNOWN or not is_known:
            return None
        if any(graph.tensor(index).type == _TYPE.INT16 for index in operator.outputs):
            return None
        # The runtime computes what depends on constants alone once.
        if all(i == -1 or graph.is_constant(i) for i in operator.inputs):
            continue
        taken = place in delegation.taken
        counted = _amounts(graph, operator)
        counted["operator"] = 1
        if not taken:
            counted = Counter({f"outside: {term}": n for term, n in counted.items()})
        found.setdefault(name if taken else f"{name} outside the delegate", Counter()).update(
            counted
        )
    return found


def _nanoseconds(
    counted: Mapping[str, Counter[str]], table: Mapping[str, float]
) -> dict[str, float]:
    """Gives the time of each kind of operator."""
    return {
        kind: sum(table[term] * count for term, count in amount.items())
        for kind, amount in counted.items()
    }


def _blamed(ours: Mapping[str, float], theirs: Mapping[str, float]) -> tuple[str, ...]:
    lost = {kind: ns - theirs.get(kind, 0) for kind, ns in ours.items() if kind}
    whole = sum(max(more, 0) for more in lost.values())
    worst = sorted(lost, key=lambda kind: (-lost[kind], kind))[:_NAMED]
    return tuple(kind for kind in worst if lost[kind] > _SMALL * whole)


def estimate_speed(
    master: tuple[TfliteModel, Delegation], artifact: tuple[TfliteModel, Delegation]
) -> Estimate | None:
    """Estimates an artifact's time.

    Args:
      master: the float master, and what the delegate takes of it.
      artifact: the same of what was made from it.

    Returns:
      None where one of them cannot be estimated.
    """
    theirs, ours = amounts(*master), amounts(*artifact)
    if theirs is None or ours is None:
        return None
    times = [[_nanoseconds(one, table) for one in (ours, theirs)] for table in (AVX2, VNNI)]
    ratios = [sum(one.values()) / sum(other.values()) for one, other in times]
    return Estimate(ratios[0], ratios[1], _blamed(*times[1]))


@dataclasses.dataclass(frozen=True)
class Speed:
    """What there is to say of an artifact's speed without measuring it.

    Attributes:
      delegation: what the runtime's delegate takes of it.
      estimate: its time; None where it cannot be estimated.
    """

    delegation: Delegation
    estimate: Estimate | None

    @property
    def warnings(self) -> list[str]:
        """Warns in a sentence of an artifact that is slower than the float model."""
        found = self.estimate
        if found is None or not found.is_slower:
            return []
        times = " to ".join(f"{one:.1f}" for one in sorted((found.avx2, found.vnni)))
        return [
            f"by estimate the artifact takes {times} times as long as the float model; what costs "
            f"more: {', '.join(found.blamed)}; keep such operators float, or take another scheme"
        ]
