"""What the commands that compare two runs of MediaPipe share."""

import argparse
import dataclasses
import json
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.mediapipe_runtime.agreement import agreement
from tools.command_line import EXIT_GATE_FAILED, user_path, whole_file
from tools.errors import InputError

_IMAGES = (".jpeg", ".jpg", ".png", ".webp")
DIFFERENCE = (
    "Exits with 1 when a user would see a difference: another number of objects, boxes with an "
    "IoU below 0.9, or points off by more than 3% of the box."
)


def seen_by(
    program: str, command: Sequence[str | Path], images: Sequence[Path]
) -> dict[str, list[dict]]:
    """Runs a solution or task, in a process of its own: MediaPipe may end it.

    Args:
      program: its name.
      command: run_solution or run_task, with its flags but --run and --output.
      images: files.

    Returns:
      Name of an image to the objects in it.

    Raises:
      InputError: what MediaPipe says, when it refuses a model.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "seen.json")
        done = subprocess.run(
            [*command, f"--run={program}", f"--output={output}", *images],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode < 0:
            name = signal.Signals(-done.returncode).name
            raise InputError("model.runtime", f"{program} of MediaPipe was ended by {name}")
        if done.returncode != 0:
            raise InputError(
                "model.runtime", f"{program} of MediaPipe failed: {reason(done.stderr)}"
            )
        return json.loads(output.read_text(encoding="utf-8"))


def reason(log: str) -> str:
    """Finds in MediaPipe's log, which ends in a Python traceback, why it stopped.

    A graph that fails says it in the lines from its error's name on; else the last line tells.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    start = max((n for n, line in enumerate(lines) if "Error: " in line), default=-1)
    return " ".join(lines[start:]) or "it said nothing"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that both commands have."""
    parser.add_argument("--json", type=user_path, help="also write the figures to this file")
    parser.add_argument("images", nargs="+", type=user_path, help="images or folders of them")


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Finds images.

    Args:
      paths: images, and folders of them.

    Returns:
      The images.

    Raises:
      InputError: for a path that is not there, or a folder without images.
    """
    found = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in _IMAGES)
        if path.is_dir() and not inside:
            raise InputError(
                "data.missing", f"{path}: no images in this folder ({', '.join(_IMAGES)})"
            )
        if not path.exists():
            raise InputError("file.missing", f"{path}: no such file or folder")
        found += inside if path.is_dir() else [path]
    return found


def report(
    own: Mapping[str, Sequence[Mapping]],
    other: Mapping[str, Sequence[Mapping]],
    figures: Path | None,
) -> int:
    """Prints how far two runs agree.

    Args:
      own: what the float models show.
      other: what the models that are tried show.
      figures: where the figures are written as JSON, if anywhere.

    Returns:
      The exit status.

    Raises:
      InputError: when there is nothing to compare.
    """
    found = agreement(own, other)
    if not found.objects:
        raise InputError(
            "data.value", "MediaPipe's own model sees nothing in these images; give others"
        )
    print(found.table())
    if figures is not None:
        with whole_file(figures, "w") as file:
            json.dump(dataclasses.asdict(found), file, indent=1)
            file.write("\n")
    return 0 if found.looks_the_same else EXIT_GATE_FAILED
