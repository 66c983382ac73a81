"""What is said where an arm64 Python cannot be had. tests/devices uses one that was."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rules.private import install_arm64_python

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_NEEDS_DEBIAN = pytest.mark.skipif(
    not (shutil.which("apt-get") and Path(_KEYRING).is_file()), reason="needs Debian's apt and keys"
)


def _refusal(folder, *, keyring=_KEYRING, mirror, **environment):
    """Runs the installer as the repository rule does; gives the one line that it says."""
    lock = folder / "tiny.lock"
    lock.write_text("")
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            install_arm64_python.__file__,
            f"--directory={folder / 'arm64'}",
            f"--keyring={keyring}",
            f"--lock={lock}",
            "--lock_name=//locks:tiny.lock",
            f"--mirror={mirror}",
            "--package=numpy",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_a_machine_without_apt(tmp_path):
    line = _refusal(tmp_path, mirror="file:/nowhere", PATH=str(tmp_path))
    assert line.startswith("no apt-get on this machine; emulated devices are for Debian and Ubuntu")


@_NEEDS_DEBIAN
def test_a_machine_without_keys(tmp_path):
    line = _refusal(tmp_path, mirror="file:/nowhere", keyring=tmp_path / "keys.gpg")
    assert line.startswith(f"{tmp_path / 'keys.gpg'}: no keys")


@_NEEDS_DEBIAN
def test_a_mirror_that_is_not_there(tmp_path):
    line = _refusal(tmp_path, mirror=f"file:{tmp_path}/nowhere")
    assert line.startswith(f"Debian's packages cannot be had from file:{tmp_path}/nowhere: ")


@_NEEDS_DEBIAN
def test_packages_that_nobody_signed(tmp_path):
    suite = tmp_path / "mirror/dists/trixie"
    for folder in ("main/binary-arm64", "main/binary-amd64"):
        (suite / folder).mkdir(parents=True)
        (suite / folder / "Packages").write_text("")
    (suite / "Release").write_text("Suite: stable\nCodename: trixie\n")
    line = _refusal(tmp_path, mirror=f"file:{tmp_path}/mirror")
    assert "is not signed" in line
    assert not (tmp_path / "arm64/root").exists()


def test_a_lock_without_a_package(tmp_path):
    lock = tmp_path / "tiny.lock"
    lock.write_text("# via nothing\nnumpy==2.4.6 \\\n    --hash=sha256:00\n    # via x\n")
    with pytest.raises(install_arm64_python.InstallError, match=r"^//locks:tiny.lock: it has no x"):
        install_arm64_python.install_packages(lock, "//locks:tiny.lock", ["x"], tmp_path)
