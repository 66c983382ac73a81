"""Quantizes a float master with TensorFlow's own calibrator, for comparison.

    tensorflow_calibrator --float_model=face.tflite --calibration_data=images/ \\
        --output_model=tensorflow_int8.tflite

int8 with float input and output. Runs in the `tensorflow` environment.
"""

import argparse
import os
import sys

from tools.command_line import new_parser, run, user_path, whole_file
from tools.errors import InputError
from tools.samples.flags import add_input_flags, preprocessing_choice
from tools.samples.model_inputs import load_model_samples

_EXAMPLES = """\
  tensorflow_calibrator --float_model=face.tflite --calibration_data=images/ \\
      --output_model=tensorflow_int8.tflite
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "tensorflow_calibrator", "Quantizes to int8 with TensorFlow's own calibrator.", _EXAMPLES
    )
    result.add_argument("--float_model", required=True, type=user_path, help="a float master")
    result.add_argument("--calibration_data", required=True, type=user_path, action="append")
    result.add_argument("--output_model", required=True, type=user_path, help="file to write")
    add_input_flags(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    master = arguments.float_model.read_bytes()
    where, choice = str(arguments.float_model), preprocessing_choice(arguments)
    samples = load_model_samples(master, where, arguments.calibration_data, choice)

    def dataset():
        for sample in samples:
            yield list(sample.values())

    try:
        content = Calibrator(master).calibrate_and_quantize(
            dataset, tf.float32, tf.float32, allow_float=True
        )
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            "conversion.failed", f"{arguments.float_model}: TensorFlow refuses it: {reason}"
        ) from None
    with whole_file(arguments.output_model) as file:
        file.write(content)
    print(f"{arguments.output_model}: {len(content):,} bytes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run(parser(), main)
