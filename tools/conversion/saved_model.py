"""Reads a function of a SavedModel by the name of its signature."""

from pathlib import Path

from tools.conversion.quiet_tensorflow import first_line
from tools.conversion.source_function import SourceFunction
from tools.errors import InputError

DEFAULT_SIGNATURE = "serving_default"


def is_saved_model(directory: Path) -> bool:
    """Says whether a directory holds a SavedModel."""
    return any((directory / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))


def _chosen(signatures: list[str], wanted: str | None, where: str) -> str:
    names = ", ".join(signatures)
    if not signatures:
        raise InputError(
            "conversion.signature",
            f"{where}: this SavedModel has no signature; export it again with one "
            "(model.export(...), or tf.saved_model.save(..., signatures=...))",
        )
    if wanted is not None:
        if wanted not in signatures:
            raise InputError(
                "conversion.signature", f"{where}: no signature {wanted}; there are: {names}"
            )
        return wanted
    if DEFAULT_SIGNATURE in signatures:
        return DEFAULT_SIGNATURE
    if len(signatures) > 1:
        raise InputError(
            "conversion.signature", f"{where}: it has several signatures, name one of them: {names}"
        )
    return signatures[0]


def read_saved_model(directory: Path, signature: str | None, where: str) -> SourceFunction:
    """Reads one function of a SavedModel.

    Args:
      directory: with saved_model.pb.
      signature: its name. None takes serving_default, or else the only one.
      where: how messages name the model.

    Returns:
      The function.

    Raises:
      InputError: when this is no SavedModel, a damaged one, or has no such signature.
    """
    import tensorflow as tf

    if not is_saved_model(directory):
        raise InputError(
            "conversion.source",
            f"{where}: no SavedModel in this folder (it has no saved_model.pb); give the folder "
            "that model.export(...) or tf.saved_model.save(...) wrote",
        )
    try:
        model = tf.saved_model.load(str(directory))
    except Exception as error:
        # A damaged protocol buffer, missing variables, operators of another library: each
        # raises its own kind.
        raise InputError(
            "conversion.failed",
            f"{where}: TensorFlow cannot load this SavedModel ({first_line(error)}); export it "
            "again",
        ) from None
    name = _chosen(sorted(model.signatures), signature, where)
    function = model.signatures[name]
    inputs = {}
    for key, spec in sorted(function.structured_input_signature[1].items()):
        if spec.shape.rank is None:
            raise InputError(
                "conversion.shape",
                f"{where}: the input {key} of the signature {name} has no stated number of "
                "dimensions; export it again with an input_signature",
            )
        inputs[key] = (tuple(spec.shape.as_list()), spec.dtype)

    def call(values):
        return function(**values)

    return SourceFunction(call, inputs, model, "SavedModel", name)
