"""Models that are unlike those that converters make most often, or that no one can use.

Each function makes a whole .tflite file; those of ODD can be quantized, those of UNSOUND
can not.
"""

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.random_models import ModelBuilder
from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model

_CHANNELS = 48
_TYPES = schema.TensorType

ODD: dict[str, Callable[[], bytes]] = {}
UNSOUND: dict[str, tuple[Callable[[], bytes], str]] = {}


def _odd(make: Callable[[], bytes]) -> Callable[[], bytes]:
    ODD[make.__name__] = make
    return make


def _unsound(message: str) -> Callable:
    def add(make: Callable[[], bytes]) -> Callable[[], bytes]:
        UNSOUND[make.__name__] = make, message
        return make

    return add


def _values(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(0, 0.1, shape).astype(np.float32)


def _start(channels: int = _CHANNELS) -> tuple[ModelBuilder, int]:
    graph = ModelBuilder()
    return graph, graph.input((1, 6, 6, channels))


def _conv(graph: ModelBuilder, source: int, weights: np.ndarray | None = None) -> int:
    channels = graph.shape(source)[-1]
    values = _values(_CHANNELS, 3, 3, channels) if weights is None else weights
    return graph.conv(source, graph.constant(values), graph.constant(_values(values.shape[0])))


def _convs(graph: ModelBuilder, source: int, count: int = 2) -> int:
    for _ in range(count):
        source = _conv(graph, source)
    return source


def plain() -> bytes:
    """Makes the model that the others are unlike: two convolutions."""
    graph, image = _start()
    return graph.finish(_convs(graph, image))


@_odd
def dead_channels() -> bytes:
    graph, image = _start()
    weights = _values(_CHANNELS, 3, 3, _CHANNELS)
    weights[:10] = 0
    return graph.finish(_convs(graph, _conv(graph, image, weights)))


@_odd
def all_channels_dead() -> bytes:
    graph, image = _start()
    dead = _conv(graph, image, np.zeros((_CHANNELS, 3, 3, _CHANNELS), np.float32))
    return graph.finish(_convs(graph, dead))


@_odd
def weights_that_are_denormal() -> bytes:
    graph, image = _start()
    weights = _values(_CHANNELS, 3, 3, _CHANNELS) * np.float32(1e-40)
    return graph.finish(_convs(graph, _conv(graph, image, weights)))


@_odd
def one_weight_that_float16_cannot_hold() -> bytes:
    graph, image = _start()
    weights = _values(_CHANNELS, 3, 3, _CHANNELS)
    weights[0, 0, 0, 0] = 1e6
    return graph.finish(_conv(graph, image, weights))


@_odd
def one_tensor_of_weights_for_two_operators() -> bytes:
    graph, image = _start()
    weights = graph.constant(_values(_CHANNELS, 3, 3, _CHANNELS))
    bias = graph.constant(_values(_CHANNELS))
    inner = graph.conv(graph.conv(image, weights, bias), weights, bias)
    return graph.finish(_conv(graph, inner))


def _second_holder(graph: ModelBuilder, weights: int, shape, name: str) -> int:
    other = graph.tensor(shape, name)
    graph.subgraph.tensors[other].buffer = graph.subgraph.tensors[weights].buffer
    return other


@_odd
def one_buffer_of_weights_for_two_tensors() -> bytes:
    graph, image = _start()
    weights = graph.constant(_values(_CHANNELS, 3, 3, _CHANNELS))
    other = _second_holder(graph, weights, graph.shape(weights), "other")
    bias = graph.constant(_values(_CHANNELS))
    return graph.finish(graph.conv(graph.conv(image, weights, bias), other, bias))


@_odd
def one_buffer_with_its_channels_along_two_axes() -> bytes:
    graph, image = _start()
    weights = graph.constant(_values(1, 6, 6, _CHANNELS))
    turned = _second_holder(graph, weights, (_CHANNELS, 6, 6, 1), "turned")
    first = graph.depthwise(image, weights, graph.constant(_values(_CHANNELS)))
    other = graph.input((1, 6, 6, 1), "other")
    second = graph.conv(other, turned, graph.constant(_values(_CHANNELS)))
    return graph.finish(_convs(graph, graph.binary("ADD", first, second)))


@_odd
def weights_that_are_an_operand_too() -> bytes:
    graph = ModelBuilder()
    image = graph.input((64, 64))
    weights = graph.constant(_values(64, 64))
    first = graph.fully_connected(image, weights, graph.constant(_values(64)))
    second = graph.binary("MUL", first, weights)
    kernel = graph.constant(_values(192, 64))
    return graph.finish(graph.fully_connected(second, kernel, graph.constant(_values(192))))


@_odd
def integer_ids() -> bytes:
    graph = ModelBuilder()
    ids = graph.tensor((1, 4), "ids", _TYPES.INT32)
    graph.subgraph.inputs.append(ids)
    table = graph.constant(_values(100, 64))
    found = graph.operator("GATHER", [table, ids], (1, 4, 64), schema.GatherOptionsT())
    shape = graph.constant(np.array([4, 64], np.int32))
    rows = graph.operator("RESHAPE", [found, shape], (4, 64))
    kernel = graph.constant(_values(256, 64))
    return graph.finish(graph.fully_connected(rows, kernel, graph.constant(_values(256))))


@_odd
def embedding_lookup() -> bytes:
    graph = ModelBuilder()
    ids = graph.tensor((4,), "ids", _TYPES.INT32)
    graph.subgraph.inputs.append(ids)
    rows = graph.operator("EMBEDDING_LOOKUP", [ids, graph.constant(_values(100, 64))], (4, 64))
    kernel = graph.constant(_values(256, 64))
    return graph.finish(graph.fully_connected(rows, kernel, graph.constant(_values(256))))


@_odd
def constant_without_elements() -> bytes:
    graph, image = _start()
    nothing = graph.constant(np.zeros((1, 6, 6, 0), np.float32))
    options = schema.ConcatenationOptionsT()
    options.axis = 3
    joined = graph.operator("CONCATENATION", [image, nothing], graph.shape(image), options)
    return graph.finish(_convs(graph, joined))


@_odd
def batch_of_any_size() -> bytes:
    model = parse_model(plain())
    (subgraph,) = model.schema.subgraphs
    for index in (subgraph.inputs[0], subgraph.outputs[0]):
        tensor = subgraph.tensors[index]
        tensor.shapeSignature = np.array([-1, *tensor.shape[1:]], np.int32)
    return model_bytes(model)


@_odd
def image_of_any_size() -> bytes:
    model = parse_model(plain())
    for tensor in model.schema.subgraphs[0].tensors:
        if tensor.buffer == 0:
            tensor.shapeSignature = np.array([1, -1, -1, _CHANNELS], np.int32)
            tensor.shape = np.array([1, 1, 1, _CHANNELS], np.int32)
    return model_bytes(model)


@_odd
def input_that_is_an_output() -> bytes:
    graph, image = _start()
    return graph.finish(_convs(graph, image), image)


@_odd
def output_that_is_a_constant() -> bytes:
    graph, image = _start()
    return graph.finish(_convs(graph, image), graph.constant(_values(20)))


@_odd
def output_of_text() -> bytes:
    graph, image = _start()
    result = _convs(graph, image)
    label = graph.tensor((1,), "label", _TYPES.STRING)
    graph.model.buffers.append(schema.BufferT())
    # One string: count, where it begins, where it ends.
    graph.model.buffers[-1].data = np.frombuffer(
        np.array([1, 12, 15], "<i4").tobytes() + b"cat", np.uint8
    )
    graph.subgraph.tensors[label].buffer = len(graph.model.buffers) - 1
    return graph.finish(result, label)


@_odd
def one_output_twice() -> bytes:
    graph, image = _start()
    result = _convs(graph, image)
    return graph.finish(result, result)


@_odd
def no_input() -> bytes:
    graph = ModelBuilder()
    return graph.finish(_convs(graph, graph.constant(_values(1, 6, 6, _CHANNELS))))


@_odd
def no_names() -> bytes:
    model = parse_model(plain())
    for tensor in model.schema.subgraphs[0].tensors:
        tensor.name = None
    return model_bytes(model)


@_odd
def one_name_for_all() -> bytes:
    model = parse_model(plain())
    for tensor in model.schema.subgraphs[0].tensors:
        tensor.name = "same"
    return model_bytes(model)


@_odd
def names_that_are_no_names() -> bytes:
    model = parse_model(plain())
    names = ("a;b", "a", "a;", ".*", "(", "[", "a\nb", "", "\u00e9", "a;b;c", "^$", "\\")
    tensors = model.schema.subgraphs[0].tensors
    for tensor, name in zip(tensors, names, strict=False):
        tensor.name = name
    return model_bytes(model)


@_odd
def variable_tensor() -> bytes:
    graph, image = _start()
    state = graph.tensor((1, 6, 6, _CHANNELS), "state")
    graph.subgraph.tensors[state].isVariable = True
    return graph.finish(graph.binary("ADD", _convs(graph, image), state))


@_odd
def constants_behind_the_flatbuffer() -> bytes:
    model = parse_model(plain())
    moved = [buffer for buffer in model.schema.buffers if buffer.data is not None]
    contents = [buffer.data.tobytes() for buffer in moved]
    for buffer in moved:
        buffer.data = None
    # The second time, the flatbuffer has the size that the offsets give it.
    for _ in range(2):
        content = model_bytes(model)
        end = len(content)
        for buffer, data in zip(moved, contents, strict=True):
            buffer.offset, buffer.size = end, len(data)
            end += len(data)
    return content + b"".join(contents)


def _empty_subgraph() -> schema.SubGraphT:
    return schema.SubGraphT(name="empty", tensors=[], operators=[], inputs=[], outputs=[])


@_odd
def second_subgraph_that_is_empty() -> bytes:
    model = parse_model(plain())
    model.schema.subgraphs.append(_empty_subgraph())
    return model_bytes(model)


def _signature(model: TfliteModel, key: str, number: int) -> schema.SignatureDefT:
    subgraph = model.schema.subgraphs[number]

    def entries(indices, name: str) -> list[schema.TensorMapT]:
        return [schema.TensorMapT(f"{name}_{i}", int(index)) for i, index in enumerate(indices)]

    return schema.SignatureDefT(
        inputs=entries(subgraph.inputs, "in"),
        outputs=entries(subgraph.outputs, "out"),
        signatureKey=key,
        subgraphIndex=number,
    )


@_odd
def two_signatures_of_one_subgraph() -> bytes:
    model = parse_model(plain())
    model.schema.signatureDefs = [_signature(model, key, 0) for key in ("one", "other")]
    return model_bytes(model)


@_odd
def two_subgraphs_the_second_signed_first() -> bytes:
    model, other = parse_model(plain()), parse_model(plain())
    first = len(model.schema.buffers) - 1
    for tensor in other.schema.subgraphs[0].tensors:
        tensor.buffer = tensor.buffer and tensor.buffer + first
    model.schema.buffers += other.schema.buffers[1:]
    model.schema.subgraphs += other.schema.subgraphs
    model.schema.signatureDefs = [_signature(model, "decode", 1), _signature(model, "encode", 0)]
    return model_bytes(model)


@_odd
def signature_that_leaves_an_input_out() -> bytes:
    graph, image = _start()
    graph.input((1, 2), "unused")
    model = parse_model(graph.finish(_convs(graph, image)))
    signature = _signature(model, "main", 0)
    del signature.inputs[1]
    model.schema.signatureDefs = [signature]
    return model_bytes(model)


def _inner(graph: ModelBuilder, name: str) -> ModelBuilder:
    """Begins another subgraph of a model."""
    inner = ModelBuilder()
    inner.model, inner._codes = graph.model, graph._codes
    inner.subgraph.name = name
    graph.model.subgraphs.append(inner.subgraph)
    return inner


@_odd
def branches() -> bytes:
    graph, image = _start()
    flag = graph.tensor((1,), "flag", _TYPES.BOOL)
    graph.subgraph.inputs.append(flag)
    options = schema.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = 1, 2
    chosen = graph.operator("IF", [flag, image], graph.shape(image), options)
    result = _conv(graph, chosen)
    for name in ("then", "else"):
        inner = _inner(graph, name)
        inner.subgraph.outputs = [_conv(inner, inner.input(graph.shape(image), f"{name}_in"))]
    return graph.finish(result)


@_odd
def loop() -> bytes:
    graph, image = _start()
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    result = _conv(graph, graph.operator("WHILE", [image], graph.shape(image), options))
    condition = _inner(graph, "condition")
    start = condition.input(graph.shape(image), "condition_in")
    axes = condition.constant(np.arange(4, dtype=np.int32))
    largest = condition.operator("REDUCE_MAX", [start, axes], (), schema.ReducerOptionsT())
    more = condition.operator("LESS", [largest, condition.constant(np.array(9, np.float32))], ())
    condition.subgraph.tensors[more].type = _TYPES.BOOL
    condition.subgraph.outputs = [more]
    body = _inner(graph, "body")
    mixed = _conv(body, body.input(graph.shape(image), "body_in"))
    grown = body.operator("ABS", [mixed], body.shape(mixed))
    body.subgraph.outputs = [body.binary("ADD", grown, body.constant(np.float32([1])))]
    return graph.finish(result)


@_unsound("tensor_1 holds NaN or infinite weights; export the model again")
def weight_that_is_nan() -> bytes:
    graph, image = _start()
    weights = _values(_CHANNELS, 3, 3, _CHANNELS)
    weights[1, 1, 1, 1] = np.nan
    return graph.finish(_conv(graph, image, weights))


@_unsound("tensor_2 holds NaN or infinite weights; export the model again")
def float16_weight_that_is_infinite() -> bytes:
    graph, image = _start()
    weights = _values(_CHANNELS, 3, 3, _CHANNELS).astype(np.float16)
    weights[1, 1, 1, 1] = np.inf
    options = schema.DequantizeOptionsT()
    expanded = graph.operator("DEQUANTIZE", [graph.constant(weights)], weights.shape, options)
    return graph.finish(graph.conv(image, expanded, graph.constant(_values(_CHANNELS))))


@_unsound("CONV_2D of tensor_3 has weights [48, 3, 3, 50] for 48 channels")
def weights_of_too_many_channels() -> bytes:
    graph, image = _start()
    return graph.finish(_conv(graph, image, _values(_CHANNELS, 3, 3, _CHANNELS + 2)))


@_unsound("CONV_2D of tensor_3 has 48 channels and a bias of 45")
def bias_of_too_few_channels() -> bytes:
    graph, image = _start()
    weights = graph.constant(_values(_CHANNELS, 3, 3, _CHANNELS))
    return graph.finish(graph.conv(image, weights, graph.constant(_values(_CHANNELS - 3))))


def _changed(change: Callable[[schema.SubGraphT], None], count: int = 2) -> bytes:
    graph, image = _start()
    result = _convs(graph, image, count)
    change(graph.subgraph)
    return graph.finish(result)


@_unsound("CONV_2D of tensor_6 lacks its options")
def no_options() -> bytes:
    return _changed(lambda g: setattr(g.operators[1], "builtinOptions", None))


@_unsound("CONV_2D lacks its input or its weights")
def operator_without_weights() -> bytes:
    return _changed(lambda g: g.operators[1].inputs.__setitem__(1, -1))


@_unsound("CONV_2D lacks its output")
def operator_without_an_output() -> bytes:
    graph, image = _start()
    result = _conv(graph, image)
    _conv(graph, result)
    graph.subgraph.operators[1].outputs = []
    return graph.finish(result)


@_unsound("CONV_2D reads tensor tensor_6 before anything computes it")
def operators_in_the_wrong_order() -> bytes:
    return _changed(lambda g: g.operators.reverse(), 3)


@_unsound("CONV_2D reads tensor tensor_6 before anything computes it")
def operators_in_a_circle() -> bytes:
    return _changed(lambda g: g.operators[0].inputs.__setitem__(0, g.operators[1].outputs[0]))


@_unsound("tensor tensor_3 is computed twice")
def tensor_with_two_writers() -> bytes:
    def change(subgraph: schema.SubGraphT) -> None:
        first, second, _ = subgraph.operators
        second.inputs[0], second.outputs = first.inputs[0], first.outputs
        subgraph.operators[2].inputs[0] = first.outputs[0]

    return _changed(change, 3)


@_unsound("CONV_2D writes the constant tensor_4")
def constant_that_is_written() -> bytes:
    def change(subgraph: schema.SubGraphT) -> None:
        subgraph.operators[1].inputs[0] = subgraph.operators[0].inputs[0]
        subgraph.operators[0].outputs = [subgraph.operators[1].inputs[1]]

    return _changed(change)


@_unsound("nothing computes the output nowhere")
def output_from_nowhere() -> bytes:
    graph, image = _start()
    return graph.finish(_convs(graph, image), graph.tensor((1, 2), "nowhere"))


def _if_options(model: TfliteModel) -> schema.IfOptionsT:
    (found,) = (
        operator.builtinOptions
        for operator in model.schema.subgraphs[0].operators
        if model.operator_name(operator) == "IF"
    )
    return found


@_unsound("IF runs a subgraph that is not there")
def branch_to_nowhere() -> bytes:
    model = parse_model(branches())
    _if_options(model).thenSubgraphIndex = 77
    return model_bytes(model)


@_unsound("a subgraph runs itself without end")
def branch_to_itself() -> bytes:
    model = parse_model(branches())
    _if_options(model).elseSubgraphIndex = 0
    return model_bytes(model)
