"""Opens models in the runtime, and says what it takes of them."""

import contextlib
import os
import sys
import warnings

import numpy as np

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, model_to_read, text


@contextlib.contextmanager
def _quiet_runtime():
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
        with _quiet_runtime():
            interpreter = Interpreter(
                model_content=content,
                num_threads=threads,
                experimental_op_resolver_type=resolver,
                experimental_preserve_all_tensors=keep_tensors,
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise InputError(f"{where}: the runtime cannot run this model: {reason}") from None
    return interpreter


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
      (signature input name, shape with the batch, dtype) for each.

    Raises:
      InputError: when the runtime cannot run the model.
    """
    (key, *_) = (
        text(signature.signatureKey)
        for signature in model_to_read(content, where).schema.signatureDefs
        if signature.subgraphIndex == 0
    )
    runner = open_interpreter(content, where).get_signature_runner(key)
    return [
        (name, tuple(int(size) for size in details["shape"]), np.dtype(details["dtype"]))
        for name, details in runner.get_input_details().items()
    ]
