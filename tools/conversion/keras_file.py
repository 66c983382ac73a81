"""Reads Keras files: .keras and .h5, of Keras 2 and of Keras 3.

Both write the same endings, and neither reads the other's: the version is in the file.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

from tools.conversion.quiet_tensorflow import first_line
from tools.conversion.saved_model import DEFAULT_SIGNATURE
from tools.conversion.source_function import SourceFunction
from tools.errors import InputError

KERAS_ENDINGS = frozenset({".h5", ".hdf5", ".keras"})


def keras_version(path: Path, where: str) -> str:
    """Reads which Keras wrote a file.

    Args:
      path: a .keras or .h5 file.
      where: how messages name it.

    Returns:
      Such as "3.15.1".

    Raises:
      InputError: when it is no such file, or holds weights without a model.
    """
    try:
        if path.suffix.lower() == ".keras":
            with zipfile.ZipFile(path) as file:
                return str(json.loads(file.read("metadata.json"))["keras_version"])
        import h5py

        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise InputError(
                    "conversion.source",
                    f"{where}: it holds weights, but no model; save the whole model with "
                    "model.save(...)",
                )
            version = file.attrs["keras_version"]
            return version.decode() if isinstance(version, bytes) else str(version)
    except (KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "conversion.source",
            f"{where}: not a readable Keras file; save the model again with model.save(...)",
        ) from None


def load_keras_model(path: Path, where: str, library: Any) -> Any:
    """Loads a model, without running code that is in its file.

    Args:
      path: a .keras or .h5 file, or for Keras 2 a SavedModel that it wrote.
      where: how messages name it.
      library: the module `keras` or `tf_keras`.

    Returns:
      The model, not compiled.

    Raises:
      InputError: when the file is damaged, or needs classes or code of its author's.
    """
    try:
        return library.models.load_model(str(path), compile=False)
    except Exception as error:
        # Keras raises TypeError, ValueError, KeyError, OSError and more for a class that it
        # does not know, Python code in the file, and damaged content.
        raise InputError(
            "conversion.failed",
            f"{where}: Keras cannot load this model ({first_line(error)}); layers of your own, "
            "and Python code in the file, are converted from a SavedModel: model.export(...)",
        ) from None


def _unique(names: list[str]) -> list[str]:
    result: list[str] = []
    for name in names:
        number, candidate = 0, name
        while candidate in result:
            number += 1
            candidate = f"{name}_{number}"
        result.append(candidate)
    return result


def keras_function(model: Any, kind: str, where: str) -> SourceFunction:
    """Makes a model the function that it computes in inference.

    Args:
      model: of Keras 2 or 3, with stated inputs.
      kind: "Keras 2" or "Keras 3".
      where: how messages name it.

    Returns:
      The function; inputs are named as Keras' Input layers, outputs as the layers that
      give them.

    Raises:
      InputError: when the model does not state its inputs.
    """
    import tensorflow as tf

    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise InputError(
            "conversion.signature",
            f"{where}: this model does not state its inputs; convert a SavedModel of it: "
            "model.export(...)",
        )
    named = getattr(model, "input_names", None) or [tensor.name for tensor in tensors]
    inputs = _unique([name.split(":")[0] for name in named])
    outputs = getattr(model, "output_names", None)
    if not outputs:
        # A Sequential of Keras 3 names none: its last layer gives the output.
        outputs = [model.layers[-1].name]
    outputs = _unique(list(outputs))

    def call(values):
        given = [values[name] for name in inputs]
        results = model(given[0] if len(given) == 1 else given, training=False)
        return dict(zip(outputs, tf.nest.flatten(results), strict=True))

    shapes = {
        name: (tuple(tensor.shape), tf.as_dtype(tensor.dtype))
        for name, tensor in zip(inputs, tensors, strict=True)
    }
    owner = model
    if kind == "Keras 3":
        # Such a model does not show TensorFlow its variables, and the converter leaves those
        # without their values that it does not find.
        owner = tf.Module()
        owner.found = [variable.value for variable in model.variables]
    return SourceFunction(call, shapes, owner, kind, DEFAULT_SIGNATURE)


def read_keras_file(path: Path, signature: str | None, where: str) -> SourceFunction:
    """Reads a .keras or .h5 file of Keras 2 or 3.

    Args:
      path: the file.
      signature: None, or serving_default: such a file has no other.
      where: how messages name it.

    Returns:
      The function that the model computes in inference.

    Raises:
      InputError: when it cannot be used.
    """
    if signature not in (None, DEFAULT_SIGNATURE):
        raise InputError(
            "conversion.signature",
            f"{where}: no signature {signature}; a Keras file has one, {DEFAULT_SIGNATURE}",
        )
    version = keras_version(path, where)
    major = version.split(".")[0]
    if major == "3":
        import keras as library
    elif major == "2":
        import tf_keras as library
    else:
        raise InputError(
            "conversion.source", f"{where}: written by Keras {version}; Keras 2 and 3 are read"
        )
    return keras_function(load_keras_model(path, where, library), f"Keras {major}", where)
