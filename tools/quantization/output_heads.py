"""Pass: finds the operators between the last weights and each output.

A detector's heads end in CONCATENATION, which forces the step of the loudest head onto
all of them: logits of -700 in one take the bits from the logits of 0 to 3 that decide
in another. Computed in float with int8 weights, the last convolution and what follows
it lose nothing and cost a few percent of the time; the file stays as small.

A depthwise convolution without an activation that only heads read belongs to them: what it
computes has no bound that an activation sets, and its step is as coarse as theirs.
"""

from ai_edge_litert import schema_py_generated as schema

from tools.graph.topology import WEIGHTED, Topology

_NONE = schema.ActivationFunctionType.NONE


def _linear_depthwise(graph: Topology, heads: set[int]) -> set[int]:
    """Finds the depthwise layers without an activation that nothing but heads reads."""
    found = set()
    for operator in graph.subgraph.operators:
        if graph.name(operator) != "DEPTHWISE_CONV_2D" or id(operator) in heads:
            continue
        readers = [
            one for index in operator.outputs for one, _ in graph.consumers.get(int(index), [])
        ]
        linear = operator.builtinOptions.fusedActivationFunction == _NONE
        if linear and readers and all(id(one) in heads for one in readers):
            found.add(id(operator))
    return found


def output_heads(graph: Topology) -> list[schema.OperatorT]:
    """Walks back from each output to the first operator with weights, which it includes.

    Args:
      graph: of a float master.

    Returns:
      The operators, and the linear depthwise layers that they alone read, in the model's
      order. Where an output depends on no weights but
      through an operator with several computed inputs other than CONCATENATION, the
      walk ends there.
    """
    heads: set[int] = set()
    waiting = sorted(graph.outputs)
    while waiting:
        operator = graph.producer.get(waiting.pop())
        if operator is None or id(operator) in heads:
            continue
        sources = [int(i) for i in operator.inputs if i != -1 and int(i) in graph.producer]
        if len(sources) > 1 and graph.name(operator) != "CONCATENATION":
            continue
        heads.add(id(operator))
        if graph.name(operator) not in WEIGHTED:
            waiting += sources
    heads |= _linear_depthwise(graph, heads)
    return [operator for operator in graph.subgraph.operators if id(operator) in heads]
