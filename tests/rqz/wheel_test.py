"""The wheel: what is in it, what it requires, and that it does what the rules do."""

import base64
import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from rqz.subcommands import SUBCOMMANDS
from rules.private.make_wheel import EXTRAS, OF_TESTS, group_of, metadata, write_wheel
from tests.imports.import_graph import import_graph, imports, modules_of, reachable
from tools.errors import InputError

(_WHEEL,) = Path().glob("rules_quantize-*-py3-none-any.whl")
_PROJECT = tomllib.loads(Path("pyproject.toml").read_text())
_LOCKS = {path.stem: path.read_text() for path in Path("rules/locks").glob("*.lock")}
# Names of modules whose package is called otherwise.
_PACKAGES = {"PIL": "pillow", "google": "protobuf", "git": "gitpython"}


@pytest.fixture(name="installed", scope="module")
def _installed(tmp_path_factory):
    """The wheel as pip lays it out."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(_WHEEL) as wheel:
        wheel.extractall(folder)
    return folder


def _rqz(installed, *words, where):
    path = os.pathsep.join([str(installed), *filter(None, sys.path)])
    # As a user's own shell has it.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "RUNFILES", "RULES_QUANTIZE", "BUILD_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "rules_quantize", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=where,
        env=environment | {"PYTHONPATH": path},
    )


def test_the_record_is_of_every_file():
    with zipfile.ZipFile(_WHEEL) as wheel:
        (record,) = [name for name in wheel.namelist() if name.endswith("/RECORD")]
        assert wheel.namelist()[-1] == record
        rows = list(csv.reader(io.StringIO(wheel.read(record).decode())))
        assert [row[0] for row in rows] == wheel.namelist()
        for name, digest, size in rows[:-1]:
            content = wheel.read(name)
            found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            assert (digest, size) == (f"sha256={found.decode()}", str(len(content)))


def test_only_one_name_lies_beside_other_packages():
    with zipfile.ZipFile(_WHEEL) as wheel:
        top = {name.split("/")[0] for name in wheel.namelist()}
    version = _PROJECT["project"]["version"]
    assert top == {"rules_quantize", f"rules_quantize-{version}.dist-info"}


def test_all_that_a_program_imports_is_in_it(installed):
    modules = modules_of(installed / "rules_quantize/programs", ("registry", "rqz", "tools"))
    found = imports(modules)
    graph = import_graph(found)
    ours = {one.module for one in SUBCOMMANDS.values()} | {"rqz.main", "rqz.program"}
    assert ours <= set(modules)
    for start in ours:
        for module in {start, *reachable(graph, start)}:
            lost = [name for name in found[module] if name.split(".")[0] in ("registry", "tools")]
            assert set(lost) <= set(modules), module


def test_requirements_are_what_the_locks_pin():
    with zipfile.ZipFile(_WHEEL) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        text = wheel.read(name).decode()
    assert text == metadata(_PROJECT, _LOCKS)
    groups = _PROJECT["dependency-groups"]
    required = re.findall(r'^Requires-Dist: (\S+?)==(\S+)(?: ; extra == "(.*)")?$', text, re.M)
    for name, version, extra in required:
        lock = _LOCKS[extra or "litert"]
        bare = name.partition("[")[0]
        assert re.search(rf"^{re.escape(bare)}==({re.escape(version)})[ \\]", lock, re.M), name
    for group in ("litert", *EXTRAS):
        names = {name.partition("[")[0] for name, _, extra in required if extra in ("", group)}
        wanted = {re.match(r"[\w.-]+", entry)[0].lower() for entry in group_of(groups, group)}
        assert wanted - OF_TESTS <= names


def test_nothing_is_imported_that_nothing_requires(installed):
    """A program that imports another package needs it in a group, or one that requires it."""
    folder = installed / "rules_quantize/programs"
    found = imports(modules_of(folder, ("registry", "rqz", "tools")))
    names = {name.split(".")[0] for names in found.values() for name in names}
    others = names - set(sys.stdlib_module_names) - {"registry", "rqz", "tools"}
    pinned = {
        name.replace("-", "_")
        for group in ("litert", *EXTRAS)
        for name in re.findall(r"^([a-z0-9.-]+)(?:\[[^]]*\])?==", _LOCKS[group], re.M)
    }
    assert "numpy" in others
    assert {_PACKAGES.get(name, name) for name in others} <= pinned
    assert not {_PACKAGES.get(name, name) for name in others} & OF_TESTS


def test_a_lock_that_lacks_a_package_is_refused():
    with pytest.raises(InputError, match=r"litert\.lock has no ai-edge-litert"):
        metadata(_PROJECT, _LOCKS | {"litert": _LOCKS["litert"].replace("ai-edge-litert==", "x==")})


def test_bytes_depend_on_the_contents_alone():
    contents = {"b.py": b"b", "a.py": b"a", "a-1.dist-info/METADATA": b"m"}
    first, second = io.BytesIO(), io.BytesIO()
    write_wheel(first, contents, "a-1.dist-info")
    write_wheel(second, dict(reversed(contents.items())), "a-1.dist-info")
    assert first.getvalue() == second.getvalue()


def test_a_package_of_the_same_name_beside_it_hides_nothing(installed, tmp_path):
    for name in ("tools", "registry", "rqz"):
        (installed / f"{name}.py").write_text("raise SystemExit('the other one')")
    done = _rqz(installed, "quantize", "--help", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: rqz quantize ")


def test_an_artifact_has_the_bytes_that_the_rules_make(installed, tmp_path):
    face = Path("models/face.tflite").absolute()
    flags = ("--scheme=float16", f"--float_master={face}")
    done = _rqz(installed, "quantize", *flags, where=tmp_path)
    assert done.returncode == 0, done.stderr
    artifact = tmp_path / "face_float16.tflite"
    assert artifact.read_bytes() == Path("models/face_float16.tflite").read_bytes()

    photograph = next(Path("..").glob("*/astronaut.png")).absolute()
    done = _rqz(
        installed,
        *("validate", str(face), artifact.name, f"--test={photograph}"),
        *("--time_budget=0", "--report=report.json"),
        where=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.json").exists()
