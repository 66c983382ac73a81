"""Pass: computes products with int8 weights in float as 1x1 convolutions.

LiteRT's GPU delegate takes FULLY_CONNECTED with weights in int8, or in float16 behind
DEQUANTIZE; weights in int8 behind DEQUANTIZE it takes for a tensor that is computed, whose
shape then fits nothing, and refuses the whole model. It takes CONV_2D in that form, which
computes the same sums. XNNPACK runs the same kernel for both. The file grows by two RESHAPE.
"""

import math
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.data_sized import data_sized
from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import TfliteModel, has_open_shape, shape_of, tensor_name
from tools.graph.pruning import prune
from tools.graph.topology import Topology

_TYPES = frozenset({schema.TensorType.INT8, schema.TensorType.INT4})


def _stored(graph: Topology, operator: schema.OperatorT) -> int | None:
    """Finds the integers behind a product's weights, where nothing else reads them."""
    if graph.name(operator) != "FULLY_CONNECTED" or operator.builtinOptions.weightsFormat:
        return None
    weights = int(operator.inputs[1])
    reader = graph.producer.get(weights)
    if reader is None or graph.name(reader) != "DEQUANTIZE":
        return None
    stored = int(reader.inputs[0])
    alone = len(graph.consumers[weights]) == len(graph.consumers[stored]) == 1
    fits = graph.is_constant(stored) and graph.tensor(stored).type in _TYPES
    return stored if alone and fits else None


def _is_of_known_shape(graph: Topology, operator: schema.OperatorT, stored: int) -> bool:
    """Says whether what a product reads and gives has a stated, fixed size that fits it."""
    ends = [graph.tensor(int(index)) for index in (operator.inputs[0], operator.outputs[0])]
    if any(has_open_shape(tensor) for tensor in ends):
        return False
    read, given = (math.prod(shape_of(tensor)) for tensor in ends)
    weights = shape_of(graph.tensor(stored))
    if len(weights) != 2 or not all(weights):
        return False
    channels, inputs = weights
    return read > 0 and read % inputs == 0 and given == read // inputs * channels


class _Rewriting:
    """Gives a graph its new operators."""

    def __init__(self, graph: Topology):
        self.graph = graph
        self._extension = GraphExtension(graph.model, graph.subgraph)
        self.operators: list[schema.OperatorT] = []
        self._images: dict[int, int] = {}

    def _reshape(self, source: int, result: int, shape: Sequence[int]) -> None:
        options = schema.ReshapeOptionsT()
        options.newShape = np.array(shape, np.int32)
        name = f"{tensor_name(self.graph.tensor(result))}/shape"
        inputs = [source, self._extension.constant(name, options.newShape)]
        self.operators.append(self._extension.operator("RESHAPE", inputs, [result], options))

    def _image(self, source: int, name: str, rows: int, inputs: int) -> int:
        """Gives what a product reads as an image; products of the same input share it."""
        if source not in self._images:
            shape = [1, rows, 1, inputs]
            self._images[source] = self._extension.activation(f"{name}/image", shape)
            self._reshape(source, self._images[source], shape)
        return self._images[source]

    def convolve(self, operator: schema.OperatorT, stored: int) -> None:
        """Makes a product a convolution of an image that is one pixel wide.

        Args:
          operator: FULLY_CONNECTED.
          stored: its weights as integers, [channels, inputs].
        """
        graph = self.graph
        source, weights, *bias = (int(index) for index in operator.inputs)
        result = int(operator.outputs[0])
        channels, inputs = shape_of(graph.tensor(stored))
        for index in (stored, weights):
            graph.tensor(index).shape = np.array([channels, 1, 1, inputs], np.int32)
            graph.tensor(index).shapeSignature = None
        name = tensor_name(graph.tensor(result))
        rows = math.prod(shape_of(graph.tensor(source))) // inputs
        image = self._image(source, name, rows, inputs)
        product = self._extension.activation(f"{name}/product", [1, rows, 1, channels])
        if not bias or bias[0] == -1:
            bias = [self._extension.constant(f"{name}/bias", np.zeros(channels, np.float32))]
        options = schema.Conv2DOptionsT()
        options.strideW = options.strideH = 1
        options.dilationWFactor = options.dilationHFactor = 1
        options.padding = schema.Padding.VALID
        options.fusedActivationFunction = operator.builtinOptions.fusedActivationFunction
        self._extension.rewrite(operator, "CONV_2D", [image, weights, bias[0]], [product], options)
        self.operators.append(operator)
        self._reshape(product, result, shape_of(graph.tensor(result)))


def use_convolutions(model: TfliteModel) -> dict:
    """Makes CONV_2D of FULLY_CONNECTED whose integer weights DEQUANTIZE expands.

    Args:
      model: a quantized model; changed in place. Products of open shapes, or of a size that
        depends on values, which no GPU takes, stay as they are.

    Returns:
      The report's entry.
    """
    graph = Topology(model)
    work = _Rewriting(graph)
    unknowable = data_sized(graph)
    changed = 0
    for operator in graph.subgraph.operators:
        stored = _stored(graph, operator)
        if (
            stored is None
            or int(operator.outputs[0]) in unknowable
            or not _is_of_known_shape(graph, operator, stored)
        ):
            work.operators.append(operator)
            continue
        work.convolve(operator, stored)
        changed += 1
    graph.subgraph.operators = work.operators
    if changed:
        prune(model)
    return {
        "changed": changed,
        "detail": f"{changed} products with integer weights are convolutions, for the GPU",
        "name": "convolution_products",
    }
