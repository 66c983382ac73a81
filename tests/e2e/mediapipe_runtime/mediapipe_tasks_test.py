"""Our artifacts in the tasks of MediaPipe 1.2.3, as their user sees them."""

import functools
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.mediapipe_runtime.agreement import Agreement, agreement
from tests.e2e.mediapipe_runtime.comparison import seen_by
from tests.e2e.mediapipe_runtime.runtime_cases import (
    ASTRONAUT,
    FOLDER,
    Limits,
    changed,
    check_images_without_an_object,
    images_of,
    path_of,
    photograph,
    printed,
    saved_as_jpeg,
    with_int8_input,
)
from tests.extent import WHOLE, part_of
from tests.similarity.mutants import layers, zeroed
from tools.errors import InputError
from tools.graph.flatbuffer import parse_model

# What runs: what it is compared with, the artifacts, the images, and in how many of them the
# task must see something, so that there is something to compare.
_RUNS = {
    "FaceDetector": (None, "models/face_{}.tflite", "face_test", 60),
    "HandLandmarker": (
        f"{FOLDER}/hand_landmarker.task",
        FOLDER + "/hand_landmarker_{}.task",
        "palm_full_test",
        55,
    ),
    "PoseLandmarker": (
        f"{FOLDER}/pose_landmarker.task",
        FOLDER + "/pose_landmarker_{}.task",
        "pose_test",
        55,
    ),
}
# By default the first, for which alone there are artifacts then.
_TASKS = part_of(tuple(_RUNS), len(_RUNS))
# Artifacts that do not show the same everywhere; docs/lab/mediapipe.md gives the figures.
_KNOWN = {
    ("FaceDetector", "int8"): Limits(1, 1, 5),
    ("FaceDetector", "dynamic"): Limits(0, 24, 17),
    ("HandLandmarker", "int8"): Limits(5, 11, 12),
    ("HandLandmarker", "dynamic"): Limits(2, 11, 12),
    ("PoseLandmarker", "int8"): Limits(4, 41, 24),
    ("PoseLandmarker", "dynamic"): Limits(15, 32, 27),
}


def _seen(task: str, model: Path, images: Sequence[Path] = ()) -> dict[str, list]:
    command = [path_of(f"{FOLDER}/run_task"), f"--model={model}"]
    return seen_by(task, command, images or images_of(_RUNS[task][2]))


def _own_model(task: str) -> Path:
    own = _RUNS[task][0]
    return path_of(own) if own else path_of("face_detection_short_range.tflite", "mediapipe_models")


@functools.cache
def _own(task: str) -> dict[str, list]:
    return _seen(task, _own_model(task))


def _artifact(task: str, scheme: str) -> Path:
    if (task, scheme) == ("HandLandmarker", "int8"):
        return path_of("models/hand_landmarker_int8.task")
    return path_of(_RUNS[task][1].format(scheme))


@functools.cache
def _compared(task: str, scheme: str) -> Agreement:
    found = agreement(_own(task), _seen(task, _artifact(task, scheme)))
    return printed(f"{task} {scheme}", found, _RUNS[task][3])


@pytest.mark.parametrize("task", _TASKS)
def test_float16_shows_the_same(task):
    assert _compared(task, "float16").looks_the_same


def test_every_face_stays_one():
    found = _compared("FaceDetector", "dynamic")
    assert found.other_counts == ()
    assert found.pairs == found.objects


@pytest.mark.parametrize(("task", "scheme"), [each for each in _KNOWN if each[0] in _TASKS])
def test_what_differs_is_what_is_known(task, scheme):
    found = _compared(task, scheme)
    assert _KNOWN[task, scheme].hold(found)
    assert not found.looks_the_same, "reached: hold it to all, and say so in docs/lab/mediapipe.md"


@pytest.mark.parametrize("task", _TASKS)
def test_int8_changes_about_as_much_as_saving_a_jpeg(task, tmp_path):
    saved = saved_as_jpeg(images_of(_RUNS[task][2]), tmp_path)
    jpeg = printed(f"{task} jpeg", agreement(_own(task), _seen(task, _own_model(task), saved)))
    assert changed(_compared(task, "int8")) <= 2 * changed(jpeg) + 5


def test_an_int8_input_is_refused(tmp_path):
    broken = tmp_path / "int8_input.tflite"
    broken.write_bytes(with_int8_input(_artifact("FaceDetector", "int8").read_bytes()))
    with pytest.raises(InputError, match="ended by SIGSEGV"):
        _seen("FaceDetector", broken, [photograph(ASTRONAUT)])


def test_what_is_no_model_is_refused_in_one_line(tmp_path):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    with pytest.raises(InputError) as caught:
        _seen("FaceDetector", broken, [photograph(ASTRONAUT)])
    assert str(caught.value) == (
        "FaceDetector of MediaPipe failed: ValueError: The model is not a valid Flatbuffer buffer"
    )


def test_a_layer_without_weights_is_seen(tmp_path):
    artifact = _artifact("FaceDetector", "int8").read_bytes()
    survivors = []
    for position in layers(parse_model(artifact))[:: 1 if WHOLE else 12]:
        broken = tmp_path / f"{position}.tflite"
        broken.write_bytes(zeroed(artifact, position))
        found = agreement(_own("FaceDetector"), _seen("FaceDetector", broken))
        if _KNOWN["FaceDetector", "int8"].hold(found):
            survivors.append(position)
    assert survivors == []


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="there is no wheel with them"
)
def test_nothing_of_the_system_is_loaded_but_its_c_library():
    site = next(path_of("venv/lib", "rules_quantize_mediapipe_tasks").glob("*/site-packages"))
    library = site / "mediapipe/tasks/c/libmediapipe.so"
    folder = str(path_of("libEGL.so.1", "mediapipe_gles").parent)
    # The loader lists what it would load, and from where.
    done = subprocess.run(
        ["ldd", library],
        env={**os.environ, "LD_LIBRARY_PATH": folder},
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split(" => ") for line in done.stdout.splitlines() if " => " in line)
    ours = {name.strip() for name, place in found.items() if place.startswith(folder)}
    assert {name for name in ours if name.startswith("libGLdispatch")}
    assert {name for name in ours if not name.startswith("libGLdispatch")} == {
        "libEGL.so.1",
        "libGLESv2.so.2",
    }
    of_the_system = {name.strip().split(".")[0] for name in found} - {
        name.split(".")[0] for name in ours
    }
    assert of_the_system <= {"libc", "libdl", "libm", "libpthread", "librt"}


def test_images_without_an_object_are_no_test(tmp_path):
    models = [
        f"--own={_own_model('FaceDetector')}",
        f"--model={_artifact('FaceDetector', 'float16')}",
    ]
    flags = ["--run=FaceDetector", *models]
    check_images_without_an_object("compare_task", flags, tmp_path / "figures.json")
