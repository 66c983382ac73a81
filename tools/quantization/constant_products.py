"""Pass: computes BATCH_MATMUL of one constant matrix as FULLY_CONNECTED.

x W with a constant W of one matrix is what FULLY_CONNECTED computes of the transposed W, for any
rank of x (keep_num_dims). The runtime has the kernels there: int8 with a scale for each channel,
dynamic int8, float16 weights, fewer bits. A constant on the left, W x, is the same of the
transposed x, and its result transposed back. The float outputs are sums of the same products.
"""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.extension import GraphExtension
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
    """Gives a graph its new operators."""

    def __init__(self, graph: Topology):
        self.graph = graph
        self.extension = GraphExtension(graph.model, graph.subgraph)
        self.operators: list[schema.OperatorT] = []

    def constant(self, like: int, suffix: str, values: np.ndarray) -> int:
        """Adds a constant named after another tensor."""
        return self.extension.constant(f"{tensor_name(self.graph.tensor(like))}/{suffix}", values)

    def activation(self, like: int, shape: Sequence[int]) -> int:
        """Adds a transposed activation, of a shape, named after another tensor."""
        name = f"{tensor_name(self.graph.tensor(like))}/transposed"
        return self.extension.activation(name, shape)

    def transpose(self, source: int, result: int) -> None:
        """Swaps the last two dimensions of a tensor."""
        order = np.arange(len(shape_of(self.graph.tensor(source))), dtype=np.int32)
        order[-2:] = order[-2:][::-1]
        inputs = [source, self.constant(result, "order", order)]
        options = schema.TransposeOptionsT()
        self.operators.append(self.extension.operator("TRANSPOSE", inputs, [result], options))

    def transposed(self, source: int) -> int:
        """Adds a transposed copy of an activation."""
        tensor = self.graph.tensor(source)
        *batch, rows, columns = shape_of(tensor)
        result = self.activation(source, [*batch, columns, rows])
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
        # From version 5 on there is keep_num_dims.
        self.extension.rewrite(
            operator, "FULLY_CONNECTED", [source, weights, -1], [result], options, version=5
        )
        self.operators.append(operator)


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
        number = work.constant(right, "weights", np.ascontiguousarray(weights))
        work.product(operator, source, number, result)
        return True
    if matrix.size < _LEAST_ON_THE_LEFT:
        return False
    if not options.adjY:
        source = work.transposed(source)
    weights = matrix.T if options.adjX else matrix
    number = work.constant(left, "weights", np.ascontiguousarray(weights))
    *batch, rows, columns = shapes[2]
    turned = work.activation(result, [*batch, columns, rows])
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
        for operator in list(work.graph.subgraph.operators):
            if _rewritten(work, operator):
                changed += 1
            else:
                work.operators.append(operator)
        work.graph.subgraph.operators = work.operators
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
