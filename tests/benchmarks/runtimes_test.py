"""benchmarks/runtimes.py: its table of what each runtime answers, grown row by row."""

import csv
import json
import shutil
import sys

import numpy as np
import pytest

from benchmarks import runtimes
from tests.random_models import random_image, tiny_model
from tests.refused import refused
from tools.graph.float_master import make_float_master
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

_SHAPE = (1, 16, 16, 3)


@pytest.fixture(name="models", scope="module")
def _models():
    master, _ = make_float_master(tiny_model())
    samples = [{"image": random_image(_SHAPE, seed)} for seed in range(8)]
    artifacts = {
        f"tiny_{scheme}": quantize(master, QuantizationSettings(scheme), samples).model
        for scheme in ("int8", "float16")
    }
    return {"float": master, **artifacts}


@pytest.fixture(name="folder")
def _folder(models, tmp_path, monkeypatch):
    """A suite of two artifacts, and the host beside an arm64 that is not there."""
    for name, content in models.items():
        (tmp_path / f"{name}.tflite").write_bytes(content)
    for seed in range(3):
        np.save(tmp_path / f"sample_{seed}.npy", random_image(_SHAPE, 100 + seed)[0])
    entry = {
        "float_model": "float.tflite",
        "mean": "",
        "std": "",
        "resize": "stretch",
        "test": [f"sample_{seed}.npy" for seed in range(3)],
        "artifacts": [
            {"name": f"tiny_{scheme}", "model": f"tiny_{scheme}.tflite"}
            for scheme in ("int8", "float16")
        ],
    }
    (tmp_path / "suite.json").write_text(json.dumps([entry]))
    monkeypatch.setattr(runtimes, "_RUNTIMES", ("host", "arm64"))
    monkeypatch.setenv("RUNFILES_DIR", str(tmp_path))
    return tmp_path


def _run(folder, *flags):
    words = [f"--suite={folder}/suite.json", f"--runfiles={folder}", f"--table={folder}/table.csv"]
    markdown = f"--markdown={folder}/table.md"
    return runtimes.main(runtimes.parser().parse_args([*words, markdown, "--samples=2", *flags]))


def _rows(folder):
    with (folder / "table.csv").open(newline="") as file:
        return {(row["artifact"], row["runtime"]): row for row in csv.DictReader(file)}


def _let_arm64_be_this_python(folder):
    """Puts this host's own Python where the emulated one is looked for."""
    program = folder / "rules_quantize_arm64/arm64/python"
    program.parent.mkdir(parents=True)
    paths = ":".join(sys.path)
    program.write_text(f'#!/bin/sh\nshift\nPYTHONPATH="{paths}" exec "{sys.executable}" "$@"\n')
    program.chmod(0o755)


def test_a_runtime_that_is_not_there_is_left_out_once(folder, capsys):
    assert _run(folder) == 0
    assert capsys.readouterr().err.count("arm64 is left out: ") == 1
    rows = _rows(folder)
    assert set(rows) == {("tiny_int8", "host"), ("tiny_float16", "host")}
    row = rows["tiny_int8", "host"]
    assert (row["taken"], row["samples"], row["cosine_to_host"]) == ("whole", "2", "1.000000")
    assert 0.9 < float(row["cosine_to_float"]) < 1
    assert float(rows["tiny_float16", "host"]["cosine_to_float"]) > 0.9999
    head, _, *lines = (folder / "table.md").read_text().splitlines()
    assert head == "| artifact | host | arm64 |"
    cosine = f"{float(row['cosine_to_float']):.4f}"
    assert lines == [f"| tiny_int8 | {cosine} |  |", "| tiny_float16 | 1.0000 |  |"]


def test_a_device_is_compared_with_the_host_and_with_the_float_model(folder):
    _let_arm64_be_this_python(folder)
    assert _run(folder, "--only=*int8") == 0
    rows = _rows(folder)
    assert set(rows) == {("tiny_int8", "host"), ("tiny_int8", "arm64")}
    row = rows["tiny_int8", "arm64"]
    assert float(row["cosine_to_host"]) > 0.9999
    assert row["cosine_to_float"] == rows["tiny_int8", "host"]["cosine_to_float"]
    assert row["taken"] == "whole"
    assert (folder / "table.md").read_text().splitlines()[2].endswith("x |")


def test_only_what_has_changed_is_run_again(folder):
    _run(folder)
    table = folder / "table.csv"
    table.write_text(table.read_text().replace("whole", "kept"))
    shutil.copyfile(folder / "tiny_float16.tflite", folder / "tiny_int8.tflite")
    _run(folder)
    rows = _rows(folder)
    assert rows["tiny_float16", "host"]["taken"] == "kept"
    assert rows["tiny_int8", "host"]["taken"] == "whole"
    assert rows["tiny_int8", "host"]["sha256"] == rows["tiny_float16", "host"]["sha256"]


def test_a_name_that_no_artifact_has(folder):
    with refused("flag.value", r"--only=huge_\*: "):
        _run(folder, "--only=huge_*")
    assert not (folder / "table.csv").exists()


def test_what_is_refused_or_taken_in_part_is_in_the_cell():
    cosines = {"cosine_to_host": "0.999900 0.990000", "cosine_to_float": "0.980000 0.970000"}
    row = {"runtime": "gpu", "taken": "partly", "speedup": "", **cosines}
    assert runtimes._cell(row) == "0.9900, 0.9700, in part"
    assert runtimes._cell({**row, "runtime": "wasm", "speedup": "1.5"}) == "0.9900, 0.9700, 1.50x"
    silent = {**row, "cosine_to_host": ""}
    assert runtimes._cell({**silent, "taken": "refused"}) == "**refused**"
    assert runtimes._cell(silent) == "**no answers**"
    assert runtimes._cell(None) == ""


def test_cosines_of_each_output():
    one = [[np.array([1.0, 0.0]), np.zeros(2)], [np.array([1.0, 0.0]), np.zeros(2)]]
    other = [[np.array([0.0, 2.0]), np.zeros(2)], [np.array([3.0, 0.0]), np.ones(2)]]
    assert runtimes._cosines(one, other) == [0.5, 0.5]
