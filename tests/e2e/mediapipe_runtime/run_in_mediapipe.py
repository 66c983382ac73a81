"""Command: runs a solution or task of MediaPipe on images, with model files of one's own.

A solution finds its graph and models below the package that it was imported from. So the
package is imported from a folder of links to the installed one, in which only the folder
of models is a copy. The tasks take their models from that copy too: FaceDetector the file
as it is, HandLandmarker a bundle that MediaPipe's own function makes of two, unless it is
given one.

Runs in the environment `mediapipe`, in a process of its own: a graph that refuses a model
may end it.
"""

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_MODELS = "modules"
_HAND_BUNDLE = {
    "hand_detector.tflite": "palm_detection/palm_detection_full.tflite",
    "hand_landmarks_detector.tflite": "hand_landmark/hand_landmark_full.tflite",
}


def copy_package(folder: Path, replaced: dict[str, Path]) -> Path:
    """Makes a MediaPipe whose models can be replaced.

    Args:
      folder: where `mediapipe` is made.
      replaced: path of a model below the package's folder of models, such as
        "palm_detection/palm_detection_full.tflite", to the file that takes its place.

    Returns:
      The copied folder of models.
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
            sys.exit(f"run_in_mediapipe: error: MediaPipe has no model {name}")
        # What a build has made, and its copy, is read-only.
        (models / name).unlink()
        shutil.copyfile(file, models / name)
    return models


def _points(landmarks: Any, size: np.ndarray) -> np.ndarray:
    return np.array([[point.x, point.y] for point in landmarks]) * size


def _seen(points: np.ndarray, size: np.ndarray, visible: Any = True, box: Any = None) -> dict:
    """Says what a user sees of an object: a detector's box, and points.

    MediaPipe's drawing_utils draws no point outside the picture, and none whose visibility
    is below 0.5.
    """
    drawn = ((points >= 0) & (points <= size)).all(axis=1) & visible
    return {"box": box, "points": points.tolist(), "drawn": drawn.tolist()}


def _faces(result: Any, size: np.ndarray) -> list[dict]:
    seen = []
    for detection in result.detections or []:
        place = detection.location_data
        box = place.relative_bounding_box
        corners = np.array([box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height])
        points = _points(place.relative_keypoints, size)
        seen.append(_seen(points, size, box=(corners * np.tile(size, 2)).tolist()))
    return seen


def _hands(result: Any, size: np.ndarray) -> list[dict]:
    return [_seen(_points(hand.landmark, size), size) for hand in result.multi_hand_landmarks or []]


def _people(result: Any, size: np.ndarray) -> list[dict]:
    if not result.pose_landmarks:
        return []
    person = result.pose_landmarks.landmark
    visible = np.array([point.visibility for point in person]) >= 0.5
    return [_seen(_points(person, size), size, visible)]


def _task_faces(result: Any, size: np.ndarray) -> list[dict]:
    seen = []
    for detection in result.detections:
        box = detection.bounding_box
        corners = [
            box.origin_x,
            box.origin_y,
            box.origin_x + box.width,
            box.origin_y + box.height,
        ]
        seen.append(_seen(_points(detection.keypoints, size), size, box=corners))
    return seen


def _task_people(result: Any, size: np.ndarray) -> list[dict]:
    visible = [np.array([point.visibility for point in p]) >= 0.5 for p in result.pose_landmarks]
    people = zip(result.pose_landmarks, visible, strict=True)
    return [_seen(_points(person, size), size, drawn) for person, drawn in people]


def _task_hands(result: Any, size: np.ndarray) -> list[dict]:
    return [_seen(_points(hand, size), size) for hand in result.hand_landmarks]


def _hand_landmarker(mediapipe: Any, models: Path, bundle: Path | None) -> Any:
    from mediapipe.tasks.python.metadata.metadata_writers import model_asset_bundle_utils

    if bundle is None:
        bundle = models / "hand_landmarker.task"
        members = {name: (models / model).read_bytes() for name, model in _HAND_BUNDLE.items()}
        model_asset_bundle_utils.create_model_asset_bundle(members, str(bundle))
    tasks = mediapipe.tasks
    options = tasks.vision.HandLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(bundle)), num_hands=2
    )
    return tasks.vision.HandLandmarker.create_from_options(options)


def started(name: str, mediapipe: Any, models: Path, bundle: Path | None) -> tuple[Any, Callable]:
    """Starts a solution or task.

    Args:
      name: of it.
      mediapipe: the package.
      models: its folder of models.
      bundle: for a task that takes one; None for one of `models`, which PoseLandmarker
        has not: MediaPipe's pose_landmark_full does not say how its input is normalised.

    Returns:
      (the solution or task, what reads its results). Each image is taken by itself:
      nothing is tracked from one to the next.
    """
    solutions, vision = mediapipe.solutions, mediapipe.tasks.vision
    if name == "face_detection":
        return solutions.face_detection.FaceDetection(), _faces
    if name == "face_detection_full_range":
        return solutions.face_detection.FaceDetection(model_selection=1), _faces
    if name in ("hands", "hands_lite"):
        complexity = 0 if name == "hands_lite" else 1
        return solutions.hands.Hands(
            static_image_mode=True, max_num_hands=2, model_complexity=complexity
        ), _hands
    if name == "pose":
        return solutions.pose.Pose(static_image_mode=True), _people
    if name == "FaceDetector":
        model = models / "face_detection/face_detection_short_range.tflite"
        return vision.FaceDetector.create_from_model_path(str(model)), _task_faces
    if name == "PoseLandmarker":
        return vision.PoseLandmarker.create_from_model_path(str(bundle)), _task_people
    return _hand_landmarker(mediapipe, models, bundle), _task_hands


RUNS = (
    "FaceDetector",
    "HandLandmarker",
    "PoseLandmarker",
    "face_detection",
    "face_detection_full_range",
    "hands",
    "hands_lite",
    "pose",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--run", required=True, choices=RUNS, help="solution or task")
    parser.add_argument("--model", action="append", default=[], help="NAME=FILE; NAME is replaced")
    parser.add_argument("--bundle", type=Path, help="for a task, instead of models")
    parser.add_argument("--output", required=True, type=Path, help="JSON: what each image shows")
    parser.add_argument("images", nargs="+", type=Path)
    arguments = parser.parse_args()
    replaced = {name: Path(file) for name, file in (m.split("=", 1) for m in arguments.model)}
    with tempfile.TemporaryDirectory() as folder:
        models = copy_package(Path(folder), replaced)
        sys.path.insert(0, folder)
        import mediapipe

        seen = {}
        program, read = started(arguments.run, mediapipe, models, arguments.bundle)
        with program:
            for path in arguments.images:
                with Image.open(path) as file:
                    pixels = np.asarray(file.convert("RGB"))
                if arguments.run[0].islower():
                    result = program.process(pixels)
                else:
                    result = program.detect(
                        mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
                    )
                seen[path.name] = read(result, np.array(pixels.shape[1::-1]))
    arguments.output.write_text(json.dumps(seen, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
