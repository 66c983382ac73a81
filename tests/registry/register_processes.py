"""Runs the register command in many processes, and kills them where it hurts."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import registry.register

_SECONDS = 240


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
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["git", "mlflow.models", "mlflow.store.tracking.sqlalchemy_store", __name__]
    )
    barrier = context.Barrier(len(commands))
    outputs = [folder / f"output_{number}" for number in range(len(commands))]
    children = [
        context.Process(target=_run, args=(command, output, barrier))
        for command, output in zip(commands, outputs, strict=True)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(_SECONDS)
    return [
        (child.exitcode, output.read_text())
        for child, output in zip(children, outputs, strict=True)
    ]


def _run(command: Command, output: Path, barrier) -> None:
    os.environ.update(command.environment)
    with output.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
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
