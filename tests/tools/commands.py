"""Runs a command of this project as its user does."""

import atexit
import functools
import importlib
import json
import os
import runpy
import shlex
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from tools.command_line import EXIT_BAD_INPUT

# What a command imports of these, the processes of later ones find imported.
_IMPORTED_ONCE = ("ai_edge_litert.", "litert_quantizer.", "tools.")


def run_command(
    command: ModuleType | Path,
    *flags: str,
    where: Path | None = None,
    fresh: bool = False,
    **environment: str,
) -> subprocess.CompletedProcess:
    """Starts a command in a process of its own.

    The process is forked from one that has imported what earlier commands needed and has done
    nothing else: importing takes longer than most of what is tested.

    Args:
      command: the command's module, or its file.
      *flags: what is typed after its name.
      where: the directory in which it is typed.
      fresh: whether its interpreter starts anew, as it does for a user.
      **environment: variables beside this process's own.

    Returns:
      The finished process, with its output as text.
    """
    variables = {k: v for k, v in os.environ.items() if k != "BUILD_WORKING_DIRECTORY"}
    variables["PYTHONPATH"] = _python_path()
    file = command.__file__ if isinstance(command, ModuleType) else command
    words = [str(file), *map(str, flags)]
    if not fresh:
        return _launcher().run(words, str(where or os.getcwd()), variables | environment)
    return subprocess.run(
        [sys.executable, *words],
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


def refusal_code(command: ModuleType | Path, *flags: str, **how) -> str:
    """Gives the code by which a command refuses what it is given; see `refusal`."""
    done = run_command(command, *flags, **how, RULES_QUANTIZE_ERROR_FORMAT="json")
    assert done.returncode == EXIT_BAD_INPUT, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return json.loads(line)["code"]


def flags_of_printed(command: str, program: str) -> list[str]:
    """Reads back a command that a program printed for its user to type.

    Args:
      command: the line, as for a shell.
      program: the name of the command that it starts, in Bazel's form or another.

    Returns:
      The flags that it gives it.
    """
    words = shlex.split(command)
    # A test is a program that Bazel made, as one that `bazel run` starts.
    at = words.index("--") if words[0] == "bazel" else 0
    started = words[at - 1 if at else 0]
    assert started.endswith(program), command
    return words[at + 1 :]


def _python_path() -> str:
    return os.pathsep.join(os.path.abspath(path) for path in sys.path if path)


class _Launcher:
    """The process that commands are forked from."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": _python_path()},
        )

    def close(self) -> None:
        """Ends it, which waits for nothing."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def run(self, words: list[str], where: str, variables: dict) -> subprocess.CompletedProcess:
        with tempfile.TemporaryDirectory() as folder:
            request = {"words": words, "where": where, "variables": variables, "folder": folder}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
            printed = [Path(folder, name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(words, status, *printed)


@functools.cache
def _launcher() -> _Launcher:
    launcher = _Launcher()
    atexit.register(launcher.close)
    return launcher


def _become(request: dict) -> NoReturn:
    """Runs a command in a process that was forked for it, and ends the process."""
    status = 1
    known = set(sys.modules)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        file = os.open(Path(request["folder"], name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    try:
        os.environ.clear()
        os.environ.update(request["variables"])
        os.chdir(request["where"])
        sys.argv = request["words"]
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        else:
            status = error.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        new = [name for name in sys.modules if name not in known]
        names = [name for name in new if name.startswith(_IMPORTED_ONCE)]
        Path(request["folder"], "imported").write_text("\n".join(names))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _launch() -> None:
    """Forks a process for each request on standard input, until that is closed."""
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if not process:
            _become(request)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        imported = Path(request["folder"], "imported")
        for name in imported.read_text().split() if imported.exists() else ():
            importlib.import_module(name)
        print(status, flush=True)


if __name__ == "__main__":
    _launch()


def with_instead(flags: Sequence[str], *others: str) -> list[str]:
    """Gives a command's flags with others in place of those of the same name."""
    names = {flag.partition("=")[0] for flag in others}
    return [*(flag for flag in flags if flag.partition("=")[0] not in names), *others]
