"""Who writes and who reads each tensor of a subgraph."""

from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, shape_of

# Operators that hand each channel on as it is, so that a scale of the channel passes
# through them.
PER_CHANNEL = frozenset(
    {
        "AVERAGE_POOL_2D",
        "MAX_POOL_2D",
        "RELU",
        "PRELU",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
    }
)
WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
# What multiplies its inputs with each other and adds up the products.
MULTIPLYING = WEIGHTED | {"BATCH_MATMUL"}
# A last dimension beyond is no list of channels.
_MOST_CHANNELS = 1 << 16


def channel_count(tensor: schema.TensorT) -> int:
    """Counts the channels of an activation: its last dimension.

    Args:
      tensor: an activation.

    Returns:
      1 for a scalar, and where the last dimension is too long for each entry to be a channel.
    """
    shape = shape_of(tensor)
    return shape[-1] if shape and shape[-1] <= _MOST_CHANNELS else 1


class Topology:
    """The edges of a subgraph, the main one most often, as they were when it was made.

    Attributes:
      model: the model.
      subgraph: one of its subgraphs.
      producer: tensor index to the operator that writes it.
      consumers: tensor index to (operator, which of its inputs) in order.
      inputs: indices of the subgraph's inputs.
      outputs: indices of the subgraph's outputs.
    """

    def __init__(self, model: TfliteModel, number: int = 0):
        self.model = model
        self.subgraph = model.schema.subgraphs[number]
        self.producer: dict[int, schema.OperatorT] = {}
        self.consumers: dict[int, list[tuple[schema.OperatorT, int]]] = {}
        self.inputs = frozenset(int(index) for index in self.subgraph.inputs)
        self.outputs = frozenset(int(index) for index in self.subgraph.outputs)
        for operator in self.subgraph.operators or []:
            for index in operator.outputs:
                self.producer[int(index)] = operator
            for position, index in enumerate(operator.inputs):
                if index != -1:
                    self.consumers.setdefault(int(index), []).append((operator, position))

    def name(self, operator: schema.OperatorT) -> str:
        """Names an operator, such as CONV_2D."""
        return self.model.operator_name(operator)

    def tensor(self, index: int) -> schema.TensorT:
        """Looks a tensor up."""
        return self.subgraph.tensors[int(index)]

    def is_constant(self, index: int) -> bool:
        """Says whether a tensor's values stand in the file."""
        data = self.model.schema.buffers[self.tensor(index).buffer].data
        return data is not None and len(data) > 0
