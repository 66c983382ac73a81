"""Tells a command of the user's that an alias has moved: at least once for each move.

A move is written down as one to be told of before it takes place, and as told of after the command
ended well. So a process that dies in between leaves it to the next one.
"""

import functools
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from registry.aliases import Aliases
from registry.catalog import Catalog, Move, Version
from registry.promotion_policy import read_policy
from registry.store import Store, translate_mlflow_errors, with_retries
from registry.tables import as_json, version_json
from registry.tags import DONE, NOTIFY_TAG
from tools.command_line import bazel_command
from tools.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SECONDS = 600


def workspace_folder() -> Path:
    """Gives the folder of the workspace, or where the user stands."""
    return Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY") or Path.cwd())


def default_policy_file() -> Path:
    """Gives the policy of promotion where none is named."""
    return workspace_folder() / "models" / "promotion.toml"


def command_of(policy_file: Path, name: str, alias: str) -> str | None:
    """Reads the command that is told of the moves of an alias.

    Args:
      policy_file: it need not be there, nor know the alias.
      name: of the registered model.
      alias: its alias.

    Returns:
      The command for the shell, or None.

    Raises:
      InputError: the file is no policy.
    """
    if not policy_file.exists():
        return None
    try:
        return read_policy(policy_file, name, alias).notify
    except InputError as error:
        if error.code != "policy.alias":
            raise
        return None


def send_pending(
    store: Store, client: "MlflowClient", name: str, policy_file: Path, patience: float
) -> list[Move]:
    """Runs the command for each move of a model that has not been told of, the oldest first.

    Hold no lock: the command may be one that takes it.

    Args:
      store: from `find_store`.
      client: from `connect`.
      name: of the registered model.
      policy_file: that names the commands.
      patience: seconds to wait for a server that does not answer.

    Returns:
      The moves that were told of.

    Raises:
      InputError: a command failed. Its move, and those after it, stay to be told of.
    """
    catalog = Catalog(store, client)
    moves = with_retries(lambda: Aliases(store, client, catalog).history(name), patience)
    told = []
    for move in moves:
        command = command_of(policy_file, name, move.alias) if move.is_pending else None
        if command is None:
            continue
        version = with_retries(functools.partial(_version, catalog, name, move.after), patience)
        if version is not None:
            _run(command, _facts(store, move, version), name)
            told.append(move)
        with_retries(functools.partial(_mark, store, client, move.run_id), patience)
    return told


def _version(catalog: Catalog, name: str, number: int) -> Version | None:
    """Reads a version; None where it was deleted since, of which there is nothing to tell."""
    try:
        return catalog.read_version(f"{name}@{number}")
    except InputError as error:
        if error.code != "registry.version":
            raise
        return None


def _mark(store: Store, client: "MlflowClient", run_id: str) -> None:
    with translate_mlflow_errors(store):
        client.set_tag(run_id, NOTIFY_TAG, DONE)


def _facts(store: Store, move: Move, version: Version) -> str:
    moved = {
        "alias": move.alias,
        "before": move.before,
        "forced": move.forced,
        "move": move.kind,
        "reason": move.reason,
        "run_id": move.run_id,
        "time_ms": move.time_ms,
        "tracking_uri": store.display_uri,
        "version": version_json(version),
        "who": move.who,
    }
    return as_json("alias_move", moved) + "\n"


def _run(command: str, facts: str, name: str) -> None:
    process = subprocess.Popen(
        command,
        shell=True,
        stdin=subprocess.PIPE,
        text=True,
        cwd=workspace_folder(),
        env=_users_environment(os.environ),
        start_new_session=True,
    )
    try:
        process.communicate(facts, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise _failed(command, f"came to no end in {_SECONDS} s", name) from None
    if process.returncode != 0:
        raise _failed(command, f"ended with status {process.returncode}", name)


def _failed(command: str, how: str, name: str) -> InputError:
    again = bazel_command("run", "//registry:notify", name)
    return InputError(
        "registry.notify",
        f"notify: `{command}` {how}. The alias has moved; `{again}` tells it again, as the next "
        "promote does",
    )


def _users_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Gives the variables without those that this program's launcher set for its own Python."""
    own = ("PYTHON", "RUNFILES_", "OPENBLAS_", "RULES_QUANTIZE_LABEL")
    return {name: value for name, value in environment.items() if not name.startswith(own)}
