"""Pass: finds the operators between the last weights and each output.

A detector's heads end in CONCATENATION, which forces the step of the loudest head onto
all of them: logits of -700 in one take the bits from the logits of 0 to 3 that decide
in another. Computed in float with int8 weights, the last convolution and what follows
it lose nothing and cost a few percent of the time; the file stays as small.
"""

from ai_edge_litert import schema_py_generated as schema

from tools.graph.topology import WEIGHTED, Topology


def output_heads(graph: Topology) -> list[schema.OperatorT]:
    """Walks back from each output to the first operator with weights, which it includes.

    Args:
      graph: of a float master.

    Returns:
      The operators, in the model's order. Where an output depends on no weights but
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
    return [operator for operator in graph.subgraph.operators if id(operator) in heads]
