"""Small models in the likeness of what others send: each stands for a kind that converters make.

KINDS maps a name to a function that makes a whole .tflite file. All of them can be quantized.
"""

import functools
from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.random_models import ModelBuilder
from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model

_TYPES = schema.TensorType
_WIDTH = 48
_LENGTH = 8

KINDS: dict[str, Callable[[], bytes]] = {}


def _kind(name: str, make: Callable[..., bytes], *arguments) -> None:
    KINDS[name] = functools.partial(make, *arguments)


def _weights(*shape: int, scale: float | None = None) -> np.ndarray:
    seed = int(np.prod(shape)) + len(shape)
    terms = np.prod(shape[1:]) if len(shape) > 1 else 16
    values = np.random.default_rng(seed).normal(0, scale or 1 / np.sqrt(terms), shape)
    return values.astype(np.float32)


def typed(graph: ModelBuilder, shape, kind: int, name: str) -> int:
    index = graph.tensor(shape, name, kind)
    graph.subgraph.inputs.append(index)
    return index


def dense(graph: ModelBuilder, source: int, width: int = _WIDTH) -> int:
    """Adds a FULLY_CONNECTED that keeps all dimensions but the last."""
    *batch, inputs = graph.shape(source)
    options = schema.FullyConnectedOptionsT()
    options.keepNumDims = True
    inner = [source, graph.constant(_weights(width, inputs)), graph.constant(_weights(width))]
    return graph.operator("FULLY_CONNECTED", inner, (*batch, width), options)


def of_type(graph: ModelBuilder, index: int, kind: int) -> int:
    graph.subgraph.tensors[index].type = kind
    return index


def _softmax(graph: ModelBuilder, source: int) -> int:
    options = schema.SoftmaxOptionsT()
    options.beta = 1
    return graph.operator("SOFTMAX", [source], graph.shape(source), options)


def _mask_values(value: float) -> np.ndarray:
    rows = np.tril(np.ones((_LENGTH, _WIDTH), bool), 8)
    return np.where(rows, np.float32(0), np.float32(value))[None]


def _masked(how: str, value: float) -> bytes:
    """Makes scores that a mask covers in part, softmax, and a layer behind it."""
    graph = ModelBuilder()
    scores = dense(graph, graph.input((1, _LENGTH, _WIDTH), "x"))
    shape = graph.shape(scores)
    if how == "add":
        masked = graph.binary("ADD", scores, graph.constant(_mask_values(value)))
    elif how == "subtract":
        masked = graph.binary("SUB", scores, graph.constant(-_mask_values(value)))
    elif how in ("select", "select_v2"):
        condition = graph.constant(np.zeros(1, np.float32))
        tensor = graph.subgraph.tensors[condition]
        tensor.type, tensor.shape = _TYPES.BOOL, np.array(shape, np.int32)
        graph.model.buffers[tensor.buffer].data = (_mask_values(value) == 0).view(np.uint8).ravel()
        full = shape if how == "select" else ()
        constant = graph.constant(np.full(full, value, np.float32))
        options = schema.SelectOptionsT() if how == "select" else schema.SelectV2OptionsT()
        masked = graph.operator(how.upper(), [condition, scores, constant], shape, options)
    elif how == "multiply":
        mask = graph.input((1, 1, _WIDTH), "mask")
        one = graph.constant(np.ones((), np.float32))
        options = schema.SubOptionsT()
        opposite = graph.operator("SUB", [one, mask], (1, 1, _WIDTH), options)
        lowered = graph.binary("MUL", opposite, graph.constant(np.full((), value, np.float32)))
        masked = graph.binary("ADD", scores, lowered)
    else:
        joined = schema.ConcatenationOptionsT()
        joined.axis = 2
        low = graph.constant(np.full((1, _LENGTH, 4), value, np.float32))
        shape = (1, _LENGTH, _WIDTH + 4)
        masked = graph.operator("CONCATENATION", [scores, low], shape, joined)
    return graph.finish(dense(graph, _softmax(graph, masked)))


for _how in ("add", "subtract", "select", "select_v2", "multiply", "concatenate"):
    for _value in (-3.4028235e38, -1e9, -1e4, -np.inf):
        # Zero times infinity is no number.
        if (_how, _value) != ("multiply", -np.inf):
            _kind(f"mask_{_how}_{_value:g}", _masked, _how, _value)


def _conv(graph: ModelBuilder, source: int, channels: int = 16) -> int:
    weights = graph.constant(_weights(channels, 3, 3, graph.shape(source)[-1]))
    return graph.conv(source, weights, graph.constant(_weights(channels)))


def _padded_pool(value: float, rank: int) -> bytes:
    graph = ModelBuilder()
    source = _conv(graph, graph.input((1, 12, 12, 3)))
    amounts = graph.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    constant = graph.constant(np.full((1,) * rank, value, np.float32))
    options = schema.PadV2OptionsT()
    padded = graph.operator("PADV2", [source, amounts, constant], (1, 14, 14, 16), options)
    pooled = graph.pool("MAX_POOL_2D", padded)
    return graph.finish(_conv(graph, _conv(graph, pooled)))


for _value in (-3.4028235e38, -1e9, -1e4, -np.inf):
    _kind(f"padded_pool_{_value:g}", _padded_pool, _value, 0)
_kind("padded_pool_rank_1", _padded_pool, -1e9, 1)


def _padded(value: float, rank: int) -> bytes:
    graph = ModelBuilder()
    source = _conv(graph, graph.input((1, 12, 12, 3)))
    amounts = graph.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    constant = graph.constant(np.full((1,) * rank, value, np.float32))
    options = schema.PadV2OptionsT()
    padded = graph.operator("PADV2", [source, amounts, constant], (1, 14, 14, 16), options)
    return graph.finish(_conv(graph, padded))


for _rank in (0, 1):
    _kind(f"padding_of_a_half_rank_{_rank}", _padded, 0.5, _rank)


def _chosen(name: str) -> bytes:
    """Makes a classifier that gives its scores and what an operator makes of them."""
    graph = ModelBuilder()
    scores = dense(graph, dense(graph, graph.input((1, 64), "x")))
    axis = graph.constant(np.array(1, np.int32))
    if name in ("ARG_MAX", "ARG_MIN"):
        options = schema.ArgMaxOptionsT() if name == "ARG_MAX" else schema.ArgMinOptionsT()
        options.outputType = _TYPES.INT32
        found = of_type(graph, graph.operator(name, [scores, axis], (1,), options), _TYPES.INT32)
    elif name == "TOPK_V2":
        count = graph.constant(np.array(3, np.int32))
        values = graph.operator(name, [scores, count], (1, 3), schema.TopKV2OptionsT())
        found = typed(graph, (1, 3), _TYPES.INT32, "places")
        graph.subgraph.inputs.remove(found)
        graph.subgraph.operators[-1].outputs = [values, found]
        return graph.finish(values, found)
    elif name == "CAST":
        options = schema.CastOptionsT()
        options.inDataType, options.outDataType = _TYPES.FLOAT32, _TYPES.INT32
        found = graph.operator(name, [scores], graph.shape(scores), options)
        found = of_type(graph, found, _TYPES.INT32)
    else:
        zero = graph.constant(np.zeros((1, _WIDTH), np.float32))
        found = graph.operator(name, [scores, zero], graph.shape(scores))
        found = of_type(graph, found, _TYPES.BOOL)
    return graph.finish(scores, found)


for _name in ("ARG_MAX", "ARG_MIN", "TOPK_V2", "CAST", "GREATER", "LESS_EQUAL", "EQUAL"):
    _kind(f"output_of_{_name.lower()}", _chosen, _name)


def _only_class_number() -> bytes:
    model = parse_model(_chosen("ARG_MAX"))
    model.schema.subgraphs[0].outputs = model.schema.subgraphs[0].outputs[1:]
    return model_bytes(model)


_kind("class_number_alone", _only_class_number)


def _cast_input(kind: int, shape: tuple[int, ...]) -> bytes:
    graph = ModelBuilder()
    given = typed(graph, shape, kind, "given")
    options = schema.CastOptionsT()
    options.inDataType, options.outDataType = kind, _TYPES.FLOAT32
    values = graph.operator("CAST", [given], shape, options)
    scaled = graph.binary("MUL", values, graph.constant(np.float32([2 / 255])))
    shifted = graph.binary("SUB", scaled, graph.constant(np.float32([1])))
    return graph.finish(_conv(graph, _conv(graph, shifted)))


for _name in ("UINT8", "INT32", "INT8", "INT64"):
    _kind(f"pixels_of_{_name.lower()}", _cast_input, getattr(_TYPES, _name), (1, 8, 8, 3))


def _stateful(name: str) -> bytes:
    """Makes a recurrent layer that keeps its state in variable tensors."""
    graph = ModelBuilder()
    inputs, units = 32, 32

    def state(*shape: int) -> int:
        index = graph.tensor(shape, f"state_{len(graph.subgraph.tensors)}")
        graph.subgraph.tensors[index].isVariable = True
        return index

    if name == "SVDF":
        source = graph.input((1, inputs), "x")
        options = schema.SVDFOptionsT()
        options.rank = 2
        feature = graph.constant(_weights(2 * units, inputs))
        time = graph.constant(_weights(2 * units, 6))
        tensors = [source, feature, time, -1, state(1, 2 * units * 6)]
        result = graph.operator(name, tensors, (1, units), options)
        return graph.finish(dense(graph, result))
    source = graph.input((1, _LENGTH, inputs), "x")
    if name == "UNIDIRECTIONAL_SEQUENCE_RNN":
        options = schema.SequenceRNNOptionsT()
        options.fusedActivationFunction = schema.ActivationFunctionType.TANH
        tensors = [
            source,
            graph.constant(_weights(units, inputs)),
            graph.constant(_weights(units, units)),
            graph.constant(_weights(units)),
            state(1, units),
        ]
    else:
        options = schema.UnidirectionalSequenceLSTMOptionsT()
        options.fusedActivationFunction = schema.ActivationFunctionType.TANH
        into = [graph.constant(_weights(units, inputs) * (n + 1) / 3) for n in range(4)]
        back = [graph.constant(_weights(units, units) * (n + 1) / 3) for n in range(4)]
        bias = [graph.constant(_weights(units)) for _ in range(4)]
        tensors = [source, *into, *back, -1, -1, -1, *bias, -1, -1]
        tensors += [state(1, units), state(1, units), -1, -1, -1, -1]
    result = graph.operator(name, tensors, (1, _LENGTH, units), options)
    return graph.finish(dense(graph, result))


for _name in ("SVDF", "UNIDIRECTIONAL_SEQUENCE_RNN", "UNIDIRECTIONAL_SEQUENCE_LSTM"):
    _kind(f"state_of_{_name.lower()}", _stateful, _name)


def _read_on(name: str) -> bytes:
    """Makes a layer whose result is an output and is read on."""
    graph = ModelBuilder()
    first = dense(graph, graph.input((1, 64), "x"))
    state = graph.binary("ADD", first, graph.constant(_weights(1, _WIDTH)))
    if name == "PACK":
        options = schema.PackOptionsT()
        options.valuesCount = 1
        packed = graph.operator(name, [state], (1, 1, _WIDTH), options)
        size = graph.constant(np.array([1, _WIDTH], np.int32))
        read = graph.operator("RESHAPE", [packed, size], (1, _WIDTH))
    elif name == "RESHAPE":
        size = graph.constant(np.array([1, 1, _WIDTH], np.int32))
        read = graph.operator(name, [state, size], (1, 1, _WIDTH))
    else:
        read = graph.operator(name, [state], graph.shape(state))
    return graph.finish(state, dense(graph, read))


for _name in ("PACK", "RESHAPE", "TANH", "RELU"):
    _kind(f"output_read_on_by_{_name.lower()}", _read_on, _name)


def _batched(name: str) -> bytes:
    graph = ModelBuilder()
    if name == "FULLY_CONNECTED":
        return graph.finish(dense(graph, dense(graph, graph.input((8, 64), "x"))))
    source = _conv(graph, graph.input((4, 10, 10, 3)), 24)
    if name == "DEPTHWISE_CONV_2D":
        weights = graph.constant(_weights(1, 3, 3, 24, scale=0.3))
        source = graph.depthwise(source, weights, graph.constant(_weights(24)))
    return graph.finish(_conv(graph, source, 24))


for _name in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"):
    _kind(f"batch_of_{_name.lower()}", _batched, _name)


def _open_size() -> bytes:
    """Makes an image model of any size that ends in one channel."""
    graph = ModelBuilder()
    source = _conv(graph, _conv(graph, graph.input((1, 40, 40, 3)), 32), 32)
    graph.finish(_conv(graph, source, 1))
    for tensor in graph.subgraph.tensors:
        if tensor.buffer == 0:
            tensor.shapeSignature = np.array([1, -1, -1, tensor.shape[-1]], np.int32)
    return graph.finish(*graph.subgraph.outputs)


_kind("height_and_width_of_any_size", _open_size)


def _shape(graph: ModelBuilder, source: int) -> int:
    options = schema.ShapeOptionsT()
    options.outType = _TYPES.INT32
    rank = len(graph.shape(source))
    return of_type(graph, graph.operator("SHAPE", [source], (rank,), options), _TYPES.INT32)


def _unstated() -> bytes:
    graph = ModelBuilder()
    source = graph.input((1, 64), "x")
    size = _shape(graph, source)
    shaped = graph.operator("RESHAPE", [source, size], ())
    options = schema.FullyConnectedOptionsT()
    inner = [shaped, graph.constant(_weights(_WIDTH, 64)), graph.constant(_weights(_WIDTH))]
    return graph.finish(graph.operator("FULLY_CONNECTED", inner, (), options))


_kind("shapes_that_are_not_stated", _unstated)


def _empty_integers() -> bytes:
    graph = ModelBuilder()
    source = graph.input((1, 256), "x")
    shape = _shape(graph, source)
    sizes = graph.constant(np.array([1, 1, 0], np.int32))
    axis = graph.constant(np.array(0, np.int32))
    options = schema.SplitVOptionsT()
    options.numSplits = 3
    first = graph.operator("SPLIT_V", [shape, sizes, axis], (1,), options)
    parts = [first, graph.tensor((1,), "middle"), graph.tensor((0,), "nothing")]
    graph.subgraph.operators[-1].outputs = parts
    for part in parts:
        of_type(graph, part, _TYPES.INT32)
    inner = graph.constant(np.array([4, 64], np.int32))
    joined = graph.operator(
        "CONCATENATION", [first, inner, parts[2]], (3,), schema.ConcatenationOptionsT()
    )
    shaped = graph.operator("RESHAPE", [source, of_type(graph, joined, _TYPES.INT32)], (1, 4, 64))
    return graph.finish(dense(graph, shaped))


_kind("empty_integers", _empty_integers)


def _empty_floats() -> bytes:
    graph = ModelBuilder()
    source = dense(graph, graph.input((1, 64), "x"))
    options = schema.ConcatenationOptionsT()
    options.axis = 1
    nothing = graph.constant(np.zeros((1, 0), np.float32))
    joined = graph.operator("CONCATENATION", [source, nothing], (1, _WIDTH), options)
    return graph.finish(dense(graph, joined))


_kind("empty_floats", _empty_floats)


def _layer_of_a_constant() -> bytes:
    graph = ModelBuilder()
    still = _conv(graph, graph.constant(_weights(1, 8, 8, 4)))
    moving = _conv(graph, graph.input((1, 8, 8, 3)))
    return graph.finish(_conv(graph, graph.binary("ADD", moving, still)))


_kind("layer_of_a_constant", _layer_of_a_constant)


def _product(left: bool, adjoint: tuple[bool, bool], rank: int) -> bytes:
    """Makes a product with a constant, on either side, between two layers."""
    graph = ModelBuilder()
    source = dense(graph, graph.input((*(1,) * (rank - 2), 40, 32), "x"), 40)
    matrix = _weights(40, 40).reshape(*(1,) * (rank - 2), 40, 40)
    options = schema.BatchMatMulOptionsT()
    options.adjX, options.adjY = adjoint
    constant = graph.constant(matrix)
    inner = [constant, source] if left else [source, constant]
    result = graph.operator("BATCH_MATMUL", inner, graph.shape(source), options)
    return graph.finish(dense(graph, result))


for _left in (False, True):
    for _adjoint in ((False, False), (True, False), (False, True), (True, True)):
        _side = "left" if _left else "right"
        _turned = "".join("t" if one else "n" for one in _adjoint)
        _kind(f"constant_on_the_{_side}_{_turned}", _product, _left, _adjoint, 3)
_kind("constant_on_the_right_of_rank_2", _product, False, (False, False), 2)
_kind("constant_on_the_left_of_rank_4", _product, True, (False, False), 4)


def _constants_of_a_batch() -> bytes:
    graph = ModelBuilder()
    source = graph.input((4, 16, 32), "x")
    constant = graph.constant(_weights(4, 32, 32))
    options = schema.BatchMatMulOptionsT()
    result = graph.operator("BATCH_MATMUL", [source, constant], (4, 16, 32), options)
    return graph.finish(dense(graph, result))


_kind("constants_of_a_batch", _constants_of_a_batch)


def _table(name: str, kind: int) -> bytes:
    graph = ModelBuilder()
    shape = (1, 12) if name == "GATHER" else (12,)
    tokens = typed(graph, shape, kind, "tokens")
    table = graph.constant(_weights(500, 32, scale=0.5))
    options = schema.GatherOptionsT() if name == "GATHER" else None
    inner = [table, tokens] if name == "GATHER" else [tokens, table]
    rows = graph.operator(name, inner, (*shape, 32), options)
    axes = graph.constant(np.array([len(shape) - 1], np.int32))
    mean = graph.operator("MEAN", [rows, axes], (*shape[:-1], 32), schema.ReducerOptionsT())
    size = graph.constant(np.array([1, 32], np.int32))
    return graph.finish(dense(graph, graph.operator("RESHAPE", [mean, size], (1, 32))))


_kind("table_by_gather_of_int32", _table, "GATHER", _TYPES.INT32)
_kind("table_by_gather_of_int64", _table, "GATHER", _TYPES.INT64)
_kind("table_by_embedding_lookup", _table, "EMBEDDING_LOOKUP", _TYPES.INT32)


def _expanded(how: str) -> bytes:
    """Makes a layer whose weights stand in another form in the file."""
    graph = ModelBuilder()
    source = graph.input((1, 64), "x")
    weights = _weights(_WIDTH, 64)
    shape = weights.shape
    if how in ("cast", "dequantize_float16"):
        stored = graph.constant(weights.astype(np.float16))
        options = schema.CastOptionsT() if how == "cast" else schema.DequantizeOptionsT()
        if how == "cast":
            options.inDataType, options.outDataType = _TYPES.FLOAT16, _TYPES.FLOAT32
        name = "CAST" if how == "cast" else "DEQUANTIZE"
        expanded = graph.operator(name, [stored], shape, options)
    else:
        scale = np.abs(weights).max() / (7 if how == "dequantize_int4" else 127)
        codes = np.round(weights / scale).astype(np.int8)
        stored = graph.constant(weights)
        tensor = graph.subgraph.tensors[stored]
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.array([scale], np.float32)
        tensor.quantization.zeroPoint = np.zeros(1, np.int64)
        if how == "dequantize_int4":
            pairs = codes.reshape(-1, 2).astype(np.uint8)
            data = (pairs[:, 0] & 15) | (pairs[:, 1] << 4)
            tensor.type, graph.model.buffers[tensor.buffer].data = _TYPES.INT4, data
        elif how == "dequantize_int8":
            tensor.type = _TYPES.INT8
            graph.model.buffers[tensor.buffer].data = codes.view(np.uint8).ravel()
        else:
            parameters, tensor.quantization = tensor.quantization, None
            stored = graph.operator("QUANTIZE", [stored], shape, schema.QuantizeOptionsT())
            between = graph.subgraph.tensors[stored]
            between.type, between.quantization = _TYPES.INT8, parameters
        expanded = graph.operator("DEQUANTIZE", [stored], shape, schema.DequantizeOptionsT())
    bias = graph.constant(_weights(_WIDTH))
    return graph.finish(dense(graph, graph.fully_connected(source, expanded, bias)))


for _how in ("cast", "dequantize_float16", "dequantize_int8", "dequantize_int4", "quantize"):
    _kind(f"weights_behind_{_how}", _expanded, _how)


def _pruned(name: str) -> bytes:
    """Makes a layer of which three weights in four are zero."""
    graph = ModelBuilder()

    def sparse(*shape: int) -> int:
        values = _weights(*shape)
        values[np.random.default_rng(0).random(shape) < 0.75] = 0
        return graph.constant(values)

    if name == "FULLY_CONNECTED":
        source = graph.input((1, 128), "x")
        for _ in range(2):
            bias = graph.constant(_weights(128))
            source = graph.fully_connected(source, sparse(128, 128), bias)
        return graph.finish(dense(graph, source))
    source = _conv(graph, graph.input((1, 8, 8, 3)), 64)
    if name == "CONV_2D":
        source = graph.conv(source, sparse(64, 3, 3, 64), graph.constant(_weights(64)))
    else:
        source = graph.depthwise(source, sparse(1, 5, 5, 64), graph.constant(_weights(64)))
    return graph.finish(_conv(graph, source))


for _name in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"):
    _kind(f"pruned_{_name.lower()}", _pruned, _name)


def _fragile(name: str) -> bytes:
    """Makes a layer, an operator whose int8 kernel can fail or be useless, and a layer."""
    graph = ModelBuilder()
    source = dense(graph, graph.input((1, _LENGTH, 64), "x"))
    shape = graph.shape(source)
    squares = graph.binary("MUL", source, source)
    small = graph.constant(np.full((), 0.5, np.float32))
    positive = graph.binary("ADD", squares, small)
    if name == "DIV":
        result = graph.operator(name, [source, positive], shape, schema.DivOptionsT())
    elif name == "POW":
        power = graph.constant(np.full((), 0.5, np.float32))
        result = graph.operator(name, [positive, power], shape, schema.PowOptionsT())
    elif name == "SQUARED_DIFFERENCE":
        result = graph.operator(name, [source, graph.constant(_weights(_WIDTH))], shape)
    elif name == "EXP":
        result = graph.operator(name, [graph.operator("NEG", [squares], shape)], shape)
    else:
        result = graph.operator(name, [positive], shape)
    return graph.finish(dense(graph, result))


for _name in ("DIV", "EXP", "LOG", "POW", "RSQRT", "SQRT", "SQUARED_DIFFERENCE"):
    _kind(f"fragile_{_name.lower()}", _fragile, _name)


def _normalized() -> bytes:
    """Makes a layer normalization between two layers."""
    graph = ModelBuilder()
    source = dense(graph, graph.input((1, _LENGTH, 64), "x"))
    axis, options = graph.constant(np.array([2], np.int32)), schema.ReducerOptionsT()
    options.keepDims = True
    mean = graph.operator("MEAN", [source, axis], (1, _LENGTH, 1), options)
    squares = graph.operator("SQUARED_DIFFERENCE", [source, mean], graph.shape(source))
    variance = graph.operator("MEAN", [squares, axis], (1, _LENGTH, 1), options)
    apart = graph.binary("ADD", variance, graph.constant(np.full((), 1e-5, np.float32)))
    root = graph.operator("RSQRT", [apart], (1, _LENGTH, 1))
    result = graph.binary("MUL", graph.binary("SUB", source, mean), root)
    return graph.finish(dense(graph, result))


_kind("layer_normalization", _normalized)


def _large_weights() -> bytes:
    """Makes a layer whose weights float16 cannot hold, and one whose it can."""
    graph = ModelBuilder()
    source = graph.input((1, 64), "x")
    large = graph.constant(_weights(64, 64) * np.float32(1e6))
    first = graph.fully_connected(source, large, graph.constant(_weights(64)))
    return graph.finish(dense(graph, graph.binary("MUL", first, graph.constant(np.float32(1e-6)))))


_kind("weights_beyond_float16", _large_weights)


def _assigned_constant() -> bytes:
    """Makes a variable that is given a constant, by an operator without an output."""
    graph = ModelBuilder()
    source, value = graph.input((1, 64), "x"), graph.constant(_weights(1, 64))
    options = schema.VarHandleOptionsT()
    options.container, options.sharedName = "", "v"
    handle = of_type(graph, graph.operator("VAR_HANDLE", [], (), options), _TYPES.RESOURCE)
    graph.operator("ASSIGN_VARIABLE", [handle, value], (), schema.AssignVariableOptionsT())
    graph.subgraph.operators[-1].outputs = []
    read = graph.operator("READ_VARIABLE", [handle], (1, 64), schema.ReadVariableOptionsT())
    return graph.finish(dense(graph, graph.binary("ADD", source, read)))


_kind("constant_assigned_to_a_variable", _assigned_constant)


def _first_buffer_written() -> bytes:
    """Makes a model whose first buffer is there, of no bytes; it is left out most often."""
    graph = ModelBuilder()
    model = parse_model(graph.finish(dense(graph, dense(graph, graph.input((1, 64), "x")))))
    model.schema.buffers[0].data = np.zeros(0, np.uint8)
    return model_bytes(model)


_kind("first_buffer_written", _first_buffer_written)


def add_subgraph(model: TfliteModel, content: bytes) -> None:
    """Adds the only subgraph of another model."""
    added = parse_model(content)
    (subgraph,) = added.schema.subgraphs
    for tensor in subgraph.tensors:
        data = added.schema.buffers[tensor.buffer].data
        tensor.buffer = 0 if data is None else len(model.schema.buffers)
        if tensor.buffer:
            model.schema.buffers.append(schema.BufferT())
            model.schema.buffers[-1].data = data
    for operator in subgraph.operators:
        model.schema.operatorCodes.append(added.schema.operatorCodes[operator.opcodeIndex])
        operator.opcodeIndex = len(model.schema.operatorCodes) - 1
    model.schema.subgraphs.append(subgraph)


def summing() -> bytes:
    """Makes a model that adds what comes in to a variable outside of its tensors."""
    options = schema.VarHandleOptionsT()
    options.container, options.sharedName = "", "sum"

    def handle(graph: ModelBuilder) -> int:
        return of_type(graph, graph.operator("VAR_HANDLE", [], (), options), _TYPES.RESOURCE)

    def assign(graph: ModelBuilder, variable: int, values: int) -> None:
        assignment = schema.AssignVariableOptionsT()
        graph.operator("ASSIGN_VARIABLE", [variable, values], (), assignment)
        graph.subgraph.operators[-1].outputs = []

    beginning = ModelBuilder()
    assign(beginning, handle(beginning), beginning.constant(np.zeros((1, 64), np.float32)))
    graph = ModelBuilder()
    once = schema.CallOnceOptionsT()
    once.initSubgraphIndex = 1
    graph.operator("CALL_ONCE", [], (), once)
    graph.subgraph.operators[-1].outputs = []
    source, variable = graph.input((1, 64), "x"), handle(graph)
    read = graph.operator("READ_VARIABLE", [variable], (1, 64), schema.ReadVariableOptionsT())
    total = graph.binary("ADD", read, source)
    assign(graph, variable, total)
    model = parse_model(graph.finish(dense(graph, total)))
    add_subgraph(model, beginning.finish())
    return model_bytes(model)


_kind("state_of_resource", summing)


def _composite() -> bytes:
    """Makes a composite between two layers, of the name that the library gives integers."""
    graph = ModelBuilder()
    source = dense(graph, graph.input((1, 64), "x"))
    shape = graph.shape(source)
    result = graph.operator("STABLEHLO_COMPOSITE", [source, source], shape)
    options = schema.StableHLOCompositeOptionsT()
    options.name, options.version, options.decompositionSubgraphIndex = "odml.npu_call", 1, 1
    # An empty map of FlexBuffers.
    options.compositeAttributes = np.array([0, 0, 1, 0, 0, 36, 1], np.uint8)
    options.compositeAttributesFormat = schema.CustomOptionsFormat.FLEXBUFFERS
    composite = graph.subgraph.operators[-1]
    composite.builtinOptions2, composite.builtinOptions2Type = (
        options,
        schema.BuiltinOptions2.StableHLOCompositeOptions,
    )
    model = parse_model(graph.finish(dense(graph, result)))
    inner = ModelBuilder()
    ends = [inner.input(shape, name) for name in ("one", "other")]
    add_subgraph(model, inner.finish(inner.binary("ADD", *ends)))
    return model_bytes(model)


_kind("composite", _composite)


def _growing_state() -> bytes:
    """Makes a loop whose state has a size that is computed from the input's, stated as open."""
    graph = ModelBuilder()
    source = dense(graph, graph.input((_LENGTH, 64), "x"))
    rows = graph.operator("STRIDED_SLICE", _first_size(graph, source), (), _first_size_options())
    of_type(graph, rows, _TYPES.INT32)
    options = schema.PackOptionsT()
    options.valuesCount = 2
    width = graph.constant(np.array(_WIDTH, np.int32))
    sizes = of_type(graph, graph.operator("PACK", [rows, width], (2,), options), _TYPES.INT32)
    zero = graph.constant(np.array(0, np.float32))
    state = graph.operator("FILL", [sizes, zero], (1, 1), schema.FillOptionsT())
    step = graph.constant(np.array(0, np.int32))
    loop = schema.WhileOptionsT()
    loop.condSubgraphIndex, loop.bodySubgraphIndex = 1, 2
    first = of_type(graph, graph.operator("WHILE", [step, state, source], (), loop), _TYPES.INT32)
    ends = [first, graph.tensor((1, 1), "state"), graph.tensor((_LENGTH, _WIDTH), "same")]
    graph.subgraph.operators[-1].outputs = ends
    for index in (state, ends[1]):
        graph.subgraph.tensors[index].shapeSignature = np.array([-1, -1], np.int32)
    model = parse_model(graph.finish(dense(graph, graph.binary("ADD", source, ends[1]))))
    add_subgraph(model, _loop_condition())
    add_subgraph(model, _loop_body())
    return model_bytes(model)


def _first_size(graph: ModelBuilder, source: int) -> list[int]:
    ends = [graph.constant(np.array([value], np.int32)) for value in (0, 1, 1)]
    return [_shape(graph, source), *ends]


def _first_size_options() -> schema.StridedSliceOptionsT:
    options = schema.StridedSliceOptionsT()
    options.shrinkAxisMask = 1
    return options


def _loop_ends(graph: ModelBuilder) -> list[int]:
    step = typed(graph, (), _TYPES.INT32, "step")
    return [step, graph.input((1, 1), "state"), graph.input((_LENGTH, _WIDTH), "x")]


def _loop_condition() -> bytes:
    graph = ModelBuilder()
    step, _, _ = _loop_ends(graph)
    inputs = [step, graph.constant(np.array(3, np.int32))]
    options = schema.LessOptionsT()
    return graph.finish(of_type(graph, graph.operator("LESS", inputs, (), options), _TYPES.BOOL))


def _loop_body() -> bytes:
    graph = ModelBuilder()
    step, state, source = _loop_ends(graph)
    one = graph.constant(np.array(1, np.int32))
    following = of_type(graph, graph.binary("ADD", step, one), _TYPES.INT32)
    product = graph.binary("MUL", source, graph.constant(np.array(0.25, np.float32)))
    return graph.finish(following, graph.binary("ADD", state, product), source)


_kind("loop_of_an_open_state", _growing_state)
