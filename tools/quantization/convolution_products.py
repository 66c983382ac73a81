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

from tools.graph.flatbuffer import TfliteModel, has_open_shape, shape_of, tensor_name
from tools.graph.pruning import prune
from tools.graph.topology import Topology

_TYPES = frozenset({schema.TensorType.INT8, schema.TensorType.INT4})
_FLOAT32 = schema.TensorType.FLOAT32


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
        self.graph, self.model = graph, graph.model
        self.operators: list[schema.OperatorT] = []
        self._codes: dict[str, int] = {}
        self._images: dict[int, int] = {}

    def _code(self, name: str) -> int:
        if name not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
            code.version = 1
            self._codes[name] = len(self.model.schema.operatorCodes)
            self.model.schema.operatorCodes.append(code)
        return self._codes[name]

    def _tensor(self, name: str, kind: int, shape: Sequence[int], buffer: int = 0) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = name, kind, buffer
        tensor.shape = np.array(shape, np.int32)
        self.graph.subgraph.tensors.append(tensor)
        return len(self.graph.subgraph.tensors) - 1

    def _reshape(self, source: int, result: int, shape: Sequence[int]) -> None:
        values = np.array(shape, np.int32)
        buffer = self.model.add_constant(values)
        name = f"{tensor_name(self.graph.tensor(result))}/shape"
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code("RESHAPE")
        operator.inputs = [
            source,
            self._tensor(name, schema.TensorType.INT32, values.shape, buffer),
        ]
        operator.outputs = [result]
        operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        operator.builtinOptions = schema.ReshapeOptionsT()
        operator.builtinOptions.newShape = values
        self.operators.append(operator)

    def _image(self, source: int, name: str, rows: int, inputs: int) -> int:
        """Gives what a product reads as an image; products of the same input share it."""
        if source not in self._images:
            shape = [1, rows, 1, inputs]
            self._images[source] = self._tensor(f"{name}/image", _FLOAT32, shape)
            self._reshape(source, self._images[source], shape)
        return self._images[source]

    def _zeros(self, count: int, name: str) -> int:
        buffer = self.model.add_constant(np.zeros(count, np.float32))
        return self._tensor(name, _FLOAT32, [count], buffer)

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
        product = self._tensor(f"{name}/product", _FLOAT32, [1, rows, 1, channels])
        if not bias or bias[0] == -1:
            bias = [self._zeros(channels, f"{name}/bias")]
        options = schema.Conv2DOptionsT()
        options.strideW = options.strideH = 1
        options.dilationWFactor = options.dilationHFactor = 1
        options.padding = schema.Padding.VALID
        options.fusedActivationFunction = operator.builtinOptions.fusedActivationFunction
        operator.builtinOptions = options
        operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
        operator.opcodeIndex = self._code("CONV_2D")
        operator.inputs, operator.outputs = [image, weights, bias[0]], [product]
        self.operators.append(operator)
        self._reshape(product, result, shape_of(graph.tensor(result)))


def use_convolutions(model: TfliteModel) -> dict:
    """Makes CONV_2D of FULLY_CONNECTED whose integer weights DEQUANTIZE expands.

    Args:
      model: a quantized model; changed in place. Products of open shapes, which no GPU takes,
        stay as they are.

    Returns:
      The report's entry.
    """
    graph = Topology(model)
    work = _Rewriting(graph)
    changed = 0
    for operator in graph.subgraph.operators:
        stored = _stored(graph, operator)
        if stored is None or not _is_of_known_shape(graph, operator, stored):
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
