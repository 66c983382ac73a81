"""Our artifacts in the tasks of @mediapipe/tasks-vision, in the machine's Chromium."""

import functools
import os
from pathlib import Path

import pytest

from tests.e2e.mediapipe_runtime.agreement import Agreement, agreement
from tests.e2e.mediapipe_runtime.browser_task import seen_in_browser
from tests.e2e.mediapipe_runtime.runtime_cases import (
    ASTRONAUT,
    FOLDER,
    Limits,
    check_images_without_an_object,
    images_of,
    path_of,
    photograph,
    printed,
)
from tests.extent import WHOLE, part_of
from tools.errors import InputError

# What runs: what it is compared with, the artifacts, the images.
_RUNS = {
    "FaceDetector": (
        ("face_detection_short_range.tflite", "mediapipe_models"),
        "models/face_{}.tflite",
        "face_test",
    ),
    "HandLandmarker": (
        (f"{FOLDER}/hand_landmarker.task",),
        FOLDER + "/hand_landmarker_{}.task",
        "palm_full_test",
    ),
    "PoseLandmarker": (
        (f"{FOLDER}/pose_landmarker.task",),
        FOLDER + "/pose_landmarker_{}.task",
        "pose_test",
    ),
}
# By default faces alone, for which alone there are artifacts then.
_TASKS = part_of(tuple(_RUNS), len(_RUNS))
# On the CPU, at about one and a half times what docs/lab/mediapipe.md gives for Python, whose
# kernels are other ones.
_KNOWN = {
    ("FaceDetector", "int8"): Limits(1, 1, 5),
    ("FaceDetector", "dynamic"): Limits(0, 24, 17),
    ("HandLandmarker", "int8"): Limits(5, 11, 12),
    ("HandLandmarker", "dynamic"): Limits(2, 11, 12),
    ("PoseLandmarker", "int8"): Limits(4, 41, 24),
    ("PoseLandmarker", "dynamic"): Limits(15, 32, 27),
}


def _seen(task: str, model: Path, delegate: str = "CPU", images: list[Path] | None = None):
    packages = next(Path(os.environ["RUNFILES_DIR"]).glob("*rules_quantize_tasks_vision"))
    return seen_in_browser(task, model, delegate, images or _images(task), packages)


def _images(task: str) -> list[Path]:
    images = images_of(_RUNS[task][2])
    # By default the astronaut is the last of them.
    return images if WHOLE else images[::8]


def _own_model(task: str) -> Path:
    return path_of(*_RUNS[task][0])


@functools.cache
def _own(task: str) -> dict[str, list]:
    return _seen(task, _own_model(task))


def _artifact(task: str, scheme: str) -> Path:
    if (task, scheme) == ("HandLandmarker", "int8"):
        return path_of("models/hand_landmarker_int8.task")
    return path_of(_RUNS[task][1].format(scheme))


def _compared(task: str, scheme: str) -> Agreement:
    found = agreement(_own(task), _seen(task, _artifact(task, scheme)))
    return printed(f"{task} {scheme}, CPU", found, len(_images(task)) // 2)


@pytest.mark.parametrize("task", _TASKS)
def test_float16_shows_the_same(task):
    assert _compared(task, "float16").looks_the_same


@pytest.mark.parametrize(("task", "scheme"), [each for each in _KNOWN if each[0] in _TASKS])
def test_what_differs_is_what_is_known(task, scheme):
    assert _KNOWN[task, scheme].hold(_compared(task, scheme))


# SwiftShader takes most of a minute for an image of hands.
def test_the_gpu_delegate_takes_float16():
    images = [photograph(ASTRONAUT)]
    own = {ASTRONAUT: _own("FaceDetector")[ASTRONAUT]}
    seen = _seen("FaceDetector", _artifact("FaceDetector", "float16"), "GPU", images)
    found = printed("FaceDetector float16, GPU", agreement(own, seen))
    assert found.other_counts == ()
    assert found.iou_min > 0.8


@pytest.mark.parametrize("task", _TASKS)
@pytest.mark.parametrize("scheme", part_of(["int8", "dynamic"], 2))
def test_the_gpu_delegate_refuses_constants_that_are_dequantized(task, scheme):
    with pytest.raises(InputError, match=r"GPU failed: .*No support of const"):
        _seen(task, _artifact(task, scheme), "GPU", [photograph(ASTRONAUT)])


def test_what_is_no_model_is_refused_in_one_line(tmp_path):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    with pytest.raises(InputError) as caught:
        _seen("FaceDetector", broken, images=[photograph(ASTRONAUT)])
    assert str(caught.value).startswith("FaceDetector in the browser, CPU failed: ")
    assert "\n" not in str(caught.value)


@pytest.mark.nightly
def test_images_without_an_object_are_no_test(tmp_path):
    models = [
        f"--own={_own_model('FaceDetector')}",
        f"--model={_artifact('FaceDetector', 'float16')}",
    ]
    flags = ["--run=FaceDetector", *models]
    check_images_without_an_object("compare_task_in_browser", flags, tmp_path / "figures.json")
