"""Stores a dense array as a sparse constant, element by element: the way back of densify."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.random_models import ModelBuilder

_WIDTHS = (
    (np.uint8, schema.Uint8VectorT, schema.SparseIndexVector.Uint8Vector),
    (np.uint16, schema.Uint16VectorT, schema.SparseIndexVector.Uint16Vector),
    (np.int32, schema.Int32VectorT, schema.SparseIndexVector.Int32Vector),
)


def _vector(values: list[int], width: int):
    dtype, kind, number = _WIDTHS[width]
    vector = kind()
    vector.values = np.array(values, dtype)
    return vector, number


def store(
    dense: np.ndarray,
    order: list[int],
    compressed: set[int],
    blocks: dict[int, int] | None = None,
    width: int = 2,
) -> tuple[np.ndarray, schema.SparsityParametersT]:
    """Stores an array.

    Args:
      dense: the array.
      order: the levels, outermost first: dimensions, then blocks.
      compressed: levels of which only what is not all zero is stored.
      blocks: dimension to the size of its blocks, which divides the dimension.
      width: 0 to 2: 8, 16 or 32 bits for an index.

    Returns:
      The stored values and their metadata.
    """
    blocks = blocks or {}
    outer, inner = [], []
    split = []
    for dimension, length in enumerate(dense.shape):
        outer.append(len(split))
        split.append(length // blocks.get(dimension, 1))
        if dimension in blocks:
            inner.append(len(split))
            split.append(blocks[dimension])
    levels = dense.reshape(split).transpose(outer + inner)
    parts = [levels.transpose(order)]
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder = list(order)
    sparsity.blockMap = list(blocks) or None
    sparsity.dimMetadata = []
    for level in order:
        metadata = schema.DimensionMetadataT()
        if level in compressed:
            segments, indices, kept = [0], [], []
            for part in parts:
                for number, inside in enumerate(part):
                    if np.any(inside):
                        indices.append(number)
                        kept.append(inside)
                segments.append(len(indices))
            parts = kept
            metadata.format = schema.DimensionType.SPARSE_CSR
            metadata.arraySegments, metadata.arraySegmentsType = _vector(segments, width)
            metadata.arrayIndices, metadata.arrayIndicesType = _vector(indices, width)
        else:
            metadata.format = schema.DimensionType.DENSE
            metadata.denseSize = levels.shape[level]
            parts = [inside for part in parts for inside in part]
        sparsity.dimMetadata.append(metadata)
    return np.array(parts, dense.dtype), sparsity


def sparse_model(dense: np.ndarray, values: np.ndarray, sparsity) -> bytes:
    """Makes a model that adds a sparse constant to its input.

    Args:
      dense: float32 or float16, what the constant expands to.
      values: from `store`.
      sparsity: from `store`.

    Returns:
      A whole .tflite file: DENSIFY, DEQUANTIZE for float16, ADD.
    """
    graph = ModelBuilder()
    image = graph.input(dense.shape)
    stored = graph.constant(values, "stored")
    graph.subgraph.tensors[stored].shape = np.array(dense.shape, np.int32)
    graph.subgraph.tensors[stored].sparsity = sparsity
    expanded = graph.operator("DENSIFY", [stored], dense.shape)
    graph.subgraph.tensors[expanded].type = graph.subgraph.tensors[stored].type
    if dense.dtype == np.float16:
        expanded = graph.operator("DEQUANTIZE", [expanded], dense.shape)
    return graph.finish(graph.binary("ADD", image, expanded))
