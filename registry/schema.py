"""Which MLflow made a database's tables, and their upgrade to those of this MLflow.

MLflow upgrades a database by itself when it opens one that lacks a table: without
a copy, and with nothing that keeps two processes apart. So it is asked first.
Nothing here holds a lock; what is called with a store's lock held says so.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tools.command_line import bazel_command
from tools.errors import InputError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Engine

# SQLite's pages (4 KB each, as MLflow makes them) between two lines about progress.
_PAGES_AT_ONCE = 5000
_BUSY_SECONDS = 20.0


def check_tables(tracking_uri: str, shown_uri: str) -> None:
    """Refuses a database whose tables another MLflow made.

    Args:
      tracking_uri: of a database.
      shown_uri: the same as it may be shown.

    Raises:
      InputError: its tables are older or newer than this MLflow's.
    """
    revision = read_revision(tracking_uri)
    # Without any tables, it is for MLflow to make them.
    if revision in (None, newest_revision()):
        return
    if is_older(revision):
        raise InputError(
            "store.older",
            f"{shown_uri}: its tables are of an older MLflow; "
            f"{bazel_command('run', '//registry:upgrade')} upgrades them and keeps a copy",
        )
    raise _newer(shown_uri)


def read_revision(tracking_uri: str) -> str | None:
    """Reads which revision of MLflow's tables a database holds.

    Args:
      tracking_uri: of a database.

    Returns:
      MLflow's name of the revision, or None where there are no tables yet.
    """
    from mlflow.store.db.utils import _get_schema_version

    with _engine(tracking_uri) as engine:
        return _get_schema_version(engine)


def newest_revision() -> str:
    """Gives the revision of the tables that this MLflow makes."""
    return _revisions().get_current_head()


def is_older(revision: str) -> bool:
    """Tells whether this MLflow knows a revision, and so can upgrade from it."""
    return revision in {script.revision for script in _revisions().walk_revisions()}


def upgrade(
    tracking_uri: str,
    shown_uri: str,
    database: Path | None,
    copy: Path,
    say: Callable[[str], None],
) -> bool:
    """Upgrades a database's tables. Hold the store's lock.

    A copy is made first. What fails, or is killed, leaves the tables as they were.

    Args:
      tracking_uri: of a database.
      shown_uri: the same as it may be shown.
      database: the SQLite file, or None for a PostgreSQL database.
      copy: where to keep what was there before: an SQLite file, or for PostgreSQL a
        dump that `pg_restore` reads.
      say: is told in one line how far it is.

    Returns:
      Whether there was something to upgrade.

    Raises:
      InputError: the database is of a newer MLflow, or holds no tables of MLflow's,
        or cannot be copied.
    """
    revision = read_revision(tracking_uri)
    if revision is None:
        raise InputError(
            "store.empty", f"{shown_uri}: holds no tables of MLflow's; nothing is registered there"
        )
    if revision == newest_revision():
        return False
    if not is_older(revision):
        raise _newer(shown_uri)
    copy.parent.mkdir(parents=True, exist_ok=True)
    if database is not None:
        _upgrade_file(database, shown_uri, copy, say)
    elif urllib.parse.urlsplit(tracking_uri).scheme.partition("+")[0] == "postgresql":
        _dump(tracking_uri, shown_uri, copy)
        # PostgreSQL takes all steps as one transaction.
        _upgrade_tables(tracking_uri)
    else:
        # Others take each step by itself, and may be left in the middle.
        raise InputError(
            "store.kind",
            f"{shown_uri}: only SQLite and PostgreSQL are upgraded here; "
            "back it up, then run `mlflow db upgrade` on it with this MLflow",
        )
    return True


def _newer(shown_uri: str) -> InputError:
    import mlflow

    return InputError(
        "store.newer",
        f"{shown_uri}: its tables are of a newer MLflow than {mlflow.__version__}; "
        "use the version of rules_quantize that upgraded them, or a newer one",
    )


def _revisions() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    return ScriptDirectory.from_config(_get_alembic_config(""))


@contextlib.contextmanager
def _engine(tracking_uri: str) -> Iterator["Engine"]:
    from mlflow.store.db.utils import create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(tracking_uri)
    try:
        yield engine
    finally:
        engine.dispose()


def _upgrade_tables(tracking_uri: str) -> None:
    from mlflow.store.db.utils import _upgrade_db, _verify_schema

    with _engine(tracking_uri) as engine:
        _upgrade_db(engine)
        _verify_schema(engine)


def _upgrade_file(database: Path, shown_uri: str, copy: Path, say: Callable[[str], None]) -> None:
    """Upgrades a second file, then writes it over the database as one transaction.

    The database stays the same file, for whoever has it open.
    """
    unfinished = copy.with_name(copy.name + ".unfinished")
    upgraded = database.with_name(database.name + ".upgraded")
    _remove(unfinished, upgraded)
    try:
        # No transactions of Python's own: `backup` refuses a database that is in one.
        with _opened(database) as original:
            # Held until it is closed, so that nobody writes what would be lost.
            original.execute("PRAGMA locking_mode = EXCLUSIVE")
            original.execute("BEGIN EXCLUSIVE")
            original.execute("COMMIT")
            with _opened(unfinished) as target:
                original.backup(target)
            os.replace(unfinished, copy)
            shutil.copyfile(copy, upgraded)
            _upgrade_tables("sqlite:///" + urllib.parse.quote(str(upgraded)))

            def progress(_status: int, remaining: int, total: int) -> None:
                done = total - remaining
                say(f"upgrade: wrote {done:,} of {total:,} pages of {database.name}")

            with _opened(upgraded) as source:
                found = source.execute("PRAGMA integrity_check").fetchone()[0]
                if found != "ok":
                    raise InputError(
                        "store.damaged",
                        f"{shown_uri}: is damaged ({found}); nothing was changed, and "
                        f"{copy} is a copy of it",
                    )
                # One transaction, whatever the number of pages at once.
                source.backup(original, pages=_PAGES_AT_ONCE, progress=progress)
    finally:
        _remove(unfinished, upgraded)


def _opened(database: Path) -> contextlib.closing:
    return contextlib.closing(
        sqlite3.connect(database, timeout=_BUSY_SECONDS, isolation_level=None)
    )


def _remove(*databases: Path) -> None:
    for database in databases:
        for file in (database, *(Path(f"{database}-{end}") for end in ("journal", "wal", "shm"))):
            file.unlink(missing_ok=True)


def _dump(tracking_uri: str, shown_uri: str, copy: Path) -> None:
    """Copies a PostgreSQL database into a file of `pg_dump`'s own format."""
    from sqlalchemy.engine import make_url

    url = make_url(tracking_uri).set(drivername="postgresql")
    environment = dict(os.environ)
    if url.password:
        # Other users of the machine can read a command line.
        environment["PGPASSWORD"] = str(url.password)
    unfinished = copy.with_name(copy.name + ".unfinished")
    try:
        done = subprocess.run(
            [
                "pg_dump",
                "--format=custom",
                f"--file={unfinished}",
                f"--dbname={url._replace(password=None).render_as_string(hide_password=False)}",
            ],
            env=environment,
            capture_output=True,
            text=True,
            # It holds all that the database does.
            umask=0o077,
        )
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(
                "store.copy", f"{shown_uri}: cannot be copied, so nothing was changed: {said}"
            )
        os.replace(unfinished, copy)
    except FileNotFoundError:
        raise InputError(
            "store.copy",
            f"{shown_uri}: pg_dump, which copies it, is not installed "
            "(apt-get install postgresql-client); nothing was changed",
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
