"""Estimates whether an operator is faster with dynamic int8 than in float.

XNNPACK has a hybrid kernel (float activations, quantized as they come in, int8 product,
float result) for CONV_2D and FULLY_CONNECTED. The product is about six times as fast as
in float; against that stands a pass over what goes in, and scaling what comes out. With

    P   pixels of the result (rows, of FULLY_CONNECTED)
    K   pixels of the kernel
    I   channels that go in, O channels that come out, O' the same in full tiles of 16
    A   elements that go in
    M = P K I O'

the time in nanoseconds is taken as

    float    0.0186 M + 0.0103 P K I + 638
    dynamic  0.00328 M + 0.205 P O + 0.364 A + 8.45 P + 588,

fitted (least relative squares, no coefficient below 0) to all 237 different CONV_2D and
FULLY_CONNECTED of MediaPipe's eleven models, each timed alone, one thread, on x86-64 with
AVX512-VNNI. Half of the estimates are within 5% (float) and 12% (dynamic). Another
processor has other coefficients, but the same terms.

Dynamic it is where at least 15% are estimated to be gained: beside its neighbours, an
operator gains less than alone, and whole models were no faster at 5%, 25% or 40%. All
237 operators take 1.8% longer by that rule than each in the faster way; all in float
they take 67% longer, all dynamic 56%.
"""

import math

from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import shape_of
from tools.graph.topology import Topology

DYNAMIC_KERNELS = frozenset({"CONV_2D", "FULLY_CONNECTED"})
_TILE = 16
_LEAST_GAIN = 0.15


def estimated_times(
    pixels: int, kernel: int, inputs: int, outputs: int, elements: int
) -> tuple[float, float]:
    """Estimates an operator's times.

    Args:
      pixels: of the result, over the batch.
      kernel: pixels of the kernel; 1 for FULLY_CONNECTED.
      inputs: channels that go in.
      outputs: channels that come out.
      elements: that go in, over the batch.

    Returns:
      Nanoseconds (in float, with dynamic int8).
    """
    products = pixels * kernel * inputs * (-(-outputs // _TILE) * _TILE)
    in_float = 0.0186 * products + 0.0103 * pixels * kernel * inputs + 638
    scaling = 0.205 * pixels * outputs + 0.364 * elements + 8.45 * pixels
    return in_float, 0.00328 * products + scaling + 588


def dynamic_wins(graph: Topology, operator: schema.OperatorT) -> bool:
    """Says whether dynamic int8 is worth it.

    Args:
      graph: of the model.
      operator: one of DYNAMIC_KERNELS, with constant weights.

    Returns:
      Whether it is estimated to be faster than float by at least 15%.
    """
    source = shape_of(graph.tensor(operator.inputs[0]))
    weights = shape_of(graph.tensor(operator.inputs[1]))
    result = shape_of(graph.tensor(operator.outputs[0]))
    pixels, kernel = math.prod(result[:-1]), math.prod(weights[1:-1])
    times = estimated_times(pixels, kernel, weights[-1], weights[0], math.prod(source))
    return times[1] <= times[0] * (1 - _LEAST_GAIN)
