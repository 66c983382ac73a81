"""Command: compares what a solution shows with MediaPipe's own models and with others."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.mediapipe_runtime import run_solution
from tests.e2e.mediapipe_runtime.comparison import (
    DIFFERENCE,
    add_flags,
    image_files,
    report,
    seen_by,
)
from tools.command_line import new_parser, run, user_path
from tools.errors import InputError

_EXAMPLES = """\
  compare_solution --run=face_detection photos/ \\
      --model=face_detection/face_detection_short_range.tflite=face_int8.tflite
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "compare_solution",
        "Runs a solution of MediaPipe 0.10.21 twice: with its own models, and with others in "
        f"their place. {DIFFERENCE}",
        _EXAMPLES,
    )
    result.add_argument("--run", required=True, choices=run_solution.SOLUTIONS, help="the solution")
    result.add_argument(
        "--model",
        action="append",
        required=True,
        help="NAME=FILE: the file that takes the place of the package's modules/NAME; may be "
        "given several times",
    )
    add_flags(result)
    return result


def _models(flags: Sequence[str]) -> list[tuple[str, Path]]:
    models = []
    for flag in flags:
        name, equals, file = flag.partition("=")
        if not equals or not user_path(file).is_file():
            raise InputError(
                "flag.value", f"--model={flag}: give NAME=FILE, of a .tflite file that exists"
            )
        models.append((name, user_path(file)))
    return models


def main(arguments: argparse.Namespace) -> int:
    models = _models(arguments.model)
    images = image_files(arguments.images)
    command = [sys.executable, run_solution.__file__]
    own = seen_by(arguments.run, command, images)
    flags = [f"--model={name}={file}" for name, file in models]
    other = seen_by(arguments.run, [*command, *flags], images)
    return report(own, other, arguments.json)


if __name__ == "__main__":
    run(parser(), main)
