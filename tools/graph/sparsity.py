"""Expands a sparse constant from its sparsity metadata, and stores one.

The format is schema.fbs's SparsityParameters, after "The Sparse Polyhedral/TACO"
storage: the tensor's dimensions, then the dimensions inside a block, are stored in
`traversalOrder`, each either dense or compressed by rows (segments and indices).
"""

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

# A damaged shape asks for gigabytes. Real weights are at most 99% zeros.
_MOST_EXPANSION = 1000
_ALWAYS_EXPANDED = 2**20


def _integers(vector) -> np.ndarray:
    """Reads one of the index vectors, which the schema stores in three widths."""
    if vector is None or vector.values is None:
        raise ValueError("it has no indices for a compressed dimension")
    return np.asarray(vector.values, dtype=np.int64)


def _list(values) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def _block_sizes(
    shape: tuple[int, ...], blocks: list[int], by_level: dict[int, schema.DimensionMetadataT]
) -> list[int]:
    """Reads the sizes of blocks, and checks that all dimensions fit the shape.

    Args:
      shape: the dense tensor's.
      blocks: the dimension that each block divides.
      by_level: how each dimension is stored, and then each block's inside.

    Returns:
      A size for each of `blocks`.

    Raises:
      ValueError: when they do not fit.
    """
    sizes = []
    for level in range(len(shape), len(shape) + len(blocks)):
        if by_level[level].format != schema.DimensionType.DENSE:
            raise ValueError("its blocks are sparse themselves")
        sizes.append(int(by_level[level].denseSize))
    for dimension, length in enumerate(shape):
        if by_level[dimension].format == schema.DimensionType.DENSE:
            own = [s for s, of in zip(sizes, blocks, strict=True) if of == dimension]
            if math.prod(own) * int(by_level[dimension].denseSize) != length:
                raise ValueError("its dimensions do not fit its shape")
    return sizes


def _walked(
    metadata: schema.DimensionMetadataT, position: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Walks one level of what is stored.

    Args:
      metadata: how the level is stored.
      position: int64 [rows], of each element of the level before.
      most: elements that the dense tensor has.

    Returns:
      (how many elements of this level each row has, [rows]; where each of them stands in
      this level's storage; where along its dimension).

    Raises:
      ValueError: when the metadata does not fit itself or the tensor.
    """
    if metadata.format == schema.DimensionType.DENSE:
        size = int(metadata.denseSize)
        # Every position is an element of its own.
        if size < 0 or position.size * size > most:
            raise ValueError("its dimensions are larger than its shape")
        along = np.tile(np.arange(size), position.size)
        return np.full(position.size, size), np.repeat(position * size, size) + along, along
    segments, indices = _integers(metadata.arraySegments), _integers(metadata.arrayIndices)
    if position.size and position.max() + 1 >= segments.size:
        raise ValueError("its segments end before its rows do")
    starts = segments[position]
    counts = segments[position + 1] - starts
    if counts.size and (counts.min() < 0 or segments.min() < 0 or segments.max() > indices.size):
        raise ValueError("its segments run backwards or past its indices")
    if counts.sum() > most:
        raise ValueError("it names more elements than its shape has")
    if indices.min(initial=0) < 0:
        raise ValueError("its indices lie outside its shape")
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat(starts, counts) + offsets
    return counts, places, indices[places]


def densify(
    values: np.ndarray, shape: tuple[int, ...], sparsity: schema.SparsityParametersT
) -> np.ndarray:
    """Expands the stored values into the whole tensor.

    Args:
      values: the stored values, one dimension, in storage order.
      shape: the dense tensor's.
      sparsity: how they are stored.

    Returns:
      An array of `shape` and the values' dtype; zero where nothing is stored.

    Raises:
      ValueError: when metadata and values do not fit each other.
    """
    if sparsity.dimMetadata is None or any(part is None for part in sparsity.dimMetadata):
        raise ValueError("it does not say how its dimensions are stored")
    if math.prod(shape) > max(_MOST_EXPANSION * values.size, _ALWAYS_EXPANDED):
        raise ValueError(f"it would be over {_MOST_EXPANSION} times as large as what is stored")
    order = _list(sparsity.traversalOrder)
    blocks = _list(sparsity.blockMap)
    levels = len(shape) + len(blocks)
    if sorted(order) != list(range(levels)) or len(sparsity.dimMetadata) != levels:
        raise ValueError("its traversal order does not fit its shape")
    if not all(0 <= dimension < len(shape) for dimension in blocks):
        raise ValueError("its blocks name dimensions that it does not have")
    by_level = dict(zip(order, sparsity.dimMetadata, strict=True))
    block_sizes = _block_sizes(shape, blocks, by_level)

    # One row for each stored position, one column for each level walked so far.
    position = np.zeros(1, dtype=np.int64)
    coordinates: dict[int, np.ndarray] = {}
    for dimension, metadata in zip(order, sparsity.dimMetadata, strict=True):
        counts, places, along = _walked(metadata, position, math.prod(shape))
        coordinates = {key: np.repeat(old, counts) for key, old in coordinates.items()}
        coordinates[dimension] = along
        position = places
    if position.size and position.max() >= values.size:
        raise ValueError("it holds fewer values than its metadata names")

    index = []
    for dimension, _ in enumerate(shape):
        along = coordinates[dimension]
        for block, blocked in enumerate(blocks):
            if blocked == dimension:
                along = along * block_sizes[block] + coordinates[len(shape) + block]
        index.append(along)
    dense = np.zeros(shape, dtype=values.dtype)
    try:
        dense[tuple(index)] = values[position]
    except IndexError:
        raise ValueError("its indices lie outside its shape") from None
    return dense


_INDEX_VECTORS = (
    (np.uint8, schema.Uint8VectorT, schema.SparseIndexVector.Uint8Vector),
    (np.uint16, schema.Uint16VectorT, schema.SparseIndexVector.Uint16Vector),
    (np.int32, schema.Int32VectorT, schema.SparseIndexVector.Int32Vector),
)
_BLOCKS = (1, 4, 8, 16)


def _index_vector(values: np.ndarray):
    """Makes the narrowest vector that holds indices; gives it, its type and its bytes."""
    for dtype, kind, number in _INDEX_VECTORS:
        if values.max(initial=0) <= np.iinfo(dtype).max:
            vector = kind()
            vector.values = values.astype(dtype)
            return vector, number, vector.values.nbytes
    raise ValueError("more elements than an index counts")


def _rows(dense: np.ndarray, order: list[int], dimension: int, block: int) -> np.ndarray:
    """Arranges an array as [rows, columns, block], the order's last dimension as columns."""
    split = [*dense.shape[:dimension], dense.shape[dimension] // block, block]
    split += dense.shape[dimension + 1 :]
    inner = dimension + 1
    outer = [level if level <= dimension else level + 1 for level in order]
    arranged = dense.reshape(split).transpose([*outer, inner])
    return arranged.reshape(-1, *arranged.shape[-2:])


def sparsify(dense: np.ndarray) -> tuple[np.ndarray, schema.SparsityParametersT, int]:
    """Stores an array by its elements that are not zero: the inverse of `densify`.

    Tries each dimension as the compressed one, by single elements and by blocks of 4, 8
    and 16 along the first or last dimension, and takes what needs the fewest bytes.

    Args:
      dense: of at least one dimension, all of them over 0.

    Returns:
      (values in storage order, their metadata, bytes of values and indices).
    """
    best = None
    longest = [d for d in range(dense.ndim) if dense.shape[d] > 1] or [dense.ndim - 1]
    for compressed in longest:
        order = [d for d in range(dense.ndim) if d != compressed] + [compressed]
        for dimension, block in {(d, b) for d in (longest[0], longest[-1]) for b in _BLOCKS}:
            if dense.shape[dimension] % block:
                continue
            filled = _rows(dense, order, dimension, block).any(axis=2)
            stored = int(filled.sum())
            width = 1 if filled.shape[1] <= 256 else 2
            size = stored * (block * dense.itemsize + width) + 2 * filled.shape[0]
            choice = (size, block, compressed, dimension, order)
            best = choice if best is None else min(best, choice)
    assert best is not None, "blocks of one element always fit"
    _, block, compressed, dimension, order = best
    rows = _rows(dense, order, dimension, block)
    filled = rows.any(axis=2)
    row, column = np.nonzero(filled)
    segments = np.concatenate([[0], np.cumsum(filled.sum(axis=1))])
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder = list(order)
    sparsity.dimMetadata = []
    for level in order[:-1]:
        metadata = schema.DimensionMetadataT()
        metadata.denseSize = dense.shape[level] // (block if level == dimension else 1)
        sparsity.dimMetadata.append(metadata)
    metadata = schema.DimensionMetadataT()
    metadata.format = schema.DimensionType.SPARSE_CSR
    metadata.arraySegments, metadata.arraySegmentsType, one = _index_vector(segments)
    metadata.arrayIndices, metadata.arrayIndicesType, other = _index_vector(column)
    sparsity.dimMetadata.append(metadata)
    if block > 1:
        sparsity.traversalOrder.append(dense.ndim)
        sparsity.blockMap = [dimension]
        metadata = schema.DimensionMetadataT()
        metadata.denseSize = block
        sparsity.dimMetadata.append(metadata)
    values = rows[row, column].reshape(-1)
    return values, sparsity, values.nbytes + one + other
