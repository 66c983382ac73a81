"""Command: compares a quantized model's answers in the machine's browser with the float model's."""

import argparse

from tools.browser.browser_model import ACCELERATORS
from tools.command_line import new_parser, run
from tools.devices.comparison import add_device_flags, validate

_EXAMPLES = """\
  validate_in_browser --float_model=face.tflite --quantized_model=face_int8.tflite \\
      --test_data=test_images/ --accelerator=gpu --tolerance=0.05
  validate_in_browser --float_model=hand.tflite --quantized_model=hand_int8.tflite \\
      --test_data=hands/ --task=hand.task.json --gates=hand.gates.json --output=verdict.json

The artifact runs in Chromium by LiteRT.js, the float model on this host. The gates are those of
validate_quantized_model on outputs and tasks. Exits with status 1 when the artifact is refused
there or beyond a gate, 2 when something cannot be used, 4 without a browser, 5 when it fails.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "validate_in_browser",
        "Compares a quantized model in the machine's Chromium with the float model on this host.",
        _EXAMPLES,
    )
    add_device_flags(result, "browser")
    result.add_argument(
        "--accelerator",
        choices=sorted(ACCELERATORS),
        default="wasm",
        help="wasm: XNNPACK in WebAssembly; gpu: the GPU delegate by WebGPU, which SwiftShader "
        "computes (default: %(default)s)",
    )
    result.add_argument("--chromium", default="", help="the browser (default: the machine's)")
    return result


def main(arguments: argparse.Namespace) -> int:
    from tools.browser.browser_model import open_in_browser
    from tools.browser.packages import packages_folder

    packages = packages_folder()
    return validate(
        arguments,
        lambda artifact, where: open_in_browser(
            artifact, where, arguments.accelerator, packages, arguments.chromium
        ),
    )


if __name__ == "__main__":
    run(parser(), main)
