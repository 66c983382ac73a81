import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from registry.store import connect, find_store, locked, without_credentials
from tests.refused import refused


def test_default_is_a_database_in_the_workspace(tmp_path):
    store = find_store({"BUILD_WORKSPACE_DIRECTORY": str(tmp_path)})

    assert store.tracking_uri == f"sqlite:///{tmp_path}/.mlflow/mlflow.db"
    assert store.artifacts == tmp_path / ".mlflow" / "artifacts"
    assert not (tmp_path / ".mlflow").exists()


def test_relative_database_lies_where_the_user_stands(tmp_path):
    store = find_store(
        {
            "BUILD_WORKING_DIRECTORY": str(tmp_path),
            "MLFLOW_TRACKING_URI": "sqlite:///runs/a%20b.db",
        }
    )

    assert store.database == tmp_path / "runs" / "a b.db"
    assert store.tracking_uri == f"sqlite:///{tmp_path}/runs/a%20b.db"


def test_a_server_keeps_its_own_artifacts_and_no_password_is_shown():
    store = find_store({"MLFLOW_TRACKING_URI": "https://me:secret@mlflow.example.com/base"})

    assert store.is_server
    assert store.artifacts is None
    assert store.tracking_uri == "https://me:secret@mlflow.example.com/base"
    assert store.display_uri == "https://mlflow.example.com/base"


@pytest.mark.parametrize("uri", ["mlruns", "file:///var/mlruns", "sqlite://"])
def test_stores_that_keep_nothing(uri):
    with refused("store.setting", "MLFLOW_TRACKING_URI"):
        find_store({"MLFLOW_TRACKING_URI": uri})


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://token@example.com/a.git", "https://example.com/a.git"),
        ("https://me:secret@example.com:8443/a", "https://example.com:8443/a"),
        ("https://example.com/a?private_token=secret#secret", "https://example.com/a"),
        ("ssh://git:secret@example.com/a.git", "ssh://git@example.com/a.git"),
        ("git@example.com:team/a.git", "git@example.com:team/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("postgresql://me:secret@localhost/mlflow", "postgresql://localhost/mlflow"),
        ("https://me:secret@[broken/a", "(a URI that cannot be read)"),
    ],
)
def test_without_credentials(uri, shown):
    assert without_credentials(uri) == shown


def _hold(environment, held, release):
    with locked(find_store(environment)):
        held.set()
        release.wait(600)


@pytest.mark.parametrize("uri", ["", "http://127.0.0.1:9"])
def test_one_process_writes_at_a_time(tmp_path, monkeypatch, uri):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment = {"BUILD_WORKSPACE_DIRECTORY": str(tmp_path), "MLFLOW_TRACKING_URI": uri}
    fork = multiprocessing.get_context("fork")
    held, release = fork.Event(), fork.Event()
    other = fork.Process(target=_hold, args=(environment, held, release))
    other.start()
    assert held.wait(300)
    try:
        with (
            refused("store.busy"),
            locked(find_store(environment), timeout_seconds=0.2),
        ):
            pass
    finally:
        # The lock goes with the process that held it, however it ends.
        os.kill(other.pid, signal.SIGKILL)
        other.join(300)
    with locked(find_store(environment), timeout_seconds=60):
        pass


def test_lock_folder_of_somebody_else(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Path(tmp_path, f"rules_quantize_{os.getuid()}").symlink_to(elsewhere)

    with (
        refused("store.lock", "belongs to somebody else"),
        locked(find_store({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})),
    ):
        pass


@pytest.mark.skipif(not Path("/sys").exists(), reason="needs a folder that root cannot write to")
def test_a_folder_that_cannot_be_written():
    store = find_store({"MLFLOW_TRACKING_URI": "sqlite:////sys/mlflow.db"})
    with pytest.raises(OSError, match=r"(Read-only|denied|not permitted)") as error, locked(store):
        pass
    # The command's one line names it.
    assert error.value.filename == "/sys/mlflow.db.lock"


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(_descriptor, _operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    store = find_store({"BUILD_WORKSPACE_DIRECTORY": str(tmp_path)})
    with (
        refused("store.lock", r"/\.mlflow/lock: .*: No locks available; "),
        locked(store),
    ):
        pass


def test_a_file_that_is_no_database(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    database = tmp_path / "mlflow.db"
    database.write_bytes(b"not a database, but some text that is long enough" * 100)
    store = find_store({"MLFLOW_TRACKING_URI": f"sqlite:///{database}"})

    with refused("store.refused", r"mlflow\.db: .*not a database"):
        connect(store).search_registered_models()
