"""Thousands of versions in SQLite: the commands that people wait for stay quick."""

import sqlite3
import time

import pytest

from registry import compare, list_versions, promote, register, rollback
from registry.record import read_record
from registry.recording import RegistrationWriter
from registry.store import connect, locked
from tests.extent import count
from tests.registry.new_stores import new_store
from tests.registry.registration_files import flags, write_files

_VERSIONS = count(1_000, nightly=10_000)


def _loop_seconds() -> float:
    started = time.process_time()
    sum(number * number for number in range(1_000_000))
    return time.process_time() - started


# What a command may take in seconds of processor time; more on a machine that is slower than
# the one of the figures in docs/reference/registry.md, where the loop takes 0.03 s.
_SECONDS = 2.0 * max(1.0, min(_loop_seconds() for _ in range(5)) / 0.03)
# Tables, and what of a row is another for each version.
_ROWS = {
    "runs": ("run_uuid", "artifact_uri"),
    "params": ("run_uuid",),
    "tags": ("run_uuid",),
    "metrics": ("run_uuid",),
    "latest_metrics": ("run_uuid",),
    "inputs": ("input_uuid", "source_id", "destination_id"),
    "logged_models": ("model_id", "artifact_location", "source_run_id"),
    "logged_model_tags": ("model_id",),
    "logged_model_params": ("model_id",),
    "logged_model_metrics": ("model_id", "run_id"),
    "model_versions": ("version", "source", "run_id", "storage_location"),
    "model_version_tags": ("version",),
}


def _copy_version(database, run_id, model_id, count):
    """Copies all rows of version 1 as versions 2, 3, ...: through MLflow it would take hours."""
    connection = sqlite3.connect(database)
    connection.execute(
        "CREATE TEMP TABLE numbers AS SELECT value AS number FROM (WITH RECURSIVE "
        "n(value) AS (SELECT 2 UNION ALL SELECT value + 1 FROM n WHERE value < "
        f"{count}) SELECT value FROM n)"
    )
    digest = connection.execute(
        "SELECT value FROM tags WHERE run_uuid = ? AND key = 'artifact_sha256'", (run_id,)
    ).fetchone()[0]
    for table, varying in _ROWS.items():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        values = []
        for column in columns:
            value = f'"{column}"'
            if column == "version" and "version" in varying:
                value = "number"
            elif column == "input_uuid":
                value = "printf('%032x', number * 1000 + old.rowid)"
            elif column in varying:
                value = (
                    f"replace(replace({value}, '{run_id}', printf('%032x', number)), "
                    f"'{model_id}', printf('m-%032x', number))"
                )
            elif column in ("value", "tag_value"):
                # Every version is another artifact.
                value = (
                    f"CASE WHEN {value} = '{digest}' THEN printf('%064x', number) ELSE {value} END"
                )
            values.append(value)
        owner = {
            "inputs": f"source_id IN ('{run_id}', '{model_id}') OR destination_id = '{run_id}'",
            "model_versions": "name = 'face'",
            "model_version_tags": "name = 'face'",
        }.get(table)
        if owner is None:
            key = "run_uuid" if "run_uuid" in columns else "model_id"
            owner = f"{key} = '{run_id if key == 'run_uuid' else model_id}'"
        connection.execute(
            f"INSERT INTO {table} SELECT {', '.join(values)} FROM {table} AS old, numbers "
            f"WHERE {owner}"
        )
    connection.commit()
    connection.close()


@pytest.fixture(name="workspace", scope="module")
def _workspace(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILD_WORKSPACE_DIRECTORY", str(workspace))
        patch.setenv("MLFLOW_TRACKING_URI", "")
        store = new_store(workspace)
        files = write_files(workspace / "files")
        with locked(store):
            client = connect(store)
            recorded = RegistrationWriter(store, client, {}).write(
                read_record(files, "face", "//models:face_int8")
            )
        model_id = client.get_model_version("face", "1").source.removeprefix("models:/")
        _copy_version(store.database, recorded.run_id, model_id, _VERSIONS)
        (workspace / "models").mkdir()
        (workspace / "models" / "promotion.toml").write_text(
            '[aliases.production]\nrequired_devices = ["host"]\nmax_size_bytes = 100\n'
        )
        yield workspace


def _seconds(capsys, module, *arguments):
    """Gives processor time: it does not depend on what else the machine does."""
    started = time.process_time()
    assert module.main(module.parser().parse_args(arguments)) == 0
    return time.process_time() - started, capsys.readouterr().out


def test_list(workspace, capsys):
    seconds, printed = _seconds(capsys, list_versions, "face")

    assert printed.splitlines()[1].startswith(f"face@{_VERSIONS} ")
    assert seconds < _SECONDS


def test_list_of_models(workspace, capsys):
    seconds, printed = _seconds(capsys, list_versions)

    assert f"face@{_VERSIONS}" in printed
    assert seconds < _SECONDS


def test_compare(workspace, capsys):
    seconds, printed = _seconds(capsys, compare, f"face@{_VERSIONS // 2}", f"face@{_VERSIONS}")

    assert "measured on host, each in a session of its own" in printed
    assert seconds < _SECONDS


def test_promote_and_roll_back(workspace, capsys):
    middle, last = f"face@{_VERSIONS // 2}", f"face@{_VERSIONS - 1}"
    taken = []
    for version in ("face@100", middle, last):
        started = time.process_time()
        arguments = promote.parser().parse_args([version, "--to=production"])
        assert promote.main(arguments) == 0
        taken.append(time.process_time() - started)
    assert f"moved production: {middle} -> {last}" in capsys.readouterr().out
    assert max(taken) < _SECONDS, taken
    assert rollback.main(rollback.parser().parse_args(["face@production"])) == 0
    assert f"moved production: {last} -> {middle}" in capsys.readouterr().out


def test_register_one_more(workspace, capsys, tmp_path):
    files = write_files(tmp_path, artifact=b"one more")
    started = time.process_time()
    assert register.main(register.parser().parse_args(flags(files))) == 0

    assert f"registered face version {_VERSIONS + 1} " in capsys.readouterr().out
    assert time.process_time() - started < 5 * _SECONDS
