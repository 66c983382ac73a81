"""Small random float models, for tests that hold for any graph."""

import dataclasses

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from hypothesis import strategies

from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model
from tools.graph.runtime import open_interpreter
from tools.graph.topology import Topology

_NONE = schema.ActivationFunctionType.NONE
_FUSED = (
    _NONE,
    _NONE,
    schema.ActivationFunctionType.RELU,
    schema.ActivationFunctionType.RELU6,
)

# What a step of `float_models` may add to the end of a graph.
STEPS = (
    "add",
    "add_constant",
    "average_pool",
    "conv",
    "conv_with_shared_weights",
    "depthwise",
    "max_pool",
    "mul",
    "output",
    "pad",
    "pad_channels",
    "prelu",
    "relu",
    "relu6",
    "relu_n1_to_1",
    "resize",
)


class ModelBuilder:
    """Adds operators to a graph; every method takes and returns tensor indices."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "random"
        # Buffer 0 is the empty one, by the schema.
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.subgraph = schema.SubGraphT()
        self.subgraph.name = "main"
        self.subgraph.tensors = []
        self.subgraph.operators = []
        self.subgraph.inputs = []
        self.subgraph.outputs = []
        self.model.subgraphs = [self.subgraph]
        self._codes: dict[tuple[int, str], int] = {}

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Reads a tensor's shape."""
        return tuple(int(size) for size in self.subgraph.tensors[tensor].shape)

    def tensor(self, shape, name: str = "", kind: int = schema.TensorType.FLOAT32) -> int:
        """Adds a tensor without values."""
        tensor = schema.TensorT()
        tensor.shape = np.array(shape, np.int32)
        tensor.type = kind
        tensor.buffer = 0
        tensor.name = name or f"tensor_{len(self.subgraph.tensors)}"
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def input(self, shape, name: str = "image") -> int:
        """Adds an input."""
        index = self.tensor(shape, name)
        self.subgraph.inputs.append(index)
        return index

    def constant(self, values, name: str = "") -> int:
        """Adds a constant of float32, float16 or int32."""
        values = np.asarray(values, order="C")
        kind = {
            "f2": schema.TensorType.FLOAT16,
            "f4": schema.TensorType.FLOAT32,
            "i4": schema.TensorType.INT32,
        }[values.dtype.str[1:]]
        index = self.tensor(values.shape, name, kind)
        buffer = schema.BufferT()
        buffer.data = values.reshape(-1).view(np.uint8)
        self.model.buffers.append(buffer)
        self.subgraph.tensors[index].buffer = len(self.model.buffers) - 1
        return index

    def operator(
        self, name: str, inputs, shape, options=None, result: str = "", custom: bool = False
    ) -> int:
        """Adds an operator with one result.

        Args:
          name: such as CONV_2D; a custom operator's own.
          inputs: tensor indices.
          shape: of the result.
          options: the schema's options object, such as a Conv2DOptionsT.
          result: the result's name; a number where it is empty.
          custom: whether it is no builtin operator.

        Returns:
          The result's index.
        """
        number = schema.BuiltinOperator.CUSTOM if custom else getattr(schema.BuiltinOperator, name)
        key = (number, name)
        if key not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = number
            code.deprecatedBuiltinCode = min(number, 127)
            code.version = 2 if name == "RESIZE_BILINEAR" else 1
            code.customCode = name if custom else None
            self._codes[key] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes[key]
        operator.inputs = list(inputs)
        operator.outputs = [self.tensor(shape, result)]
        if options is not None:
            operator.builtinOptions = options
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        self.subgraph.operators.append(operator)
        return operator.outputs[0]

    def conv(self, source: int, weights: int, bias: int, activation: int = _NONE) -> int:
        """Adds a CONV_2D of stride 1 that keeps width and height."""
        options = schema.Conv2DOptionsT()
        options.strideW = options.strideH = 1
        options.dilationWFactor = options.dilationHFactor = 1
        options.fusedActivationFunction = activation
        batch, height, width, _ = self.shape(source)
        shape = (batch, height, width, self.shape(weights)[0])
        return self.operator("CONV_2D", [source, weights, bias], shape, options)

    def fully_connected(self, source: int, weights: int, bias: int, activation: int = _NONE) -> int:
        """Adds a FULLY_CONNECTED of a matrix."""
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = activation
        shape = (self.shape(source)[0], self.shape(weights)[0])
        return self.operator("FULLY_CONNECTED", [source, weights, bias], shape, options)

    def depthwise(self, source: int, weights: int, bias: int, activation: int = _NONE) -> int:
        """Adds a DEPTHWISE_CONV_2D of stride 1 that keeps width and height."""
        options = schema.DepthwiseConv2DOptionsT()
        options.strideW = options.strideH = 1
        options.dilationWFactor = options.dilationHFactor = 1
        options.depthMultiplier = self.shape(weights)[-1] // self.shape(source)[-1]
        options.fusedActivationFunction = activation
        shape = (*self.shape(source)[:-1], self.shape(weights)[-1])
        return self.operator("DEPTHWISE_CONV_2D", [source, weights, bias], shape, options)

    def binary(self, name: str, one: int, other: int, activation: int = _NONE) -> int:
        """Adds an ADD, a MUL or a SUB; `one` has the result's shape."""
        options = {
            "ADD": schema.AddOptionsT,
            "MUL": schema.MulOptionsT,
            "SUB": schema.SubOptionsT,
        }[name]()
        options.fusedActivationFunction = activation
        return self.operator(name, [one, other], self.shape(one), options)

    def pool(self, name: str, source: int, activation: int = _NONE) -> int:
        """Adds an AVERAGE_POOL_2D or a MAX_POOL_2D that halves width and height."""
        options = schema.Pool2DOptionsT()
        options.strideW = options.strideH = options.filterWidth = options.filterHeight = 2
        options.fusedActivationFunction = activation
        batch, height, width, count = self.shape(source)
        shape = (batch, (height + 1) // 2, (width + 1) // 2, count)
        return self.operator(name, [source], shape, options)

    def pad(self, source: int, paddings) -> int:
        """Adds a PAD; `paddings` are (before, after) of each dimension."""
        shape = [n + sum(pair) for n, pair in zip(self.shape(source), paddings, strict=True)]
        amounts = self.constant(np.array(paddings, np.int32))
        return self.operator("PAD", [source, amounts], shape, schema.PadOptionsT())

    def resize(self, source: int) -> int:
        """Adds a RESIZE_BILINEAR to twice the width and height."""
        options = schema.ResizeBilinearOptionsT()
        options.halfPixelCenters = True
        batch, height, width, count = self.shape(source)
        size = self.constant(np.array([2 * height, 2 * width], np.int32))
        shape = (batch, 2 * height, 2 * width, count)
        return self.operator("RESIZE_BILINEAR", [source, size], shape, options)

    def finish(self, *outputs: int) -> bytes:
        """Ends the graph.

        Args:
          *outputs: indices of the graph's outputs.

        Returns:
          A whole .tflite file, without a signature.
        """
        self.subgraph.outputs = list(outputs)
        return model_bytes(TfliteModel(self.model, [], "random"))


def tiny_model(seed: int = 0, channels: int = 8) -> bytes:
    """Makes an image model of three convolutions and a head, always the same for a seed."""
    rng = np.random.default_rng(seed)
    graph = ModelBuilder()
    source = graph.input((1, 16, 16, 3))
    for number in range(3):
        inputs = graph.shape(source)[-1]
        weights = rng.normal(0, 1 / np.sqrt(9 * inputs), (channels, 3, 3, inputs))
        bias = rng.normal(0, 0.1, channels)
        source = graph.conv(
            source,
            graph.constant(weights.astype(np.float32), f"weights_{number}"),
            graph.constant(bias.astype(np.float32), f"bias_{number}"),
        )
        source = graph.operator("RELU", [source], graph.shape(source))
    weights = rng.normal(0, 1 / np.sqrt(channels), (4, 1, 1, channels)).astype(np.float32)
    head = graph.conv(
        source,
        graph.constant(weights, "head/weights"),
        graph.constant(np.zeros(4, np.float32), "head/bias"),
    )
    graph.subgraph.tensors[head].name = "scores"
    return graph.finish(head)


def thin_out(content: bytes, rng: np.random.Generator, share: float) -> bytes:
    """Makes a share of the convolutions' weights stay and the others zero, as pruning does."""
    model = parse_model(content)
    graph = Topology(model)
    for operator in graph.subgraph.operators:
        if graph.name(operator) in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            tensor = graph.tensor(operator.inputs[1])
            values = model.tensor_data(tensor)
            tensor.buffer = model.add_constant(values * (rng.random(values.shape) < share))
    return model_bytes(model)


@dataclasses.dataclass
class _Growth:
    """A graph that grows by random steps."""

    graph: ModelBuilder
    rng: np.random.Generator
    tensors: list[int]
    outputs: list[int]
    shared: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)

    def activation(self) -> int:
        return _FUSED[self.rng.integers(len(_FUSED))]

    def values(self, *shape: int) -> int:
        """Adds weights whose output channels differ by powers of ten, as trained ones do."""
        values = self.rng.normal(size=shape)
        channels = 10.0 ** self.rng.uniform(-1.5, 0.5, shape[0] if len(shape) == 4 else shape[-1])
        channels = channels.reshape(-1, 1, 1, 1) if len(shape) == 4 else channels
        return self.graph.constant((values * channels).astype(np.float32))

    def grow(self, step: str) -> None:
        graph, rng = self.graph, self.rng
        # Not always the newest tensor: some get two readers.
        source = self.tensors[-1 if rng.random() < 0.8 else rng.integers(len(self.tensors))]
        shape = graph.shape(source)
        count = shape[-1]
        if step in ("conv", "conv_with_shared_weights"):
            weights = self.values(int(rng.integers(1, 6)), 3, 3, count)
            bias = self.values(graph.shape(weights)[0])
            if step == "conv_with_shared_weights":
                weights, bias = self.shared.setdefault(count, (weights, bias))
            result = graph.conv(source, weights, bias, self.activation())
        elif step == "depthwise":
            multiplier = int(rng.integers(1, 3))
            weights = self.graph.constant(
                rng.normal(size=(1, 3, 3, count * multiplier)).astype(np.float32)
            )
            bias = self.values(count * multiplier)
            result = graph.depthwise(source, weights, bias, self.activation())
        elif step in ("add", "mul"):
            others = [index for index in self.tensors if graph.shape(index) == shape]
            other = others[rng.integers(len(others))]
            result = graph.binary(step.upper(), source, other, self.activation())
        elif step == "add_constant":
            result = graph.binary("ADD", source, self.values(count), self.activation())
        elif step in ("average_pool", "max_pool"):
            result = graph.pool(step.upper() + "_2D", source, self.activation())
        elif step == "pad":
            result = graph.pad(source, [(0, 0), (1, 2), (0, 1), (0, 0)])
        elif step == "pad_channels":
            before, after = (int(n) for n in rng.integers(0, 3, 2))
            result = graph.pad(source, [(0, 0), (0, 0), (0, 0), (before, after)])
        elif step == "prelu":
            slopes = graph.constant(rng.uniform(0, 1, (1, 1, count)).astype(np.float32))
            result = graph.operator("PRELU", [source, slopes], shape)
        elif step == "resize":
            result = graph.resize(source) if max(shape[1:3]) <= 16 else source
        elif step == "output":
            self.outputs.append(source)
            return
        else:
            result = graph.operator(step.upper(), [source], shape)
        self.tensors.append(result)


@strategies.composite
def float_models(draw) -> bytes:
    """A strategy: models of up to ten operators on one small image.

    Activations stand alone or are fused, tensors have several readers, weights several
    users, and inner tensors are outputs too.
    """
    steps = draw(strategies.lists(strategies.sampled_from(STEPS), min_size=1, max_size=10))
    rng = np.random.default_rng(draw(strategies.integers(0, 2**32 - 1)))
    graph = ModelBuilder()
    start = graph.input((1, 6, 6, 3))
    growth = _Growth(graph, rng, [start], [])
    # Between two convolutions, so that channels there are free to be scaled.
    for step in ["conv", *steps, "conv"]:
        growth.grow(step)
    outputs = [index for index in growth.outputs if index != start] + [growth.tensors[-1]]
    return graph.finish(*dict.fromkeys(outputs))


def random_image(shape, seed: int) -> np.ndarray:
    """Makes an input with values from -1 to 1."""
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def run_model(content: bytes, seed: int = 0) -> list[np.ndarray]:
    """Runs a model with the runtime's own delegate on random inputs from 0 to 1.

    Args:
      content: a whole .tflite file.
      seed: of the inputs; the same for models that are compared.

    Returns:
      Its outputs, in the model's order.
    """
    interpreter = open_interpreter(content, "model")
    rng = np.random.default_rng(seed)
    for details in interpreter.get_input_details():
        values = rng.random(details["shape"]).astype(details["dtype"])
        interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
