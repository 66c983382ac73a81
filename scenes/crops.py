"""What a landmark model sees of a scene: crops around what a detector found in it."""

from collections.abc import Callable, Mapping

import numpy as np

from scenes.float_models import Detection, ModelOnPictures
from scenes.regions import (
    Region,
    crop,
    eye_region,
    face_region,
    palm_region,
    pose_region,
    to_picture,
)

MIN_SCORE = 0.5
# Of the face mesh: the eyes' corners, from the picture's left to right. The model knows
# one side only; MediaPipe shows it the second eye in a mirror.
_EYES = (((33, 133), False), ((362, 263), True))
# An eye that is smaller, in pixels of the region, shows nothing of its iris.
_SMALLEST_EYE = 20

Models = Mapping[str, ModelOnPictures]


def _around(
    scene: np.ndarray, models: Models, region: Callable[[Detection], Region], kind: str
) -> list[np.ndarray]:
    found = models["detector"].detect(scene)
    if found.score <= MIN_SCORE:
        return []
    return [crop(scene, region(found), models[kind].kind.size)]


def hand_crops(scene: np.ndarray, models: Models) -> list[np.ndarray]:
    """Cuts out the best palm's hand.

    Args:
      scene: uint8 [height, width, 3].
      models: "float_model", that the crops are for; "detector", of palms.

    Returns:
      uint8 [224, 224, 3], or nothing when the detector does not fire.
    """
    return _around(
        scene, models, lambda found: palm_region(found.box, found.keypoints), "float_model"
    )


def person_crops(scene: np.ndarray, models: Models) -> list[np.ndarray]:
    """Cuts out the best person; as `hand_crops`, with a detector of poses: [256, 256, 3]."""
    return _around(scene, models, lambda found: pose_region(found.keypoints), "float_model")


def face_crops(scene: np.ndarray, models: Models) -> list[np.ndarray]:
    """Cuts out the best face; as `hand_crops`, with a detector of faces: [192, 192, 3]."""
    return _around(
        scene, models, lambda found: face_region(found.box, found.keypoints), "float_model"
    )


def eye_crops(scene: np.ndarray, models: Models) -> list[np.ndarray]:
    """Cuts out both eyes of the best face.

    Args:
      scene: uint8 [height, width, 3].
      models: "float_model", that the crops are for; "detector", of faces; "landmarks",
        of a face.

    Returns:
      uint8 [64, 64, 3] for each eye that is large enough; the second one mirrored.
    """
    found = models["detector"].detect(scene)
    if found.score <= MIN_SCORE:
        return []
    face = face_region(found.box, found.keypoints)
    landmarks = models["landmarks"]
    (outputs,) = landmarks.outputs([crop(scene, face, landmarks.kind.size)])
    if landmarks.score(outputs) <= MIN_SCORE:
        return []
    points = to_picture(face, landmarks.landmarks(outputs))
    crops = []
    for (first, second), mirrored in _EYES:
        eye = eye_region(points[first], points[second])
        if eye.size >= _SMALLEST_EYE:
            crops.append(crop(scene, eye, models["float_model"].kind.size, mirrored))
    return crops


def scores(outputs: dict[str, np.ndarray], model: ModelOnPictures) -> bool:
    """Says whether a model's score is above MIN_SCORE."""
    return model.score(outputs) > MIN_SCORE


def sees_person(outputs: dict[str, np.ndarray], model: ModelOnPictures) -> bool:
    """Says whether a mask covers a person: a twentieth of the picture or more."""
    return bool((outputs[model.kind.landmarks] > MIN_SCORE).mean() > 0.05)


def sees_iris(outputs: dict[str, np.ndarray], model: ModelOnPictures) -> bool:
    """Says whether an iris landmark model found an iris in an eye crop; it has no score.

    The five points must be a disc of a likely size (an iris is about half as wide as its
    eye, which is 1 / 2.3 of the crop), not far from the middle.
    """
    points = model.landmarks(outputs)
    middle, rim = points[0], points[1:]
    radii = np.hypot(*(rim - middle).T)
    return bool(
        0.05 < radii.mean() < 0.2
        and radii.max() < 1.5 * radii.min()
        and np.abs(middle - 0.5).max() < 0.25
    )
