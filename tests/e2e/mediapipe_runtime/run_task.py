"""Command: runs a task of MediaPipe 1.2.3 on images, with a model file of one's own.

Runs in the environment `mediapipe_tasks`, in a process of its own: a graph that refuses a
model may end it.

MediaPipe's library needs libEGL.so.1 and libGLESv2.so.2, also where all is computed on the
processor, and its wheel does not bring them. Those of MediaPipe 0.10.21's wheel do
(`@mediapipe_gles`): they show no screen, and find a driver only where the machine has one.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from runfiles import Runfiles

from tests.e2e.mediapipe_runtime.shown import (
    add_flags,
    placed,
    shown,
    shown_person,
    write_shown,
)

_LIBRARY_PATH = "LD_LIBRARY_PATH"


def find_libraries() -> None:
    """Starts this program again, where the loader finds EGL and GLES.

    The loader reads its search path once, when a process starts. It passes over libraries
    of another architecture, so that those of the system serve there.
    """
    runfiles = Runfiles.Create()
    library = runfiles and runfiles.Rlocation("mediapipe_gles/libEGL.so.1")
    if not library:
        return
    folders = os.environ.get(_LIBRARY_PATH, "").split(":")
    folder = str(Path(library).parent)
    if folder not in folders:
        path = ":".join([folder, *filter(None, folders)])
        os.execve(sys.executable, sys.orig_argv, {**os.environ, _LIBRARY_PATH: path})


def _faces(result: Any, size: np.ndarray) -> list[dict]:
    seen = []
    for detection in result.detections:
        box = detection.bounding_box
        corners = [
            box.origin_x,
            box.origin_y,
            box.origin_x + box.width,
            box.origin_y + box.height,
        ]
        seen.append(shown(placed(detection.keypoints, size), size, box=corners))
    return seen


def _hands(result: Any, size: np.ndarray) -> list[dict]:
    return [shown(placed(hand, size), size) for hand in result.hand_landmarks]


def _people(result: Any, size: np.ndarray) -> list[dict]:
    return [shown_person(person, size) for person in result.pose_landmarks]


def _face_detector(vision: Any, base: Any) -> Any:
    options = vision.FaceDetectorOptions(base_options=base)
    return vision.FaceDetector.create_from_options(options)


def _hand_landmarker(vision: Any, base: Any) -> Any:
    options = vision.HandLandmarkerOptions(base_options=base, num_hands=2)
    return vision.HandLandmarker.create_from_options(options)


def _pose_landmarker(vision: Any, base: Any) -> Any:
    options = vision.PoseLandmarkerOptions(base_options=base)
    return vision.PoseLandmarker.create_from_options(options)


# A task's name to what starts it and what reads its results.
_TASKS: dict[str, tuple[Callable, Callable]] = {
    "FaceDetector": (_face_detector, _faces),
    "HandLandmarker": (_hand_landmarker, _hands),
    "PoseLandmarker": (_pose_landmarker, _people),
}
TASKS = tuple(_TASKS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--run", required=True, choices=TASKS, help="the task")
    parser.add_argument("--model", required=True, type=Path, help="a .task file, or a .tflite file")
    add_flags(parser)
    arguments = parser.parse_args()
    find_libraries()
    import mediapipe

    tasks = mediapipe.tasks
    start, read = _TASKS[arguments.run]
    base = tasks.BaseOptions(model_asset_path=str(arguments.model))
    with start(tasks.vision, base) as task:
        write_shown(
            arguments,
            lambda pixels: task.detect(
                mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
            ),
            read,
        )


if __name__ == "__main__":
    main()
