"""Artifacts that are broken on purpose, as a bug or a bad file would break them."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model, tensor_name
from tools.graph.topology import Topology

# Where the output channels of an operator's weights are.
_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A broken artifact.

    Attributes:
      what: how it is broken, and where.
      model: a whole .tflite file.
    """

    what: str
    model: bytes


def layers(model: TfliteModel) -> list[int]:
    """Gives the positions of the operators with weights, in order."""
    graph = Topology(model)
    return [
        position
        for position, operator in enumerate(graph.subgraph.operators)
        if graph.name(operator) in _CHANNEL_AXIS and _weights(graph, operator) is not None
    ]


def _weights(graph: Topology, operator) -> schema.TensorT | None:
    """Finds the constant that an operator weighs its input with, through a DEQUANTIZE."""
    index = int(operator.inputs[1])
    producer = graph.producer.get(index)
    if producer is not None and graph.name(producer) == "DEQUANTIZE":
        index = int(producer.inputs[0])
    return graph.tensor(index) if graph.is_constant(index) else None


def _rewritten(
    artifact: bytes, position: int, change: Callable[[np.ndarray, int], np.ndarray]
) -> bytes | None:
    """Changes the weights of one operator; None where they are the same afterwards."""
    model = parse_model(artifact)
    graph = Topology(model)
    operator = graph.subgraph.operators[position]
    tensor = _weights(graph, operator)
    axis = _CHANNEL_AXIS[graph.name(operator)]
    before = model.tensor_data(tensor)
    values = change(before, axis)
    if np.array_equal(values, before):
        return None
    tensor.buffer = model.add_constant(np.ascontiguousarray(values))
    return model_bytes(model)


def zeroed(artifact: bytes, position: int) -> bytes | None:
    """Sets the weights of one operator to zero; None where they are."""
    return _rewritten(artifact, position, lambda values, axis: np.zeros_like(values))


def permuted(artifact: bytes, position: int, generator: np.random.Generator) -> bytes | None:
    """Shuffles the output channels of one operator's weights; None where it has but one."""

    def shuffle(values: np.ndarray, axis: int) -> np.ndarray:
        return np.take(values, generator.permutation(values.shape[axis]), axis=axis)

    return _rewritten(artifact, position, shuffle)


def doubled(artifact: bytes, output: int) -> bytes:
    """Makes one output of the model twice what it was."""
    model = parse_model(artifact)
    (subgraph,) = model.schema.subgraphs
    before = int(subgraph.outputs[output])
    tensor = subgraph.tensors[before]
    codes = model.schema.operatorCodes
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 1
    codes.append(code)
    result = schema.TensorT()
    result.name, result.shape, result.type = b"doubled", tensor.shape, tensor.type
    result.shapeSignature, result.buffer = tensor.shapeSignature, 0
    subgraph.tensors.append(result)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(codes) - 1
    operator.inputs, operator.outputs = [before, before], [len(subgraph.tensors) - 1]
    operator.builtinOptionsType = schema.BuiltinOptions.AddOptions
    operator.builtinOptions = schema.AddOptionsT()
    subgraph.operators.append(operator)
    subgraph.outputs = list(subgraph.outputs)
    subgraph.outputs[output] = len(subgraph.tensors) - 1
    for signature in model.schema.signatureDefs or []:
        for entry in signature.outputs:
            if entry.tensorIndex == before:
                entry.tensorIndex = len(subgraph.tensors) - 1
    return model_bytes(model)


def mutants(artifact: bytes, count: int, seed: int) -> Iterator[Mutant]:
    """Breaks an artifact in many ways.

    Args:
      artifact: a whole .tflite file.
      count: how many mutants with broken weights, half of them zeroed and half permuted,
        spread evenly over the layers; every output doubled comes on top.
      seed: of the permutations.

    Yields:
      Each mutant; what would change nothing is left out.
    """
    model = parse_model(artifact)
    graph = Topology(model)
    generator = np.random.default_rng(seed)
    for output, index in enumerate(graph.subgraph.outputs):
        name = tensor_name(graph.tensor(int(index)))
        yield Mutant(f"output {name} doubled", doubled(artifact, output))
    positions = layers(model)
    spread = np.linspace(0, len(positions) - 1, (count + 1) // 2).round().astype(int)
    for position in dict.fromkeys(positions[number] for number in spread):
        operator = graph.subgraph.operators[position]
        where = f"{graph.name(operator)} {tensor_name(graph.tensor(int(operator.outputs[0])))}"
        for how, broken in (
            ("zeroed", zeroed(artifact, position)),
            ("permuted", permuted(artifact, position, generator)),
        ):
            if broken is not None:
                yield Mutant(f"{where} {how}", broken)
