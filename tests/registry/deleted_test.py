"""What people delete in MLflow's UI comes back when the same artifact is registered again."""

import json
import shutil

import pytest

from registry import fetch, lineage, list_versions
from registry.store import connect
from tests.refused import refused
from tests.registry.new_stores import new_store


@pytest.fixture(name="opened", scope="module")
def _opened(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        patch.setenv("BUILD_WORKSPACE_DIRECTORY", str(workspace))
        store = new_store(workspace)
        yield store, connect(store), workspace


def _fetched(command, reference, folder) -> bytes:
    command(fetch, reference, f"--output={folder / 'fetched.tflite'}")
    return (folder / "fetched.tflite").read_bytes()


def _gone_for_good(store, run_id: str) -> None:
    """Does to a run in the trash what `mlflow gc` does."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(store.tracking_uri, store.artifacts.as_uri())._hard_delete_run(run_id)


def test_an_experiment(register, command, opened, name, tmp_path):
    first = register(b"one")
    retired = register(b"two")
    client = opened[1]
    client.set_tag(retired.run_id, "retired", "for a test")
    client.delete_run(retired.run_id)
    client.delete_experiment(first.experiment_id)
    again = register(b"one")
    assert again.restored == (f"the experiment {name}",)
    assert (again.version, again.run_id, again.created) == ("1", first.run_id, False)
    assert _fetched(command, f"{name}@1", tmp_path) == b"one"
    assert client.get_run(first.run_id).info.lifecycle_stage == "active"
    # What this program had put into the trash stays there.
    assert client.get_run(retired.run_id).info.lifecycle_stage == "deleted"
    assert register(b"one").restored == ()


def test_a_run(register, command, opened, name):
    first = register(b"one")
    opened[1].delete_run(first.run_id)
    assert " - " in command(list_versions, name)[1]
    again = register(b"one")
    assert again.restored == (f"the run of {name} version 1",)
    assert (again.run_id, again.run_created) == (first.run_id, False)
    assert " - " not in command(list_versions, name)[1].splitlines()[1].partition("int8")[2]


def test_a_run_that_is_gone_for_good(register, command, opened, name, tmp_path):
    store, client, _ = opened
    first = register(b"one")
    client.set_registered_model_alias(name, "production", "1")
    client.delete_run(first.run_id)
    _gone_for_good(store, first.run_id)
    with refused("registry.changed", "Register"):
        _fetched(command, f"{name}@1", tmp_path)
    assert f"{name}@1: int8" in command(lineage, f"{name}@1")[1]
    again = register(b"one")
    assert again.restored == (f"{name} version 1, under a new number",)
    assert (again.version, again.created) == ("2", True)
    assert _fetched(command, f"{name}@production", tmp_path) == b"one"


def test_files(register, command, opened, name, tmp_path):
    first = register(b"one")
    run = opened[1].get_run(first.run_id)
    shutil.rmtree(run.info.artifact_uri.removeprefix("file://"))
    with refused("registry.changed", "Register"):
        _fetched(command, f"{name}@1", tmp_path)
    again = register(b"one")
    assert again.restored == (f"the file of {name} version 1",)
    assert _fetched(command, f"{name}@1", tmp_path) == b"one"


def test_a_float_master(register, command, opened, name, tmp_path):
    first, client = register(b"one"), opened[1]
    master, number = first.parent.split("/")
    client.delete_model_version(master, number)
    assert f"{master}@1, deleted since: float" in command(lineage, f"{name}@1")[1]
    again = register(b"one")
    assert again.restored == (f"{master} version 2",)
    assert again.parent == f"{master}/2"
    assert f"{master}@2: float" in command(lineage, f"{name}@1")[1]
    assert _fetched(command, f"{master}@2", tmp_path)


def test_the_run_of_a_float_master(register, command, opened, name):
    first, client = register(b"one"), opened[1]
    master, number = first.parent.split("/")
    client.delete_run(client.get_model_version(master, number).run_id)
    assert register(b"one").restored == (f"the run of {master} version 1",)
    assert json.loads(command(list_versions, master, "--format=json")[1])["versions"][0]["metrics"]


def test_a_version(register, command, opened, name, tmp_path):
    register(b"one")
    opened[1].delete_model_version(name, "1")
    again = register(b"one")
    assert (again.version, again.created) == ("2", True)
    assert _fetched(command, f"{name}@2", tmp_path) == b"one"
