import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.scenes import portrait_scenes, rendered_scenes
from models.scenes.photographs import read_photograph
from models.scenes.render_faces import (
    PHOTOGRAPHS,
    FaceScores,
    accepted,
    main,
    parser,
)
from tests.model_files import model_path
from tests.scenes.photo_files import photo_path
from tools.errors import InputError
from tools.graph.float_master import make_float_master
from tools.samples.loading import InputSpec, Preprocessing, load_samples, overlapping

COUNT = 20


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Path:
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    path = tmp_path_factory.mktemp("model") / "face.tflite"
    path.write_bytes(master)
    return path


def flags(chosen: str, detector: Path, output: Path, count: int = COUNT, seed: int = 7):
    photos = [f"--photos={photo_path(name)}" for name in PHOTOGRAPHS[chosen]]
    return [
        f"--set={chosen}", *photos, f"--count={count}", f"--seed={seed}",
        f"--float_model={detector}", f"--output={output}",
    ]  # fmt: skip


def program(*arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.run(
        [sys.executable, "-m", "models.scenes.render_faces", *arguments],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module", params=sorted(PHOTOGRAPHS))
def made(request, detector, tmp_path_factory) -> tuple[str, Path, str]:
    """A set: (its name, its folder, what the program said)."""
    output = tmp_path_factory.mktemp(request.param) / "images"
    result = program(*flags(request.param, detector, output))
    assert result.returncode == 0, result.stderr
    return request.param, output, result.stdout


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def test_writes_the_images_asked_for_and_nothing_else(made):
    _, folder, said = made
    wanted = [f"face_{n:04d}.png" for n in range(1, 17)] + [
        f"none_{n:04d}.png" for n in range(1, 5)
    ]
    assert sorted(digests(folder)) == wanted
    assert len(set(digests(folder).values())) == COUNT
    assert said.startswith("16 images with a face (")
    assert "4 without (" in said


def test_two_processes_write_the_same_bytes(made, detector, tmp_path):
    chosen, folder, _ = made
    arguments = flags(chosen, detector, tmp_path / "again")
    # The order in which photographs are given does not matter.
    arguments[1:3] = arguments[2:0:-1]
    assert program(*arguments).returncode == 0
    assert digests(tmp_path / "again") == digests(folder)


def test_another_seed_makes_other_images(made, detector, tmp_path):
    chosen, folder, _ = made
    main(parser().parse_args(flags(chosen, detector, tmp_path, count=5, seed=8)))
    assert not set(digests(tmp_path).values()) & set(digests(folder).values())


def test_float_model_sees_every_face_and_no_other(made, detector):
    _, folder, _ = made
    paths = sorted(folder.iterdir())
    scores = dict(
        zip(paths, FaceScores(detector)([path.read_bytes() for path in paths]), strict=True)
    )
    assert all(score > 0.5 for path, score in scores.items() if path.name.startswith("face"))
    assert all(score < 0.5 for path, score in scores.items() if path.name.startswith("none"))


def test_some_images_need_letterboxing(made):
    _, folder, _ = made
    sizes = set()
    for path in folder.iterdir():
        with Image.open(path) as image:
            sizes.add(image.size)
    assert any(width > height for width, height in sizes)
    assert any(width < height for width, height in sizes)


def test_sets_share_no_photograph_and_no_sample(detector, tmp_path):
    assert not set(PHOTOGRAPHS["calibration"]) & set(PHOTOGRAPHS["test"])
    contents = [photo_path(name).read_bytes() for names in PHOTOGRAPHS.values() for name in names]
    assert len(set(contents)) == len(contents)
    sets = []
    for chosen in PHOTOGRAPHS:
        main(parser().parse_args(flags(chosen, detector, tmp_path / chosen, count=10)))
        specification = InputSpec("input", (1, 128, 128, 3), np.dtype(np.float32))
        sets.append(load_samples([tmp_path / chosen], [specification], Preprocessing(127.5, 127.5)))
    assert overlapping(*sets) == []


@pytest.mark.parametrize(("chosen", "other"), [("calibration", "test"), ("test", "calibration")])
def test_photograph_of_the_other_set_is_refused(chosen, other, detector, tmp_path):
    arguments = flags(chosen, detector, tmp_path / "out")
    arguments.append(f"--photos={photo_path(PHOTOGRAPHS[other][0])}")
    result = program(*arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert f"not a photograph of the {chosen} set" in line
    assert not (tmp_path / "out").exists()


def test_test_set_needs_the_portrait(detector, tmp_path):
    arguments = [a for a in flags("test", detector, tmp_path) if "astronaut" not in a]
    with pytest.raises(InputError, match=r"needs astronaut\.png"):
        main(parser().parse_args(arguments))


def test_folder_with_files_is_refused(detector, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        main(parser().parse_args(flags("test", detector, tmp_path)))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_model_that_is_no_face_detector_is_refused(tmp_path):
    master, _ = make_float_master(model_path("face_landmark").read_bytes())
    (tmp_path / "landmark.tflite").write_bytes(master)
    result = program(*flags("test", tmp_path / "landmark.tflite", tmp_path / "out"))
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "landmark.tflite: has no output classificators" in line


def test_broken_photograph_is_one_line(detector, tmp_path):
    (tmp_path / "coffee.png").write_bytes(b"\x89PNG\r\n\x1a\n not really")
    arguments = flags("calibration", detector, tmp_path / "out")
    arguments.append(f"--photos={tmp_path / 'coffee.png'}")
    result = program(*arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "coffee.png: not a readable image" in line


@pytest.mark.parametrize("wants_face", [True, False])
def test_too_few_that_the_model_accepts(wants_face, detector):
    """Scenes of the wrong kind: the model refuses them, and the message says how many."""
    photographs = {
        name: read_photograph(photo_path(name)) for name in ("astronaut.png", "gravel.png")
    }

    def draw(rng):
        if wants_face:
            return np.full((64, 96, 3), rng.integers(256), np.uint8)
        return portrait_scenes.face_scene(photographs, rng)

    kind = "with" if wants_face else "without"
    with pytest.raises(InputError, match=rf"accepts only \d of 12 images {kind} a face") as raised:
        accepted(draw, wants_face, 4, (1,), FaceScores(detector))
    assert "\n" not in str(raised.value)


def test_refused_candidates_are_counted(detector):
    """Every second candidate shows nobody."""
    photographs = {"coffee.png": read_photograph(photo_path("coffee.png"))}
    kinds = iter([False, True] * 20)

    def draw(rng):
        if next(kinds):
            return rendered_scenes.face_scene(photographs, rng)
        return np.zeros((128, 128, 3), np.uint8)

    images, refused = accepted(draw, True, 4, (3,), FaceScores(detector))
    assert len(images) == 4
    assert refused >= 4


@pytest.mark.parametrize("flag", ["--count=1", "--seed=-1"])
def test_numbers_out_of_range(flag, detector, tmp_path):
    with pytest.raises(InputError, match=flag):
        main(parser().parse_args([*flags("test", detector, tmp_path), flag]))
