"""Command: runs a solution of MediaPipe 0.10.21 on images, with model files of one's own.

A solution finds its graph and models below the package that it was imported from. So the
package is imported from a folder of links to the installed one, in which only the folder
of models is a copy.

Runs in the environment `mediapipe`, in a process of its own: a graph that refuses a model
may end it.
"""

import argparse
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.mediapipe_runtime.shown import (
    add_flags,
    placed,
    shown,
    shown_person,
    write_shown,
)

_MODELS = "modules"


def copy_package(folder: Path, replaced: dict[str, Path]) -> None:
    """Makes a MediaPipe whose models can be replaced.

    Args:
      folder: where `mediapipe` is made.
      replaced: path of a model below the package's folder of models, such as
        "palm_detection/palm_detection_full.tflite", to the file that takes its place.
    """
    (installed,) = importlib.util.find_spec("mediapipe").submodule_search_locations
    package = folder / "mediapipe"
    package.mkdir()
    # Libraries are found beside the package.
    libraries = Path(installed).with_name("mediapipe.libs")
    (folder / libraries.name).symlink_to(libraries)
    for child in Path(installed).iterdir():
        if child.name != _MODELS:
            (package / child.name).symlink_to(child)
    models = package / _MODELS
    shutil.copytree(Path(installed, _MODELS), models)
    for name, file in replaced.items():
        if not (models / name).exists():
            sys.exit(f"run_solution: error: MediaPipe has no model {name}")
        # What a build has made, and its copy, is read-only.
        (models / name).unlink()
        shutil.copyfile(file, models / name)


def _faces(result: Any, size: np.ndarray) -> list[dict]:
    seen = []
    for detection in result.detections or []:
        place = detection.location_data
        box = place.relative_bounding_box
        corners = np.array([box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height])
        points = placed(place.relative_keypoints, size)
        seen.append(shown(points, size, box=(corners * np.tile(size, 2)).tolist()))
    return seen


def _hands(result: Any, size: np.ndarray) -> list[dict]:
    return [shown(placed(hand.landmark, size), size) for hand in result.multi_hand_landmarks or []]


def _people(result: Any, size: np.ndarray) -> list[dict]:
    if not result.pose_landmarks:
        return []
    return [shown_person(result.pose_landmarks.landmark, size)]


def _face_detection(solutions: Any) -> Any:
    return solutions.face_detection.FaceDetection()


def _face_detection_full_range(solutions: Any) -> Any:
    return solutions.face_detection.FaceDetection(model_selection=1)


def _of_hands(solutions: Any, complexity: int = 1) -> Any:
    return solutions.hands.Hands(
        static_image_mode=True, max_num_hands=2, model_complexity=complexity
    )


def _of_hands_lite(solutions: Any) -> Any:
    return _of_hands(solutions, complexity=0)


def _pose(solutions: Any) -> Any:
    return solutions.pose.Pose(static_image_mode=True)


# A solution's name to what starts it and what reads its results.
_SOLUTIONS: dict[str, tuple[Callable, Callable]] = {
    "face_detection": (_face_detection, _faces),
    "face_detection_full_range": (_face_detection_full_range, _faces),
    "hands": (_of_hands, _hands),
    "hands_lite": (_of_hands_lite, _hands),
    "pose": (_pose, _people),
}
SOLUTIONS = tuple(_SOLUTIONS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--run", required=True, choices=SOLUTIONS, help="the solution")
    parser.add_argument("--model", action="append", default=[], help="NAME=FILE; NAME is replaced")
    add_flags(parser)
    arguments = parser.parse_args()
    replaced = {name: Path(file) for name, file in (m.split("=", 1) for m in arguments.model)}
    with tempfile.TemporaryDirectory() as folder:
        copy_package(Path(folder), replaced)
        sys.path.insert(0, folder)
        import mediapipe

        start, read = _SOLUTIONS[arguments.run]
        with start(mediapipe.solutions) as solution:
            write_shown(arguments, solution.process, read)


if __name__ == "__main__":
    main()
