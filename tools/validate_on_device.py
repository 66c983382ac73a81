"""Command: compares a quantized model's answers by a device's Python with the float model's."""

import argparse
import contextlib

from tools.command_line import new_parser, run
from tools.devices.comparison import add_device_flags, validate

_EXAMPLES = """\
  validate_on_device --float_model=face.tflite --quantized_model=face_int8.tflite \\
      --test_data=test_images/ --command='ssh pi@raspberrypi ./venv/bin/python -' --tolerance=0.05
  validate_on_device --float_model=hand.tflite --quantized_model=hand_int8.tflite \\
      --test_data=hands/ --command='kubectl exec -i arm -- python3 -' --task=hand.task.json \\
      --gates=hand.gates.json --most_samples=16 --output=verdict.json

The artifact runs by the LiteRT runtime of a Python on the device, which needs ai-edge-litert and
numpy alone; the float model runs on this host. The gates are those of validate_quantized_model on
outputs and tasks. Exits with status 1 when the artifact is refused there or beyond a gate, 2 when
something cannot be used, 4 when the command cannot be started, 5 when the device fails.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "validate_on_device",
        "Compares a quantized model on a device that runs Python with the float model on this "
        "host.",
        _EXAMPLES,
    )
    add_device_flags(result, "device")
    result.add_argument(
        "--command",
        required=True,
        help="for the shell: it starts a Python on the device that reads its program from the "
        "standard input, and answers on the standard output",
    )
    return result


def main(arguments: argparse.Namespace) -> int:
    from tools.devices.python_model import PythonModel

    return validate(
        arguments,
        lambda artifact, where: contextlib.nullcontext(
            PythonModel(artifact, where, arguments.command)
        ),
    )


if __name__ == "__main__":
    run(parser(), main)
