"""Pass: finds the operators whose int8 kernel can fail, resolves too little, or is slow.

A quotient, root, logarithm or power has no step that serves all its values: DIV fails where a
divisor rounds to zero, RSQRT of a small variance is anything, a square takes twice the bits of
what is squared. They compute in float, and so does what stands between two of them without
weights (the mean and the epsilon between the squares and the root of a normalization), and what
alone leads to one (the epsilon that keeps a divisor from zero).

A BATCH_MATMUL of two computed tensors has no int8 kernel in the delegate: on the reference one,
attention took 11.6 ms instead of some hundredths. So it is float with the scores between two.

Nor has an AVERAGE_POOL_2D or a HARD_SWISH: each cuts the delegate's graph in two, and its reference
kernel takes ten times as long as converting, computing in float, and converting back. They compute
in float alone, what stands beside them in int8.
"""

import math
from collections.abc import Callable, Iterable

from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import shape_of
from tools.graph.topology import MULTIPLYING, Topology

_FLOAT = frozenset(
    {
        "CUMSUM",
        "DIV",
        "EQUAL",
        "EXP",
        "FLOOR_DIV",
        "FLOOR_MOD",
        "GREATER",
        "GREATER_EQUAL",
        "LESS",
        "LESS_EQUAL",
        "LOG",
        "LOG_SOFTMAX",
        "NOT_EQUAL",
        "POW",
        "RSQRT",
        "SQRT",
        "SQUARE",
        "SQUARED_DIFFERENCE",
    }
)

# Exact in int8, or nearly.
_WITHOUT_FAST_KERNEL = frozenset({"AVERAGE_POOL_2D", "HARD_SWISH"})
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})


def _reached(
    graph: Topology,
    start: Iterable[schema.OperatorT],
    neighbours: Callable[[schema.OperatorT], list[schema.OperatorT]],
) -> set[int]:
    """Walks over operators without weights, and gives the ids of those that are reached."""
    found: set[int] = set()
    waiting = list(start)
    while waiting:
        for operator in neighbours(waiting.pop()):
            if id(operator) not in found and graph.name(operator) not in MULTIPLYING:
                found.add(id(operator))
                waiting.append(operator)
    return found


def _led_to(graph: Topology, start: Iterable[schema.OperatorT]) -> set[int]:
    """Walks back from operators over those that have one computed input."""
    found: set[int] = set()
    waiting = [index for operator in start for index in operator.inputs]
    while waiting:
        operator = graph.producer.get(int(waiting.pop()))
        if operator is None or graph.name(operator) in MULTIPLYING or id(operator) in found:
            continue
        sources = [int(i) for i in operator.inputs if i != -1 and not graph.is_constant(i)]
        if len(set(sources)) == 1:
            found.add(id(operator))
            waiting += sources
    return found


def _is_slow(graph: Topology, operator: schema.OperatorT) -> bool:
    return graph.name(operator) == "BATCH_MATMUL" and not any(
        graph.is_constant(index) for index in operator.inputs
    )


def _wastes_steps(graph: Topology, operator: schema.OperatorT) -> bool:
    """Says whether an operator is a convolution over several pixels of one channel."""
    if graph.name(operator) not in _CONVOLUTIONS:
        return False
    kernel = shape_of(graph.tensor(operator.inputs[1]))[1:3]
    return math.prod(kernel) > 1 and shape_of(graph.tensor(operator.inputs[0]))[-1:] == (1,)


def float_operators(graph: Topology, slow: bool = False) -> list[schema.OperatorT]:
    """Finds them, and what stands between them.

    Args:
      graph: of a float model.
      slow: whether those count too whose kernel is only slow.

    Returns:
      The operators, in the model's order.
    """
    operators = graph.subgraph.operators
    start = [
        operator
        for operator in operators
        if graph.name(operator) in _FLOAT or (slow and _is_slow(graph, operator))
    ]

    def readers(operator: schema.OperatorT) -> list[schema.OperatorT]:
        return [one for index in operator.outputs for one, _ in graph.consumers.get(int(index), ())]

    def writers(operator: schema.OperatorT) -> list[schema.OperatorT]:
        found = (graph.producer.get(int(index)) for index in operator.inputs)
        return [one for one in found if one is not None]

    between = _reached(graph, start, readers) & _reached(graph, start, writers)
    chosen = between | _led_to(graph, start) | {id(operator) for operator in start}
    if slow:
        chosen |= {
            id(one)
            for one in operators
            if graph.name(one) in _WITHOUT_FAST_KERNEL or _wastes_steps(graph, one)
        }
    return [operator for operator in operators if id(operator) in chosen]
