"""The picture of a float detector and its artifact side by side."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor
from runfiles import Runfiles

from tests.tools.commands import refusal, run_command
from tools import demo
from tools.graph.runtime import open_interpreter
from tools.similarity.detection import Detections, overlaps

_FILES = {name: f"rules_quantize/{file}" for name, file in demo._FACE.items()}


def _file(name: str) -> Path:
    return Path(Runfiles.Create().Rlocation(name))


_PHOTOGRAPH = "scikit_image_photographs/astronaut.png"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    flags = [f"--image={_file(_PHOTOGRAPH)}", "--output=demo.png", "--report=demo.json"]
    done = run_command(demo, *flags, where=folder, BUILD_WORKING_DIRECTORY=str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    picture = np.asarray(Image.open(folder / "demo.png").convert("RGB"))
    return picture, json.loads((folder / "demo.json").read_text()), done.stdout


def test_both_sides_show_the_same_face(shown):
    _, sides, _ = shown
    boxes = [np.array([found["box"] for found in side["detections"]]) for side in sides]
    assert [len(found) for found in boxes] == [1, 1]
    assert overlaps(*boxes)[0, 0] > 0.9
    # Where the face is in this photograph, from 512 by 512 pixels.
    assert overlaps(boxes[0], np.array([[177.0, 81, 272, 176]]))[0, 0] > 0.8


def test_boxes_are_drawn_around_it(shown):
    picture, sides, _ = shown
    scale = demo._PANEL_HEIGHT / 512
    column = round(512 * scale)
    green = (picture == ImageColor.getrgb(demo._BOX)).all(axis=2)
    for number, side in enumerate(sides):
        origin = np.array([demo._MARGIN + number * (column + demo._MARGIN), demo._TOP] * 2)
        ((left, top, right, bottom),) = [found["box"] for found in side["detections"]]
        edges = np.round(np.array([left, top, right, bottom]) * scale + origin).astype(int)
        left, top, right, bottom = edges
        for line in (
            green[top, left:right],
            green[bottom, left:right],
            green[top:bottom, left],
            green[top:bottom, right],
        ):
            # A keypoint may lie on it.
            assert line.mean() > 0.8


def test_captions_are_the_files_and_a_real_run(shown):
    picture, sides, printed = shown
    models = [_file(_FILES[name]) for name in ("float_model", "quantized_model")]
    assert [side["bytes"] for side in sides] == [model.stat().st_size for model in models]
    for side, model in zip(sides, models, strict=True):
        assert f"{side['bytes'] / 1000:,.0f} kB" in side["caption"]
        assert f"{side['fps']:,.0f} FPS" in side["caption"]
        assert side["caption"] in printed
        interpreter = open_interpreter(model.read_bytes(), model.name)
        start = time.thread_time()
        for _ in range(100):
            interpreter.invoke()
        measured = 100 / (time.thread_time() - start)
        assert 0.3 < side["fps"] / measured < 3
    smaller = 1 - sides[1]["bytes"] / sides[0]["bytes"]
    assert f"(-{smaller:.0%})" in sides[1]["caption"]
    # The line is written below its photograph.
    below = picture[demo._TOP + demo._PANEL_HEIGHT :]
    dark = (below < 100).all(axis=2).any(axis=0)
    half = below.shape[1] // 2
    assert dark[:half].any()
    assert dark[half:].any()


@pytest.mark.parametrize(
    ("resize", "photograph", "model"),
    [
        # Half as large, with borders of 25 pixels above and below.
        ("letterbox", (50.0, 40.0), (25.0, 45.0)),
        # As large as it was, without 50 pixels at the left and at the right.
        ("center_crop", (50.0, 40.0), (0.0, 40.0)),
        ("stretch", (50.0, 40.0), (25.0, 40.0)),
    ],
)
def test_points_return_to_where_they_were(resize, photograph, model):
    found = Detections(
        scores=np.ones(1),
        corners=np.array([[*model, *model]]),
        keypoints=np.array([[model]]),
    )
    back = demo.on_photograph(found, (200, 100), (100, 100), resize)
    assert np.allclose(back.corners, [[*photograph, *photograph]])
    assert np.allclose(back.keypoints, [[photograph]])


def test_what_it_refuses(tmp_path):
    image = f"--image={_file(_PHOTOGRAPH)}"
    text = tmp_path / "photo.png"
    text.write_text("no picture")
    output = tmp_path / "demo.png"
    models = [f"--{name}={_file(file)}" for name, file in _FILES.items()]
    assert "not a readable image" in refusal(demo, f"--image={text}", f"--output={output}")
    assert "the picture is a .png" in refusal(demo, image, f"--output={tmp_path / 'demo.jpg'}")
    assert refusal(demo, image, models[0]) == (
        "--float_model= is of no use without --quantized_model= and --task="
    )
    landmarks = tmp_path / "task.json"
    landmarks.write_text('{"type": "landmarks"}')
    assert refusal(demo, image, *models[:2], f"--task={landmarks}", f"--output={output}") == (
        f"{landmarks}: not the task of a detector; see detection()"
    )
    other = tmp_path / "other.json"
    document = json.loads(_file(_FILES["task"]).read_text())
    other.write_text(json.dumps(document | {"scores": "logits"}))
    assert "no output logits for its detection task" in refusal(
        demo, image, *models[:2], f"--task={other}", f"--output={output}"
    )
    assert not output.exists()
