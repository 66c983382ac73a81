"""Runs a command of this project as its user does."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from tools.command_line import EXIT_BAD_INPUT


def run_command(
    command: ModuleType | Path, *flags: str, where: Path | None = None, **environment: str
) -> subprocess.CompletedProcess:
    """Starts a command in a process of its own.

    Args:
      command: the command's module, or its file.
      *flags: what is typed after its name.
      where: the directory in which it is typed.
      **environment: variables beside this process's own.

    Returns:
      The finished process, with its output as text.
    """
    variables = {k: v for k, v in os.environ.items() if k != "BUILD_WORKING_DIRECTORY"}
    variables["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
    file = command.__file__ if isinstance(command, ModuleType) else command
    return subprocess.run(
        [sys.executable, file, *flags],
        capture_output=True,
        text=True,
        cwd=where,
        env=variables | environment,
        check=False,
    )


def refusal(command: ModuleType | Path, *flags: str, **how) -> str:
    """Runs a command that refuses what it is given.

    Args:
      command: as for `run_command`.
      *flags: as for `run_command`.
      **how: as for `run_command`.

    Returns:
      What it says, without its name: one line, and nothing on the standard output.
    """
    done = run_command(command, *flags, **how)
    assert done.returncode == EXIT_BAD_INPUT, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    name = Path(command.__file__ if isinstance(command, ModuleType) else command).stem
    start = f"{name}: error: "
    assert line.startswith(start), line
    return line.removeprefix(start)
