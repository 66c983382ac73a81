"""The tutorial, followed to the letter: its files are the example's, and each command works.

Run by `bazel run //tests/e2e:tutorial_test`. The workspace has an output base of its own.
"""

import json
import re
import shutil

import pytest

from tests.e2e.workspaces import HERE, WORKSPACE, bazel, blocks_of, typed

pytestmark = pytest.mark.skipif(not HERE, reason="starts Bazel: use bazel run")

_PAGE = WORKSPACE / "docs/tutorial.md"
_EXAMPLE = WORKSPACE / "examples/classifier"
_FILES = (".bazelrc", "BUILD.bazel", "WORKSPACE", "promotion.toml")


def _commands():
    return re.findall(r"^ {4}(bazel .*)$", _PAGE.read_text(), re.MULTILINE)


@pytest.fixture(name="app", scope="module")
def _app(tmp_path_factory):
    home = tmp_path_factory.mktemp("tutorial")
    (home / "rules_quantize").symlink_to(WORKSPACE)
    folder = home / "shapes"
    shutil.copytree(_EXAMPLE, folder)
    shutil.copy(WORKSPACE / "bazelw", folder)
    yield folder
    bazel("clean", "--expunge", folder=folder)


def test_the_files_of_the_example_are_those_of_the_page():
    blocks = blocks_of(_PAGE)
    assert sorted(blocks) == sorted(_FILES)
    for name, text in blocks.items():
        assert (_EXAMPLE / name).read_text() == text, name


def test_each_command_works(app):
    printed = {}
    for command in _commands():
        done = typed(command, app)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        printed[command] = done.stdout + done.stderr
    build, test, _, register, listed, promote, fetch = printed.values()
    (line,) = re.findall(r"^shapes_int8: .*$", build, re.MULTILINE)
    # In the page it is what this machine printed, but for where the report is.
    assert line.partition(";")[0] in _PAGE.read_text()
    assert "max_degradation" in test
    assert "registered shapes version 1 (shapes_int8 1.0.0, int8)" in register
    assert "shapes" in listed
    assert "production" in promote
    assert (app / "shapes_production.tflite").read_bytes() == (
        app / "bazel-bin/shapes_int8.tflite"
    ).read_bytes()
    report = json.loads((app / "bazel-bin/shapes_int8.report.json").read_text())
    (task,) = report["similarity"]["tasks"]
    # The float model knows the shapes: what is held to it means something.
    assert task["float_accuracy"] > 0.7
    assert fetch
