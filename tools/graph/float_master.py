"""Makes the float master: an fp32 model that computes what the original computes.

Models are distributed with fp16 weights behind DEQUANTIZE, sparse ones behind
DENSIFY, operator codes in a deprecated field, and without a signature. Each of
these makes a quantizer fail, or worse, do nothing. The master has none of them:

* a constant that DEQUANTIZE, DENSIFY or CAST expands, after QUANTIZE or not, becomes the
  expanded fp32 constant (fp16 to fp32 is exact, so outputs stay the same to the bit);
* operator codes are in the current field;
* a signature, `serving_default` where there was none, names inputs and outputs;
* no tensor, buffer or operator code is left that nothing uses.
"""

import itertools
import math
import re

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.appended_bytes import appended_bytes
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
from tools.graph.topology import MULTIPLYING, Topology

SIGNATURE = "serving_default"

# Operators whose code is compiled for an NPU or TPU.
_COMPILED = frozenset({"DISPATCH_OP", "edgetpu-custom-op", "ethos-u", "QNN", "neuron_adapter"})
# What gives a constant another form, and no more.
_FOLDED = ("CAST", "DENSIFY", "DEQUANTIZE", "QUANTIZE")
_INTEGERS: dict[int, type[np.signedinteger | np.unsignedinteger]] = {
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT16: np.int16,
}
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
                    "model.quantized",
                    f"{model.where}: already quantized (tensor {tensor_name(tensor) or number} is "
                    f"{type_name(tensor).lower()}); give the float model that it was "
                    "made from",
                )


def _constant(model: TfliteModel, tensor: schema.TensorT) -> np.ndarray | None:
    """Reads a constant, dense or sparse, as it would be after DENSIFY."""
    if tensor.sparsity is None:
        return model.tensor_data(tensor)
    return _dense(model, tensor)


def _dense(model: TfliteModel, tensor: schema.TensorT) -> np.ndarray:
    """Reads a sparse constant as DENSIFY would give it."""
    data = model.schema.buffers[tensor.buffer].data
    dtype = {schema.TensorType.FLOAT16: np.float16, schema.TensorType.FLOAT32: np.float32}.get(
        tensor.type
    )
    if dtype is None or data is None:
        raise InputError(
            "model.type",
            f"{model.where}: sparse tensor {tensor_name(tensor)} has the type "
            f"{type_name(tensor)}; only float16 and float32 can be expanded",
        )
    if math.prod(shape_of(tensor)) * np.dtype(dtype).itemsize > MAXIMUM_BYTES:
        raise InputError(
            "model.too_large",
            f"{model.where}: sparse tensor {tensor_name(tensor)} would be larger than the "
            f"{MAXIMUM_BYTES} bytes that a TFLite flatbuffer holds",
        )
    content = np.asarray(data, dtype=np.uint8)
    try:
        return densify(content.view(dtype), shape_of(tensor), tensor.sparsity)
    except ValueError as error:
        raise InputError(
            "model.damaged",
            f"{model.where}: sparse tensor {tensor_name(tensor)} is damaged: {error}",
        ) from None


def _with_scale(tensor: schema.TensorT) -> bool:
    parameters = tensor.quantization
    return parameters is not None and parameters.scale is not None and len(parameters.scale) > 0


def _by_channel(tensor: schema.TensorT, values: np.ndarray, field: str) -> np.ndarray:
    """Brings a tensor's scales or zero points into a shape that its values can be combined with."""
    entries = np.asarray(getattr(tensor.quantization, field))
    if entries.size == 1:
        return entries.reshape(())
    shape = [1] * values.ndim
    shape[tensor.quantization.quantizedDimension] = -1
    return entries.reshape(shape)


def _dequantized(model: TfliteModel, tensor: schema.TensorT, values: np.ndarray) -> np.ndarray:
    """Gives what DEQUANTIZE makes of a constant, float32."""
    if not _with_scale(tensor):
        return values.astype(np.float32)
    if tensor.quantization.details is not None:
        raise InputError(
            "model.quantized",
            f"{model.where}: tensor {tensor_name(tensor)} has a scale for each block; give the "
            "float model that it was made from",
        )
    zero_point = _by_channel(tensor, values, "zeroPoint").astype(np.int32)
    scale = _by_channel(tensor, values, "scale").astype(np.float32)
    return (values.astype(np.int32) - zero_point).astype(np.float32) * scale


def _quantized(tensor: schema.TensorT, values: np.ndarray) -> np.ndarray | None:
    """Gives what QUANTIZE makes of a float constant; None where that is no int8 to int16."""
    dtype = _INTEGERS.get(tensor.type)
    if dtype is None or values.dtype != np.float32 or not _with_scale(tensor):
        return None
    scaled = values / _by_channel(tensor, values, "scale").astype(np.float32)
    # As the kernel rounds: half away from zero.
    codes = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    codes += _by_channel(tensor, values, "zeroPoint")
    limits = np.iinfo(dtype)
    return np.clip(codes, limits.min, limits.max).astype(dtype)


def _folded(
    model: TfliteModel, name: str, source: schema.TensorT, result: schema.TensorT
) -> np.ndarray | None:
    """Computes an operator of one constant.

    Args:
      model: the model.
      name: one of _FOLDED.
      source: the constant.
      result: what the operator writes.

    Returns:
      The result's values; None where it is left to the runtime.
    """
    values = _constant(model, source)
    if values is None or name == "DENSIFY":
        return values
    if name == "DEQUANTIZE":
        return _dequantized(model, source, values)
    if name == "QUANTIZE":
        return _quantized(result, values)
    if result.type != schema.TensorType.FLOAT32 or _with_scale(source):
        return None
    return values.astype(np.float32)


def _fold_constants(model: TfliteModel) -> dict[str, int]:
    """Replaces operators that do no more than give constants another form by their results."""
    folded = dict.fromkeys(_FOLDED, 0)
    for subgraph in model.schema.subgraphs:
        kept = []
        for operator in subgraph.operators or []:
            name = model.operator_name(operator)
            values = None
            if name in folded and len(operator.inputs) and len(operator.outputs):
                taken, given = int(operator.inputs[0]), int(operator.outputs[0])
                if taken != -1:
                    source, result = subgraph.tensors[taken], subgraph.tensors[given]
                    values = _folded(model, name, source, result)
            if values is None:
                kept.append(operator)
                continue
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
                tensor.buffer = model.add_constant(_dense(model, tensor))
                tensor.sparsity = None
                expanded += 1
    return expanded


def _refuse_bad_weights(model: TfliteModel) -> None:
    """Refuses weights that are NaN or infinite; infinity in a mask or in padding is no weight."""
    for number, subgraph in enumerate(model.schema.subgraphs):
        graph = Topology(model, number)
        for index, tensor in enumerate(subgraph.tensors):
            if tensor.type != schema.TensorType.FLOAT32:
                continue
            values = model.tensor_data(tensor)
            if values is None or np.isfinite(values).all():
                continue
            readers = {graph.name(operator) for operator, _ in graph.consumers.get(index, [])}
            if np.isnan(values).any() or readers & MULTIPLYING:
                raise InputError(
                    "model.value",
                    f"{model.where}: tensor {tensor_name(tensor)} holds NaN or infinite weights; "
                    "export the model again",
                )


def _refuse_compiled(model: TfliteModel, content: bytes) -> None:
    """Refuses a model whose operators are code for an accelerator, or read what is behind it."""
    codes = model.schema.operatorCodes
    custom = [code for code in codes if builtin_code(code) == schema.BuiltinOperator.CUSTOM]
    for code in custom:
        if text(code.customCode) in _COMPILED:
            raise InputError(
                "model.unsupported",
                f"{model.where}: it is compiled for an accelerator ({text(code.customCode)}), by "
                "bytes that stand behind the flatbuffer; give the model that it was compiled from",
            )
    count = appended_bytes(content) if custom and not model.associated_files else 0
    if count:
        raise InputError(
            "model.unsupported",
            f"{model.where}: {count:,} bytes stand behind the flatbuffer, which its operator "
            f"{text(custom[0].customCode)} may look for there; give the model without them",
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
    for signature in model.schema.signatureDefs or []:
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


def _unused_key(model: TfliteModel) -> str:
    """Makes a name for a signature that no other one has."""
    taken = {text(one.signatureKey) for one in model.schema.signatureDefs or []}
    numbered = (f"{SIGNATURE}_{number}" for number in itertools.count())
    return next(name for name in itertools.chain([SIGNATURE], numbered) if name not in taken)


def _add_signature(model: TfliteModel) -> bool:
    signatures = model.schema.signatureDefs or []
    for signature in signatures:
        # The runtime runs none without a name.
        if not text(signature.signatureKey):
            signature.signatureKey = _unused_key(model)
    _complete_signatures(model)
    if any(signature.subgraphIndex == 0 for signature in signatures):
        return False
    subgraph = model.schema.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey = _unused_key(model)
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
    model.schema.signatureDefs = [*signatures, signature]
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


def _become_master(model: TfliteModel, content: bytes) -> dict:
    """Changes a model into a master, and says what was changed; raises as `make_float_master`."""
    _refuse_compiled(model, content)
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
    refuse_quantized(model)
    renamed = _name_tensors(model)
    signed = _add_signature(model)
    _refuse_bad_weights(model)
    refuse_unsound(model)
    return {
        "added_signature": signed,
        "associated_files": [name for name, _ in model.associated_files],
        "expanded_sparse": expanded,
        "folded_cast": folded["CAST"],
        "folded_densify": folded["DENSIFY"],
        "folded_dequantize": folded["DEQUANTIZE"],
        "folded_quantize": folded["QUANTIZE"],
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
      The master as a whole .tflite file, and what was changed: {"folded_cast",
      "folded_dequantize", "folded_densify", "folded_quantize", "expanded_sparse",
      "removed_tensors", "renamed_tensors", "added_signature", "moved_operator_codes",
      "associated_files"}. The master of a master is the same bytes.

    Raises:
      InputError: when the model is no float TFLite model, or a damaged one.
    """
    model = copied_model(model_to_read(original, where))
    summary = _become_master(model, original)
    return model_bytes(model), summary


def refuse_other_than_master(content: bytes, where: str) -> None:
    """Refuses a file that `make_float_master` would change, without writing it once more.

    Args:
      content: a whole .tflite file.
      where: how messages name it.

    Raises:
      InputError: when it is no float master, no float TFLite model, or a damaged one.
    """
    summary = _become_master(copied_model(model_to_read(content, where)), content)
    changes = [name for name, value in summary.items() if value and name != "associated_files"]
    if changes:
        raise InputError(
            "model.not_master",
            f"{where}: no float master, making one would change it ({', '.join(changes)}); give "
            "it as the float model and not as --float_master, or run make_float_master on it",
        )
