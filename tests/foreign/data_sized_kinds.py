"""Models with outputs whose size depends on values: how many rows pass, how many are asked for.

DATA_SIZED maps a name to a function that makes a whole .tflite file.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.foreign.kinds import dense, of_type, typed
from tests.random_models import ModelBuilder

_TYPES = schema.TensorType
_ROWS, _WIDTH = 16, 48

DATA_SIZED: dict[str, Callable[[], bytes]] = {}


def _integers(graph: ModelBuilder, *values: int) -> int:
    return graph.constant(np.array(values, np.int32))


def _one(graph: ModelBuilder, value: float, kind=np.int32) -> int:
    return graph.constant(np.array(value, kind))


def _operator(graph: ModelBuilder, name: str, inputs, shape, options=None, kind=None) -> int:
    result = graph.operator(name, inputs, shape, options)
    return result if kind is None else of_type(graph, result, kind)


def _second(graph: ModelBuilder, shape, kind: int) -> int:
    """Gives the last operator another result."""
    result = of_type(graph, graph.tensor(shape), kind)
    graph.subgraph.operators[-1].outputs.append(result)
    return result


def _body(graph: ModelBuilder, width: int = _WIDTH) -> int:
    return dense(graph, dense(graph, graph.input((_ROWS, 64), "x")), width)


def _reshaped(graph: ModelBuilder, source: int, *shape: int) -> int:
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    kind = graph.subgraph.tensors[source].type
    inputs = [source, _integers(graph, *shape)]
    return _operator(graph, "RESHAPE", inputs, shape, options, kind)


def _above(graph: ModelBuilder, source: int, threshold: float) -> int:
    inputs = [source, _one(graph, threshold, np.float32)]
    shape = graph.shape(source)
    return _operator(graph, "GREATER", inputs, shape, schema.GreaterOptionsT(), _TYPES.BOOL)


def _cast(graph: ModelBuilder, source: int, kind: int) -> int:
    options = schema.CastOptionsT()
    options.inDataType, options.outDataType = graph.subgraph.tensors[source].type, kind
    return _operator(graph, "CAST", [source], graph.shape(source), options, kind)


def _count(graph: ModelBuilder, source: int) -> int:
    """Counts the values above zero: some 380 of 768."""
    integers = _cast(graph, _above(graph, source, 0), _TYPES.INT32)
    options = schema.ReducerOptionsT()
    return _operator(graph, "SUM", [integers, _integers(graph, 0, 1)], (), options, _TYPES.INT32)


def _small_count(graph: ModelBuilder, source: int) -> int:
    """Makes a number around 6 of it."""
    inputs = [_count(graph, source), _one(graph, 64)]
    return _operator(graph, "FLOOR_DIV", inputs, (), schema.FloorDivOptionsT(), _TYPES.INT32)


def _pack(graph: ModelBuilder, *parts: int) -> int:
    options = schema.PackOptionsT()
    options.valuesCount = len(parts)
    return _operator(graph, "PACK", list(parts), (len(parts),), options, _TYPES.INT32)


def _boolean_mask(stated: bool) -> bytes:
    graph = ModelBuilder()
    rows = _body(graph)
    means = _operator(
        graph, "MEAN", [rows, _integers(graph, 1)], (_ROWS,), schema.ReducerOptionsT()
    )
    above = _above(graph, means, 0.05)
    options = schema.WhereOptionsT()
    places = _operator(graph, "WHERE", [above], (_ROWS, 1), options, _TYPES.INT64)
    shape = (_ROWS, _WIDTH) if stated else ()
    chosen = _operator(graph, "GATHER_ND", [rows, places], shape, schema.GatherNdOptionsT())
    return graph.finish(dense(graph, chosen) if stated else chosen, places)


DATA_SIZED["boolean_mask"] = functools.partial(_boolean_mask, True)
DATA_SIZED["boolean_mask_unstated"] = functools.partial(_boolean_mask, False)


def _places() -> bytes:
    graph = ModelBuilder()
    rows = _body(graph)
    above = _above(graph, rows, 0)
    where = _operator(graph, "WHERE", [above], (1, 2), schema.WhereOptionsT(), _TYPES.INT64)
    return graph.finish(rows, where)


DATA_SIZED["where"] = _places


def _unique(kind: int) -> bytes:
    graph = ModelBuilder()
    rounded = _operator(graph, "ROUND", [_reshaped(graph, _body(graph, 4), 64)], (64,))
    values = rounded if kind == _TYPES.FLOAT32 else _cast(graph, rounded, kind)
    options = schema.UniqueOptionsT()
    options.idxOutType = _TYPES.INT32
    unique = _operator(graph, "UNIQUE", [values], (64,), options, kind)
    return graph.finish(rounded, unique, _second(graph, (64,), _TYPES.INT32))


DATA_SIZED["unique"] = functools.partial(_unique, _TYPES.INT32)
DATA_SIZED["unique_of_floats"] = functools.partial(_unique, _TYPES.FLOAT32)


def _top(of_input: bool) -> bytes:
    """Makes TOPK_V2 of a count that is an input, 0 or 1, or is computed."""
    graph = ModelBuilder()
    rows = _body(graph)
    count = typed(graph, (), _TYPES.INT32, "k") if of_input else _small_count(graph, rows)
    inputs = [_reshaped(graph, rows, 1, _ROWS * _WIDTH), count]
    values = _operator(graph, "TOPK_V2", inputs, (1, 1), schema.TopKV2OptionsT())
    return graph.finish(values, _second(graph, (1, 1), _TYPES.INT32))


DATA_SIZED["top_of_a_given_number"] = functools.partial(_top, True)
DATA_SIZED["top_of_a_computed_number"] = functools.partial(_top, False)


def _suppressed(version: int) -> bytes:
    """Makes NON_MAX_SUPPRESSION, and what it leaves of boxes and of features."""
    graph = ModelBuilder()
    features = dense(graph, graph.input((_ROWS, 64), "x"))
    boxes = _operator(graph, "LOGISTIC", [dense(graph, features, 4)], (_ROWS, 4))
    scores = _operator(graph, "LOGISTIC", [dense(graph, features, 1)], (_ROWS, 1))
    inputs = [boxes, _reshaped(graph, scores, _ROWS), _one(graph, 10)]
    inputs += [_one(graph, 0.5, np.float32), _one(graph, 0.5, np.float32)]
    if version == 5:
        inputs.append(_one(graph, 0, np.float32))
    options = getattr(schema, f"NonMaxSuppressionV{version}OptionsT")()
    name = f"NON_MAX_SUPPRESSION_V{version}"
    chosen = _operator(graph, name, inputs, (10,), options, _TYPES.INT32)
    if version == 5:
        _second(graph, (10,), _TYPES.FLOAT32)
    number = _reshaped(graph, _second(graph, (), _TYPES.INT32), 1)
    cut = [chosen, _integers(graph, 0), number]
    found = _operator(graph, "SLICE", cut, (), schema.SliceOptionsT(), _TYPES.INT32)
    left = [
        _operator(graph, "GATHER", [source, found], (1, width), schema.GatherOptionsT())
        for source, width in ((boxes, 4), (features, _WIDTH))
    ]
    return graph.finish(left[0], dense(graph, left[1]))


DATA_SIZED["suppressed_4"] = functools.partial(_suppressed, 4)
DATA_SIZED["suppressed_5"] = functools.partial(_suppressed, 5)


def _sized(build: Callable[[ModelBuilder, int, int], Sequence[int]]) -> bytes:
    graph = ModelBuilder()
    rows = _body(graph)
    return graph.finish(*build(graph, rows, _small_count(graph, rows)))


def _range(graph: ModelBuilder, rows: int, number: int, kind: int) -> list[int]:
    ends = np.float32 if kind == _TYPES.FLOAT32 else np.int32
    last = _cast(graph, number, kind) if kind == _TYPES.FLOAT32 else number
    inputs = [_one(graph, 0, ends), last, _one(graph, 1, ends)]
    return [rows, _operator(graph, "RANGE", inputs, (1,), schema.RangeOptionsT(), kind)]


def _slice(graph: ModelBuilder, rows: int, number: int) -> list[int]:
    sizes = _pack(graph, number, _one(graph, _WIDTH))
    inputs = [rows, _integers(graph, 0, 0), sizes]
    return [_operator(graph, "SLICE", inputs, (), schema.SliceOptionsT())]


def _strided_slice(graph: ModelBuilder, rows: int, number: int) -> list[int]:
    ends = _pack(graph, number, _one(graph, _WIDTH))
    inputs = [rows, _integers(graph, 0, 0), ends, _integers(graph, 1, 1)]
    return [_operator(graph, "STRIDED_SLICE", inputs, (1, _WIDTH), schema.StridedSliceOptionsT())]


def _tile(graph: ModelBuilder, rows: int, number: int) -> list[int]:
    times = _pack(graph, number, _one(graph, 1))
    return [_operator(graph, "TILE", [rows, times], (_ROWS, _WIDTH), schema.TileOptionsT())]


def _reshape(graph: ModelBuilder, rows: int, number: int) -> list[int]:
    (tiled,) = _tile(graph, rows, number)
    shape = _pack(graph, _one(graph, -1), number)
    return [_operator(graph, "RESHAPE", [tiled, shape], (1, 1))]


def _fill(graph: ModelBuilder, rows: int, number: int) -> list[int]:
    inputs = [_pack(graph, number, _one(graph, 3)), _one(graph, 0.7, np.float32)]
    return [rows, _operator(graph, "FILL", inputs, (1, 3), schema.FillOptionsT())]


def _pad(graph: ModelBuilder, rows: int, number: int) -> list[int]:
    none = _one(graph, 0)
    amounts = _reshaped(graph, _pack(graph, number, none, none, none), 2, 2)
    return [_operator(graph, "PAD", [rows, amounts], (17, _WIDTH), schema.PadOptionsT())]


def _resize(graph: ModelBuilder, rows: int, number: int) -> list[int]:
    inputs = [_reshaped(graph, rows, 1, 4, 4, _WIDTH), _pack(graph, number, number)]
    options = schema.ResizeBilinearOptionsT()
    return [_operator(graph, "RESIZE_BILINEAR", inputs, (1, 1, 1, _WIDTH), options)]


def _one_hot(graph: ModelBuilder, rows: int, number: int) -> list[int]:
    options = schema.OneHotOptionsT()
    options.axis = -1
    inputs = [_integers(graph, 0, 1, 2), number]
    inputs += [_one(graph, value, np.float32) for value in (1, 0)]
    return [rows, _operator(graph, "ONE_HOT", inputs, (3, 1), options)]


def _dense_of_sparse(graph: ModelBuilder, rows: int, number: int) -> list[int]:
    inputs = [_integers(graph, 0), _reshaped(graph, number, 1)]
    inputs += [_one(graph, value, np.float32) for value in (1, 0)]
    options = schema.SparseToDenseOptionsT()
    return [rows, _operator(graph, "SPARSE_TO_DENSE", inputs, (1,), options)]


def _scatter(graph: ModelBuilder, rows: int, number: int) -> list[int]:
    inputs = [rows, _integers(graph, 0, 0), _integers(graph, 1, _WIDTH)]
    first = _operator(graph, "SLICE", inputs, (1, _WIDTH), schema.SliceOptionsT())
    place = graph.constant(np.zeros((1, 1), np.int32))
    inputs = [place, first, _pack(graph, number, _one(graph, _WIDTH))]
    return [_operator(graph, "SCATTER_ND", inputs, (1, _WIDTH), schema.ScatterNdOptionsT())]


for _name, _build in (
    ("range", functools.partial(_range, kind=_TYPES.INT32)),
    ("range_of_floats", functools.partial(_range, kind=_TYPES.FLOAT32)),
    ("slice", _slice),
    ("strided_slice", _strided_slice),
    ("tile", _tile),
    ("reshape", _reshape),
    ("fill", _fill),
    ("pad", _pad),
    ("resize", _resize),
    ("one_hot", _one_hot),
    ("sparse_to_dense", _dense_of_sparse),
    ("scatter_nd", _scatter),
):
    DATA_SIZED[_name] = functools.partial(_sized, _build)
