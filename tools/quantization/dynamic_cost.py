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

The int8 kernels multiply 8 input channels a step. The models have 3 channels or more, so that
what is lost by 3 is in the coefficients; of 1 or 2 channels a whole step is counted.

Dynamic it is where at least 15% are estimated to be gained: beside its neighbours, an
operator gains less than alone, and whole models were no faster at 5%, 25% or 40%. All
237 operators take 1.8% longer by that rule than each in the faster way; all in float
they take 67% longer, all dynamic 56%.

The same coefficients say what an output head costs in float, beside a model in int8 (there
is nothing to scale in such): 0.00328 M + 588 an operator. Of a detector that is a few
percent of the model, of an autoencoder or one layer of a language model most of it.
"""

import math
from collections.abc import Collection, Sequence

from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import shape_of
from tools.graph.topology import WEIGHTED, Topology

DYNAMIC_KERNELS = frozenset({"CONV_2D", "FULLY_CONNECTED"})
_TILE = 16
# Input channels that the int8 kernels multiply at once, and the fewest of the models.
_STEP, _FEWEST_CHANNELS = 8, 3
_LEAST_GAIN = 0.15
# Nanoseconds for a product in float and in int8, and for any operator.
FLOAT_PRODUCT, INT8_PRODUCT, _OPERATOR = 0.0186, 0.00328, 588
# To scale an element that comes out of a dynamic product, and to convert one that goes in.
DYNAMIC_RESULT, DYNAMIC_INPUT = 0.205, 0.364
# Of a model's time in int8, that its heads may cost in float.
_MOST_HEAD_COST = 0.15
# For a product of a depthwise convolution in float and in int8.
FLOAT_DEPTHWISE, INT8_DEPTHWISE = 0.047, 0.035
# To write an element, and to convert one.
_ELEMENT, _CONVERSION = 0.15, 0.1


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
    in_float = FLOAT_PRODUCT * products + 0.0103 * pixels * kernel * inputs + 638
    scaling = DYNAMIC_RESULT * pixels * outputs + DYNAMIC_INPUT * elements + 8.45 * pixels
    steps = 1 if inputs >= _FEWEST_CHANNELS else _STEP / max(inputs, 1)
    return in_float, INT8_PRODUCT * products * steps + scaling + _OPERATOR


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


def _products(graph: Topology, operator: schema.OperatorT) -> int:
    """Counts what an operator multiplies, M above; 0 where it has no constant weights."""
    name = graph.name(operator)
    if name not in WEIGHTED or not graph.is_constant(operator.inputs[1]):
        return 0
    weights = shape_of(graph.tensor(operator.inputs[1]))
    # A transposed convolution multiplies for each pixel that goes in.
    place = operator.inputs[2] if name == "TRANSPOSE_CONV" else operator.outputs[0]
    pixels = math.prod(shape_of(graph.tensor(place))[:-1])
    if name not in DYNAMIC_KERNELS:
        return pixels * math.prod(weights)
    return pixels * math.prod(weights[1:]) * (-(-weights[0] // _TILE) * _TILE)


def costly_heads(
    graph: Topology, heads: Sequence[schema.OperatorT]
) -> list[tuple[schema.OperatorT, bool]]:
    """Finds the output heads that cost more in float than they are worth.

    Args:
      graph: of a float master.
      heads: from `tools.quantization.output_heads`.

    Returns:
      The FULLY_CONNECTED among them, each with whether dynamic int8 wins there; none where
      all are estimated to take under 15% of the model's time in int8 longer in float. Heads of
      CONV_2D give many values of few channels, and float is nearly as fast there.
    """
    operators = graph.subgraph.operators
    whole = _OPERATOR * len(operators) + INT8_PRODUCT * sum(_products(graph, o) for o in operators)
    matrices = [o for o in heads if graph.name(o) == "FULLY_CONNECTED" and _products(graph, o)]
    lost = (FLOAT_PRODUCT - INT8_PRODUCT) * sum(_products(graph, o) for o in matrices)
    if lost <= _MOST_HEAD_COST * whole:
        return []
    return [(operator, dynamic_wins(graph, operator)) for operator in matrices]


def _elements(graph: Topology, index: int) -> int:
    return abs(math.prod(shape_of(graph.tensor(index))))


class FloatCost:
    """What it costs to compute operators of an int8 model in float."""

    def __init__(self, graph: Topology, integer: Collection[int]):
        """Takes a model.

        Args:
          graph: of a float master.
          integer: places of the operators that compute in int8.
        """
        self._graph, self._integer = graph, frozenset(integer)
        operators = graph.subgraph.operators
        self._places = {id(operator): place for place, operator in enumerate(operators)}
        times = [self._multiplying(operator) for operator in operators]
        self._more = [in_float - in_int8 for in_int8, in_float in times]
        self._whole = sum(
            _OPERATOR
            + times[place][0]
            + _ELEMENT * sum(_elements(graph, index) for index in operator.outputs)
            + (self._more[place] if place not in self._integer else 0)
            for place, operator in enumerate(operators)
        )
        self._converting = self._conversions(frozenset())

    def _multiplying(self, operator: schema.OperatorT) -> tuple[float, float]:
        """Gives the nanoseconds that an operator's products take, in int8 and in float."""
        count = _products(self._graph, operator)
        if self._graph.name(operator) == "DEPTHWISE_CONV_2D":
            return INT8_DEPTHWISE * count, FLOAT_DEPTHWISE * count
        return INT8_PRODUCT * count, FLOAT_PRODUCT * count

    def _conversions(self, floating: frozenset[int]) -> float:
        """Gives the nanoseconds for all conversions where these compute in float as well."""
        integer, graph, total = self._integer - floating, self._graph, 0
        for index, readers in graph.consumers.items():
            if graph.is_constant(index):
                continue
            producer = graph.producer.get(index)
            given = producer is not None and self._places[id(producer)] in integer
            if any((self._places[id(reader)] in integer) != given for reader, _ in readers):
                total += _elements(graph, index)
        return _CONVERSION * total

    def share(self, places: frozenset[int]) -> float:
        """Estimates what operators cost in float.

        Args:
          places: of operators that compute in int8 otherwise.

        Returns:
          The time that is added, of the model's.
        """
        added = sum(self._more[place] for place in places)
        added += self._conversions(places) - self._converting
        return max(added, 0.0) / self._whole
