"""A PostgreSQL database that mlflow 3.17.2 made: upgraded as a whole, or not at all."""

import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from registry import history, list_versions, register, rollback, schema, upgrade
from registry.store import connect, find_store
from tests.refused import refused
from tests.registry.real_servers import postgresql, postgresql_programs
from tests.registry.registration_files import flags, write_files

_PASSWORD = "Passw0rd-of-the-database"
_OLD = "dc11669786a5"
_DUMP = Path(__file__).with_name("store_3_17_2_postgresql.sql")


@pytest.fixture(name="server", scope="module")
def _server():
    with postgresql(_PASSWORD) as uri:
        yield uri


@pytest.fixture(name="uri")
def _uri(server, tmp_path, monkeypatch):
    """Makes the database anew for each test."""
    uri = f"{server}_old"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS mlflow_old WITH (FORCE)")
        connection.execute("CREATE DATABASE mlflow_old")
    subprocess.run(
        [postgresql_programs() / "psql", "--quiet", "-v", "ON_ERROR_STOP=1", uri],
        input=_DUMP.read_text().replace("@WORKSPACE@", str(tmp_path)),
        text=True,
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("BUILD_WORKSPACE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("PATH", f"{postgresql_programs()}:{os.environ['PATH']}")
    return uri


def _command(module, *arguments):
    return module.main(module.parser().parse_args(arguments))


def _rows(uri):
    """Gives the rows of each table with the names of their columns, and the revision."""
    rows = {}
    with psycopg.connect(uri, row_factory=psycopg.rows.dict_row) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for table in (each["tablename"] for each in tables):
            found = connection.execute(f'SELECT * FROM "{table}"').fetchall()
            rows[table] = sorted(found, key=repr)
    (revision,) = rows.pop("alembic_version")
    return rows, revision["version_num"]


def test_refused_then_upgraded_and_used(uri, tmp_path, capsys):
    before, revision = _rows(uri)
    assert revision == _OLD
    assert len(before["model_versions"]) == 3
    for module, arguments in (
        (list_versions, []),
        (register, flags(write_files(tmp_path / "refused"))),
    ):
        with refused("store.older") as raised:
            _command(module, *arguments)
        assert _PASSWORD not in str(raised.value)
    assert _rows(uri) == (before, _OLD)

    assert _command(upgrade) == 0
    printed = capsys.readouterr().out
    assert _PASSWORD not in printed
    (copy,) = (tmp_path / ".mlflow").glob("before-*.dump")
    assert f"  copy     {copy}" in printed.splitlines()
    assert copy.stat().st_mode & 0o077 == 0
    after, revision = _rows(uri)
    assert revision == schema.newest_revision()
    for table, rows in before.items():
        kept = [{name: row[name] for name in rows[0]} for row in after[table]] if rows else []
        assert kept == rows, table
    assert _command(upgrade) == 0
    assert "already" in capsys.readouterr().out

    _command(register, *flags(write_files(tmp_path / "new", artifact=b"new")))
    assert capsys.readouterr().out.startswith("registered face version 3 ")
    _command(rollback, "face@production")
    capsys.readouterr()
    _command(history, "face@production")
    assert len(capsys.readouterr().out.splitlines()) == 1 + 3


def test_copy_is_the_database_as_it_was(uri, server, tmp_path):
    before = _rows(uri)
    copy = tmp_path / "a copy.dump"
    assert _command(upgrade, f"--copy={copy}") == 0
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE mlflow_old WITH (FORCE)")
        connection.execute("CREATE DATABASE mlflow_old")
    subprocess.run(
        [postgresql_programs() / "pg_restore", "--exit-on-error", f"--dbname={uri}", copy],
        check=True,
        capture_output=True,
    )
    assert _rows(uri) == before


def test_step_that_fails_takes_all_back(uri):
    with psycopg.connect(uri) as connection:
        # The second of three steps makes this one.
        connection.execute("CREATE TABLE issue_categories (mine TEXT)")
        connection.execute("INSERT INTO issue_categories VALUES ('kept')")
    before = _rows(uri)
    with refused("store.refused", '"issue_categories" already exists') as failed:
        _command(upgrade)
    assert _PASSWORD not in str(failed.value)
    assert _rows(uri) == before


def test_without_a_copy_nothing_is_changed(uri, tmp_path, monkeypatch):
    before = _rows(uri)
    # A disk that is full.
    (tmp_path / "copy.unfinished").symlink_to("/dev/full")
    with refused("store.copy", "so nothing was changed"):
        _command(upgrade, f"--copy={tmp_path}/copy")
    monkeypatch.setenv("PATH", "/nonexistent")
    with refused("store.copy", "pg_dump"):
        _command(upgrade)
    assert _rows(uri) == before
    assert not [*tmp_path.rglob("copy*"), *tmp_path.rglob("*.dump*")]


def test_server_is_gone():
    store = find_store({"MLFLOW_TRACKING_URI": f"postgresql://mlflow:{_PASSWORD}@127.0.0.1:9/x"})
    with refused("store.unavailable", "the server does not answer") as failed:
        connect(store)
    assert _PASSWORD not in str(failed.value)
