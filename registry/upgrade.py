"""Upgrades the tables of a store that an older MLflow made, and keeps a copy."""

import argparse
import os
import time
from pathlib import Path

from tools.command_line import new_parser, run, user_path
from tools.errors import InputError

_EXAMPLES = """\
  bazel run //registry:upgrade
  bazel run //registry:upgrade -- --copy=/var/backups/mlflow.db
  MLFLOW_TRACKING_URI=postgresql://mlflow:...@db/mlflow bazel run //registry:upgrade"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "upgrade",
        "Upgrades the tables of an SQLite store or a PostgreSQL database that an older MLflow "
        "made. It keeps a copy of what was there before, and leaves all as it was when it fails. "
        "Stop servers that use the database first.",
        _EXAMPLES,
    )
    result.add_argument(
        "--copy",
        type=user_path,
        metavar="FILE",
        help="where to keep the copy (default: beside the SQLite file; for PostgreSQL, in "
        ".mlflow/ of the workspace)",
    )
    return result


def main(arguments: argparse.Namespace) -> int:
    """Upgrades one store.

    Args:
      arguments: from `parser`.

    Returns:
      0, also where there was nothing to do.

    Raises:
      InputError: there is no such store, or it cannot be copied or upgraded.
    """
    from registry.schema import upgrade
    from registry.store import (
        find_store,
        load_mlflow,
        locked,
        say_progress,
        translate_mlflow_errors,
    )

    store = find_store(os.environ)
    if not store.is_database:
        raise InputError(
            "store.kind",
            f"{store.display_uri}: is no database; run this where MLFLOW_TRACKING_URI can name "
            "the one that the server keeps its records in",
        )
    if store.database is not None and not store.database.exists():
        raise InputError("store.empty", f"{store.display_uri}: nothing is registered there yet")
    copy = arguments.copy or _free_name(store)
    if copy.exists():
        raise InputError("file.taken", f"--copy={copy}: is there already; name another file")
    with locked(store), translate_mlflow_errors(store):
        mlflow = load_mlflow(store)
        names = (store.tracking_uri, store.display_uri, store.database)
        if not upgrade(*names, copy, say_progress):
            print(f"{store.display_uri}: its tables are of mlflow {mlflow.__version__} already")
            return 0
    print(f"upgraded {store.display_uri} to the tables of mlflow {mlflow.__version__}")
    print(f"  copy     {copy}")
    return 0


def _free_name(store) -> Path:
    date = time.strftime("%Y%m%d-%H%M%S")
    if store.database is not None:
        first = store.database.with_name(f"{store.database.name}.before-{date}")
    else:
        first = store.artifacts.parent / f"before-{date}.dump"
    names = (first, *(first.with_name(f"{first.name}-{number}") for number in range(2, 100)))
    return next(name for name in names if not name.exists())


if __name__ == "__main__":
    run(parser(), main)
