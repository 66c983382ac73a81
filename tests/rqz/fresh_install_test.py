"""The wheel in fresh environments makes what the rules make, and `rqz init` what they build.

Run by `bazel run //tests/rqz:fresh_install_test`: it starts Bazel, and pip with the user's own
settings. Each Python of the machine that the wheel supports is tried.
"""

import contextlib
import filecmp
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.workspaces import HERE, WORKSPACE, bazel, info, users_environment

pytestmark = pytest.mark.skipif(not HERE, reason="starts Bazel: use bazel run")


def _find(version: str) -> str | None:
    """Finds an interpreter that can make environments; a name on PATH may stand for none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for candidate in (f"python{version}", *pyenv.glob(f"{version}.*/bin/python{version}")):
        with contextlib.suppress(OSError):
            code = "import ensurepip, venv"
            done = subprocess.run([candidate, "-c", code], capture_output=True, check=False)
            if done.returncode == 0:
                return str(candidate)
    return None


_PYTHONS = [path for path in map(_find, ("3.11", "3.12", "3.13", "3.14")) if path]


def _run(*words, where: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        cwd=where,
        env=users_environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(name="built", scope="module")
def _built():
    """The folder of what Bazel made: the wheel, and the rules' own artifact."""
    targets = ("face_int8", "face_calibration", "face_test")
    result = bazel("build", "//:wheel", *(f"//models:{name}" for name in targets))
    assert result.returncode == 0, result.stderr
    return info("bazel-bin")


def _install(python: str, built: Path, folder: Path) -> Path:
    """Makes an environment, has pip install the wheel there, and gives its programs."""
    _run(python, "-m", "venv", folder / "env", where=folder)
    (wheel,) = built.glob("rules_quantize-*.whl")
    _run(folder / "env/bin/pip", "install", "--quiet", wheel, where=folder)
    return folder / "env/bin"


@pytest.mark.parametrize("python", _PYTHONS)
def test_the_wheel_makes_the_bytes_of_the_rules(python, built, tmp_path):
    environment = _install(python, built, tmp_path)
    rqz = environment / "rqz"
    _run(environment / "pip", "check", where=tmp_path)
    models = built / "models"
    words = (f"--float_master={models / 'face.tflite'}", "--scheme=int8")
    _run(rqz, "quantize", *words, f"--calibration={models / 'face_calibration'}", where=tmp_path)
    artifact = tmp_path / "face_int8.tflite"
    assert filecmp.cmp(artifact, models / "face_int8.tflite", shallow=False)
    printed = _run(
        *(rqz, "validate", models / "face.tflite", artifact, "--time_budget=0"),
        f"--test={models / 'face_test'}",
        where=tmp_path,
    )
    assert "80 samples" in printed


def test_a_workspace_of_init_is_built(built, tmp_path):
    rqz = _install(_PYTHONS[0], built, tmp_path) / "rqz"
    source, *_ = info("output_base").glob(
        "external/*mediapipe_models/face_detection_short_range.tflite"
    )
    app = tmp_path / "app"
    form = [] if os.environ.get("CONSUMER") == "bzlmod_consumer" else ["--workspace"]
    where = (f"--rules={WORKSPACE}", f"--folder={app}")
    printed = _run(rqz, "init", source, *where, *form, where=tmp_path)
    shutil.copy(WORKSPACE / "bazelw", app)
    commands = [
        line.split("#")[0].split()[1:] for line in printed.splitlines() if " bazel " in line
    ]
    try:
        # At once, before there are any data.
        _build(commands[0], app)
        for place in ("calibration", "test"):
            data = built / "models" / f"face_{place}"
            shutil.copytree(data, app / place, dirs_exist_ok=True)
        _build(commands[1], app)
        made = app / "bazel-bin/face_detection_short_range_int8.tflite"
        assert filecmp.cmp(made, built / "models/face_int8.tflite", shallow=False)
    finally:
        bazel("clean", "--expunge", folder=app)
        bazel("shutdown", folder=app)


def _build(command: list[str], app: Path) -> None:
    done = bazel(*command, folder=app)
    assert done.returncode == 0, done.stderr
