"""Command: compares what a task of MediaPipe shows with a float model and with another."""

import argparse
import sys

from tests.e2e.mediapipe_runtime import run_task
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
  compare_task --run=FaceDetector photos/ --own=face.tflite --model=face_int8.tflite
  compare_task --run=HandLandmarker photos/ \\
      --own=hand_landmarker.task --model=hand_landmarker_int8.task
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "compare_task",
        "Runs a task of MediaPipe 1.2.3 twice: with the float model, and with another. "
        f"{DIFFERENCE}",
        _EXAMPLES,
    )
    result.add_argument("--run", required=True, choices=run_task.TASKS, help="the task")
    for flag, what in (("--own", "the float model"), ("--model", "the model that is tried")):
        result.add_argument(
            flag, required=True, type=user_path, help=f"{what}: a .task file, or a .tflite file"
        )
    add_flags(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    images = image_files(arguments.images)
    seen = []
    for model in (arguments.own, arguments.model):
        if not model.is_file():
            raise InputError("file.missing", f"{model}: no such file")
        command = [sys.executable, run_task.__file__, f"--model={model}"]
        seen.append(seen_by(arguments.run, command, images))
    return report(*seen, arguments.json)


if __name__ == "__main__":
    run(parser(), main)
