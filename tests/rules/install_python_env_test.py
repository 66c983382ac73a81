"""How a Python environment is made, and what its failures say."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rules.private import install_python_env

PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def make_wheel(folder: Path, name: str = "tiny_package") -> Path:
    """Writes a pure wheel of one module and one console script."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    members = {
        f"{name}/__init__.py": "VALUE = 42\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = "".join(f"{member},,\n" for member in members) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member, text in {**members, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return wheel


def install(
    tmp_path: Path,
    lock_text: str,
    python_version: str = PYTHON_VERSION,
    index: str = "",
    prefix: str = sys.base_prefix,
):
    """Runs the installer as the repository rule does, away from any network."""
    lock = tmp_path / "tiny.lock"
    lock.write_text(lock_text)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    environment |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "1",
        "PIP_TIMEOUT": "2",
        "PIP_NO_CACHE_DIR": "1",
    }
    if index:
        environment["PIP_INDEX_URL"] = index
    else:
        environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    # The interpreter of an environment has no pip: the host's own one does.
    python = str(Path(prefix, "bin", f"python{PYTHON_VERSION}"))
    return subprocess.run(
        [
            python,
            "-I",
            install_python_env.__file__,
            f"--lock={lock}",
            "--lock_name=//locks:tiny.lock",
            f"--python_version={python_version}",
            f"--directory={tmp_path / 'env' / 'venv'}",
            f"--manifest={tmp_path / 'env' / 'manifest.txt'}",
        ],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def locked(wheel: Path, digest: str = "") -> str:
    digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{wheel.name.split('-')[0]}==1.0 --hash=sha256:{digest}\n"


def one_line(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_installs_what_the_lock_names(tmp_path):
    wheel = make_wheel(tmp_path / "wheels")
    result = install(tmp_path, locked(wheel))
    assert result.returncode == 0, result.stderr
    python = tmp_path / "env" / "venv" / "bin" / "python"
    value = subprocess.run(
        [python, "-I", "-c", "import tiny_package; print(tiny_package.VALUE)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert value.stdout.strip() == "42"
    assert not (tmp_path / "env" / "venv" / "bin" / "tiny_package").exists()


def test_two_folders_hold_the_same_bytes(tmp_path):
    for folder in ("first", "a/second"):
        wheel = make_wheel(tmp_path / folder / "wheels")
        assert install(tmp_path / folder, locked(wheel)).returncode == 0
    first = (tmp_path / "first" / "env" / "manifest.txt").read_text()
    assert "tiny_package/__init__.py" in first
    assert "__pycache__" in first
    assert first == (tmp_path / "a/second" / "env" / "manifest.txt").read_text()


def test_where_the_interpreter_lies_changes_nothing(tmp_path):
    # The same Python in the home of another user.
    elsewhere = tmp_path / "home" / "python"
    (elsewhere / "bin").mkdir(parents=True)
    name = f"python{PYTHON_VERSION}"
    shutil.copy(Path(sys.base_prefix, "bin", name), elsewhere / "bin" / name)
    (elsewhere / "lib").symlink_to(Path(sys.base_prefix, "lib"))
    for folder, prefix in (("first", sys.base_prefix), ("second", str(elsewhere))):
        wheel = make_wheel(tmp_path / folder / "wheels")
        result = install(tmp_path / folder, locked(wheel), prefix=prefix)
        assert result.returncode == 0, result.stderr
    environments = [tmp_path / folder / "env" for folder in ("first", "second")]
    pythons = [(environment / "venv/bin/python").resolve() for environment in environments]
    assert pythons[0] != pythons[1]
    manifests = [(environment / "manifest.txt").read_text() for environment in environments]
    assert "pyvenv.cfg" in manifests[0]
    assert manifests[0] == manifests[1]
    for environment in environments:
        command = [environment / "venv/bin/python", "-c", "import json, tiny_package"]
        assert subprocess.run(command, check=False).returncode == 0


def test_wrong_hash(tmp_path):
    wheel = make_wheel(tmp_path / "wheels")
    line = one_line(install(tmp_path, locked(wheel, digest="0" * 64)))
    assert "//locks:tiny.lock" in line
    assert "does not have the hash" in line
    assert "tiny_package" in line or "tiny-package" in line


def test_wrong_python_version(tmp_path):
    wheel = make_wheel(tmp_path / "wheels")
    line = one_line(install(tmp_path, locked(wheel), python_version="3.99"))
    assert "for Python 3.99" in line
    assert f"is Python {PYTHON_VERSION}" in line


def test_unreachable_index(tmp_path):
    wheel = make_wheel(tmp_path / "elsewhere")
    line = one_line(install(tmp_path, locked(wheel), index="http://127.0.0.1:1/simple"))
    assert "cannot be reached" in line


def test_a_package_that_the_index_lacks(tmp_path):
    (tmp_path / "wheels").mkdir()
    wheel = make_wheel(tmp_path / "elsewhere")
    line = one_line(install(tmp_path, locked(wheel)))
    assert "has no file of tiny_package==1.0" in line


@pytest.mark.parametrize("output", ["", "ERROR: something new\n"])
def test_every_failure_is_one_line(output):
    assert "\n" not in install_python_env.explain(output, "//:lock")
