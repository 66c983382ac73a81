"""Converts a SavedModel or a Keras file to a float .tflite through TensorFlow's converter.

The function is traced again with every dimension known, so that the converter folds all that
depends on shapes, and no runtime has to resize: a dynamic first dimension becomes the stated
batch, another one the stated shape.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.conversion.keras_file import KERAS_ENDINGS, read_keras_file
from tools.conversion.quiet_tensorflow import first_line
from tools.conversion.saved_model import read_saved_model
from tools.conversion.source_function import SourceFunction
from tools.errors import InputError


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A converted model.

    Attributes:
      model: a whole .tflite file, fp32, of one signature.
      summary: {"kind", "signature", "inputs", "outputs", "tensorflow"}: where it came from,
        shapes by name, and TensorFlow's version.
    """

    model: bytes
    summary: dict


def read_source(path: Path, signature: str | None) -> SourceFunction:
    """Reads a SavedModel's directory or a Keras file.

    Args:
      path: which of them is told by its ending.
      signature: name of the function, or None.

    Returns:
      The function.

    Raises:
      InputError: when it is neither, damaged, or has no such signature.
    """
    where = str(path)
    if path.is_dir():
        return read_saved_model(path, signature, where)
    if not path.exists():
        raise InputError("file.missing", f"{where}: no such file or folder")
    if path.suffix.lower() in KERAS_ENDINGS:
        return read_keras_file(path, signature, where)
    raise InputError(
        "conversion.source",
        f"{where}: not a SavedModel's folder, nor a Keras file "
        f"({', '.join(sorted(KERAS_ENDINGS))})",
    )


def fixed_shapes(
    source: SourceFunction, batch: int, stated: Mapping[str, tuple[int, ...]], where: str
) -> dict[str, tuple[int, ...]]:
    """Gives every input a shape without open dimensions.

    Args:
      source: the function.
      batch: for a first dimension that is open.
      stated: shape by input name, for other open dimensions.
      where: how messages name the model.

    Returns:
      Shape by input name, with the batch.

    Raises:
      InputError: when a dimension stays open, or a stated shape contradicts the model.
    """
    unknown = sorted(set(stated) - set(source.inputs))
    if unknown:
        raise InputError(
            "conversion.shape",
            f"{where}: a shape is given for {unknown[0]}; its inputs are "
            f"{', '.join(source.inputs)}",
        )
    result = {}
    for name, (shape, _) in source.inputs.items():
        shown = "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
        if name in stated:
            fits = len(stated[name]) == len(shape) and all(
                size in (None, given) for size, given in zip(shape, stated[name], strict=True)
            )
            if not fits or min(stated[name], default=1) < 1:
                raise InputError(
                    "conversion.shape",
                    f"{where}: the shape {list(stated[name])} does not fit the input {name}, "
                    f"which takes {shown}",
                )
            result[name] = tuple(stated[name])
            continue
        fixed = tuple(
            batch if size is None and axis == 0 else size for axis, size in enumerate(shape)
        )
        if None in fixed:
            example = ",".join(str(1 if size is None else size) for size in fixed)
            raise InputError(
                "conversion.shape",
                f"{where}: the input {name} takes {shown}; state a shape for it, such as "
                f"--input_shape={name}={example} (input_shapes in a BUILD file)",
            )
        result[name] = tuple(size for size in fixed if size is not None)
    return result


def _refusal(error: Exception, where: str) -> InputError:
    """Says in one line why the converter refused."""
    text = str(error)
    found = re.search(r"^Custom ops: (.+)$", text, re.MULTILINE)
    if found:
        return InputError(
            "conversion.operator",
            f"{where}: TFLite has no operator for {found[1].strip()}; replace it in the model",
        )
    found = re.search(r"^TF Select ops: (.+)$", text, re.MULTILINE)
    if found:
        return InputError(
            "conversion.operator",
            f"{where}: TFLite has no operator of its own for {found[1].strip()}; replace it in "
            "the model, or, for an app that carries TensorFlow's select operators, allow it: "
            "--allow_select_tf_ops (allow_select_tf_ops = True in a BUILD file)",
        )
    return InputError(
        "conversion.failed",
        f"{where}: TensorFlow's converter refuses the model: {first_line(error)}",
    )


def convert_function(
    source: SourceFunction, shapes: Mapping[str, tuple[int, ...]], select_tf_ops: bool, where: str
) -> Any:
    """Converts a function to a float .tflite.

    Args:
      source: the function.
      shapes: of every input, with the batch.
      select_tf_ops: whether operators of TensorFlow's own may stay.
      where: how messages name the model.

    Returns:
      A whole .tflite file, and the shapes of the outputs by name.

    Raises:
      InputError: when an operator has no form in TFLite, or tracing fails.
    """
    import tensorflow as tf

    names = list(source.inputs)
    specs = [tf.TensorSpec(shapes[name], source.inputs[name][1], name=name) for name in names]

    @tf.function(autograph=False)
    def serving(*values):
        return source.call(dict(zip(names, values, strict=True)))

    try:
        concrete = serving.get_concrete_function(*specs)
    except (TypeError, ValueError, tf.errors.OpError) as error:
        raise InputError(
            "conversion.shape",
            f"{where}: it cannot be computed for the shapes {dict(shapes)}: {first_line(error)}",
        ) from None
    outputs = {
        name: tuple(tensor.shape.as_list()) if tensor.shape.rank is not None else None
        for name, tensor in concrete.structured_outputs.items()
    }
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], source.owner)
    if select_tf_ops:
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS,
            tf.lite.OpsSet.SELECT_TF_OPS,
        ]
    try:
        return converter.convert(), outputs
    except Exception as error:
        # ConverterError is not public, and shape inference raises others.
        raise _refusal(error, where) from None


def convert(
    path: Path,
    signature: str | None = None,
    batch: int = 1,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    select_tf_ops: bool = False,
) -> Conversion:
    """Converts a SavedModel's directory or a Keras file.

    Args:
      path: the directory or file.
      signature: which function of a SavedModel; None takes serving_default or the only one.
      batch: of an open first dimension.
      input_shapes: shape by input name, for other open dimensions.
      select_tf_ops: whether operators of TensorFlow's own may stay.

    Returns:
      The float .tflite, and what was converted. The same file gives the same bytes.

    Raises:
      InputError: when the source cannot be used or converted.
    """
    import tensorflow as tf

    where = str(path)
    if batch < 1:
        raise InputError("conversion.shape", f"a batch of {batch}: give 1 or more")
    source = read_source(path, signature)
    shapes = fixed_shapes(source, batch, input_shapes or {}, where)
    model, outputs = convert_function(source, shapes, select_tf_ops, where)
    summary = {
        "inputs": {name: list(shape) for name, shape in shapes.items()},
        "kind": source.kind,
        "outputs": {name: shape and list(shape) for name, shape in outputs.items()},
        "signature": source.signature,
        "tensorflow": tf.__version__,
    }
    return Conversion(model, summary)
