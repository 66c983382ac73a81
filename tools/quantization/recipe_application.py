"""Runs litert-quantizer, and puts right what it leaves."""

import contextlib
import io
import logging

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, model_bytes
from tools.graph.topology import Topology
from tools.quantization import recipes


@contextlib.contextmanager
def quiet_library():
    """Silences the library's log and bars, which tell of its own insides."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(previous)


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
            library = quantizer.Quantizer(model_bytes(model))
            library.load_quantization_recipe(recipes.joined(recipe))
            result = library.quantize(
                ranges, enable_progress_bar=False, enable_progress_report=False
            )
        except (ValueError, RuntimeError, KeyError, IndexError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"{model.where}: the recipe cannot be applied: {reason}") from error
    return bytes(result.quantized_model)


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
        wanted, producer = before.tensors[int(original)].type, graph.producer.get(int(index))
        other = stay_float and graph.tensor(index).type != wanted
        if other and producer and graph.name(producer) == "QUANTIZE":
            index = producer.inputs[0]
        outputs.append(int(index))
    graph.subgraph.outputs = outputs
    signatures = (m.schema.signatureDefs or [] for m in (artifact, model))
    for after, before in zip(*signatures, strict=True):
        old, new = (m.schema.subgraphs[before.subgraphIndex] for m in (model, artifact))
        for field in ("inputs", "outputs"):
            places = zip(getattr(old, field), getattr(new, field), strict=True)
            moved = {int(one): int(other) for one, other in places}
            entries = zip(getattr(after, field), getattr(before, field), strict=True)
            for entry, original in entries:
                entry.tensorIndex = moved.get(original.tensorIndex, entry.tensorIndex)
