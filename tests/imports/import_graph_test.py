"""Data flows one way: no module imports itself through others, and packages keep their order."""

from pathlib import Path

import pytest

from tests.imports.import_graph import cycles, import_graph, imports, modules_of, programs

# Not resolved: a file of runfiles is a link to one of the workspace.
_ROOT = Path(__file__).absolute().parents[2]
_PACKAGES = ("models", "registry", "rqz", "rules", "scenes", "tools")


@pytest.fixture(name="imported", scope="module")
def _imported():
    return imports(modules_of(_ROOT, _PACKAGES))


@pytest.fixture(name="graph", scope="module")
def _graph(imported):
    return import_graph(imported)


def _across(graph, package, others):
    """Lists what modules of a package import of others."""
    return [
        f"{module} imports {name}"
        for module, names in sorted(graph.items())
        if module.startswith(f"{package}.")
        for name in sorted(names)
        if others(name)
    ]


def test_no_module_of_ours_is_left_out(imported):
    assert [
        f"{module} imports {name}"
        for module, names in imported.items()
        for name in names - imported.keys()
        if name.split(".")[0] in _PACKAGES
    ] == []


def test_every_package_is_read(graph):
    for module in (
        "scenes.render_samples",
        "registry.register",
        "rules.private.install_python_env",
        "tools.graph.flatbuffer",
        "tools.latency.devices",
        "tools.quantize_model",
    ):
        assert module in graph
    # An import at the top, one inside of a function, and one of a package of its own.
    assert "tools.errors" in graph["tools.graph.flatbuffer"]
    assert "tools.latency.host" in graph["tools.latency.devices"]
    assert "tools.documents.report" in graph["tools.check_gates"]


def test_no_module_imports_itself_through_others(graph):
    assert cycles(graph) == []


def test_the_tools_know_nothing_of_the_registry(graph):
    assert _across(graph, "tools", lambda name: name.split(".")[0] == "registry") == []


@pytest.mark.parametrize("package", ["registry", "rules", "tools"])
def test_no_program_knows_by_which_command_it_is_started(graph, package):
    assert _across(graph, package, lambda name: name.split(".")[0] == "rqz") == []


def test_what_is_started_is_imported_by_none(graph):
    started = programs(modules_of(_ROOT, _PACKAGES))
    assert {"registry.register", "rules.private.document_rules", "tools.quantize_model"} <= started
    assert "tools.command_line" not in started
    assert [
        f"{module} imports {name}"
        for module, names in sorted(graph.items())
        for name in sorted(names & started)
    ] == []


def test_the_graph_package_knows_no_other(graph):
    def is_another_package(name):
        return name not in ("tools", "tools.errors") and not name.startswith("tools.graph")

    assert _across(graph, "tools.graph", is_another_package) == []


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({"a": "import p.b", "b": "import p.c", "c": ""}, []),
        ({"a": "import p.b", "b": "from p import a"}, [("p.a", "p.b")]),
        ({"a": "from p.b import f", "b": "def f():\n    from p.a import g"}, [("p.a", "p.b")]),
        ({"a": "from .b import f", "b": "from . import c", "c": "from . import a"},
         [("p.a", "p.b", "p.c")]),
        ({"a": "import p.b", "b": "import p.a", "c": "import p.a"}, [("p.a", "p.b")]),
        ({"a": "import p.b.d", "b/__init__": "", "b/d": "from ..a import f"}, [("p.a", "p.b.d")]),
        ({"a": "import p.b", "b/__init__": "import p.a", "b/d": ""}, [("p.a", "p.b")]),
    ],
)  # fmt: skip
def test_cycles_are_found(tmp_path, sources, found):
    for name, text in {"__init__": ""}.items() | sources.items():
        path = tmp_path / "p" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cycles(import_graph(imports(modules_of(tmp_path, ("p",))))) == found
