"""What a program of the rules finds when it starts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy


def test_runs_in_the_locked_environment():
    assert Path(sys.prefix, "pyvenv.cfg").exists()
    assert str(Path(numpy.__file__)).startswith(sys.prefix)


def test_nothing_of_the_users_python_enters():
    assert os.environ["PYTHONNOUSERSITE"] == "1"
    # Environments of the machine itself lie beside each other.
    environments = str(Path(sys.prefix).parents[1])
    inside = (os.environ["RUNFILES_DIR"], sys.base_prefix, environments)
    assert [path for path in sys.path if not path.startswith(inside)] == []


def test_numpy_starts_no_threads_beside_those_of_other_actions():
    square = numpy.ones((512, 512))
    assert (square @ square)[0, 0] == 512
    assert len(os.listdir("/proc/self/task")) == 1


def test_a_python_that_is_gone_is_one_line(tmp_path):
    runfiles = Path(os.environ["RUNFILES_DIR"])
    launcher = runfiles / os.environ["TEST_WORKSPACE"] / os.environ["TEST_BINARY"]
    program = shutil.copy(launcher, tmp_path / "program")
    (environment,) = runfiles.glob("*rules_quantize_litert")
    python = tmp_path / "runfiles" / environment.name / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(tmp_path / "python3.12")
    result = subprocess.run(
        [program],
        env={"PATH": os.environ["PATH"], "RUNFILES_DIR": str(tmp_path / "runfiles")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "//tests/rules:python_program_test: the Python that " in line
    assert f"is gone ({tmp_path}/python3.12); `bazel clean --expunge`" in line
