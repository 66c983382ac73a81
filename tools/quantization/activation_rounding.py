"""Has a float model round its activations as an int8 artifact of it does.

The weights stay float, so that what its outputs lose is what rounding activations costs, and
nothing is written by the library: a FAKE_QUANT operator stands where the artifact has an
integer tensor, with that tensor's own step. Which operators compute in float can be chosen
freely. What such a one gives to others of its kind is not rounded; what it gives to an integer
operator is, and so is all that an integer operator gives.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from ai_edge_litert import schema_py_generated as schema

from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import TfliteModel, copied_model, tensor_name
from tools.graph.topology import Topology

_LOWEST, _HIGHEST, _BITS = -128, 127, 8
# What the library appends to the name of the integer form of a tensor.
_SUFFIX = "_quantized"


class Step(NamedTuple):
    """How the int8 form of an activation is rounded.

    Attributes:
      scale: the step, in the activation's unit.
      zero_point: the code of 0, -128 to 127.
      by_operator: whether an integer operator writes it; a QUANTIZE does otherwise.
    """

    scale: float
    zero_point: int
    by_operator: bool


def steps_of(artifact: TfliteModel) -> dict[str, Step]:
    """Reads the steps of an artifact's int8 activations.

    Args:
      artifact: what the library wrote.

    Returns:
      By the name that the activation has in the float model.
    """
    graph, result = Topology(artifact), {}
    for index, operator in graph.producer.items():
        tensor = graph.tensor(index)
        details = tensor.quantization
        if tensor.type != schema.TensorType.INT8 or details is None or details.scale is None:
            continue
        name = tensor_name(tensor).removesuffix(_SUFFIX)
        own = graph.name(operator) != "QUANTIZE"
        if own or name not in result:
            result[name] = Step(float(details.scale[0]), int(details.zeroPoint[0]), own)
    return result


def _rounding(step: Step) -> schema.FakeQuantOptionsT:
    options = schema.FakeQuantOptionsT()
    options.min = (_LOWEST - step.zero_point) * step.scale
    options.max = (_HIGHEST - step.zero_point) * step.scale
    options.numBits, options.narrowRange = _BITS, False
    return options


def with_rounding(
    model: TfliteModel, steps: Mapping[int, Step], floating: Collection[int]
) -> TfliteModel:
    """Makes a copy that rounds.

    Args:
      model: the float model; it is not changed.
      steps: by the index of each activation that is rounded.
      floating: places, in the main subgraph, of the operators that compute in float.

    Returns:
      The copy, with the model's inputs and outputs in its order.
    """
    result = copied_model(model)
    graph = Topology(result)
    subgraph = graph.subgraph
    extension = GraphExtension(result, subgraph)
    places = {id(operator): place for place, operator in enumerate(subgraph.operators)}
    behind: dict[int, list[schema.OperatorT]] = {}
    moved = {}
    for index, step in steps.items():
        producer = graph.producer.get(index)
        place = -1 if producer is None else places[id(producer)]
        is_integer = producer is not None and place not in floating
        readers = [
            (operator, position)
            for operator, position in graph.consumers.get(index, [])
            if is_integer or places[id(operator)] not in floating
        ]
        if not (readers or (is_integer and index in graph.outputs)):
            continue
        rounded = extension.copied(index, _SUFFIX)
        for operator, position in readers:
            operator.inputs = [
                *operator.inputs[:position],
                rounded,
                *operator.inputs[position + 1 :],
            ]
        if is_integer:
            moved[index] = rounded
        rounding = extension.operator("FAKE_QUANT", [index], [rounded], _rounding(step))
        behind.setdefault(place, []).append(rounding)
    operators = list(behind.get(-1, []))
    for place, operator in enumerate(subgraph.operators):
        operators += [operator, *behind.get(place, [])]
    subgraph.operators = operators
    subgraph.outputs = [moved.get(int(index), int(index)) for index in subgraph.outputs]
    return result
