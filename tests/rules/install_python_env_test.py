"""How a Python environment is made, and what its failures say."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rules.private import install_python_env
from tests.rules.wheels import locked, make_wheel

PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def install(
    tmp_path: Path,
    lock_text: str,
    index: str = "",
    prefix: str = sys.base_prefix,
    also_for: str = "",
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
            f"--directory={tmp_path / 'env' / 'venv'}",
            f"--manifest={tmp_path / 'env' / 'manifest.txt'}",
            *([f"--also_for={also_for}"] if also_for else []),
        ],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


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


def test_another_interpreter_of_the_same_version_changes_nothing(tmp_path):
    python = str(Path(sys.base_prefix, "bin", f"python{PYTHON_VERSION}"))
    for folder, also_for in (("first", ""), ("second", python)):
        wheel = make_wheel(tmp_path / folder / "wheels")
        result = install(tmp_path / folder, locked(wheel), also_for=also_for)
        assert result.returncode == 0, result.stderr
    manifests = [tmp_path / folder / "env/manifest.txt" for folder in ("first", "second")]
    assert manifests[0].read_text() == manifests[1].read_text()
    assert sorted(path.name for path in manifests[1].parent.iterdir()) == ["manifest.txt", "venv"]


def test_another_interpreter_that_fails_is_one_line(tmp_path):
    wheel = make_wheel(tmp_path / "wheels")
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho 'it has no pip' >&2\nexit 1\n")
    other.chmod(0o755)
    assert one_line(install(tmp_path, locked(wheel), also_for=str(other))) == "it has no pip"


def test_wrong_hash(tmp_path):
    wheel = make_wheel(tmp_path / "wheels")
    line = one_line(install(tmp_path, locked(wheel, digest="0" * 64)))
    assert "//locks:tiny.lock" in line
    assert "does not have the hash" in line
    assert "tiny_package" in line or "tiny-package" in line


def test_unreachable_index(tmp_path):
    wheel = make_wheel(tmp_path / "elsewhere")
    line = one_line(install(tmp_path, locked(wheel), index="http://127.0.0.1:1/simple"))
    assert "cannot be reached" in line


def test_a_package_that_the_index_lacks(tmp_path):
    (tmp_path / "wheels").mkdir()
    wheel = make_wheel(tmp_path / "elsewhere")
    line = one_line(install(tmp_path, locked(wheel)))
    assert line == (
        "//locks:tiny.lock: the package index has no wheel of tiny_package==1.0 at all; no other "
        "version has a wheel for this one either"
    )


def _index(tmp_path, *wheels: tuple[str, str]) -> tuple[str, str]:
    """Makes an index with wheels of one package, each a version and tags.

    Returns:
      Its address, and a lock with all wheels of version 1.0.
    """
    folder = tmp_path / "simple" / "tiny-package"
    made = [make_wheel(folder, version=version, tags=tags) for version, tags in wheels]
    links = "".join(f'<a href="{wheel.name}">{wheel.name}</a>' for wheel in made)
    (folder / "index.html").write_text(f"<!DOCTYPE html><body>{links}</body>")
    hashes = [locked(wheel).split()[1] for wheel in made if "-1.0-" in wheel.name]
    return folder.parent.as_uri(), " ".join(["tiny_package==1.0", *hashes]) + "\n"


_MACHINE = platform.machine()
_HERE = "macosx_11_0_" + _MACHINE if sys.platform == "darwin" else "manylinux_2_17_" + _MACHINE
_TAG = "cp" + PYTHON_VERSION.replace(".", "")


def test_a_package_without_a_wheel_for_this_python(tmp_path):
    index, lock = _index(
        tmp_path,
        ("1.0", f"cp39-cp39-{_HERE}"),
        ("1.0", f"cp310-cp310-{_HERE}"),
        ("1.0", "cp38-cp38-win_amd64"),
        ("2.0", f"{_TAG}-{_TAG}-{_HERE}"),
        ("2.1", "py3-none-any"),
        ("3.0", f"cp39-cp39-{_HERE}"),
    )
    assert one_line(install(tmp_path, lock, index=index)) == (
        f"//locks:tiny.lock: tiny_package==1.0 has no wheel for Python {PYTHON_VERSION} on "
        f"{sys.platform} {_MACHINE}, but for Python 3.9 and 3.10 (name one in "
        "RULES_QUANTIZE_PYTHON); versions with a wheel for this one: 2.0 and 2.1"
    )


def test_a_package_with_the_stable_abi_of_a_later_python(tmp_path):
    index, lock = _index(tmp_path, ("1.0", f"cp399-abi3-{_HERE}"))
    assert "but for Python 3.99 and later (name one" in one_line(
        install(tmp_path, lock, index=index)
    )


def test_a_package_without_a_wheel_for_this_machine(tmp_path):
    index, lock = _index(tmp_path, ("1.0", f"{_TAG}-{_TAG}-win_amd64"), ("1.0", "py3-none-plan9"))
    assert one_line(install(tmp_path, lock, index=index)) == (
        f"//locks:tiny.lock: tiny_package==1.0 has no wheel for {sys.platform} {_MACHINE}, only "
        "for plan9 and win_amd64; no other version has a wheel for this one either"
    )


def test_a_package_for_a_newer_system(tmp_path):
    newer = "macosx_99_0_" if sys.platform == "darwin" else "manylinux_2_99_"
    index, lock = _index(tmp_path, ("1.0", f"{_TAG}-{_TAG}-{newer}{_MACHINE}"))
    line = one_line(install(tmp_path, lock, index=index))
    assert f"for Python {PYTHON_VERSION}, but for a newer system than this: {newer}" in line


def test_the_wheel_for_this_python_is_taken_from_the_index(tmp_path):
    index, lock = _index(tmp_path, ("1.0", f"cp39-cp39-{_HERE}"), ("1.0", f"{_TAG}-{_TAG}-{_HERE}"))
    assert install(tmp_path, lock, index=index).returncode == 0


@pytest.mark.parametrize("output", ["", "ERROR: something new\n"])
def test_every_failure_is_one_line(output):
    assert "\n" not in install_python_env.explain(output, "//:lock")
