"""Models in the machine's Chromium, by LiteRT.js."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.model_files import model_path
from tests.random_models import ModelBuilder, random_image, tiny_model
from tests.refused import refused
from tools.browser.browser_model import open_in_browser
from tools.browser.packages import litertjs_version, packages_folder
from tools.graph.float_master import make_float_master
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.similarity.model_outputs import ModelOutputs

_ACCELERATORS = ["wasm", "gpu"]


def _opened(content, accelerator="wasm", **more):
    return open_in_browser(content, "artifact.tflite", accelerator, packages_folder(), **more)


def _samples(model, count=2):
    return [
        {
            name: random_image(shape, seed)
            for name, shape in zip(model.inputs, model.input_shapes, strict=True)
        }
        for seed in range(count)
    ]


def _sessions():
    """Gives the session of every browser that shows a page of a server of ours."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"--host-resolver-rules=MAP * ~NOTFOUND" in command:
                found.add(os.getsid(int(process.name)))
        except OSError:
            continue
    return found


@pytest.fixture(name="nothing_stays", autouse=True)
def _nothing_stays():
    """Holds every test to leaving no process of a browser behind."""
    before = _sessions()
    yield
    assert _sessions() <= before


@pytest.mark.parametrize("accelerator", _ACCELERATORS)
def test_mediapipes_face_detector_gives_the_hosts_answers(accelerator):
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    host = ModelOutputs(master, "float master")
    with _opened(master, accelerator) as model:
        assert (model.refusal, model.whole) == ("", True)
        assert ("swiftshader" in model.adapter) == (accelerator == "gpu")
        assert re.fullmatch(r"[\w ]*Chrom\w+ [\d.]+", model.browser)
        assert (model.inputs, model.outputs, model.shapes, model.input_shapes) == (
            host.inputs,
            host.outputs,
            host.shapes,
            host.input_shapes,
        )
        for sample in _samples(model):
            for ours, theirs in zip(host(sample), model(sample), strict=True):
                assert theirs.dtype == np.float32
                np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-3 * np.abs(ours).max())
        assert len(model.milliseconds) == 2
        assert min(model.milliseconds) > 0


def test_an_int8_artifact_and_its_float_master_take_turns():
    master, _ = make_float_master(tiny_model(channels=32))
    samples = _samples(ModelOutputs(master, "float master"), 8)
    artifact = quantize(master, QuantizationSettings("int8"), samples).model
    host = ModelOutputs(artifact, "artifact")
    with _opened(artifact) as model:
        np.testing.assert_allclose(model(samples[0])[0], host(samples[0])[0], atol=1e-2)
        speed = model.measure(master, {"image": "image"}, rounds=3, seconds=0.01)
        assert speed.artifact_ms > 0
        assert speed.float_master_ms > 0
        assert 0.01 < speed.speedup < 100
        # It answers as before.
        np.testing.assert_allclose(model(samples[0])[0], host(samples[0])[0], atol=1e-2)


def test_what_the_gpu_delegate_refuses_is_told_in_its_own_words():
    graph = ModelBuilder()
    rng = np.random.default_rng(0)
    weights = graph.constant(rng.standard_normal((63, 504), np.float32), "weights")
    bias = graph.constant(np.zeros(63, np.float32), "bias")
    head = graph.fully_connected(graph.input((1, 504)), weights, bias)
    master, _ = make_float_master(graph.finish(head))
    artifact = quantize(master, QuantizationSettings("weight_only_int8", runs_on=("cpu",)), None)
    with _opened(artifact.model, "gpu") as model:
        assert "Shape mismatch" in model.refusal
        assert "INFO" not in model.refusal
        assert "\n" not in model.refusal
        assert not model.whole
        with refused("model.runtime", "Shape mismatch"):
            model(_samples(model)[0])
    with _opened(artifact.model) as model:
        (answer,) = model(_samples(model)[0])
        assert np.isfinite(answer).all()
    for_both = quantize(master, QuantizationSettings("weight_only_int8"), None)
    with _opened(for_both.model, "gpu") as model:
        assert model.refusal == ""
        (other,) = model(_samples(model)[0])
        np.testing.assert_allclose(other, answer, atol=1e-2 * np.abs(answer).max())


def test_integers_at_the_ends_are_refused_when_they_run():
    master, _ = make_float_master(tiny_model())
    samples = _samples(ModelOutputs(master, "float master"), 4)
    ends = QuantizationSettings("int8", input_type="int8", output_type="int8")
    with _opened(quantize(master, ends, samples).model) as model:
        with refused("model.runtime", "INT8 is not supported"):
            model(samples[0])
        assert "INT8 is not supported" in model.refusal


def test_no_browser(monkeypatch):
    with refused("device.browser", "no browser no-such-browser.*install it") as raised:
        _open(chromium="no-such-browser")
    assert raised.value.exit_status == 4
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("tools.browser.chromium._FOLDERS", "")
    with refused("device.browser", "no Chromium or Chrome on this machine"):
        _open()


def _open(**more):
    with _opened(tiny_model(), **more):
        raise AssertionError("it opens")


def _program(folder, *lines):
    program = folder / "browser"
    program.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    program.chmod(0o755)
    return str(program)


def test_a_browser_that_does_not_start(tmp_path):
    program = _program(tmp_path, "echo 'cannot open display' >&2", "exit 1")
    with refused("device.gone", r"LiteRT.js \(cannot open display\)") as raised:
        _open(chromium=program)
    assert raised.value.exit_status == 5


def test_a_browser_that_never_shows_the_page(tmp_path):
    with refused("device.timeout", "no end in 1 s while it started LiteRT.js") as raised:
        _open(chromium=_program(tmp_path, "trap '' TERM", "sleep 1000 & sleep 1000"), seconds=1)
    assert raised.value.exit_status == 5
    sleeping = [
        process
        for process in Path("/proc").glob("[0-9]*/cmdline")
        if process.exists() and process.read_bytes() == b"sleep\x001000\x00"
    ]
    assert not sleeping


def test_a_page_that_dies():
    (session,) = _sessions_while_open_until_killed()
    assert session not in _sessions()


def _sessions_while_open_until_killed():
    """Kills the process of the page while its model is asked to run; gives its session."""
    before = _sessions()
    with refused("device.gone", "while it ran the model"), _opened(tiny_model()) as model:
        found = _sessions() - before
        killer = threading.Thread(target=_kill_pages, args=(found,))
        killer.start()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            model(_samples(model, 1)[0])
    killer.join()
    return found


def _kill_pages(sessions):
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_page = b"--type=renderer" in (process / "cmdline").read_bytes()
            if is_page and os.getsid(int(process.name)) in sessions:
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue


def test_the_pinned_version():
    assert litertjs_version(packages_folder()) == "2.5.3"


def test_packages_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("RULES_QUANTIZE_LITERTJS", str(tmp_path))
    with refused("file.missing", "no npm packages of LiteRT.js"):
        packages_folder()
