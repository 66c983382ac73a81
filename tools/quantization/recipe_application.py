"""Runs litert-quantizer, and puts right what it leaves."""

import contextlib
import io
import logging

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.extension import GraphExtension
from tools.graph.flatbuffer import (
    TfliteModel,
    copied_model,
    model_bytes,
    parse_model,
)
from tools.graph.runtime import quiet_runtime
from tools.graph.topology import Topology
from tools.quantization import recipes

# Of an exponent.
_NEARLY_POWER = 0.01
_INTEGERS = frozenset({schema.TensorType.INT8, schema.TensorType.INT16})


@contextlib.contextmanager
def quiet_library():
    """Silences the library's log and bars, and the runtime that it opens."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with quiet_runtime(), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(previous)


def _for_library(model: TfliteModel) -> TfliteModel:
    """Copies a model, in a form that the library takes: a padding's value is a scalar there.

    It also takes a first buffer that is written, be it without a byte, for a constant's, and
    moves it to where the runtime does so too.
    """
    result = copied_model(model)
    first = result.schema.buffers[0]
    if first.data is not None and not len(first.data):
        first.data = None
    for number in range(len(result.schema.subgraphs)):
        graph = Topology(result, number)
        for operator in graph.subgraph.operators:
            if graph.name(operator) == "PADV2" and graph.is_constant(operator.inputs[2]):
                graph.tensor(operator.inputs[2]).shape = np.zeros(0, np.int32)
    return result


def apply_recipe(model: TfliteModel, recipe: list[dict], ranges: dict | None) -> bytes:
    """Quantizes a prepared graph.

    Args:
      model: a float model; it is not changed.
      recipe: in the library's JSON form.
      ranges: by tensor name, as the library takes them; None for a recipe that takes none.

    Returns:
      A whole .tflite file, as the library writes it.

    Raises:
      InputError: one line with the library's reason, when it refuses the recipe.
    """
    from litert_quantizer import quantizer

    with quiet_library():
        try:
            library = quantizer.Quantizer(model_bytes(_for_library(model)))
            library.load_quantization_recipe(recipes.joined(recipe))
            result = library.quantize(
                ranges, enable_progress_bar=False, enable_progress_report=False
            )
        except Exception as error:
            # It asserts, and follows fields that a model may leave out.
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                "recipe.refused", f"{model.where}: the recipe cannot be applied: {reason}"
            ) from error
    return bytes(result.quantized_model)


def _dequantized(graph: Topology, index: int, source: int) -> int:
    """Gives a tensor of integers as float, from a DEQUANTIZE that is there or a new one.

    Args:
      graph: of the artifact.
      index: the tensor's.
      source: of the tensor that it was before it was quantized again.

    Returns:
      The float tensor's index.
    """
    for number in dict.fromkeys((source, index)):
        for reader, _ in graph.consumers.get(number, []):
            if graph.name(reader) == "DEQUANTIZE":
                return int(reader.outputs[0])
    subgraph = graph.subgraph
    extension = GraphExtension(graph.model, subgraph)
    result = extension.copied(source, "_dequantized", kind=schema.TensorType.FLOAT32)
    graph.tensor(result).quantization = None
    # From version 3 on it takes int16.
    operator = extension.operator("DEQUANTIZE", [source], [result], version=3)
    subgraph.operators = [*subgraph.operators, operator]
    graph.consumers.setdefault(source, []).append((operator, 0))
    return result


def _takes_any_step(graph: Topology, operator: schema.OperatorT) -> bool:
    """Says whether an int16 sum has steps that the kernel may take for powers of two.

    It does so within a thousandth, and then refuses those whose result has the finer step.
    """
    indices = [int(index) for index in [*operator.inputs, *operator.outputs]]
    if any(graph.tensor(index).type != schema.TensorType.INT16 for index in indices):
        return False
    steps = np.array([graph.tensor(index).quantization.scale[0] for index in indices])
    exponents = np.log2(steps.astype(np.float64))
    return bool((np.abs(exponents - np.round(exponents)) < _NEARLY_POWER).all())


def mend_int16_sums(artifact: TfliteModel) -> None:
    """Has int16 ADD and SUB take their steps as they are, where the kernel would round them.

    Args:
      artifact: what the library wrote; changed in place.
    """
    graph = Topology(artifact)
    for operator in graph.subgraph.operators:
        if graph.name(operator) in ("ADD", "SUB") and _takes_any_step(graph, operator):
            operator.builtinOptions.potScaleInt16 = False


def _float_output(graph: Topology, index: int) -> int:
    """Finds, or makes, the float form of an output that the library left quantized."""
    source = index
    while (producer := graph.producer.get(source)) and graph.name(producer) == "QUANTIZE":
        source = int(producer.inputs[0])
    if graph.tensor(source).type == schema.TensorType.FLOAT32:
        return source
    return _dequantized(graph, index, source)


def _restore_shapes(artifact: TfliteModel, model: TfliteModel) -> None:
    """Says again which dimensions of inputs and outputs are open."""
    for after, before in zip(artifact.schema.subgraphs, model.schema.subgraphs, strict=True):
        for field in ("inputs", "outputs"):
            for index, original in zip(getattr(after, field), getattr(before, field), strict=True):
                signature = before.tensors[int(original)].shapeSignature
                after.tensors[int(index)].shapeSignature = signature


def restore_outputs(artifact: TfliteModel, model: TfliteModel, stay_float: bool = True) -> None:
    """Makes each output that is to stay float, and what signatures call it, float again.

    Where an operator reads an output too, the library gives that operator's int8 tensor
    as the output, or leaves the signature at the int8 tensor.

    Args:
      artifact: what the library wrote; changed in place.
      model: what it was made from.
      stay_float: whether outputs stay float.
    """
    graph = Topology(artifact)
    (before, *_), outputs = model.schema.subgraphs, []
    for index, original in zip(graph.subgraph.outputs, before.outputs, strict=True):
        wanted = before.tensors[int(original)].type
        if (
            stay_float
            and wanted == schema.TensorType.FLOAT32
            and graph.tensor(index).type in _INTEGERS
        ):
            index = _float_output(graph, int(index))
        outputs.append(int(index))
    graph.subgraph.outputs = outputs
    _restore_shapes(artifact, model)
    signatures = (m.schema.signatureDefs or [] for m in (artifact, model))
    for after, before in zip(*signatures, strict=True):
        old, new = (m.schema.subgraphs[before.subgraphIndex] for m in (model, artifact))
        for field in ("inputs", "outputs"):
            places = zip(getattr(old, field), getattr(new, field), strict=True)
            moved = {int(one): int(other) for one, other in places}
            entries = zip(getattr(after, field), getattr(before, field), strict=True)
            for entry, original in entries:
                entry.tensorIndex = moved.get(original.tensorIndex, entry.tensorIndex)


def written(
    model: TfliteModel, recipe: list[dict], ranges: dict | None, float_outputs: bool
) -> tuple[TfliteModel, int]:
    """Has the library write an artifact, and puts right what it leaves.

    Args:
      model: as of `apply_recipe`, like the two that follow.
      recipe: of all subgraphs.
      ranges: of the activations.
      float_outputs: whether outputs stay float.

    Returns:
      The artifact, and the bytes of the library's own file.

    Raises:
      InputError: as `apply_recipe`.
    """
    quantized = apply_recipe(model, recipe, ranges)
    artifact = parse_model(quantized, model.where)
    restore_outputs(artifact, model, float_outputs)
    mend_int16_sums(artifact)
    return artifact, len(quantized)
