"""Runs the register command in many processes, and kills them where it hurts."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import registry.register

_SECONDS = 600


@dataclass(frozen=True)
class Command:
    """One process.

    Attributes:
      arguments: of the register command.
      environment: variables that it has besides this process's own.
      killed_at: the step at which it is killed, from 1 on, or None. A step is
        a commit of something written, a request to a server or a file that is
        copied: what lies between two of them cannot be told apart afterwards.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    killed_at: int | None = None


def run_together(commands: Sequence[Command], folder: Path) -> list[tuple[int, str]]:
    """Runs commands in processes that have imported MLflow and start at one moment.

    Args:
      commands: what to run.
      folder: for what they print.

    Returns:
      For each its exit status (-9 where it was killed) and what it printed.
    """
    return [(done.returncode, done.stdout + done.stderr) for done in _run_all(commands, folder)]


def run_warm(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Runs the register command in a process that has imported MLflow already.

    Args:
      arguments: of the command.
      environment: variables besides this process's own.
      folder: for what it prints.

    Returns:
      As `subprocess.run`, with text.
    """
    (done,) = _run_all([Command(arguments, environment)], folder)
    return done


def _run_all(commands: Sequence[Command], folder: Path) -> list[subprocess.CompletedProcess[str]]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            *("git", "mlflow.models", "mlflow.store.tracking.sqlalchemy_store"),
            *("registry.dashboard", "registry.recording", __name__),
        ]
    )
    barrier = context.Barrier(len(commands))
    outputs = [
        (folder / f"stdout_{number}", folder / f"stderr_{number}")
        for number in range(len(commands))
    ]
    children = [
        context.Process(target=_run, args=(command, files, barrier))
        for command, files in zip(commands, outputs, strict=True)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(_SECONDS)
    return [
        subprocess.CompletedProcess(
            command.arguments, child.exitcode, *(file.read_text() for file in files)
        )
        for command, child, files in zip(commands, children, outputs, strict=True)
    ]


def _run(command: Command, outputs: tuple[Path, Path], barrier) -> None:
    os.environ.update(command.environment)
    for number, output in enumerate(outputs, start=1):
        with output.open("w", encoding="utf-8") as file:
            os.dup2(file.fileno(), number)
    sys.argv[1:] = command.arguments
    if command.killed_at is not None:
        _kill_at(command.killed_at)
    barrier.wait(_SECONDS)
    registry.register.run(registry.register.parser(), registry.register.main)


def _kill_at(step: int) -> None:
    import sqlalchemy

    left = step
    written = False

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def execute(_connection, _cursor, statement: str, *_) -> None:
        nonlocal written
        written = written or not statement.lstrip().startswith(("SELECT", "PRAGMA"))

    def commit(_connection) -> None:
        nonlocal written
        if written:
            written = False
            count()

    def audit(event: str, _arguments) -> None:
        if event in ("http.client.send", "shutil.copyfile"):
            count()

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", execute)
    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "commit", commit)
    sys.addaudithook(audit)
