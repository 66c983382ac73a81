"""A store that mlflow 3.17.2 made: refused in one line, and upgraded by a command."""

import multiprocessing
import os
import re
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
import sqlalchemy

from registry import fetch, history, list_versions, promote, register, rollback, schema, ui, upgrade
from tests.refused import refused
from tests.registry.registration_files import flags, write_files

_OLD = "dc11669786a5"
_DUMP = Path(__file__).with_name("store_3_17_2.sql")


@pytest.fixture(name="workspace")
def _workspace(tmp_path, monkeypatch):
    workspace = tmp_path / "work space"
    (workspace / ".mlflow").mkdir(parents=True)
    connection = sqlite3.connect(workspace / ".mlflow" / "mlflow.db")
    connection.executescript(_DUMP.read_text().replace("@WORKSPACE@", str(workspace)))
    # What fetch gets; of the other artifacts only the records are needed.
    ((run_id,),) = connection.execute("SELECT run_id FROM model_versions WHERE version = 2")
    kept = workspace / ".mlflow" / "artifacts" / "face" / run_id / "artifacts" / "model"
    kept.mkdir(parents=True)
    (kept / "face_int8.tflite").write_bytes(b"a smaller")
    connection.close()
    monkeypatch.setenv("BUILD_WORKSPACE_DIRECTORY", str(workspace))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    return workspace


@pytest.fixture(name="database")
def _database(workspace):
    return workspace / ".mlflow" / "mlflow.db"


@pytest.fixture(name="command")
def _command(capsys, monkeypatch):
    def command(module, *arguments):
        capsys.readouterr()
        # A command before it in this process has set it.
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
        status = module.main(module.parser().parse_args(arguments))
        return status, capsys.readouterr().out

    return command


def _rows(database):
    """Gives the rows of each table with the names of their columns, and the revision."""
    connection = sqlite3.connect(database)
    tables = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
    ]
    rows = {}
    for table in tables:
        cursor = connection.execute(f'SELECT * FROM "{table}"')
        names = [column[0] for column in cursor.description]
        rows[table] = [dict(zip(names, row, strict=True)) for row in cursor]
    connection.close()
    (revision,) = rows.pop("alembic_version")
    return rows, revision["version_num"]


def _check_nothing_is_lost(before, after):
    assert set(before) < set(after)
    for table, rows in before.items():
        kept = [{name: row[name] for name in rows[0]} for row in after[table]] if rows else []
        assert kept == rows, table


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (list_versions, []),
        (promote, ["face@1", "--to=production"]),
        (ui, ["--port=5000"]),
        (register, None),
    ],
)
def test_refused_in_one_line(command, database, tmp_path, monkeypatch, module, arguments):
    monkeypatch.setattr(ui, "_check_port", lambda *_: None)
    before = database.read_bytes()
    if arguments is None:
        arguments = flags(write_files(tmp_path / "files"))
    with refused("store.older") as raised:
        command(module, *arguments)

    uri = f"sqlite:///{database}".replace(" ", "%20")
    assert re.fullmatch(
        f"{re.escape(uri)}: its tables are of an older MLflow; "
        "bazel run (@rules_quantize)?//registry:upgrade upgrades them and keeps a copy",
        str(raised.value),
    )
    assert database.read_bytes() == before


def test_upgraded_and_used(command, database, workspace, tmp_path):
    before, _ = _rows(database)
    status, printed = command(upgrade)

    assert status == 0
    (copy,) = database.parent.glob("mlflow.db.before-*")
    lines = printed.splitlines()
    assert lines[0].startswith("upgraded sqlite:///")
    assert lines[1] == f"  copy     {copy}"
    assert _rows(copy) == (before, _OLD)
    after, revision = _rows(database)
    assert revision == schema.newest_revision()
    _check_nothing_is_lost(before, after)
    assert sorted(path.name for path in database.parent.iterdir()) == [
        *("artifacts", "lock", "mlflow.db", copy.name),
    ]

    assert "of mlflow" in command(upgrade)[1]
    _, printed = command(list_versions, "face")
    assert [line.split()[0] for line in printed.splitlines()] == ["version", "face@2", "face@1"]
    output = tmp_path / "face.tflite"
    command(fetch, "face@production", f"--output={output}")
    assert output.read_bytes() == b"a smaller"
    _, printed = command(register, *flags(write_files(tmp_path / "again", p50_ms=2.0)))
    assert printed.startswith("already registered as face version 1\n")
    _, printed = command(register, *flags(write_files(tmp_path / "new", artifact=b"new")))
    assert printed.startswith("registered face version 3 ")
    command(rollback, "face@production")
    _, printed = command(history, "face@production")
    assert len(printed.splitlines()) == 1 + 3


def test_step_that_fails_changes_nothing(command, database):
    with sqlite3.connect(database) as connection:
        # The second of three steps makes this one.
        connection.execute("CREATE TABLE issue_categories (mine TEXT)")
    connection.close()
    before = database.read_bytes()
    with refused("store.refused", "issue_categories already exists"):
        command(upgrade)

    assert database.read_bytes() == before
    assert [*database.parent.glob("*upgraded*"), *database.parent.glob("*unfinished*")] == []


def _die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def _upgrade_and_die(where, workspace):
    os.environ.update({"BUILD_WORKSPACE_DIRECTORY": str(workspace), "MLFLOW_TRACKING_URI": ""})
    if where == "before the copy has its name":
        os.replace = _die
    elif where == "when the copy is made":
        sys.addaudithook(lambda event, _: event == "shutil.copyfile" and _die())
    elif where == "between two steps":
        left = iter(range(3))
        sqlalchemy.event.listen(
            sqlalchemy.engine.Engine,
            "after_cursor_execute",
            lambda _c, _cursor, text, *_: (
                "UPDATE alembic_version" in text and next(left) == 1 and _die()
            ),
        )
    else:
        schema._PAGES_AT_ONCE = 20
        left = iter(range(4))
        import registry.store

        registry.store.say_progress = lambda _: next(left, None) == 3 and _die()
    upgrade.main(upgrade.parser().parse_args([]))


@pytest.mark.parametrize(
    "where",
    [
        "before the copy has its name",
        "when the copy is made",
        "between two steps",
        "while it is written back",
    ],
)
def test_killed_then_run_again(command, workspace, database, where):
    before, _ = _rows(database)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.store.tracking.sqlalchemy_store", __name__])
    process = context.Process(target=_upgrade_and_die, args=(where, workspace))
    process.start()
    process.join(600)
    assert process.exitcode == -signal.SIGKILL
    # SQLite's own note of what the unfinished write has overwritten.
    assert database.with_name("mlflow.db-journal").exists() == (where.startswith("while"))
    rows, revision = _rows(database)
    assert (rows, revision) == (before, _OLD)

    assert command(upgrade)[0] == 0
    after, revision = _rows(database)
    assert revision == schema.newest_revision()
    _check_nothing_is_lost(before, after)
    names = {path.name for path in database.parent.iterdir() if "before" not in path.name}
    assert names == {"artifacts", "lock", "mlflow.db"}


def test_somebody_writes(command, database, monkeypatch):
    monkeypatch.setattr(schema, "_BUSY_SECONDS", 0.1)
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        with refused("store.unavailable", "the database is busy"):
            command(upgrade)
    finally:
        writer.close()
    assert _rows(database)[1] == _OLD


def test_store_of_a_newer_mlflow(command, database):
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of_tomorrow'")
    connection.close()
    for module in (list_versions, upgrade):
        with refused("store.newer", r"newer MLflow than 3\.\d+"):
            command(module)


def test_what_cannot_be_upgraded(command, workspace, database, monkeypatch):
    with refused("file.taken"):
        command(upgrade, f"--copy={database}")
    database.unlink()
    with refused("store.empty"):
        command(upgrade)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with refused("store.kind", r"^http://127\.0\.0\.1:9: ") as raised:
        upgrade.main(upgrade.parser().parse_args([]))
    assert "secret" not in str(raised.value)
