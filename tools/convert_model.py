"""Command: converts a SavedModel or a Keras file to a float .tflite model."""

import argparse

from tools.command_line import new_parser, output_path, run, user_path, whole_file
from tools.documents.json_file import write_json

_EXAMPLES = """\
  convert_model --input_model=face_saved_model/ --output_model=face.tflite
  convert_model --input_model=face.keras --output_model=face.tflite --batch=4
  convert_model --input_model=face_saved_model/ --output_model=face.tflite \\
      --signature=detect --input_shape=image=1,128,128,3

Every dimension is fixed: an open first one to --batch, others by --input_shape. Files of
Keras 2 and Keras 3 are read. docs/how-to/convert.md has the way from PyTorch and ONNX.
"""


def _input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, sizes = text.rpartition("=")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not (name and equals and shape):
        raise argparse.ArgumentTypeError(f"{text} is no NAME=SIZE,SIZE,...")
    return name, shape


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "convert_model",
        "Converts a SavedModel or a Keras file to a float .tflite model with TensorFlow.",
        _EXAMPLES,
    )
    result.add_argument(
        "--input_model", required=True, type=user_path, help="a SavedModel's folder, .keras or .h5"
    )
    result.add_argument("--output_model", required=True, type=output_path, help="file to write")
    result.add_argument(
        "--signature", help="function of a SavedModel (default: serving_default, or the only one)"
    )
    result.add_argument(
        "--batch", type=int, default=1, help="size of an open first dimension (default: 1)"
    )
    result.add_argument(
        "--input_shape",
        action="append",
        type=_input_shape,
        default=[],
        metavar="NAME=SIZES",
        help="whole shape of an input with other open dimensions; may be given several times",
    )
    result.add_argument(
        "--allow_select_tf_ops",
        action="store_true",
        help="keep operators that only TensorFlow's select runtime has",
    )
    result.add_argument("--summary", type=output_path, help="JSON file: what was converted")
    return result


def main(arguments: argparse.Namespace) -> int:
    from tools.conversion.quiet_tensorflow import quiet

    with quiet():
        from tools.conversion.tflite_converter import convert

        conversion = convert(
            arguments.input_model,
            arguments.signature,
            arguments.batch,
            dict(arguments.input_shape),
            arguments.allow_select_tf_ops,
        )
    with whole_file(arguments.output_model) as file:
        file.write(conversion.model)
    if arguments.summary:
        write_json(arguments.summary, conversion.summary)
    # Inside a build nobody reads this; a person who typed the command does.
    else:
        summary = conversion.summary
        print(
            f"{arguments.output_model}: {len(conversion.model):,} bytes, from the signature "
            f"{summary['signature']} of a {summary['kind']} model"
        )
        for what in ("inputs", "outputs"):
            for name, shape in summary[what].items():
                print(f"  {what[:-1]} {name} {shape}")
    return 0


if __name__ == "__main__":
    run(parser(), main)
