"""Pass: finds the smallest weights, which float16 holds at nearly no cost in bytes.

Rounding to int8 costs a layer about as much similarity whether it has 70 weights or 70,000, and
the layers of the fewest weights are those that all else depends on: the first convolutions, and
the last one of a mask. In float16 they lose nothing that shows. All of a model's smallest
weights together, up to a quarter of a percent of the float model's bytes, are those of the
layers where that matters.

Only layers that compute in float anyway, or would with activations quantized as they come in,
have them: between integer operators each would cost conversions. Where activations have ranges,
those layers are heads for the most part, whose rounding calibration data corrects
(tools.quantization.head_correction): a tenth of the budget holds the last convolution of a mask,
which no rounding serves.
"""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.topology import WEIGHTED, Topology


def smallest_weights(
    graph: Topology, operators: Sequence[schema.OperatorT], percent: float
) -> list[schema.OperatorT]:
    """Chooses the operators with the smallest weights.

    Args:
      graph: of a float model.
      operators: to choose from; those without constant weights are left.
      percent: of the bytes of the model's constants: as many weights, zeros not counted, as
        that has bytes are chosen at most, the smallest tensors first.

    Returns:
      The operators, in the order in which they were given. Those that share weights are chosen
      together.
    """
    readers: dict[int, list[schema.OperatorT]] = {}
    sizes: dict[int, int] = {}
    for operator in operators:
        if graph.name(operator) in WEIGHTED and graph.is_constant(operator.inputs[1]):
            tensor = graph.tensor(operator.inputs[1])
            readers.setdefault(tensor.buffer, []).append(operator)
            # A zero is exact in any form, and `sparse_weights` need not store it.
            sizes[tensor.buffer] = int(np.count_nonzero(graph.model.constant(tensor)))
    buffers = (buffer.data for buffer in graph.model.schema.buffers)
    left = percent / 100 * sum(len(data) for data in buffers if data is not None)
    chosen: set[int] = set()
    for buffer in sorted(sizes, key=lambda one: (sizes[one], one)):
        left -= sizes[buffer]
        if left < 0:
            break
        chosen |= {id(operator) for operator in readers[buffer]}
    return [operator for operator in operators if id(operator) in chosen]
