"""Pass: takes out of the quantized file what the runtime does not read.

Names of constants and of what the quantizer puts between operators, empty quantization
tables, and (through the writer) equal vectors and tables: a channel's zero point takes
8 bytes, is nearly always 0, and stands twice for each convolution. The interpreter
computes the same numbers to the bit.

Names that the float model has for its activations stay: they tell which tensor of the
float master is which tensor of the artifact. Metadata stays, and the associated files
come back, which the quantizer drops.
"""

from tools.graph.flatbuffer import TfliteModel, model_bytes, tensor_name
from tools.graph.pruning import prune
from tools.graph.topology import Topology


def _is_empty(parameters) -> bool:
    fields = (parameters.scale, parameters.zeroPoint, parameters.min, parameters.max)
    return parameters.details is None and all(field is None or not len(field) for field in fields)


def _names_of_activations(model: TfliteModel) -> set[str]:
    graph = Topology(model)
    kept = graph.inputs | graph.outputs | set(graph.producer)
    return {tensor_name(graph.tensor(index)) for index in kept}


def compact(
    model: TfliteModel, original_bytes: int, float_model: TfliteModel
) -> tuple[bytes, dict]:
    """Removes what is spare, and writes the file.

    Args:
      model: a quantized model; changed in place.
      original_bytes: size of the file as the quantizer wrote it.
      float_model: what it was quantized from.

    Returns:
      The whole .tflite file, and the report's entry; `changed` is in bytes.
    """
    # Deprecated for `metadata`. The library numbers buffers anew, but not here: these
    # would be any of the model's constants.
    model.schema.metadataBuffer = None
    prune(model)
    graph = Topology(model)
    names = _names_of_activations(float_model)
    for index, tensor in enumerate(graph.subgraph.tensors):
        if graph.is_constant(index) or tensor_name(tensor) not in names:
            tensor.name = None
        if tensor.quantization is not None and _is_empty(tensor.quantization):
            tensor.quantization = None
    model.associated_files = float_model.associated_files
    content = model_bytes(model)
    size = len(content)
    return content, {
        "changed": original_bytes - size,
        "detail": f"{original_bytes - size} bytes of names and repeated vectors removed",
        "gain": {"metric": "file, bytes", "before": original_bytes, "after": size},
        "name": "compaction",
    }
