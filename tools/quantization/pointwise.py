"""Pass: computes 1x1 convolutions as matrix products where their weights get under 8 bits.

A convolution of kernel and stride 1 is, at each pixel, the product of one matrix with the
pixel's channels: FULLY_CONNECTED with keep_num_dims, of the same weights in two
dimensions. XNNPACK has 4-bit, 2-bit and blockwise kernels for FULLY_CONNECTED and none
for CONV_2D, which then falls to the reference kernels and cuts the delegated graph in
two. The float outputs stay the same to the bit: it is one kernel that does either.
"""

import re

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import TfliteModel, shape_of
from tools.graph.pruning import prune
from tools.graph.topology import Topology
from tools.quantization.patterns import EarlierScopes, scope
from tools.quantization.settings import QuantizationSettings

_UNDER_8_BITS = re.compile("int4|dynamic_int4|int2|blockwise_int4_.*")


def _scheme(
    graph: Topology,
    operator: schema.OperatorT,
    settings: QuantizationSettings,
    before: EarlierScopes,
) -> str:
    """Finds what the settings give an operator."""
    names = scope(graph, operator), before.of(operator)
    given = settings.scheme
    for pattern, scheme in settings.layers:
        if any(re.search(pattern, name) for name in names):
            given = scheme
    return given


def _product_patterns(graph: Topology, recipe: tuple[dict, ...]) -> list[str]:
    """Finds the entries of a recipe that are for what this pass made when it was written.

    They are for FULLY_CONNECTED, and as yet match no such operator.
    """
    products = [
        scope(graph, operator)
        for operator in graph.subgraph.operators
        if graph.name(operator) == "FULLY_CONNECTED"
    ]
    regexes = [entry["regex"] for entry in recipe if entry["operation"] == "FULLY_CONNECTED"]
    return [regex for regex in regexes if not any(re.search(regex, name) for name in products)]


def _is_pointwise(graph: Topology, operator: schema.OperatorT) -> bool:
    if graph.name(operator) != "CONV_2D" or not graph.is_constant(operator.inputs[1]):
        return False
    options, weights = operator.builtinOptions, int(operator.inputs[1])
    shape = shape_of(graph.tensor(weights))
    return (
        len(shape) == 4
        and shape[1:3] == (1, 1)
        and shape_of(graph.tensor(operator.inputs[0]))[-1:] == shape[3:]
        and options.strideW == options.strideH == 1
        and len(graph.consumers[weights]) == 1
    )


def use_matrix_products(
    model: TfliteModel, settings: QuantizationSettings, before: EarlierScopes
) -> dict:
    """Makes FULLY_CONNECTED of 1x1 convolutions that get weights under 8 bits.

    Args:
      model: a float model; changed in place.
      settings: which say what each operator gets.
      before: the scopes in which layers are searched as well.

    Returns:
      The report's entry.
    """
    graph = Topology(model)
    given = _product_patterns(graph, settings.recipe or ())

    def wanted(operator: schema.OperatorT) -> bool:
        if settings.recipe is not None:
            return any(re.search(regex, scope(graph, operator)) for regex in given)
        return bool(_UNDER_8_BITS.fullmatch(_scheme(graph, operator, settings, before)))

    changed = [
        operator
        for operator in graph.subgraph.operators
        if _is_pointwise(graph, operator) and wanted(operator)
    ]
    extension = GraphExtension(model, graph.subgraph)
    for operator in changed:
        weights = graph.tensor(operator.inputs[1])
        weights.shape = np.array([weights.shape[0], weights.shape[3]], np.int32)
        weights.shapeSignature = None
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims = True
        options.fusedActivationFunction = operator.builtinOptions.fusedActivationFunction
        # From version 5 on there is keep_num_dims.
        extension.rewrite(
            operator, "FULLY_CONNECTED", operator.inputs, operator.outputs, options, version=5
        )
    if changed:
        prune(model)
    return {
        "changed": len(changed),
        "detail": f"{len(changed)} 1x1 convolutions of weights under 8 bits are matrix products",
        "name": "pointwise",
    }
