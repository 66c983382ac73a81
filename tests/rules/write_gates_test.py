"""rules/gates.bzl and the tables of docs/reference/gates.md are those of the definitions."""

import argparse
import ast
from pathlib import Path

import pytest

from rules.private.write_gates import main, parser, written
from tests.refused import refused
from tools.latency.gate_definitions import SPEED_GATES
from tools.latency.gate_flags import add_speed_gate_flags
from tools.similarity.gate_definitions import QUALITY_GATES
from tools.similarity.gate_flags import add_gate_flags


def test_what_is_checked_in_is_current():
    assert main(parser().parse_args(["--check", "--root=."])) == 0


@pytest.mark.parametrize(
    ("name", "part"),
    [("rules/gates.bzl", "min_recall"), ("docs/reference/gates.md", "| `min_recall` |")],
)
def test_a_file_that_is_not_current_is_refused(tmp_path, name, part):
    for folder in ("docs/reference", "rules"):
        (tmp_path / folder).mkdir(parents=True)
    for path, text in written(Path()).items():
        (tmp_path / path).write_text(text)
    flags = [f"--root={tmp_path}"]
    assert main(parser().parse_args(["--check", *flags])) == 0
    changed = (tmp_path / name).read_text().replace(part, "another")
    (tmp_path / name).write_text(changed)
    with refused("page.stale", "write it with `bazel run //rules:write_g"):
        main(parser().parse_args(["--check", *flags]))
    assert main(parser().parse_args(flags)) == 0
    assert (tmp_path / name).read_text() == Path(name).read_text()


def test_a_page_without_a_place_for_the_tables_is_refused(tmp_path):
    (tmp_path / "docs/reference").mkdir(parents=True)
    (tmp_path / "docs/reference/gates.md").write_text("# Gates\n")
    with refused("page.incomplete", "quality gates"):
        written(tmp_path)


def _flags(add):
    command = argparse.ArgumentParser(add_help=False)
    add(command)
    return {action.dest for action in command._actions} - {"gates"}


def _constructor(name):
    """Gives the parameters of a function of rules/gates.bzl, and the gates of its docstring."""
    tree = ast.parse(Path("rules/gates.bzl").read_text())
    (function,) = [
        one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name
    ]
    return {one.arg for one in function.args.kwonlyargs}, ast.get_docstring(function)


def test_a_gate_has_one_name_as_a_flag_in_a_build_file_and_in_the_docs():
    page = Path("docs/reference/gates.md").read_text()
    for gates, add, constructor in (
        (QUALITY_GATES, add_gate_flags, "quality_gates"),
        (SPEED_GATES, add_speed_gate_flags, "speed_gates"),
    ):
        assert _flags(add) == set(gates)
        parameters, described = _constructor(constructor)
        for name, gate in gates.items():
            tasks = getattr(gate, "tasks", ())
            assert (name in parameters) == (not tasks)
            assert set(tasks) <= parameters
            assert name in described
            assert f"\n| `{name}` | {gate.about} |" in page
