"""Our artifacts in the solutions of MediaPipe 0.10.21, as their user sees them."""

import functools
import hashlib
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

_FACE = ("face_detection/face_detection_short_range.tflite", "face")
_FAR_FACE = ("face_detection/face_detection_full_range_sparse.tflite", "face_full_range")
_PALM = ("palm_detection/palm_detection_full.tflite", "palm_full")
_HAND = ("hand_landmark/hand_landmark_full.tflite", "hand_landmark_full")
_POSE = ("pose_detection/pose_detection.tflite", "pose")
_BODY = ("pose_landmark/pose_landmark_full.tflite", "pose_landmark_full")
# What runs: the models that are replaced, the images, and in how many of them MediaPipe's
# own models must see something, so that there is something to compare.
_RUNS = {
    "face_detection": ([_FACE], "face_test", 60),
    "face_detection_full_range": ([_FAR_FACE], "face_full_range_test", 55),
    "hands": ([_PALM, _HAND], "palm_full_test", 55),
    "pose": ([_POSE, _BODY], "pose_test", 60),
}
# By default the first, for which alone there are artifacts then.
_SOLUTIONS = part_of(tuple(_RUNS), len(_RUNS))
# Artifacts that do not show the same everywhere; docs/lab/mediapipe.md gives the figures.
_KNOWN = {
    ("face_detection", "int8"): Limits(0, 4, 10),
    ("face_detection", "dynamic"): Limits(0, 26, 24),
    ("face_detection_full_range", "int8"): Limits(5, 3, 6),
    ("face_detection_full_range", "dynamic"): Limits(2, 6, 12),
    ("hands", "int8"): Limits(9, 7, 10),
    ("hands", "dynamic"): Limits(8, 6, 9),
    ("pose", "int8"): Limits(4, 33, 24),
    ("pose", "dynamic"): Limits(14, 32, 27),
}


def _seen(
    solution: str, models: Sequence[tuple[str, Path]] = (), images: Sequence[Path] = ()
) -> dict[str, list]:
    command = [path_of(f"{FOLDER}/run_solution"), *(f"--model={n}={file}" for n, file in models)]
    return seen_by(solution, command, images or images_of(_RUNS[solution][1]))


@functools.cache
def _own(solution: str) -> dict[str, list]:
    return _seen(solution)


def _artifacts(solution: str, scheme: str) -> list[tuple[str, Path]]:
    return [(file, path_of(f"models/{name}_{scheme}.tflite")) for file, name in _RUNS[solution][0]]


@functools.cache
def _compared(solution: str, scheme: str) -> Agreement:
    found = agreement(_own(solution), _seen(solution, _artifacts(solution, scheme)))
    return printed(f"{solution} {scheme}", found, _RUNS[solution][2])


@pytest.mark.parametrize("solution", _SOLUTIONS)
def test_float16_shows_the_same(solution):
    assert _compared(solution, "float16").looks_the_same


def test_every_face_stays_one():
    found = _compared("face_detection", "int8")
    assert found.other_counts == ()
    assert found.pairs == found.objects


@pytest.mark.nightly
def test_int8_hand_landmarks_keep_every_hand():
    found = agreement(_own("hands"), _seen("hands", _artifacts("hands", "int8")[1:]))
    assert found.other_counts == ()
    assert found.boxes_off == found.means_off == 0


@pytest.mark.parametrize(("solution", "scheme"), [each for each in _KNOWN if each[0] in _SOLUTIONS])
def test_what_differs_is_what_is_known(solution, scheme):
    found = _compared(solution, scheme)
    assert _KNOWN[solution, scheme].hold(found)
    assert not found.looks_the_same, "reached: hold it to all, and say so in docs/lab/mediapipe.md"


@pytest.mark.parametrize("solution", _SOLUTIONS)
def test_int8_changes_about_as_much_as_saving_a_jpeg(solution, tmp_path):
    saved = saved_as_jpeg(images_of(_RUNS[solution][1]), tmp_path)
    jpeg = printed(f"{solution} jpeg", agreement(_own(solution), _seen(solution, (), saved)))
    assert changed(_compared(solution, "int8")) <= 2 * changed(jpeg) + 5


def _installed_models() -> dict[str, str]:
    site = path_of("venv", "rules_quantize_mediapipe") / "lib"
    files = sorted(site.glob("python3.*/site-packages/mediapipe/modules/**/*.tflite"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_installed_models_are_not_touched():
    before = _installed_models()
    assert len(before) > 10
    _seen("face_detection", _artifacts("face_detection", "int8"), [photograph(ASTRONAUT)])
    assert _installed_models() == before


def test_an_int8_input_is_refused(tmp_path):
    broken = tmp_path / "int8_input.tflite"
    artifact = _artifacts("face_detection", "int8")[0][1]
    broken.write_bytes(with_int8_input(artifact.read_bytes()))
    says = "Input tensor type kFloat32 vs interpreter tensor type INT8"
    with pytest.raises(InputError, match=says):
        _seen("face_detection", [(_FACE[0], broken)], [photograph(ASTRONAUT)])


def test_a_layer_without_weights_is_seen(tmp_path):
    artifact = _artifacts("face_detection", "int8")[0][1].read_bytes()
    survivors = []
    for position in layers(parse_model(artifact))[:: 8 if WHOLE else 24]:
        broken = tmp_path / f"{position}.tflite"
        broken.write_bytes(zeroed(artifact, position))
        found = agreement(_own("face_detection"), _seen("face_detection", [(_FACE[0], broken)]))
        if _KNOWN["face_detection", "int8"].hold(found):
            survivors.append(position)
    assert survivors == []


def test_images_without_an_object_are_no_test(tmp_path):
    artifact = f"--model={_FACE[0]}={_artifacts('face_detection', 'int8')[0][1]}"
    flags = ["--run=face_detection", artifact]
    check_images_without_an_object("compare_solution", flags, tmp_path / "figures.json")
