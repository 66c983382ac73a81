"""`rqz init` writes what a model says of itself, and replaces nothing."""

import ast
import hashlib
from pathlib import Path

import pytest

from rqz import new_workspace
from rqz.new_workspace import Found, build_file, find_rules, look_at
from tests.model_files import model_path
from tests.random_models import tiny_model
from tools.command_line import EXIT_BAD_INPUT, run

_IMAGE = [("image", (1, 32, 32, 3), "float32")]


def _init(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["init", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        run(new_workspace.parser(), new_workspace.main)
    return ended.value.code


@pytest.fixture(name="rules")
def _rules(tmp_path):
    folder = tmp_path / "rules_quantize"
    (folder / "rules").mkdir(parents=True)
    (folder / "rules/defs.bzl").touch()
    return folder


@pytest.fixture(name="model")
def _model(tmp_path):
    path = tmp_path / "my net.tflite"
    path.write_bytes(tiny_model())
    return path


def _calls(text):
    """Reads Starlark's calls, which are Python's too: by function its keyword arguments."""
    nodes = [node.value for node in ast.parse(text).body if isinstance(node, ast.Expr)]
    return {
        node.func.id: {word.arg: ast.unparse(word.value) for word in node.keywords}
        for node in nodes
    }


def test_a_real_model_s_inputs_outputs_and_normalisation():
    found = look_at(model_path("face_detection_short_range").read_bytes(), "face.tflite")
    assert found.inputs == [("input", (1, 128, 128, 3), "float32")]
    assert [shape for _, shape, _ in found.outputs] == [(1, 896, 16), (1, 896, 1)]
    assert found.normalization == (127.5, 127.5)
    assert found.takes_images
    assert found.scores is None
    text = build_file(found, "face", "face.tflite", "int8")
    assert "#   output regressors (1, 896, 16) float32\n" in text
    assert "(pixel - 127.5) / 127.5." in text
    assert "task" not in _calls(text)["float_model"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "scores"),
    [
        (_IMAGE, [("scores", (1, 10), "float32")], "scores"),
        (_IMAGE, [("age", (1, 1), "float32")], None),
        (_IMAGE, [("a", (1, 10), "float32"), ("b", (1, 10), "float32")], None),
        (_IMAGE, [("mask", (1, 32, 32, 1), "float32")], None),
        ([("text", (1, 128), "int32")], [("scores", (1, 10), "float32")], None),
    ],
)
def test_a_classifier_is_known_by_its_head(inputs, outputs, scores):
    found = Found(inputs, outputs, None)
    assert found.scores == scores
    calls = _calls(build_file(found, "net", "net.tflite", "int8"))
    if scores:
        assert calls["float_model"]["task"] == "classification(scores='scores')"
        assert "min_top1_agreement=0.95" in calls["quantized_model"]["quality"]
    else:
        assert "task" not in calls["float_model"]


@pytest.mark.parametrize("form", ["--workspace", "--scheme=int8"])
def test_a_workspace_is_written(monkeypatch, capsys, tmp_path, model, rules, form):
    folder = tmp_path / "app"
    assert _init(monkeypatch, model, f"--rules={rules}", f"--folder={folder}", form) == 0
    main = "WORKSPACE" if form == "--workspace" else "MODULE.bazel"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        ".bazelrc", "BUILD.bazel", main, "calibration/README.md", "my net.tflite", "test/README.md",
    }  # fmt: skip
    calls = _calls((folder / main).read_text())
    where = calls["local_repository" if form == "--workspace" else "local_path_override"]
    assert where["path"] == repr(str(rules))
    built = _calls((folder / "BUILD.bazel").read_text())
    assert built["float_model"] == {"name": "'my_net'", "src": "'my net.tflite'"}
    assert built["quantized_model"]["name"] == "'my_net_int8'"
    assert built["quantized_model"]["test_data"] == "':test_data'"
    said = capsys.readouterr().out
    assert said.count("  bazel ") == 3
    assert "bazel build //:my_net_int8 " in said


def test_nothing_is_replaced(monkeypatch, capsys, tmp_path, model, rules):
    (tmp_path / "app").mkdir()
    build = tmp_path / "app/BUILD.bazel"
    build.write_text("mine")
    words = (model, f"--rules={rules}", f"--folder={build.parent}")
    assert _init(monkeypatch, *words) == EXIT_BAD_INPUT
    assert "BUILD.bazel is there already" in capsys.readouterr().err
    assert list(build.parent.iterdir()) == [build]
    assert build.read_text() == "mine"


def test_the_model_may_lie_in_the_folder_already(monkeypatch, tmp_path, model, rules):
    before = model.read_bytes()
    assert _init(monkeypatch, model, f"--rules={rules}", f"--folder={tmp_path}") == 0
    assert model.read_bytes() == before
    assert (tmp_path / "BUILD.bazel").exists()


def test_an_archive_is_named_with_its_digest(tmp_path):
    archive = tmp_path / "rules_quantize-0.1.0.tar.gz"
    archive.write_bytes(b"archive")
    rules = find_rules(str(archive))
    calls = _calls(rules.workspace())
    assert calls["http_archive"]["sha256"] == repr(hashlib.sha256(b"archive").hexdigest())
    assert calls["http_archive"]["urls"] == f"['{archive.as_uri()}']"
    address = "https://example.com/rules_quantize-0.1.0.tar.gz"
    assert _calls(find_rules(address).module())["archive_override"]["urls"] == f"['{address}']"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rules=."], "the folder has no rules/defs.bzl"),
        (["--rules=none.tar.gz"], "none.tar.gz: No such file or directory"),
        (["--rules=.", "--scheme=int5"], "--scheme=int5: choose one of int8, "),
        ([], "the following arguments are required: --rules"),
    ],
)
def test_what_cannot_be_used_is_one_line(monkeypatch, capsys, tmp_path, model, words, said):
    monkeypatch.chdir(tmp_path)
    assert _init(monkeypatch, model, "--folder=app", *words) == EXIT_BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not Path("app").exists()


def test_what_is_no_float_model_is_refused(monkeypatch, capsys, tmp_path, rules):
    file = tmp_path / "net.tflite"
    file.write_bytes(b"no model")
    assert _init(monkeypatch, file, f"--rules={rules}", f"--folder={tmp_path / 'app'}") == 2
    assert "net.tflite" in capsys.readouterr().err
    assert not (tmp_path / "app").exists()
