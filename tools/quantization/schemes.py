"""What each scheme does with each operator of a model."""

import dataclasses

from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.flatbuffer import shape_of, tensor_name
from tools.graph.topology import WEIGHTED, Topology
from tools.quantization import recipes
from tools.quantization.output_heads import output_heads

# As the command line spells them; FULL_INTEGER is another name for INT8.
SCHEMES = ("INT8", "FULL_INTEGER", "DYNAMIC", "FLOAT16", "WEIGHT_ONLY_INT8")

# XNNPACK has a hybrid kernel (float activations, quantized as they come in) for CONV_2D
# and FULLY_CONNECTED, none for DEPTHWISE_CONV_2D. Quantizing an activation costs time in
# proportion to its channels; under these counts, measured one operator at a time on
# x86-64, that is more than the int8 product saves.
_DYNAMIC_LEAST_INPUTS = 32
_DYNAMIC_LEAST_OUTPUTS = 64


@dataclasses.dataclass(frozen=True)
class Plan:
    """A recipe, and what it leaves in float.

    Attributes:
      recipe: in ai-edge-quantizer's JSON form.
      kept_float: name of an operator's output to the reason why it is computed in float.
      needs_calibration: whether the recipe takes ranges.
    """

    recipe: list[dict]
    kept_float: dict[str, str]
    needs_calibration: bool


def canonical_scheme(name: str) -> str:
    """Reads a scheme's name.

    Args:
      name: in either case.

    Returns:
      One of "int8", "dynamic", "float16", "weight_only_int8".

    Raises:
      InputError: when there is no such scheme.
    """
    upper = name.upper()
    if upper not in SCHEMES:
        raise InputError(f"no quantization type {name}; choose one of {', '.join(SCHEMES)}")
    return "int8" if upper == "FULL_INTEGER" else upper.lower()


def _int8(graph: Topology) -> Plan:
    recipe = [
        recipes.static_int8(),
        recipes.unquantized(".*", "INPUT"),
        recipes.unquantized(".*", "OUTPUT"),
    ]
    kept = {}
    for operator in output_heads(graph):
        name = graph.name(operator)
        entry = recipes.weight_only_int8 if name in WEIGHTED else recipes.unquantized
        recipe.append(entry(recipes.exactly(graph, operator), _operation(graph, operator)))
        kept[tensor_name(graph.tensor(operator.outputs[0]))] = (
            "output head: int8 weights, float arithmetic" if name in WEIGHTED else "output head"
        )
    return Plan(recipe, kept, needs_calibration=True)


def _operation(graph: Topology, operator: schema.OperatorT) -> str:
    """Names an operator as recipes do; those that recipes do not know fall under "*"."""
    from ai_edge_quantizer import qtyping

    name = graph.name(operator)
    return name if name in qtyping.TFLOperationName.__members__ else "*"


def _dynamic(graph: Topology) -> Plan:
    recipe = [recipes.weight_only_int8()]
    kept = {}
    for operator in graph.subgraph.operators:
        name = graph.name(operator)
        if name not in WEIGHTED:
            continue
        weights = shape_of(graph.tensor(operator.inputs[1]))
        if (
            name in ("CONV_2D", "FULLY_CONNECTED")
            and weights[-1] >= _DYNAMIC_LEAST_INPUTS
            and weights[0] >= _DYNAMIC_LEAST_OUTPUTS
        ):
            recipe.append(recipes.dynamic_int8(recipes.exactly(graph, operator), name))
        else:
            reason = (
                "the delegate has no dynamic kernel for it"
                if name not in ("CONV_2D", "FULLY_CONNECTED")
                else "too few channels for dynamic int8 to win"
            )
            kept[tensor_name(graph.tensor(operator.outputs[0]))] = f"weights only: {reason}"
    return Plan(recipe, kept, needs_calibration=False)


def plan(graph: Topology, scheme: str) -> Plan:
    """Makes the recipe of a scheme for a model.

    Args:
      graph: of the prepared float master.
      scheme: from `canonical_scheme`.

    Returns:
      The plan.
    """
    if scheme == "int8":
        return _int8(graph)
    if scheme == "dynamic":
        return _dynamic(graph)
    entry, reason = {
        "float16": (recipes.float16(), "float16 weights, float arithmetic"),
        "weight_only_int8": (recipes.weight_only_int8(), "int8 weights, float arithmetic"),
    }[scheme]
    kept = {
        tensor_name(graph.tensor(operator.outputs[0])): reason
        for operator in graph.subgraph.operators
        if graph.name(operator) in WEIGHTED
    }
    return Plan([entry], kept, needs_calibration=False)
