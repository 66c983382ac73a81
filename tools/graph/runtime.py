"""Opens models in the runtime, and says what it takes of them."""

import contextlib
import os
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, dtype_of, model_to_read, shape_of, text, type_name


@contextlib.contextmanager
def quiet_runtime():
    """Keeps the runtime's own words from the terminal.

    It writes that it made a delegate straight to file descriptor 2, past Python. What
    goes wrong comes as an exception all the same.
    """
    sys.stderr.flush()
    with warnings.catch_warnings(), open(os.devnull, "wb") as nowhere:
        warnings.simplefilter("ignore")
        saved = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def open_interpreter(content: bytes, where: str, keep_tensors: bool = False, threads: int = 1):
    """Opens a model for running.

    Args:
      content: a whole .tflite file.
      where: how messages name it.
      keep_tensors: keep every tensor's values for reading. No delegate runs then: what
        lies between a delegate's operators is never written.
      threads: of the interpreter.

    Returns:
      An ai_edge_litert Interpreter with tensors allocated.

    Raises:
      InputError: when the runtime cannot run the model.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = (
        OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if keep_tensors else OpResolverType.AUTO
    )
    try:
        with quiet_runtime():
            interpreter = Interpreter(
                model_content=content,
                num_threads=threads,
                experimental_op_resolver_type=resolver,
                experimental_preserve_all_tensors=keep_tensors,
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise InputError(
            "model.runtime", f"{where}: the runtime cannot run this model: {reason}"
        ) from None
    return interpreter


def keeps_resources(content: bytes) -> bool:
    """Says whether a model has variables outside of its tensors, which no reset reaches."""
    model = schema.Model.GetRootAs(content, 0)
    codes = (model.OperatorCodes(number) for number in range(model.OperatorCodesLength()))
    return any(code.BuiltinCode() == schema.BuiltinOperator.VAR_HANDLE for code in codes)


class FreshInterpreter:
    """An interpreter in which each sample begins without what another left.

    Else what a sample gives would depend on which one was run before it, and calibration on how
    samples are divided among processes.

    Attributes:
      current: the ai_edge_litert Interpreter that ran last, or will run first.
    """

    def __init__(self, content: bytes, where: str):
        """Opens a model; takes and raises what `open_interpreter` does."""
        self._content, self._where = content, where
        self._reopens, self._used = keeps_resources(content), False
        self.current = open_interpreter(content, where)

    def begin(self):
        """Gives the Interpreter that runs the next sample; its tensors have the same indices."""
        if self._used and self._reopens:
            self.current = open_interpreter(self._content, self._where)
        elif self._used:
            self.current.reset_all_variables()
        self._used = True
        return self.current


def quantize_values(values: np.ndarray, scale: float, zero_point: int, dtype) -> np.ndarray:
    """Quantizes as TFLite does: q = round(v / scale) + zero_point, clipped to the type.

    Args:
      values: float32.
      scale: of the tensor; 0 where it has none, and values are then converted as they are.
      zero_point: of the tensor.
      dtype: numpy's, of integers.

    Returns:
      The same shape in `dtype`.
    """
    limits = np.iinfo(dtype)
    scaled = np.round(values / np.float32(scale)) + zero_point if scale else np.round(values)
    return np.clip(scaled, limits.min, limits.max).astype(dtype)


def values_to_set(details: Mapping[str, Any], values: np.ndarray) -> np.ndarray:
    """Brings values into an input's type, floats into integers by its scale.

    Args:
      details: of the input, from an Interpreter.
      values: numbers, or texts where the input takes these.

    Returns:
      The same shape in the input's type.
    """
    dtype = np.dtype(details["dtype"])
    if dtype.kind == "O":
        return values
    if values.dtype.kind == "f" and dtype.kind in "iu":
        scale, zero_point = details["quantization"]
        return quantize_values(values, scale, zero_point, dtype)
    return values.astype(dtype, copy=False)


def values_read(details: Mapping[str, Any], values: np.ndarray) -> np.ndarray:
    """Gives what a tensor's values stand for.

    Args:
      details: of the tensor, from an Interpreter.
      values: its own.

    Returns:
      float32 where integers have a scale, else the values as they are.
    """
    scale, zero_point = details["quantization"]
    if values.dtype.kind in "iu" and scale:
        return (values.astype(np.float32) - zero_point) * np.float32(scale)
    return values


def read_tensor(interpreter, index: int, subgraph: int = 0) -> np.ndarray:
    """Copies a tensor, one without elements as well, which the runtime refuses to give.

    Args:
      interpreter: an ai_edge_litert Interpreter that has run.
      index: of the tensor.
      subgraph: its number.

    Returns:
      The tensor's own values.

    Raises:
      ValueError: when the tensor cannot be read.
    """
    try:
        return interpreter.get_tensor(index, subgraph)
    except ValueError:
        for details in interpreter.get_tensor_details(subgraph):
            shape = tuple(int(size) for size in details["shape"])
            if details["index"] == index and 0 in shape:
                return np.zeros(shape, details["dtype"])
        raise


def signature_inputs(model: TfliteModel) -> dict[str, int]:
    """Maps input names of the main subgraph's signature to tensor indices."""
    signature = next(s for s in model.schema.signatureDefs if s.subgraphIndex == 0)
    return {text(entry.name): entry.tensorIndex for entry in signature.inputs}


def input_specifications(content: bytes, where: str) -> list[tuple[str, tuple[int, ...], np.dtype]]:
    """Lists a model's inputs.

    Args:
      content: a whole .tflite file with a signature.
      where: how messages name it.

    Returns:
      (signature input name, shape with the batch, dtype) for each, by name.

    Raises:
      InputError: when one is of a type that no sample can have.
    """
    model = model_to_read(content, where)
    result = []
    for name, index in sorted(signature_inputs(model).items()):
        tensor = model.schema.subgraphs[0].tensors[index]
        dtype = dtype_of(tensor)
        if dtype is None:
            raise InputError(
                "model.type",
                f"{where}: its input {name} has the type {type_name(tensor)}, which no sample "
                "can have; give a model that takes numbers",
            )
        result.append((name, shape_of(tensor), dtype))
    return result
