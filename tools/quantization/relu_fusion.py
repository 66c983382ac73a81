"""Pass: an activation that stands alone becomes part of the operator before it.

CONV(x) followed by RELU is CONV with fused_activation_function = RELU: the kernels
clamp as they store (schema.fbs, ActivationFunctionType). In int8 the clamp costs
nothing, since it is a bound of the output's range. Left alone, int8 RELU is refused by
XNNPACK: each one cuts the delegated graph in two, and its neighbours fall to reference
kernels.

The float outputs stay the same: the same numbers are clamped at the same bounds.
"""

from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel
from tools.graph.pruning import prune
from tools.graph.topology import Topology

_ACTIVATIONS = {
    "RELU": schema.ActivationFunctionType.RELU,
    "RELU6": schema.ActivationFunctionType.RELU6,
    "RELU_N1_TO_1": schema.ActivationFunctionType.RELU_N1_TO_1,
}
_CAN_FUSE = frozenset(
    {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "SUB"}
)


def fuse_relus(model: TfliteModel) -> dict:
    """Fuses every activation that has one producer, which has one reader.

    Args:
      model: changed in place.

    Returns:
      The report's entry: {"name", "changed", "detail"}.
    """
    graph = Topology(model)
    fused = []
    for operator in graph.subgraph.operators:
        activation = _ACTIVATIONS.get(graph.name(operator))
        if activation is None:
            continue
        source = int(operator.inputs[0])
        producer = graph.producer.get(source)
        if (
            producer is None
            or source in graph.outputs
            or len(graph.consumers[source]) != 1
            or graph.name(producer) not in _CAN_FUSE
            or producer.builtinOptions is None
            or producer.builtinOptions.fusedActivationFunction != schema.ActivationFunctionType.NONE
        ):
            continue
        producer.builtinOptions.fusedActivationFunction = activation
        producer.outputs = list(operator.outputs)
        # A chain of two would otherwise look at the tensor that is gone.
        graph.producer[int(operator.outputs[0])] = producer
        fused.append(id(operator))
    graph.subgraph.operators = [op for op in graph.subgraph.operators if id(op) not in set(fused)]
    prune(model)
    return {
        "changed": len(fused),
        "detail": f"{len(fused)} activations became part of the operator before them",
        "name": "relu_fusion",
    }
