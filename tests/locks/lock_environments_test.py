"""What `bazel run //rules:lock` writes, keeps and refuses, with an index in a folder."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rules.private import lock_environments
from rules.private.lock_environments import read_pip_settings, uv_environment

ROOT = Path(__file__).parents[2]
PROJECT = """\
[project]
name = "tiny"
version = "1.0"
requires-python = ">=3.11,<3.12"

[dependency-groups]
tools = ["first"]
tests = ["second>=2"]

[tool.uv]
environments = ["python_full_version < '3.12'"]
"""


class Workspace:
    """A project, and an index with the packages that it asks for."""

    def __init__(self, folder: Path):
        self.folder = folder / "workspace"
        self.index = folder / "index"
        self.folder.mkdir()
        self.project = self.folder / "pyproject.toml"
        self.project.write_text(PROJECT)
        self.cache = folder / "cache"
        self.hashes = {}
        self.publish("first", "1.0")
        self.publish("second", "1.0")
        self.publish("second", "2.0")

    def publish(self, name: str, version: str) -> None:
        folder = self.index / name
        folder.mkdir(parents=True, exist_ok=True)
        wheel = folder / f"{name}-{version}-py3-none-any.whl"
        info = f"{name}-{version}.dist-info"
        members = {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": "",
        }
        with zipfile.ZipFile(wheel, "w") as archive:
            for member, text in members.items():
                archive.writestr(zipfile.ZipInfo(member), text)
        self.hashes[name, version] = hashlib.sha256(wheel.read_bytes()).hexdigest()
        links = [f'<a href="{path.name}">{path.name}</a>' for path in sorted(folder.glob("*.whl"))]
        (folder / "index.html").write_text("<!DOCTYPE html>" + "".join(links))

    def lock(self, *flags: str, **environment: str) -> subprocess.CompletedProcess:
        clean = {
            key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))
        }
        clean |= {
            "BUILD_WORKSPACE_DIRECTORY": str(self.folder),
            "HOME": str(self.folder),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self.index.as_uri(),
            "UV_CACHE_DIR": str(self.cache),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ["PYTHONPATH"]])]),
        }
        return subprocess.run(
            [sys.executable, lock_environments.__file__, *flags],
            capture_output=True,
            text=True,
            env=clean | environment,
            check=False,
        )

    def path(self, group: str) -> Path:
        return self.folder / "rules" / "locks" / f"{group}.lock"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


@pytest.fixture
def locked(workspace):
    result = workspace.lock()
    assert result.returncode == 0, result.stderr
    return workspace


def one_line(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    return line


def test_a_lock_for_each_group(locked):
    assert sorted(path.name for path in locked.path("x").parent.iterdir()) == [
        "tests.lock",
        "tools.lock",
    ]
    text = locked.path("tests").read_text()
    assert text.startswith("second==2.0")
    assert f"--hash=sha256:{locked.hashes['second', '2.0']}" in text
    assert "1.0" not in text


def test_locking_again_changes_nothing(locked):
    before = locked.path("tests").stat().st_mtime_ns
    locked.publish("second", "3.0")
    result = locked.lock()
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        "rules/locks/tests.lock: up to date\nrules/locks/tools.lock: up to date\n"
    )
    assert locked.path("tests").stat().st_mtime_ns == before


def test_upgrade_takes_the_newest(locked):
    locked.publish("second", "3.0")
    result = locked.lock("--upgrade")
    assert result.stdout == "rules/locks/tests.lock: written\nrules/locks/tools.lock: up to date\n"
    assert locked.path("tests").read_text().startswith("second==3.0")


def test_check_names_what_is_stale_and_writes_nothing(locked):
    before = locked.path("tools").read_text()
    assert locked.lock("--check").returncode == 0
    locked.publish("first", "1.5")
    locked.project.write_text(PROJECT.replace('"first"', '"first>=1.5"'))
    result = locked.lock("--check")
    assert result.returncode == 1
    tests_line, tools_line = result.stdout.splitlines()
    assert tests_line == "rules/locks/tests.lock: up to date"
    assert tools_line.startswith("rules/locks/tools.lock: stale; lock again with `bazel run ")
    assert locked.path("tools").read_text() == before


def test_a_lock_that_is_missing_is_stale(workspace):
    assert workspace.lock("--check").returncode == 1
    assert not workspace.path("tests").exists()


def test_one_group_alone(workspace):
    assert workspace.lock("--group=tools").returncode == 0
    assert not workspace.path("tests").exists()


def test_no_such_group(workspace):
    line = one_line(workspace.lock("--group=nothing"))
    assert "no dependency group nothing" in line
    assert "'tests', 'tools'" in line


def test_nothing_satisfies_a_group(locked):
    before = locked.path("tools").read_text()
    locked.project.write_text(PROJECT.replace('"first"', '"first>=9"'))
    line = one_line(locked.lock())
    assert line.startswith("lock: error: group tools cannot be locked:")
    assert "first>=9" in line
    assert locked.path("tools").read_text() == before


def test_not_started_by_bazel_run(workspace):
    line = one_line(workspace.lock(BUILD_WORKSPACE_DIRECTORY=""))
    assert "bazel run //rules:lock" in line


def test_uvs_own_settings_come_before_pips(workspace):
    result = workspace.lock(
        PIP_INDEX_URL="file:///no/such/index", UV_DEFAULT_INDEX=workspace.index.as_uri()
    )
    assert result.returncode == 0, result.stderr


def test_pips_settings_by_precedence():
    listing = """\
:env:.cert='/env.pem'
:env:.disable-pip-version-check='1'
global.cert='/global.pem'
global.extra-index-url='https://one/simple https://two/simple'
global.index-url='https://global/simple'
install.index-url='https://install/simple'
freeze.timeout='10'
global.odd=unquoted words
"""
    settings = read_pip_settings(listing)
    assert settings["cert"] == "/env.pem"
    assert settings["index-url"] == "https://install/simple"
    assert "odd" not in settings
    assert "timeout" not in settings


def test_uv_reaches_the_index_as_pip_does():
    pip = {
        "cert": "/pip.pem",
        "extra-index-url": "https://other/simple",
        "find-links": "/wheels",
        "index-url": "https://mirror/simple",
        "proxy": "http://proxy:3128",
    }
    assert uv_environment(pip, {"A": "b"}) == {
        "A": "b",
        "HTTPS_PROXY": "http://proxy:3128",
        "HTTP_PROXY": "http://proxy:3128",
        "SSL_CERT_FILE": "/pip.pem",
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_PYTHON_DOWNLOADS": "never",
    }


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_an_index_given_to_uv_is_kept(variable):
    own = {variable: "https://own/simple", "SSL_CERT_FILE": "/own.pem", "HTTPS_PROXY": "own"}
    result = uv_environment({"index-url": "https://mirror/simple", "cert": "/x", "proxy": "y"}, own)
    assert {key: result[key] for key in own} == own
    assert ("UV_DEFAULT_INDEX" in result) == (variable == "UV_DEFAULT_INDEX")
