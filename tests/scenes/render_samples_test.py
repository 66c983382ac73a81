import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenes import render_samples
from scenes.crops import sees_iris, sees_person
from scenes.float_models import ModelOnPictures
from scenes.render_samples import (
    PHOTOGRAPHS,
    SAMPLES,
    accepted,
    main,
    parser,
    photographs_of,
)
from tests.model_files import model_path
from tests.refused import refused
from tests.scenes.photo_files import photo_path
from tests.tools.commands import run_command
from tools.graph.float_master import make_float_master
from tools.samples.loading import InputSpec, Preprocessing, load_samples, overlapping

COUNT = 20
MODELS = {
    "face": "face_detection_short_range",
    "face_full_range": "face_detection_full_range_sparse",
    "face_landmark": "face_landmark",
    "hand_landmark": "hand_landmark_full",
    "iris_landmark": "iris_landmark",
    "palm": "palm_detection_full",
    "pose": "pose_detection",
    "pose_landmark": "pose_landmark_full",
    "selfie_segmentation": "selfie_segmentation",
}

# By default those of the models that are built by default, and crops of what is no face.
_FIRST = ("face_scenes", "face_crops", "hand_crops")
_REST = sorted(set(SAMPLES) - set(_FIRST))


def _kinds(names) -> list:
    """Names of kinds as a test's parameters; the rest are for the nightly run."""
    return [
        pytest.param(name, marks=[] if name in _FIRST else pytest.mark.nightly) for name in names
    ]


SCENES = [name for name in (*_FIRST, *_REST) if SAMPLES[name].empty]
POSITIVE = [name for name in (*_FIRST, *_REST) if not SAMPLES[name].empty]


@pytest.fixture(scope="module")
def masters(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    paths = {}
    for kind, name in MODELS.items():
        master, _ = make_float_master(model_path(name).read_bytes())
        paths[kind] = folder / f"{kind}.tflite"
        paths[kind].write_bytes(master)
    return paths


def flags(samples: str, chosen: str, masters, output: Path, count: int = COUNT, seed: int = 7):
    photos = [f"--photos={photo_path(name)}" for name in photographs_of(samples, chosen)]
    models = [f"--{flag}={masters[kind]}" for flag, kind in SAMPLES[samples].models.items()]
    return [
        f"--samples={samples}", f"--set={chosen}", *photos, f"--count={count}",
        f"--seed={seed}", *models, f"--output={output}",
    ]  # fmt: skip


def program(*arguments: str, **how) -> subprocess.CompletedProcess:
    return run_command(render_samples, *arguments, **how)


def make(*arguments: str) -> None:
    assert main(parser().parse_args(arguments)) == 0


@pytest.fixture(scope="module")
def made(masters, tmp_path_factory):
    """Makes a set once: its folder, by kind of images and set."""
    known: dict[tuple[str, str], Path] = {}

    def folder(samples: str, chosen: str) -> Path:
        if (samples, chosen) not in known:
            output = tmp_path_factory.mktemp(f"{samples}_{chosen}") / "images"
            make(*flags(samples, chosen, masters, output, COUNT if samples in SCENES else 6))
            known[samples, chosen] = output
        return known[samples, chosen]

    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def pictures(folder: Path, start: str = "") -> list[np.ndarray]:
    result = []
    for path in sorted(folder.glob(f"{start}*.png")):
        with Image.open(path) as image:
            result.append(np.asarray(image))
    return result


@pytest.mark.parametrize("chosen", sorted(PHOTOGRAPHS))
@pytest.mark.parametrize("samples", _kinds(SCENES))
def test_detector_fires_where_an_object_was_put_and_nowhere_else(samples, chosen, made, masters):
    folder, kind = made(samples, chosen), SAMPLES[samples]
    wanted = [f"{kind.object}_{n:04d}.png" for n in range(1, 17)]
    wanted += [f"none_{n:04d}.png" for n in range(1, 5)]
    assert sorted(digests(folder)) == sorted(wanted)
    assert len(set(digests(folder).values())) == COUNT
    model = ModelOnPictures(masters[kind.models["float_model"]], kind.models["float_model"])
    with_it, without = (
        [model.score(outputs) for outputs in model.outputs(pictures(folder, start))]
        for start in (kind.object, "none")
    )
    assert min(with_it) > 0.5 > max(without)
    sizes = {picture.shape[:2] for picture in pictures(folder)}
    # Some need letterboxing.
    assert any(height > width for height, width in sizes)
    assert any(height < width for height, width in sizes)


@pytest.mark.parametrize("chosen", sorted(PHOTOGRAPHS))
@pytest.mark.parametrize("samples", _kinds(POSITIVE))
def test_model_sees_its_object_in_every_image(samples, chosen, made, masters):
    folder, name = made(samples, chosen), SAMPLES[samples].models["float_model"]
    model = ModelOnPictures(masters[name], name)
    crops = pictures(folder)
    assert len(crops) == 6
    if SAMPLES[samples].cut:
        assert {crop.shape for crop in crops} == {(model.kind.size, model.kind.size, 3)}
    for outputs in model.outputs(crops):
        assert SAMPLES[samples].sees(outputs, model)


def test_score_of_a_model_without_one_is_what_it_shows(masters):
    iris = ModelOnPictures(masters["iris_landmark"], "iris_landmark")
    selfie = ModelOnPictures(masters["selfie_segmentation"], "selfie_segmentation")
    grey = np.full((64, 64, 3), 90, np.uint8)
    disc = np.array([[32, 32], [38, 32], [32, 26], [26, 32], [32, 38]], np.float32)
    flat = np.concatenate([disc, np.zeros((5, 1), np.float32)], 1).reshape(1, 15)
    assert sees_iris({"output_iris": flat}, iris)
    assert not sees_iris({"output_iris": flat * [1.6]}, iris)
    assert not sees_iris({"output_iris": flat + np.tile([20, 0, 0], 5)}, iris)
    (outputs,) = selfie.outputs([grey])
    assert not sees_person(outputs, selfie)


@pytest.mark.parametrize(
    ("samples", "chosen"),
    [
        ("face_scenes", "test"),
        pytest.param("hand_crops", "calibration", marks=pytest.mark.nightly),
        pytest.param("person_scenes", "test", marks=pytest.mark.nightly),
    ],
)
def test_two_processes_write_the_same_bytes(samples, chosen, made, masters, tmp_path):
    count = COUNT if samples in SCENES else 6
    arguments = flags(samples, chosen, masters, tmp_path / "again", count)
    # The order in which photographs are given does not matter.
    arguments[2:4] = arguments[3:1:-1]
    result = program(*arguments, fresh=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{count - (4 if samples in SCENES else 0)} images with a ")
    assert digests(tmp_path / "again") == digests(made(samples, chosen))


@pytest.mark.parametrize("samples", ["face_scenes", "hand_crops"])
def test_another_seed_makes_other_images(samples, made, masters, tmp_path):
    make(*flags(samples, "test", masters, tmp_path, count=5, seed=8))
    assert not set(digests(tmp_path).values()) & set(digests(made(samples, "test")).values())


@pytest.mark.parametrize("samples", _kinds([*_FIRST, *_REST]))
def test_sets_share_no_photograph_and_no_sample(samples, made, masters):
    names = [photographs_of(samples, chosen) for chosen in PHOTOGRAPHS]
    assert not set(names[0]) & set(names[1])
    contents = [photo_path(name).read_bytes() for both in names for name in both]
    assert len(set(contents)) == len(contents)
    size = ModelOnPictures(
        masters[SAMPLES[samples].models["float_model"]], SAMPLES[samples].models["float_model"]
    ).kind.size
    specification = InputSpec("input", (1, size, size, 3), np.dtype(np.float32))
    sets = [
        load_samples([made(samples, chosen)], [specification], Preprocessing(127.5, 127.5))
        for chosen in PHOTOGRAPHS
    ]
    assert overlapping(*sets) == []


@pytest.mark.parametrize(("chosen", "other"), [("calibration", "test"), ("test", "calibration")])
def test_photograph_of_the_other_set_is_refused(chosen, other, masters, tmp_path):
    arguments = flags("hand_scenes", chosen, masters, tmp_path / "out")
    arguments.append(f"--photos={photo_path(PHOTOGRAPHS[other][0])}")
    result = program(*arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert f"not a photograph of the {chosen} set of hand_scenes" in line
    assert not (tmp_path / "out").exists()


def test_man_at_a_camera_is_for_people_only(masters, tmp_path):
    arguments = flags("face_scenes", "test", masters, tmp_path / "out")
    arguments.append(f"--photos={photo_path('camera.png')}")
    with refused("flag.name", r"camera\.png"):
        make(*arguments)


@pytest.mark.parametrize("samples", ["face_scenes", "eye_crops"])
def test_test_set_of_faces_needs_the_portrait(samples, masters, tmp_path):
    arguments = [a for a in flags(samples, "test", masters, tmp_path) if "astronaut" not in a]
    with refused("data.missing", r"astronaut\.png"):
        make(*arguments)


def test_folder_with_files_is_refused(masters, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with refused("file.taken"):
        make(*flags("face_scenes", "test", masters, tmp_path))
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("samples", "given", "said"),
    [
        ("face_scenes", "face_landmark", "has no output classificators; give a face detector"),
        ("hand_scenes", "pose", "its input is not [1, 192, 192, 3]; give a palm detector"),
        ("person_crops", "hand_landmark", "[1, 256, 256, 3]; give a pose landmark model"),
    ],
)
def test_model_of_another_kind_is_refused(samples, given, said, masters, tmp_path):
    others = dict.fromkeys(masters, masters[given])
    result = program(*flags(samples, "test", others, tmp_path / "out"))
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert f"{given}.tflite: " in line
    assert said in line
    assert not (tmp_path / "out").exists()


def test_model_as_it_is_distributed_is_refused(masters, tmp_path):
    shipped = masters | {"palm": model_path("palm_detection_full")}
    arguments = flags("hand_scenes", "test", shipped, tmp_path / "out")
    with refused("model.not_master"):
        make(*arguments)


@pytest.mark.parametrize(
    ("samples", "left_out"),
    [("hand_crops", "detector"), ("eye_crops", "detector"), ("eye_crops", "landmarks")],
)
def test_crops_need_the_models_that_find_them(samples, left_out, masters, tmp_path):
    arguments = flags(samples, "test", masters, tmp_path / "out")
    arguments = [a for a in arguments if not a.startswith(f"--{left_out}=")]
    with refused("flag.missing", f"--{left_out}=FILE, a "):
        make(*arguments)


def test_scenes_take_no_detector(masters, tmp_path):
    arguments = flags("hand_scenes", "test", masters, tmp_path / "out")
    with refused("flag.conflict", "--detector"):
        make(*arguments, f"--detector={masters['palm']}")


def test_broken_photograph_is_one_line(masters, tmp_path):
    (tmp_path / "coffee.png").write_bytes(b"\x89PNG\r\n\x1a\n not really")
    arguments = flags("face_scenes", "calibration", masters, tmp_path / "out")
    arguments.append(f"--photos={tmp_path / 'coffee.png'}")
    result = program(*arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "coffee.png: not a readable image" in line


def test_too_few_that_the_model_accepts(masters):
    """Scenes without a hand: the model refuses them, and the message says how many."""
    palm = ModelOnPictures(masters["palm"], "palm")
    with refused("data.too_few", "accepts only 0 of 12 scenes with a hand"):
        accepted(
            lambda rng: [np.full((64, 96, 3), rng.integers(256), np.uint8)],
            lambda images: [palm.score(outputs) > 0.5 for outputs in palm.outputs(images)],
            4, (1,), "with a hand",
        )  # fmt: skip


def test_refused_candidates_are_counted():
    """Of three calls one draws nothing, one an image that is refused, one two that are kept."""
    kinds = iter([0, 1, 2] * 20)

    def draw(rng):
        kind = next(kinds)
        return [np.full((2, 2, 3), kind, np.uint8)] * kind

    images, refused = accepted(
        draw, lambda images: [bool(image.max() == 2) for image in images], 3, (3,), "with it"
    )
    assert len(images) == 3
    assert refused == 4


@pytest.mark.parametrize("number", [{"count": 1}, {"seed": -1}])
def test_numbers_out_of_range(number, masters, tmp_path):
    ((name, value),) = number.items()
    with refused("flag.value", f"--{name}={value}"):
        make(*flags("face_scenes", "test", masters, tmp_path, **number))
