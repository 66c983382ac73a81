"""Pass: computes convolutions of few output channels for a block of pixels at once.

Matrix kernels compute 16 output channels a step on x86-64 (one vector of float32). A
convolution of one channel, as the last one of a segmentation, uses one of the 16. For
blocks of b by b pixels, with k the kernel's size and O its output channels,

    conv(x; k x k, stride 1, O)
      = depth_to_space(conv(x; (k + b - 1) x (k + b - 1), stride b, O b^2), b)

where the kernel of output (i, j, o) is the old one shifted by (i, j), zero elsewhere. SAME
padding stays what it was: in all k - 1, half of it before. It costs
(k + b - 1)^2 ceil(O b^2 / 16) / b^2 steps a pixel instead of k^2 ceil(O / 16): for k = 3
and O = 1 a quarter with b = 4. This is Shi et al. 2016, "Real-Time Single Image and Video
Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", read
backwards. Each output is the sum of the same products, in the same order: the float
outputs stay the same but for products with zero, which add nothing.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.data_sized import data_sized
from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import TfliteModel, has_open_shape, shape_of, tensor_name
from tools.graph.pruning import prune
from tools.graph.topology import Topology

_LANES = 16
_BLOCKS = (2, 4)
# DEPTH_TO_SPACE costs time as well, and the longer kernels bytes.
_LEAST_GAIN = 2.0
_LEAST_PIXELS = 32 * 32
# Of a model's constants: what a kernel may add. A time that nobody notices is not worth bytes.
_MOST_GROWTH = 0.01


def _steps(size: int, channels: int, block: int) -> float:
    """Counts steps of the matrix kernel for each pixel and input channel."""
    return (size + block - 1) ** 2 * -(-channels * block * block // _LANES) / block**2


def _added_weights(size: int, channels: int, inputs: int, block: int) -> int:
    """Counts the weights that a block's kernel has more than a pixel's."""
    return ((size + block - 1) ** 2 * block**2 - size**2) * channels * inputs


def _block(graph: Topology, operator: schema.OperatorT, most_added: float) -> int:
    """Chooses a block's size; 1 where the operator is best left as it is."""
    weights, options = int(operator.inputs[1]), operator.builtinOptions
    shape = shape_of(graph.tensor(weights))
    result = shape_of(graph.tensor(operator.outputs[0]))
    if (
        len(operator.inputs) != 3
        or not all(graph.is_constant(index) for index in operator.inputs[1:])
        or len(result) != 4
        or len(shape) != 4
        or shape[1] != shape[2]
        or shape[1] % 2 == 0
        or shape_of(graph.tensor(operator.inputs[0]))[-1:] != shape[3:]
        or options.padding != schema.Padding.SAME
        or not options.strideW == options.strideH == 1
        or not options.dilationWFactor == options.dilationHFactor == 1
        or result[1] * result[2] < _LEAST_PIXELS
        or has_open_shape(graph.tensor(operator.outputs[0]))
    ):
        return 1
    size, channels = shape[1], shape[0]
    fitting = [
        block
        for block in _BLOCKS
        if result[1] % block == result[2] % block == 0
        and _added_weights(size, channels, shape[3], block) <= most_added
    ]
    best = min(fitting, key=lambda block: _steps(size, channels, block), default=1)
    gain = _steps(size, channels, 1) / _steps(size, channels, best)
    return best if gain >= _LEAST_GAIN else 1


def _widen(
    extension: GraphExtension, graph: Topology, operator: schema.OperatorT, block: int
) -> None:
    """Replaces the kernel and the result of a convolution by those of a block."""
    values, biases = (graph.model.constant(graph.tensor(index)) for index in operator.inputs[1:])
    channels, size, _, inputs = values.shape
    whole = size + block - 1
    wide = np.zeros((block, block, channels, whole, whole, inputs), np.float32)
    for row in range(block):
        for column in range(block):
            wide[row, column, :, row : row + size, column : column + size] = values
    wide = wide.reshape(-1, whole, whole, inputs)
    result = graph.tensor(operator.outputs[0])
    batch, height, width, _ = shape_of(result)
    shape = (batch, height // block, width // block, channels * block * block)
    source, *constants = (int(index) for index in operator.inputs)
    replaced = (wide, np.tile(biases, block * block))
    names = [
        f"{tensor_name(graph.tensor(index))}/blocks" for index in (*constants, operator.outputs[0])
    ]
    operator.inputs = [source, *map(extension.constant, names, replaced)]
    operator.outputs = [extension.activation(names[-1], shape, result.type)]
    operator.builtinOptions.strideW = operator.builtinOptions.strideH = block


def widen_narrow_convolutions(model: TfliteModel, most_growth: float = _MOST_GROWTH) -> dict:
    """Computes convolutions of few output channels in blocks of pixels.

    Args:
      model: a float model; changed in place.
      most_growth: share of the model's constants by which each convolution may add to them.

    Returns:
      The report's entry; its gain is in steps of the matrix kernel, those of the changed
      convolutions.
    """
    graph = Topology(model)
    constants = sum(0 if b.data is None else len(b.data) for b in model.schema.buffers) / 4
    extension, operators = GraphExtension(model, graph.subgraph), []
    changed, before, after = 0, 0.0, 0.0
    unknowable = data_sized(graph)
    for operator in graph.subgraph.operators:
        operators.append(operator)
        is_fixed = graph.name(operator) == "CONV_2D" and int(operator.outputs[0]) not in unknowable
        block = _block(graph, operator, most_growth * constants) if is_fixed else 1
        if block == 1:
            continue
        channels, size, _, inputs = shape_of(graph.tensor(operator.inputs[1]))
        (result,) = operator.outputs
        pixels = int(np.prod(shape_of(graph.tensor(result))[:3])) * inputs
        before += pixels * _steps(size, channels, 1)
        after += pixels * _steps(size, channels, block)
        _widen(extension, graph, operator, block)
        options = schema.DepthToSpaceOptionsT()
        options.blockSize = block
        operators.append(
            extension.operator("DEPTH_TO_SPACE", operator.outputs, [int(result)], options)
        )
        changed += 1
    if changed:
        graph.subgraph.operators = operators
        prune(model)
    return {
        "changed": changed,
        "detail": f"{changed} convolutions of few channels computed by blocks of pixels",
        "gain": {"metric": "matrix kernel steps", "before": round(before), "after": round(after)}
        if changed
        else None,
        "name": "narrow_convolutions",
    }
