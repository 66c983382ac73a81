"""Command: compares what a task of MediaPipe for the web shows with two models."""

import argparse
import os
from pathlib import Path

from tests.e2e.mediapipe_runtime.browser_task import DELEGATES, TASKS, seen_in_browser
from tests.e2e.mediapipe_runtime.comparison import DIFFERENCE, add_flags, image_files, report
from tools.command_line import new_parser, run, user_path
from tools.errors import InputError

_EXAMPLES = """\
  compare_task_in_browser --run=FaceDetector photos/ --own=face.tflite --model=face_int8.tflite
  compare_task_in_browser --run=FaceDetector photos/ --delegate=GPU \\
      --own=face.tflite --model=face_float16.tflite
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "compare_task_in_browser",
        "Runs a task of @mediapipe/tasks-vision in the machine's Chromium twice: with the float "
        f"model on the CPU, and with another. {DIFFERENCE}",
        _EXAMPLES,
    )
    result.add_argument("--run", required=True, choices=TASKS, help="the task")
    for flag, what in (("--own", "the float model"), ("--model", "the model that is tried")):
        result.add_argument(
            flag, required=True, type=user_path, help=f"{what}: a .task file, or a .tflite file"
        )
    result.add_argument(
        "--delegate",
        choices=DELEGATES,
        default="CPU",
        help="of the model that is tried; GPU is WebGL, by SwiftShader (default: %(default)s)",
    )
    add_flags(result)
    return result


def packages_folder() -> Path:
    """Finds the folder of the npm package among this program's files."""
    return next(Path(os.environ["RUNFILES_DIR"]).glob("*rules_quantize_tasks_vision"))


def main(arguments: argparse.Namespace) -> int:
    images = image_files(arguments.images)
    seen = []
    for model, delegate in ((arguments.own, "CPU"), (arguments.model, arguments.delegate)):
        if not model.is_file():
            raise InputError("file.missing", f"{model}: no such file")
        seen.append(seen_in_browser(arguments.run, model, delegate, images, packages_folder()))
    return report(*seen, arguments.json)


if __name__ == "__main__":
    run(parser(), main)
