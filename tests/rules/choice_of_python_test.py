"""Which Python an environment is made with, and what is said where there is none.

Run by `bazel run //tests/rules:choice_of_python_test`: it starts Bazel in a workspace with
locks of one small package, and with a PATH that holds what a test puts there.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.wheels import locked, make_wheel

_HERE = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
pytestmark = pytest.mark.skipif(not _HERE, reason="starts Bazel: use bazel run")
_RULES = Path(_HERE or ".")
_MODULE = os.environ.get("CONSUMER") == "bzlmod_consumer"
_PLATFORM = f"{'macos' if sys.platform == 'darwin' else sys.platform} {platform.machine()}"

_WORKSPACE = """\
workspace(name = "app")
local_repository(name = "rules_quantize", path = "{rules}")
load("@rules_quantize//rules:python_env.bzl", "python_env")
"""
_MODULE_FILE = """\
module(name = "app")
bazel_dep(name = "rules_quantize", version = "0.1.0")
local_path_override(module_name = "rules_quantize", path = "{rules}")
python_env = use_repo_rule("@rules_quantize//rules:python_env.bzl", "python_env")
"""
_BUILD = """\
load("@rules_quantize//rules/private:python_program.bzl", "python_tool")

exports_files(["any.lock", "old.lock", "none.lock"])

python_tool(name = "in_any", srcs = ["show.py"], envs = ["@any//:env"])
python_tool(name = "in_old", srcs = ["show.py"], envs = ["@old//:env", "@over//:env"])
python_tool(name = "in_none", srcs = ["show.py"], envs = ["@none//:env"])
"""
_SHOW = """\
import sys, tiny_package
print("runs in %d.%d" % sys.version_info[:2], tiny_package.__file__)
"""


def _find(version: str) -> str | None:
    """Finds an interpreter of a version, as a real binary."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for candidate in (f"python{version}", *pyenv.glob(f"{version}.*/bin/python{version}")):
        code = "import os, pip, sys; print(os.path.realpath(sys.executable), sys.version)"
        try:
            result = subprocess.run(
                [candidate, "-I", "-c", code], capture_output=True, text=True, check=False
            )
        except OSError:
            continue
        path, _, rest = result.stdout.partition(" ")
        if result.returncode == 0 and rest.startswith(version + "."):
            return path
    return None


_FOUND = {version: _find(version) for version in ("3.10", "3.11", "3.12", "3.13", "3.14")}
_SUPPORTED = [version for version, path in _FOUND.items() if path and version != "3.10"]
_OLD, _NEW = _SUPPORTED[0], _SUPPORTED[-1]
_two = pytest.mark.skipif(len(_SUPPORTED) < 2, reason="needs two supported Pythons")
_three_ten = pytest.mark.skipif(not _FOUND["3.10"], reason="needs Python 3.10")


class App:
    """A workspace with three locks: for every Python, for the oldest here, and for none here."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.programs = folder.parent / "0"
        wheel = make_wheel(folder.parent / "wheels")
        (folder / "BUILD.bazel").write_text(_BUILD)
        (folder / "show.py").write_text(_SHOW)
        (folder / "any.lock").write_text(locked(wheel))
        (folder / "old.lock").write_text(f"# wheels on {_PLATFORM}: {_OLD}\n" + locked(wheel))
        (folder / "none.lock").write_text(
            f"# wheels on {_PLATFORM}: none\n# wheels on plan9 mips: 3.11, 3.12\n" + locked(wheel)
        )
        (folder / "bazelw").symlink_to(_RULES / "bazelw")
        self.name_in_workspace()

    def name_in_workspace(self, any_python: str = "", old_python: str = "") -> None:
        """Writes the workspace's file, with the interpreters that it names."""
        environments = [
            ("any", "any", any_python, ""),
            ("old", "old", old_python, ""),
            ("over", "any", any_python, f'"//:old.lock": "{old_python}"'),
            ("none", "none", "", ""),
        ]
        text = (_MODULE_FILE if _MODULE else _WORKSPACE).format(rules=_RULES)
        for name, lock, python, over in environments:
            text += f'python_env(name = "{name}", lock = "//:{lock}.lock", python = "{python}", '
            text += f"over = {{{over}}})\n"
        (self.folder / ("MODULE.bazel" if _MODULE else "WORKSPACE")).write_text(text)

    def on_path(self, **pythons: str) -> None:
        """Puts interpreters on PATH; a name's underscore stands for a point, text for a script."""
        # Under another name each time: Bazel asks again when PATH is another.
        self.programs = self.programs.with_name(str(int(self.programs.name) + 1))
        self.programs.mkdir()
        for name, content in pythons.items():
            path = self.programs / name.replace("_", ".")
            if content.startswith("/"):
                path.symlink_to(content)
            else:
                path.write_text(content)
                path.chmod(0o755)

    def bazel(self, *arguments: str, named: str = "") -> subprocess.CompletedProcess:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BUILD_", "RUNFILES", "PYTHON", "TEST_", "PIP_"))
            and name not in ("RULES_QUANTIZE_PYTHON", "RULES_QUANTIZE_ENVIRONMENTS")
        }
        environment |= {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.folder.parent / "wheels"),
        }
        command, *rest = arguments
        flags = [f"--repo_env=PATH={self.programs}"]
        flags += [f"--repo_env=RULES_QUANTIZE_PYTHON={named}"] if named else []
        return subprocess.run(
            ["./bazelw", command, *flags, *rest],
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=environment,
            text=True,
        )

    def python(self, target: str = "//:in_any", **flags: str) -> str:
        """Runs a program, and says in which Python it did."""
        result = self.bazel("run", target, **flags)
        assert result.returncode == 0, result.stderr
        (line,) = [line for line in result.stdout.splitlines() if line.startswith("runs in ")]
        version, path = line.removeprefix("runs in ").split(" ")
        assert f"/lib/python{version}/" in path
        return version

    def refusal(self, target: str = "//:in_any", **flags: str) -> str:
        """Builds a program that cannot be built, and gives the line that says why."""
        result = self.bazel("build", target, **flags)
        assert result.returncode != 0
        assert 'Traceback (most recent call last):\n  File "<string>"' not in result.stderr
        lines = [line for line in result.stderr.splitlines() if "no usable Python" in line]
        return lines[-1] if lines else result.stderr


@pytest.fixture(name="app", scope="module")
def _app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python") / "app"
    folder.mkdir()
    app = App(folder)
    yield app
    app.bazel("clean", "--expunge")
    app.bazel("shutdown")


@pytest.fixture(autouse=True)
def _usual_workspace(app):
    app.name_in_workspace()
    app.on_path(**{f"python{key}".replace(".", "_"): path for key, path in _FOUND.items() if path})


def test_there_is_no_python(app):
    app.on_path()
    line = app.refusal()
    assert "no usable Python (none is on PATH); install Python 3.14, 3.13, 3.12 or 3.11" in line
    assert "--repo_env=RULES_QUANTIZE_PYTHON=" in line


@_three_ten
def test_there_is_only_an_old_one(app):
    app.on_path(python3=_FOUND["3.10"], python3_10=_FOUND["3.10"])
    assert "is Python 3.10); install" in app.refusal()


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("/no/such/python3", "RULES_QUANTIZE_PYTHON names: /no/such/python3 does not exist"),
        ("/usr", "/usr does not start as a Python"),
        ("bin/python3", "bin/python3 is no absolute path"),
        ("python3.77", "python3.77 is not on PATH"),
        ("/bin/sh", "does not start as a Python"),
        pytest.param(_FOUND["3.10"], "is Python 3.10", marks=_three_ten),
    ],
)
def test_what_is_named_is_of_no_use(app, named, words):
    assert words in app.refusal(named=named)


def test_the_newest_on_path_is_taken(app):
    assert app.python() == _NEW


def test_a_shim_that_fails_is_passed_over(app):
    shim = "#!/bin/sh\necho 'pyenv: python3.14: command not found' >&2\nexit 127\n"
    app.on_path(python3_14=shim, python3=_FOUND[_OLD])
    assert app.python() == _OLD


def test_python3_alone_is_found(app):
    app.on_path(python3=_FOUND[_OLD])
    assert app.python() == _OLD


def _without_pip(folder: Path, version: str) -> str:
    """Makes the same Python at another place, with its own library and no package."""
    binary = Path(_FOUND[version])
    code = "import sysconfig; print(sysconfig.get_path('stdlib'))"
    stdlib = Path(subprocess.check_output([binary, "-I", "-c", code], text=True).strip())
    (folder / "bin").mkdir(parents=True)
    shutil.copy(binary, folder / "bin" / binary.name)
    library = folder / "lib" / stdlib.name
    library.mkdir(parents=True)
    for entry in stdlib.iterdir():
        if entry.name not in ("site-packages", "dist-packages"):
            (library / entry.name).symlink_to(entry)
    return str(folder / "bin" / binary.name)


def test_a_python_without_pip(app, tmp_path):
    bare = _without_pip(tmp_path / "bare", _OLD)
    app.on_path(python3=bare)
    line = app.refusal()
    assert f"{bare}, Python {_OLD}, has no module pip" in line
    assert "apt-get install python3 python3-pip" in line


@_two
def test_a_python_without_pip_is_passed_over(app, tmp_path):
    bare = _without_pip(tmp_path / "bare", _NEW)
    app.on_path(**{f"python{_NEW}".replace(".", "_"): bare, "python3": _FOUND[_OLD]})
    assert app.python() == _OLD


def test_the_users_own_environment_is_not_built_upon(app, tmp_path):
    # It is on PATH wherever it is active, and may have no pip: its interpreter is what counts.
    made = [_FOUND[_OLD], "-m", "venv", "--without-pip", tmp_path / "venv"]
    subprocess.run(made, check=True)
    app.on_path(python3=str(tmp_path / "venv/bin/python3"))
    assert app.python() == _OLD


@_two
def test_rules_quantize_python_comes_first(app):
    app.name_in_workspace(any_python=_FOUND[_NEW])
    assert app.python(named=_FOUND[_OLD]) == _OLD
    assert app.python(named=f"python{_OLD}") == _OLD


@_two
def test_the_workspace_names_one(app):
    app.name_in_workspace(any_python=f"python{_OLD}")
    assert app.python() == _OLD
    app.name_in_workspace(any_python=_FOUND[_OLD])
    assert app.python() == _OLD


def test_the_workspace_names_what_is_of_no_use(app):
    app.name_in_workspace(any_python="/no/such/python3")
    assert "the workspace names: /no/such/python3 does not exist" in app.refusal()


@_two
def test_an_environment_that_is_laid_over_an_older_one_fits_both(app):
    # Else the program would find no package of `over`, which is made for the newest.
    assert app.python("//:in_any") == _NEW
    assert app.python("//:in_old") == _OLD


@_two
def test_several_can_be_named(app):
    named = f"{_FOUND[_NEW]}:{_FOUND[_OLD]}"
    assert app.python("//:in_any", named=named) == _NEW
    assert app.python("//:in_old", named=named) == _OLD


@_two
def test_a_lock_without_wheels_for_what_is_named(app):
    text = app.refusal("//:in_old", named=_FOUND[_NEW])
    assert (
        f"//:old.lock cannot be installed here: its packages have wheels for Python {_OLD}, not "
        f"for {_NEW} ({_FOUND[_NEW]}); install one of those, or name it with "
        f"--repo_env=RULES_QUANTIZE_PYTHON=/path/to/python{_OLD}"
    ) in text
    assert f"python_{_OLD}_is_needed" in text


def test_a_lock_without_wheels_for_the_machine(app):
    text = app.refusal("//:in_none")
    assert f"its packages have no wheels for {_PLATFORM}, but for plan9 mips" in text
    assert f"there_are_no_wheels_for_{_PLATFORM.replace(' ', '_')}" in text


def test_a_pattern_skips_what_cannot_be_had(app):
    result = app.bazel("build", "//...")
    assert result.returncode == 0, result.stderr
    assert app.python("//:in_any") == _NEW


def test_the_rules_own_environments_take_what_the_application_names(app):
    """The forms of WORKSPACE and MODULE.bazel; nothing is installed for it."""
    if _MODULE:
        text = _MODULE_FILE.format(rules=_RULES) + (
            'quantize = use_extension("@rules_quantize//rules:extensions.bzl", "quantize")\n'
            'quantize.python(interpreter = "/no/such/one")\n'
            'quantize.python(interpreter = "/no/such/other", environments = ["tuning"])\n'
            'use_repo(quantize, "rules_quantize_litert", "rules_quantize_tuning")\n'
        )
    else:
        text = _WORKSPACE.format(rules=_RULES) + (
            'load("@rules_quantize//rules:dependencies.bzl", "rules_quantize_dependencies")\n'
            'rules_quantize_dependencies(python = "/no/such/one", '
            'pythons = {"tuning": "/no/such/other"})\n'
        )
    (app.folder / ("MODULE.bazel" if _MODULE else "WORKSPACE")).write_text(text)
    assert "names: /no/such/one does" in app.refusal("@rules_quantize_litert//:env")
    assert "names: /no/such/other does" in app.refusal("@rules_quantize_tuning//:env")
