"""What a program of the rules finds when it starts."""

import os
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
