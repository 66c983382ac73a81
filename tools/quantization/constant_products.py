"""Pass: computes BATCH_MATMUL of one constant matrix as FULLY_CONNECTED.

x W with a constant W of one matrix is what FULLY_CONNECTED computes of the transposed W, for any
rank of x (keep_num_dims). The runtime has the kernels there: int8 with a scale for each channel,
dynamic int8, float16 weights, fewer bits. A constant on the left, W x, is the same of the
transposed x, and its result transposed back. The float outputs are sums of the same products.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, shape_of, tensor_name
from tools.graph.pruning import prune
from tools.graph.topology import Topology

# A constant on the left costs two transposes.
_LEAST_ON_THE_LEFT = 1024
_FLOAT32 = schema.TensorType.FLOAT32


def _matrix(graph: Topology, index: int) -> np.ndarray | None:
    """Reads a constant of one matrix, [rows, columns]; None for what is none."""
    tensor = graph.tensor(index)
    if tensor.type != _FLOAT32 or not graph.is_constant(index):
        return None
    shape = shape_of(tensor)
    if len(shape) < 2 or any(size != 1 for size in shape[:-2]):
        return None
    return graph.model.constant(tensor).reshape(shape[-2:])


class _Rewriting:
    """Adds tensors and operator codes to a graph."""

    def __init__(self, graph: Topology):
        self.graph, self.subgraph = graph, graph.subgraph
        self.codes = graph.model.schema.operatorCodes
        self._numbers: dict[str, int] = {}
        self.operators: list[schema.OperatorT] = []

    def code(self, name: str, version: int) -> int:
        if name not in self._numbers:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
            code.version = version
            self._numbers[name] = len(self.codes)
            self.codes.append(code)
        return self._numbers[name]

    def tensor(self, like: int, shape, suffix: str, values: np.ndarray | None = None) -> int:
        """Adds a tensor named after another."""
        tensor = schema.TensorT()
        tensor.name = f"{tensor_name(self.graph.tensor(like))}/{suffix}"
        tensor.type = _FLOAT32 if values is None else _TYPES[values.dtype.type]
        tensor.shape = np.array(shape, np.int32)
        tensor.buffer = 0 if values is None else self.graph.model.add_constant(values)
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def transpose(self, source: int, result: int) -> None:
        """Swaps the last two dimensions of a tensor."""
        order = np.arange(len(shape_of(self.graph.tensor(source))), dtype=np.int32)
        order[-2:] = order[-2:][::-1]
        operator = schema.OperatorT()
        operator.opcodeIndex = self.code("TRANSPOSE", 1)
        operator.inputs = [source, self.tensor(result, order.shape, "order", order)]
        operator.outputs = [result]
        operator.builtinOptions = schema.TransposeOptionsT()
        operator.builtinOptionsType = schema.BuiltinOptions.TransposeOptions
        self.operators.append(operator)

    def transposed(self, source: int) -> int:
        """Adds a transposed copy of an activation."""
        tensor = self.graph.tensor(source)
        *batch, rows, columns = shape_of(tensor)
        result = self.tensor(source, [*batch, columns, rows], "transposed")
        signature = tensor.shapeSignature
        if signature is not None and len(signature):
            *batch, rows, columns = (int(size) for size in signature)
            self.graph.tensor(result).shapeSignature = np.array([*batch, columns, rows], np.int32)
        self.transpose(source, result)
        return result

    def product(self, operator: schema.OperatorT, source: int, weights: int, result: int) -> None:
        """Makes an operator FULLY_CONNECTED."""
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims = True
        operator.builtinOptions = options
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        # From this version on there is keep_num_dims.
        operator.opcodeIndex = self.code("FULLY_CONNECTED", 5)
        operator.inputs, operator.outputs = [source, weights, -1], [result]
        self.operators.append(operator)


_TYPES = {np.float32: _FLOAT32, np.int32: schema.TensorType.INT32}


def _rewritten(work: _Rewriting, operator: schema.OperatorT) -> bool:
    """Writes an operator as a product of a constant; says whether it could."""
    graph, options = work.graph, operator.builtinOptions
    if graph.name(operator) != "BATCH_MATMUL" or len(operator.inputs) != 2:
        return False
    if not isinstance(options, schema.BatchMatMulOptionsT) or -1 in operator.inputs:
        return False
    (left, right), result = (int(index) for index in operator.inputs), int(operator.outputs[0])
    shapes = [shape_of(graph.tensor(index)) for index in (left, right, result)]
    if graph.tensor(result).type != _FLOAT32 or graph.is_constant(left) == graph.is_constant(right):
        return False
    on_the_left = graph.is_constant(left)
    constant, source = (left, right) if on_the_left else (right, left)
    matrix = _matrix(graph, constant)
    rank = len(shapes[1] if on_the_left else shapes[0])
    if matrix is None or rank < 2 or rank != len(shapes[2]):
        return False
    if not on_the_left:
        if options.adjX:
            source = work.transposed(source)
        weights = matrix if options.adjY else matrix.T
        number = work.tensor(right, weights.shape, "weights", np.ascontiguousarray(weights))
        work.product(operator, source, number, result)
        return True
    if matrix.size < _LEAST_ON_THE_LEFT:
        return False
    if not options.adjY:
        source = work.transposed(source)
    weights = matrix.T if options.adjX else matrix
    number = work.tensor(left, weights.shape, "weights", np.ascontiguousarray(weights))
    *batch, rows, columns = shapes[2]
    turned = work.tensor(result, [*batch, columns, rows], "transposed")
    signature = graph.tensor(result).shapeSignature
    if signature is not None and len(signature):
        *batch, rows, columns = (int(size) for size in signature)
        graph.tensor(turned).shapeSignature = np.array([*batch, columns, rows], np.int32)
    work.product(operator, source, number, turned)
    work.transpose(turned, result)
    return True


def use_fully_connected(model: TfliteModel) -> dict:
    """Makes FULLY_CONNECTED of products with one constant matrix, in every subgraph.

    Args:
      model: a float model; changed in place.

    Returns:
      The report's entry.
    """
    changed = 0
    for number in range(len(model.schema.subgraphs)):
        work = _Rewriting(Topology(model, number))
        for operator in list(work.subgraph.operators):
            if _rewritten(work, operator):
                changed += 1
            else:
                work.operators.append(operator)
        work.subgraph.operators = work.operators
    if changed:
        _name_anew(model)
        prune(model)
    return {
        "changed": changed,
        "detail": f"{changed} products with a constant matrix are fully connected layers",
        "name": "constant_products",
    }


def _name_anew(model: TfliteModel) -> None:
    """Numbers names that are there twice: ranges are kept by name."""
    seen: set[str] = set()
    for subgraph in model.schema.subgraphs:
        for index, tensor in enumerate(subgraph.tensors):
            name = tensor_name(tensor)
            while name in seen:
                name = f"{name}_{index}"
            tensor.name = name
            seen.add(name)
