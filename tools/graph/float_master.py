"""Makes the float master: an fp32 model that computes what the original computes.

Models are distributed with fp16 weights behind DEQUANTIZE, sparse ones behind
DENSIFY, operator codes in a deprecated field, and without a signature. Each of
these makes a quantizer fail, or worse, do nothing. The master has none of them:

* a constant that DEQUANTIZE or DENSIFY expands becomes the expanded fp32 constant
  (fp16 to fp32 is exact, so outputs stay the same to the bit);
* operator codes are in the current field;
* one signature, `serving_default`, names inputs and outputs;
* no tensor, buffer or operator code is left that nothing uses.
"""

import itertools
import math
import re

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.flatbuffer import (
    MAXIMUM_BYTES,
    TfliteModel,
    builtin_code,
    copied_model,
    model_bytes,
    model_to_read,
    shape_of,
    tensor_name,
    text,
    type_name,
)
from tools.graph.pruning import prune
from tools.graph.soundness import refuse_unsound
from tools.graph.sparsity import densify

SIGNATURE = "serving_default"

_QUANTIZED_TYPES = {
    schema.TensorType.INT4,
    schema.TensorType.INT8,
    schema.TensorType.UINT8,
    schema.TensorType.INT16,
}


def refuse_quantized(model: TfliteModel) -> None:
    """Refuses a model that is quantized already.

    Args:
      model: the model.

    Raises:
      InputError: names the first quantized tensor.
    """
    for subgraph in model.schema.subgraphs:
        for number, tensor in enumerate(subgraph.tensors):
            parameters = tensor.quantization
            if (
                tensor.type in _QUANTIZED_TYPES
                and parameters is not None
                and parameters.scale is not None
                and len(parameters.scale)
            ):
                raise InputError(
                    f"{model.where}: already quantized (tensor {tensor_name(tensor) or number} is "
                    f"{type_name(tensor).lower()}); give the float model that it was "
                    "made from"
                )


def _constant(model: TfliteModel, tensor: schema.TensorT) -> np.ndarray | None:
    """Reads a constant, dense or sparse, as it would be after DENSIFY."""
    if tensor.sparsity is None:
        return model.tensor_data(tensor)
    data = model.schema.buffers[tensor.buffer].data
    dtype = {schema.TensorType.FLOAT16: np.float16, schema.TensorType.FLOAT32: np.float32}.get(
        tensor.type
    )
    if dtype is None or data is None:
        raise InputError(
            f"{model.where}: sparse tensor {tensor_name(tensor)} has the type "
            f"{type_name(tensor)}; only float16 and float32 can be expanded"
        )
    if math.prod(shape_of(tensor)) * np.dtype(dtype).itemsize > MAXIMUM_BYTES:
        raise InputError(
            f"{model.where}: sparse tensor {tensor_name(tensor)} would be larger than the "
            f"{MAXIMUM_BYTES} bytes that a TFLite flatbuffer holds"
        )
    content = np.asarray(data, dtype=np.uint8)
    try:
        return densify(content.view(dtype), shape_of(tensor), tensor.sparsity)
    except ValueError as error:
        raise InputError(
            f"{model.where}: sparse tensor {tensor_name(tensor)} is damaged: {error}"
        ) from None


def _fold_constants(model: TfliteModel) -> dict[str, int]:
    """Replaces DENSIFY and DEQUANTIZE of constants by their results."""
    folded = {"DEQUANTIZE": 0, "DENSIFY": 0}
    for subgraph in model.schema.subgraphs:
        kept = []
        for operator in subgraph.operators or []:
            name = model.operator_name(operator)
            values = None
            if name in folded and len(operator.inputs) and len(operator.outputs):
                source = int(operator.inputs[0])
                values = None if source == -1 else _constant(model, subgraph.tensors[source])
            if values is None:
                kept.append(operator)
                continue
            result = subgraph.tensors[int(operator.outputs[0])]
            if name == "DEQUANTIZE":
                values = values.astype(np.float32)
            result.buffer = model.add_constant(values)
            result.shape = np.array(values.shape, dtype=np.int32)
            result.sparsity = None
            folded[name] += 1
        subgraph.operators = kept
    return folded


def _expand_sparse_constants(model: TfliteModel) -> int:
    """Makes dense what operators read sparse, without a DENSIFY between."""
    expanded = 0
    for subgraph in model.schema.subgraphs:
        used = {int(i) for op in subgraph.operators for i in op.inputs if i != -1}
        for index, tensor in enumerate(subgraph.tensors):
            if index in used and tensor.sparsity is not None:
                tensor.buffer = model.add_constant(_constant(model, tensor))
                tensor.sparsity = None
                expanded += 1
    return expanded


def _refuse_bad_weights(model: TfliteModel) -> None:
    for subgraph in model.schema.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.type != schema.TensorType.FLOAT32:
                continue
            values = model.tensor_data(tensor)
            if values is not None and not np.isfinite(values).all():
                raise InputError(
                    f"{model.where}: tensor {tensor_name(tensor)} holds NaN or infinite weights; "
                    "export the model again"
                )


def _signature_names(tensors: list[schema.TensorT]) -> list[str]:
    """Names tensors as a keyword argument can be named, each differently."""
    names: list[str] = []
    for tensor in tensors:
        base = re.sub(r"\W+", "_", tensor_name(tensor).split(":")[0]).strip("_") or "tensor"
        numbered = (f"{base}_{number}" for number in itertools.count(1))
        names.append(next(name for name in itertools.chain([base], numbered) if name not in names))
    return names


def _complete_signatures(model: TfliteModel) -> None:
    """Names the inputs that a signature leaves out, which nobody could set."""
    for signature in model.schema.signatureDefs:
        subgraph = model.schema.subgraphs[signature.subgraphIndex]
        named = {entry.tensorIndex for entry in signature.inputs}
        taken = {text(entry.name) for entry in signature.inputs}
        for index in dict.fromkeys(int(index) for index in subgraph.inputs):
            if index not in named:
                (base,) = _signature_names([subgraph.tensors[index]])
                numbered = (f"{base}_{number}" for number in itertools.count(1))
                entry = schema.TensorMapT()
                entry.name = next(n for n in itertools.chain([base], numbered) if n not in taken)
                entry.tensorIndex = index
                taken.add(entry.name)
                signature.inputs = [*signature.inputs, entry]


def _add_signature(model: TfliteModel) -> bool:
    if model.schema.signatureDefs:
        _complete_signatures(model)
        return False
    subgraph = model.schema.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE
    signature.subgraphIndex = 0
    for field, indices in (("inputs", subgraph.inputs), ("outputs", subgraph.outputs)):
        entries = []
        names = _signature_names([subgraph.tensors[int(index)] for index in indices])
        for index, name in zip(indices, names, strict=True):
            entry = schema.TensorMapT()
            entry.name = name
            entry.tensorIndex = int(index)
            entries.append(entry)
        setattr(signature, field, entries)
    model.schema.signatureDefs = [signature]
    return True


def _name_tensors(model: TfliteModel) -> int:
    """Gives every tensor of the model a name of its own; ranges are kept by name.

    Names that are no UTF-8 become text, of signatures too: the library and the runtime
    read no others.
    """
    for signature in model.schema.signatureDefs or []:
        signature.signatureKey = text(signature.signatureKey)
        for entry in signature.inputs + signature.outputs:
            entry.name = text(entry.name)
    renamed = 0
    seen: set[str] = set()
    for subgraph in model.schema.subgraphs:
        for index, tensor in enumerate(subgraph.tensors):
            tensor.name = name = tensor_name(tensor)
            if not name or name in seen:
                tensor.name = f"{name or 'tensor'}_{index}"
                while tensor.name in seen:
                    tensor.name += "_"
                renamed += 1
            seen.add(tensor_name(tensor))
    return renamed


def _become_master(model: TfliteModel) -> dict:
    """Changes a model into a master, and says what was changed; raises as `make_float_master`."""
    refuse_quantized(model)
    moved = 0
    for code in model.schema.operatorCodes:
        moved += code.builtinCode != builtin_code(code)
        code.builtinCode = builtin_code(code)
        # The deprecated field still has to hold what fits into it: older readers
        # look there.
        code.deprecatedBuiltinCode = min(
            code.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
        )
    folded = _fold_constants(model)
    expanded = _expand_sparse_constants(model)
    removed = prune(model)
    renamed = _name_tensors(model)
    signed = _add_signature(model)
    _refuse_bad_weights(model)
    refuse_unsound(model)
    return {
        "added_signature": signed,
        "associated_files": [name for name, _ in model.associated_files],
        "expanded_sparse": expanded,
        "folded_densify": folded["DENSIFY"],
        "folded_dequantize": folded["DEQUANTIZE"],
        "moved_operator_codes": moved,
        "removed_tensors": removed,
        "renamed_tensors": renamed,
    }


def make_float_master(original: bytes, where: str = "model") -> tuple[bytes, dict]:
    """Makes the float master of a model.

    Args:
      original: a whole .tflite file.
      where: how messages name it.

    Returns:
      The master as a whole .tflite file, and what was changed: {"folded_dequantize",
      "folded_densify", "expanded_sparse", "removed_tensors", "renamed_tensors",
      "added_signature", "moved_operator_codes", "associated_files"}. The master of a
      master is the same bytes.

    Raises:
      InputError: when the model is no float TFLite model, or a damaged one.
    """
    model = copied_model(model_to_read(original, where))
    summary = _become_master(model)
    return model_bytes(model), summary


def refuse_other_than_master(content: bytes, where: str) -> None:
    """Refuses a file that `make_float_master` would change, without writing it once more.

    Args:
      content: a whole .tflite file.
      where: how messages name it.

    Raises:
      InputError: when it is no float master, no float TFLite model, or a damaged one.
    """
    summary = _become_master(copied_model(model_to_read(content, where)))
    changes = [name for name, value in summary.items() if value and name != "associated_files"]
    if changes:
        raise InputError(
            f"{where}: no float master, making one would change it ({', '.join(changes)}); give "
            "it as the float model and not as --float_master, or run make_float_master on it"
        )
