"""Pass: takes out of the quantized file what the runtime does not read.

Names of constants, empty quantization tables, and (through the writer) equal vectors:
a channel's zero point takes 8 bytes, is nearly always 0, and stands twice for each
convolution. The interpreter computes the same numbers to the bit.

Names of activations stay: they tell which tensor of the float master is which tensor of
the artifact. Metadata stays, and the associated files come back, which the quantizer
drops.
"""

from tools.graph.flatbuffer import TfliteModel, model_bytes
from tools.graph.pruning import prune
from tools.graph.topology import Topology


def _is_empty(parameters) -> bool:
    fields = (parameters.scale, parameters.zeroPoint, parameters.min, parameters.max)
    return parameters.details is None and all(field is None or not len(field) for field in fields)


def compact(model: TfliteModel, original_bytes: int, associated_files: list) -> dict:
    """Removes what is spare.

    Args:
      model: a quantized model; changed in place.
      original_bytes: size of the file as the quantizer wrote it.
      associated_files: the float master's.

    Returns:
      The report's entry: {"name", "changed", "detail"}; `changed` is in bytes.
    """
    # Deprecated for `metadata`. The library numbers buffers anew, but not here: these
    # would be any of the model's constants.
    model.schema.metadataBuffer = None
    prune(model)
    graph = Topology(model)
    for index, tensor in enumerate(graph.subgraph.tensors):
        if graph.is_constant(index):
            tensor.name = ""
        if tensor.quantization is not None and _is_empty(tensor.quantization):
            tensor.quantization = None
    model.associated_files = associated_files
    saved = original_bytes - len(model_bytes(model))
    return {
        "changed": saved,
        "detail": f"{saved} bytes of names and repeated vectors removed",
        "name": "compaction",
    }
