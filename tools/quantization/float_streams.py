"""Pass: finds the operators that PRELU, which has no int8 kernel, is better off beside.

XNNPACK computes PRELU in float only. Between int8 neighbours it costs a DEQUANTIZE
before and a QUANTIZE behind, and its result is rounded once more. In the networks that
use it, what stands between one 1x1 convolution and the next is

    CONV_2D -> ADD (the residual stream) -> PRELU -> DEPTHWISE_CONV_2D -> CONV_2D

and of these the convolutions alone gain in int8 (2 to 3.5 times on x86-64 with VNNI); a
depthwise kernel of 5x5 takes as long in float at 96 to 24 pixels, ADD takes less. So
the stream is float from the convolution that writes it to the one that reads it: as many
conversions as before, at the narrow ends, and no rounding of the stream in between.
Depthwise weights are int8 as before, their biases lose the scales.
"""

from ai_edge_litert import schema_py_generated as schema

from tools.graph.topology import Topology

# What computes as fast in float, or nearly, and hands the stream on.
_SPREADS = frozenset({"ADD", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "PAD", "RESIZE_BILINEAR"})


def float_streams(graph: Topology) -> list[schema.OperatorT]:
    """Spreads from each PRELU to what reads and writes the same stream.

    Args:
      graph: of a float model.

    Returns:
      The operators, in the model's order; none where there is no PRELU.
    """
    waiting = [op for op in graph.subgraph.operators if graph.name(op) == "PRELU"]
    found = {id(operator) for operator in waiting}
    while waiting:
        operator = waiting.pop()
        neighbours = [graph.producer.get(int(index)) for index in operator.inputs]
        for index in operator.outputs:
            neighbours += [reader for reader, _ in graph.consumers.get(int(index), [])]
        for neighbour in neighbours:
            if (
                neighbour is not None
                and id(neighbour) not in found
                and graph.name(neighbour) in _SPREADS
            ):
                found.add(id(neighbour))
                waiting.append(neighbour)
    return [operator for operator in graph.subgraph.operators if id(operator) in found]
