"""web_demo: the page in the machine's Chromium, float models and artifacts side by side."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tools.web_demo
from tests.browser.devtools import show_page
from tests.extent import WHOLE
from tests.tools.commands import refusal
from tools.similarity.detection import detections_of, matched, overlaps, read_detection_task
from tools.similarity.model_outputs import ModelOutputs

# What the models of other sections find is in the nightly run.
_SHOWS = ("face", "hands", "pose") if WHOLE else ("face",)
_OBJECTS = {"face": 1, "hands": 2, "pose": 1}
# Points of an artifact may be off by this share of the longer side of the box around them.
_MOST_OFF = {"face": 0.05, "hands": 0.06, "pose": 0.1}
_RUNFILES = Path(__file__).absolute().parents[3]
_WIDTH = 1500


@pytest.fixture(name="address", scope="module")
def _address():
    """Serves the page, and ends it as its user does."""
    command = [sys.executable, tools.web_demo.__file__, *(f"--show={show}" for show in _SHOWS)]
    server = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    line = server.stdout.readline()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/demo_page\.html\n", line), server.stderr.read()
    assert "Ctrl-C ends this" in server.stdout.readline()
    yield line.strip()
    server.send_signal(signal.SIGINT)
    _, said = server.communicate(timeout=30)
    assert (server.returncode, said) == (0, "")


@pytest.fixture(name="page", scope="module")
def _page(address):
    with show_page(address) as page:
        _wait(page)
        yield page


@pytest.fixture(name="found", scope="module")
def _found(page):
    folder = Path(os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR", "/tmp"))
    page.screenshot(folder / "web_demo.png", _WIDTH)
    return page.value_of("window.found")


def _wait(page, seconds=120):
    page.wait_for("['done', 'failed'].includes(document.body?.dataset.state)", seconds)
    assert page.value_of("document.body.dataset.state") == "done", _text(page)


def _text(page):
    return page.value_of("document.body.innerText")


def _corners(side):
    return np.array([each["box"] for each in side["objects"]], float).reshape(-1, 4)


def _points(each):
    seen = [point["seen"] for point in each["points"]]
    return np.array([point["place"] for point in each["points"]]), np.array(seen)


@pytest.mark.parametrize("show", _SHOWS)
def test_the_artifact_finds_what_the_float_model_finds(found, show):
    original, artifact = found[show]["float"], found[show]["int8"]
    assert (original["fault"], artifact["fault"]) == ("", "")
    assert len(original["objects"]) == len(artifact["objects"]) == _OBJECTS[show]
    pairs = matched(_corners(original), _corners(artifact))
    assert len(pairs) == _OBJECTS[show]
    for one, other, overlap in pairs:
        assert overlap > 0.8
        points, drawn = _points(original["objects"][one])
        others, _ = _points(artifact["objects"][other])
        assert drawn.sum() > 4
        errors = np.hypot(*(points - others)[drawn].T)
        assert errors.mean() < _MOST_OFF[show] * np.ptp(points[drawn], axis=0).max()
        # They are not the same model's.
        assert errors.max() > 0


@pytest.mark.parametrize("show", _SHOWS)
def test_sizes_and_speeds_are_on_the_page(page, found, show):
    speeds = [found[show][side]["fps"] for side in ("float", "int8")]
    assert min(speeds) > 0
    section = page.value_of(f"document.querySelectorAll('section')[{_SHOWS.index(show)}].innerText")
    assert f"({speeds[1] / speeds[0]:.2f}x)" in section
    names = {"face": ["face"], "hands": ["palm_full", "hand_landmark_full"]}.get(
        show, ["pose", "pose_landmark_full"]
    )
    for ending in ("", "_int8"):
        files = [tools.web_demo._ROOT / f"models/{name}{ending}.tflite" for name in names]
        kilobytes = round(sum(file.stat().st_size for file in files) / 1000)
        assert f"{kilobytes:,} kB" in section


def test_the_page_decodes_as_the_host_does(found):
    models = _RUNFILES / tools.web_demo._ROOT.name / "models"
    task = read_detection_task(tools.web_demo._task_document("face"), "face")
    path = next(_RUNFILES.glob("*scikit_image_photographs/astronaut.png"))
    with Image.open(path) as photograph:
        # It is square, as the model's input is.
        scale = photograph.width / task.input_size[0]
        pixels = np.asarray(photograph.convert("RGB").resize(task.input_size), np.float32)
    for side, file in (("float", "face.tflite"), ("int8", "face_int8.tflite")):
        model = ModelOutputs((models / file).read_bytes(), file)
        (name,) = model.inputs
        outputs = dict(zip(model.outputs, model({name: pixels[None] / 127.5 - 1}), strict=True))
        host = detections_of(task, outputs[task.boxes], outputs[task.scores])
        assert overlaps(scale * host.corners, _corners(found["face"][side])).min() > 0.9
        points, _ = _points(found["face"][side]["objects"][0])
        np.testing.assert_allclose(points, scale * host.keypoints[0], atol=6)


def test_a_photograph_of_ones_own(page, found, tmp_path):
    gravel = next(_RUNFILES.glob("*scikit_image_photographs/gravel.png"))
    page.choose_file("#own", gravel)
    page.wait_for("document.body.dataset.state === 'busy'")
    _wait(page)
    now = page.value_of("window.found")
    assert now.keys() == found.keys()
    assert [now["face"][side]["objects"] for side in ("float", "int8")] == [[], []]
    broken = tmp_path / "broken.png"
    broken.write_text("no image")
    page.choose_file("#own", broken)
    page.wait_for("document.body.dataset.state === 'failed'")
    assert "failed: " in _text(page)


# SwiftShader takes most of a minute for faces, and minutes for all.
@pytest.mark.nightly
def test_the_gpu_finds_the_same_and_no_speed_is_told_of_swiftshader(address, found):
    with show_page(f"{address}?accelerator=webgpu", webgpu=True) as page:
        _wait(page, 600)
        assert "swiftshader" in _text(page).lower()
        assert "FPS" not in _text(page)
        gpu = page.value_of("window.found")
    for side in ("float", "int8"):
        assert gpu["face"][side]["fault"] == ""
        ((_, _, overlap),) = matched(_corners(found["face"][side]), _corners(gpu["face"][side]))
        assert overlap > 0.95


def test_bad_input():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(tools.web_demo, f"--port={port}", "--show=face")
    assert said.startswith(f"--port={port}: it cannot be used (")
    assert refusal(tools.web_demo, "--port=70000").startswith("--port=70000: give a number")
    assert "invalid choice: 'feet'" in refusal(tools.web_demo, "--show=feet")


def test_models_that_are_not_there(tmp_path):
    (tmp_path / "tools").symlink_to(Path(tools.web_demo.__file__).parent)
    said = refusal(tmp_path / "tools/web_demo.py", "--show=face")
    assert "not among this program's files" in said
    assert said.endswith("//tools:web_demo")
