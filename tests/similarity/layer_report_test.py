"""The layer report: its numbers, its page, and the command, on random and real models."""

import dataclasses
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import tools.layer_report
import tools.quantize_model
from tests.model_files import model_path
from tests.scenes.photo_files import photo_path
from tests.tools.commands import with_instead
from tools.documents.document import read_document
from tools.documents.layers import LayerError, LayerReport
from tools.documents.models import FileIdentity
from tools.similarity.layer_page import by_error, compared_sentence, page, text_table

_LAYER = LayerError(
    correlation=0.99,
    cosine=0.999,
    dtype="INT8",
    jump_db=1.0,
    name="layer",
    operator="CONV_2D",
    position=0,
    rescaled_channels=0,
    shape=(1, 8, 8, 4),
    sqnr_db=30.0,
    weights="INT8",
)


def _report(*layers, **changes):
    report = LayerReport(
        artifact=FileIdentity(10, "a" * 64),
        compared_with="prepared",
        first_jump=None,
        jump_threshold_db=6.0,
        layers=tuple(
            dataclasses.replace(_LAYER, **({"name": f"layer_{number}", "position": number} | layer))
            for number, layer in enumerate(layers)
        ),
        name="face_int8",
        samples=4,
        unmatched=(),
    )
    return dataclasses.replace(report, **changes)


class _Page(HTMLParser):
    """Reads what a page holds, and refuses what it would fetch."""

    def __init__(self, text):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.classes: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        assert not {"src", "href", "srcset", "data"} & set(values), (tag, attrs)
        assert tag not in ("script", "link", "iframe", "img")
        self.tags.append(tag)
        self.classes += (values.get("class") or "").split()
        if tag != "meta" and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_page_says_where_error_jumps_and_needs_no_other_file():
    report = _report(
        {"sqnr_db": 33.0},
        {"sqnr_db": 20.0, "jump_db": 13.0, "operator": "DEPTHWISE_CONV_2D"},
        {"sqnr_db": None, "cosine": 1.0, "dtype": "FLOAT32", "weights": "", "correlation": None},
        first_jump="layer_1",
        unmatched=("made_by_a_pass",),
    )
    text = page(report)
    parsed = _Page(text)
    assert "Error jumps first at layer_1 (DEPTHWISE_CONV_2D, operator 1)" in parsed.text
    assert "20.0 dB, 13.0 dB below its worst input's" in parsed.text
    assert "1 tensors have no counterpart" in parsed.text
    assert "exact" in parsed.text
    assert "url(" not in text
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    # A point for each layer, and a ring around the jump.
    assert parsed.tags.count("circle") == 4
    assert text.count('stroke="var(--bad)"') == 1
    assert parsed.classes.count("jump") == 2
    assert parsed.tags.count("table") == 2


def test_names_are_text_whatever_they_hold():
    name = '<script>alert("1")</script>&amp;'
    layer = {"sqnr_db": 3.0, "jump_db": 30.0, "name": name}
    assert name in _Page(page(_report(layer, name=name, first_jump=name))).text


@pytest.mark.parametrize("sqnr", [None, 500.0, -400.0, 0.0])
def test_any_sqnr_has_a_place(sqnr):
    text = page(_report({"sqnr_db": sqnr, "cosine": 0.0}))
    assert "nan" not in text
    assert "inf" not in text
    _Page(text)


def test_by_error_and_in_order():
    report = _report(
        {"sqnr_db": 30.0},
        {"sqnr_db": None, "cosine": 1.0},
        {"sqnr_db": None, "cosine": 0.0},
        {"sqnr_db": 10.0},
    )
    order = [layer.name for layer in by_error(report.layers)]
    # No signal at all is the worst, no error at all the best.
    assert order == ["layer_2", "layer_3", "layer_0", "layer_1"]
    table = text_table(report).splitlines()
    assert table[0] == "No layer's SQNR falls by 6 dB below its inputs'."
    assert [line.split()[2] for line in table[4:]] == [f"layer_{n}" for n in range(4)]


def test_what_was_compared():
    against_master = _report({"sqnr_db": 1.0}, compared_with="float_master")
    assert "against the float master, channels brought" in compared_sentence(against_master)
    assert "as it was prepared" in compared_sentence(_report({"sqnr_db": 1.0}))


def _run(module, folder, *flags):
    return subprocess.run(
        [sys.executable, module.__file__, *flags],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "BUILD_WORKING_DIRECTORY": str(folder)},
        check=False,
    )


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    (folder / "images").mkdir()
    for name in ("astronaut.png", "coffee.png"):
        (folder / "images" / name).symlink_to(photo_path(name))
    (folder / "face.tflite").symlink_to(model_path("face_detection_short_range").resolve())
    result = _run(
        tools.quantize_model,
        folder,
        "--input_model=face.tflite",
        "--output_model=face_int8.tflite",
        "--quantization_type=INT8",
        "--calibration_data=images",
        "--prepared_output=prepared.tflite",
    )
    assert result.returncode == 0, result.stderr
    return folder


_MODELS = ("--float_model=face.tflite", "--quantized_model=face_int8.tflite")


def test_the_command_compares_with_the_prepared_graph_and_with_the_master(folder):
    documents = []
    for flags in (("--prepared_model=prepared.tflite",), ()):
        result = _run(
            tools.layer_report,
            folder,
            *_MODELS,
            *flags,
            "--test_data=images",
            "--json=layers.json",
            "--html=layers.html",
        )
        assert (result.returncode, result.stderr) == (0, "")
        report = read_document(folder / "layers.json", LayerReport)
        assert result.stdout == text_table(report)
        _Page((folder / "layers.html").read_text())
        assert report.name == "face_int8"
        assert report.unmatched == ()
        documents.append({layer.name: layer for layer in report.layers})
    prepared, master = documents
    assert prepared.keys() == master.keys()
    assert not any(layer.rescaled_channels for layer in prepared.values())
    assert sum(layer.rescaled_channels for layer in master.values()) > 100
    for name, layer in prepared.items():
        assert layer.correlation == pytest.approx(master[name].correlation, abs=0.02)
    assert master["regressors"].sqnr_db == pytest.approx(prepared["regressors"].sqnr_db, abs=0.1)


def test_the_prepared_graph_alone(folder):
    result = _run(
        tools.quantize_model,
        folder,
        "--input_model=face.tflite",
        "--quantization_type=INT8",
        "--calibration_data=images",
        "--prepared_output=again.tflite",
    )
    assert (result.returncode, result.stdout) == (0, "")
    assert (folder / "again.tflite").read_bytes() == (folder / "prepared.tflite").read_bytes()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--samples=0",), "--samples=0: at least 1 is wanted"),
        (("--prepared_model=images/coffee.png",), "coffee.png: not a TFLite file"),
        (("--quantized_model=images/coffee.png",), "images/coffee.png: not a TFLite file"),
        (("--prepared_model=none.tflite",), "none.tflite: No such file"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(folder, flags, message):
    result = _run(
        tools.layer_report, folder, *with_instead([*_MODELS, "--test_data=images"], *flags)
    )
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("layer_report: error: ")
    assert message in line
    assert not Path(folder, "none.json").exists()
