"""Command: compares what MediaPipe shows with its own models and with others in their place."""

import argparse
import dataclasses
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.mediapipe_runtime import run_in_mediapipe
from tests.e2e.mediapipe_runtime.agreement import agreement
from tools.command_line import EXIT_GATE_FAILED, new_parser, run, user_path, whole_file
from tools.errors import InputError

_IMAGES = (".jpeg", ".jpg", ".png", ".webp")
_EXAMPLES = """\
  compare_in_mediapipe --run=face_detection photos/ \\
      --model=face_detection/face_detection_short_range.tflite=face_int8.tflite
  compare_in_mediapipe --run=HandLandmarker --bundle=hand_landmarker_int8.task photos/
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "compare_in_mediapipe",
        "Runs a solution or task of MediaPipe twice: with its own models, and with others in "
        "their place. Exits with 1 when a user would see a difference: another number of "
        "objects, boxes with an IoU below 0.9, or points off by more than 3% of the box.",
        _EXAMPLES,
    )
    result.add_argument("--run", required=True, choices=run_in_mediapipe.RUNS, help="what to run")
    result.add_argument(
        "--model",
        action="append",
        default=[],
        help="NAME=FILE: the file that takes the place of the package's modules/NAME; may be "
        "given several times",
    )
    result.add_argument("--bundle", type=user_path, help="a .task file that a task is tried with")
    result.add_argument(
        "--own_bundle",
        type=user_path,
        help="the .task file that it is compared with (default: of MediaPipe's own models, which "
        "PoseLandmarker has not)",
    )
    result.add_argument("--json", type=user_path, help="also write the figures to this file")
    result.add_argument("images", nargs="+", type=user_path, help="images or folders of them")
    return result


def seen_by(
    program: str,
    images: Sequence[Path],
    models: Sequence[tuple[str, Path]] = (),
    bundle: Path | None = None,
    command: Sequence[str] = (sys.executable, run_in_mediapipe.__file__),
) -> dict[str, list]:
    """Runs a solution or task.

    Args:
      program: which, of RUNS.
      images: files.
      models: name of a model in MediaPipe's package, and the file that takes its place.
      bundle: for a task that takes one.
      command: what starts run_in_mediapipe.

    Returns:
      Name of an image to the objects in it.

    Raises:
      InputError: what MediaPipe says, when it refuses a model.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "seen.json")
        flags = [f"--run={program}", f"--output={output}"]
        flags += [f"--model={name}={file}" for name, file in models]
        flags += [] if bundle is None else [f"--bundle={bundle}"]
        done = subprocess.run(
            [*command, *flags, *map(str, images)], capture_output=True, text=True, check=False
        )
        if done.returncode < 0:
            name = signal.Signals(-done.returncode).name
            raise InputError(f"{program} of MediaPipe was ended by {name}")
        if done.returncode != 0:
            raise InputError(f"{program} of MediaPipe failed: {reason(done.stderr)}")
        return json.loads(output.read_text(encoding="utf-8"))


def reason(log: str) -> str:
    """Finds in MediaPipe's log, which ends in a Python traceback, why it stopped.

    A graph that fails says it in the lines from its error's name on; else the last line tells.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    start = max((n for n, line in enumerate(lines) if "Error: " in line), default=-1)
    return " ".join(lines[start:]) or "it said nothing"


def _files(paths: Sequence[Path]) -> list[Path]:
    found = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in _IMAGES)
        if path.is_dir() and not inside:
            raise InputError(f"{path}: no images in this folder ({', '.join(_IMAGES)})")
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        found += inside if path.is_dir() else [path]
    return found


def _models(flags: Sequence[str]) -> list[tuple[str, Path]]:
    models = []
    for flag in flags:
        name, equals, file = flag.partition("=")
        if not equals or not user_path(file).is_file():
            raise InputError(f"--model={flag}: give NAME=FILE, of a .tflite file that exists")
        models.append((name, user_path(file)))
    return models


def main(arguments: argparse.Namespace) -> int:
    models = _models(arguments.model)
    if not models and arguments.bundle is None:
        raise InputError("give the models that are tried, as --model=NAME=FILE or --bundle=FILE")
    images = _files(arguments.images)
    if arguments.run == "PoseLandmarker" and None in (arguments.bundle, arguments.own_bundle):
        raise InputError("PoseLandmarker takes --own_bundle=FILE and --bundle=FILE")
    own = seen_by(arguments.run, images, bundle=arguments.own_bundle)
    found = agreement(own, seen_by(arguments.run, images, models, arguments.bundle))
    if not found.objects:
        raise InputError("MediaPipe's own model sees nothing in these images; give others")
    print(found.table())
    if arguments.json is not None:
        with whole_file(arguments.json, "w") as file:
            json.dump(dataclasses.asdict(found), file, indent=1)
            file.write("\n")
    return 0 if found.looks_the_same else EXIT_GATE_FAILED


if __name__ == "__main__":
    run(parser(), main)
