import ast
import pickle
from pathlib import Path

import pytest

from tests.imports.import_graph import modules_of
from tools.errors import CODES, InputError, NoDeviceError

# Not resolved: a file of runfiles is a link to one of the workspace.
_ROOT = Path(__file__).absolute().parents[2]
_PACKAGES = ("benchmarks", "models", "registry", "rqz", "rules", "scenes", "tools")


@pytest.fixture(name="trees", scope="module")
def _trees():
    paths = modules_of(_ROOT, _PACKAGES).values()
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def _calls(trees):
    """Lists where an InputError, or one derived from it, is made: place and first argument."""
    nodes = [(path, node) for path, tree in trees.items() for node in ast.walk(tree)]
    names = {"InputError"}
    for _, node in nodes:
        if isinstance(node, ast.ClassDef) and "InputError" in map(ast.unparse, node.bases):
            names.add(node.name)
    return [
        (f"{path}:{node.lineno}", node.args[0])
        for path, node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ]


def _handed_on(trees):
    """Lists codes that are given to a function for it to refuse with: place and code."""
    result = []
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                named = [word.value for word in node.keywords if word.arg == "code"]
                first = node.args[:1] if ast.unparse(node.func).endswith(".refuse") else []
                result += [(f"{path}:{node.lineno}", code) for code in named + first]
    return result


def test_every_fault_has_a_code_that_is_known(trees):
    calls = _calls(trees)
    assert len(calls) > 300
    # What is said anew of an error keeps its code; some functions are given theirs.
    handed_on = {"code", "error.code"}
    assert not [
        place
        for place, code in calls
        if ast.unparse(code) not in handed_on and getattr(code, "value", None) not in CODES
    ]


def test_every_code_that_is_handed_on_is_known(trees):
    found = _handed_on(trees)
    assert found
    assert not [
        place for place, code in found if isinstance(code, ast.Constant) and code.value not in CODES
    ]


def test_every_code_is_of_a_fault(trees):
    used = {
        node.value
        for path, tree in trees.items()
        if path.name != "errors.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(CODES) <= used


def test_the_page_shows_every_code():
    lines = (_ROOT / "docs/reference/errors.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("| `")]
    assert table == [f"| `{code}` | {meaning} |" for code, meaning in sorted(CODES.items())]


def test_a_code_that_nobody_knows_is_a_fault_of_the_program():
    with pytest.raises(KeyError, match=r"model\.heavy"):
        InputError("model.heavy", "net.tflite: is heavy")


def test_what_another_process_raises_comes_back_as_it_is():
    raised = pickle.loads(pickle.dumps(NoDeviceError("device.none", "adb: no device")))
    assert type(raised) is NoDeviceError
    assert (raised.code, str(raised)) == ("device.none", "adb: no device")
    assert raised.exit_status == 4


def test_a_message_is_one_line():
    assert str(InputError("file.missing", "a\nb\x1b é\u2028: no such file")) == (
        r"a\nb\x1b é\u2028: no such file"
    )
