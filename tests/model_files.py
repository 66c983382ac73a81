"""Where the tests find the real models that they run on."""

import os
from pathlib import Path

# What is gone through where a test looks at all of them.
REAL_MODELS = (
    "face_detection_full_range_sparse",
    "face_detection_short_range",
    "face_landmark",
    "hand_landmark_full",
    "hand_landmark_lite",
    "iris_landmark",
    "palm_detection_full",
    "palm_detection_lite",
    "pose_detection",
    "pose_landmark_full",
    "selfie_segmentation",
)


def model_path(name: str) -> Path:
    """Finds one of MediaPipe's own float models.

    Args:
      name: the file's name without its ending, such as "face_detection_short_range".

    Returns:
      The path of the .tflite file.

    Raises:
      FileNotFoundError: when the test neither runs under Bazel with the models
        among its data nor has RULES_QUANTIZE_MODELS set to a folder of them.
    """
    folder = os.environ.get("RULES_QUANTIZE_MODELS")
    if folder:
        path = Path(folder, f"{name}.tflite")
    else:
        from runfiles import Runfiles

        runfiles = Runfiles.Create()
        path = Path(runfiles.Rlocation(f"mediapipe_models/{name}.tflite") or f"{name}.tflite")
    if not path.exists():
        raise FileNotFoundError(
            f"{name}.tflite: not among the test's data; outside Bazel set RULES_QUANTIZE_MODELS"
        )
    return path
