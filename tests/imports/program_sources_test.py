"""Each program has in its runfiles what it imports: a list in a BUILD file misses nothing."""

from pathlib import Path

import pytest

from tests.imports.import_graph import import_graph, imports, modules_of, programs, reachable

# Not resolved: a file of runfiles is a link to one of the workspace.
_HERE = Path(__file__).absolute().parent
_ROOT = _HERE.parents[1]
_PACKAGES = ("registry", "rqz", "rules", "scenes", "tools")
# TensorFlow and LiteRT.js are fetched where these are used; their own tests run them.
_FETCHED_WHERE_USED = {
    "tools.convert_model",
    "tools.train_quantized",
    "tools.validate_in_browser",
    "tools.web_demo",
}
# It is started where a wheel is installed, and by nothing else.
_OF_THE_WHEEL = {"rqz.entry_point"}
# Bazel starts them while it makes an environment, before there is one.
_OF_REPOSITORY_RULES = {
    "rules.private.extract_wheel_files",
    "rules.private.install_arm64_python",
    "rules.private.install_python_env",
}


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.fixture(name="found", scope="module")
def _found() -> dict[str, tuple[str, set[str]]]:
    """By label (the module that is started, the modules in the runfiles)."""
    result = {}
    for line in (_HERE / "programs.tsv").read_text().splitlines():
        label, main, *paths = line.split("\t")
        result[label] = _module(main), {_module(path) for path in paths}
    return result


@pytest.fixture(name="modules", scope="module")
def _modules():
    return modules_of(_ROOT, _PACKAGES)


def test_programs_have_all_that_they_import(found, modules):
    graph = import_graph(imports(modules))
    assert [
        f"{label} lacks {name}"
        for label, (main, present) in sorted(found.items())
        for name in sorted(reachable(graph, main) - present)
    ] == []


def test_every_program_is_looked_at(found, modules):
    started = programs(modules) - _FETCHED_WHERE_USED - _OF_REPOSITORY_RULES - _OF_THE_WHEEL
    assert {main for main, _ in found.values()} == started
