"""Stores that fail: each is told of in one line, and nothing is left half-registered."""

import os
import signal
import subprocess
import sys
import threading

import mlflow
import pytest

import registry.register
from registry import compare, fetch, history, lineage, list_versions, promote
from tests.extent import WHOLE, part_of
from tests.refused import refused
from tests.registry.new_stores import new_store
from tests.registry.register_processes import Command, run_together
from tests.registry.registration_files import flags, write_files
from tools.command_line import EXIT_BAD_INPUT

_COMMAND = [sys.executable, registry.register.__file__]


def _register(server, files, folder, name, *arguments, **environment):
    environment = {"MLFLOW_TRACKING_URI": server.uri, **environment}
    ((status, printed),) = run_together(
        [Command([*flags(files, name), *arguments], environment)], folder
    )
    return status, printed


def _check_one_version(client, name):
    (version,) = client.search_model_versions(f"name = '{name}'")
    (parent,) = client.search_model_versions(f"name = '{name}.float'")
    experiment = client.get_experiment_by_name(name).experiment_id
    models = {f"models:/{each.model_id}" for each in client.search_logged_models([experiment])}
    assert models == {version.source, parent.source}
    runs = client.search_runs([experiment])
    assert {run.info.status for run in runs} == {"FINISHED"}
    kinds = sorted(run.data.tags["kind"] for run in runs)
    assert kinds == ["dashboard", "float master", "registration"]


def test_server_dies_and_comes_back(server, tmp_path):
    files = write_files(tmp_path / "files")
    back = threading.Thread(target=server.start)

    def harm(number):
        if number == 15:
            server.kill()
            back.start()

    server.set_harm(harm)
    status, printed = _register(server, files, tmp_path, "returning")
    back.join(600)

    assert status == 0, printed
    assert printed.startswith("registered returning version 1 ")
    _check_one_version(server.client, "returning")


def test_any_answer_may_get_lost(server, tmp_path):
    """The worst case: the server did what it was asked, and nobody knows."""
    files = write_files(tmp_path / "files")
    server.set_harm(lambda number: None)
    assert _register(server, files, tmp_path, "whole")[0] == 0
    requests = server.relay.count
    assert requests > 20
    for lost in part_of(range(1, requests, 7), 3):
        name = f"lost_{lost}"
        server.set_harm(lambda number, lost=lost: "lose the answer" if number == lost else None)
        status, printed = _register(server, files, tmp_path, name)
        assert status == 0, f"{lost}: {printed}"
        _check_one_version(server.client, name)


def test_killed_between_its_requests(server, tmp_path):
    files = write_files(tmp_path / "files")
    server.set_harm(lambda number: None)
    environment = {"MLFLOW_TRACKING_URI": server.uri}
    killed = 0
    for step in part_of(range(3, 100, 7), 3):
        name = f"killed_{step}"
        command = Command(flags(files, name), environment, killed_at=step)
        ((status, printed),) = run_together([command], tmp_path)
        if status == 0:
            break
        assert (status, printed) == (-signal.SIGKILL, "")
        killed += 1
        status, printed = _register(server, files, tmp_path, name)
        assert status == 0, f"{step}: {printed}"
        _check_one_version(server.client, name)
    assert killed > (3 if WHOLE else 1)


@pytest.mark.parametrize(
    ("harm", "said"),
    [("fail", "the server fails inside"), ("hang", "the server does not answer in time")],
)
def test_server_that_stays_ill(server, tmp_path, harm, said):
    files = write_files(tmp_path / "files")
    server.set_harm(lambda number: harm)
    environment = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "1",
        "RULES_QUANTIZE_LABEL": "//registry:register",
    }
    status, printed = _register(server, files, tmp_path, "ill", "--patience=2", **environment)

    assert status == EXIT_BAD_INPUT
    assert len(printed.splitlines()) == 1
    assert printed.startswith(f"register: error: {server.uri}: {said}")
    assert "(tried for 2 s); to go on: bazel run //registry:register -- " in printed
    assert "--registered_model=ill" in printed


@pytest.fixture(name="model", scope="module")
def _model(server, tmp_path_factory):
    """A registered model with two versions."""
    folder = tmp_path_factory.mktemp("model")
    server.set_harm(lambda number: None)
    for version in ("1", "2"):
        files = write_files(folder / version, artifact=version.encode() * 100)
        status, printed = _register(server, files, folder, "read")
        assert status == 0, printed
    return "read"


_READERS = {
    "list all": (list_versions, []),
    "list": (list_versions, ["{model}"]),
    "compare": (compare, ["{model}@1", "{model}@2"]),
    "fetch": (fetch, ["{model}@2", "--output={folder}/"]),
    "lineage": (lineage, ["{model}@2"]),
    "history": (history, ["{model}"]),
    "promote": (promote, ["{model}@2", "--to=staging", "--policy={folder}/policy", "--dry_run"]),
    "register": (registry.register, ["--dry_run"]),
}


@pytest.mark.parametrize("which", part_of(list(_READERS), 2))
def test_what_only_reads_begins_anew(server, model, tmp_path, monkeypatch, capsys, which):
    command, words = _READERS[which]
    (tmp_path / "policy").write_text("[aliases.staging]\n")
    given = [word.format(model=model, folder=tmp_path) for word in words]
    if command is registry.register:
        given += flags(write_files(tmp_path / "files"), model)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)

    def said(harm, *more) -> str:
        server.set_harm(harm)
        assert command.main(command.parser().parse_args([*given, *more])) == 0
        return capsys.readouterr().out

    # The first time MLflow asks for more.
    said(lambda number: None)
    healthy = said(lambda number: None)
    requests = server.relay.count
    assert requests > 0
    # The last one may be for something that MLflow does without.
    for first in sorted({1, (1 + requests) // 2}):
        # MLflow repeats a request once by itself, without a pause.
        ill = (first, first + 1)
        assert said(lambda number, ill=ill: "fail" if number in ill else None) == healthy
        with refused("store.unavailable", "the server fails inside"):
            said(lambda number, first=first: "fail" if number >= first else None, "--patience=0")


@pytest.fixture(name="workspace")
def _workspace(tmp_path):
    workspace = tmp_path / "workspace"
    new_store(workspace)
    return workspace


def _run_mounted(workspace, mounts, arguments):
    """Runs the command where other file systems are mounted; for that process only."""
    words = " ".join(f"'{word}'" for word in [*_COMMAND, *arguments])
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-e", "-c", f"{mounts}\n{words}"],
        env={
            **os.environ,
            "BUILD_WORKSPACE_DIRECTORY": str(workspace),
            "MLFLOW_TRACKING_URI": "",
        },
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_disk_that_fills(workspace, tmp_path):
    files = write_files(tmp_path / "files", artifact=b"x" * 3_000_000)
    store = workspace / ".mlflow"
    keep = tmp_path / "keep"
    done = _run_mounted(
        workspace,
        f"cp -r {store} {keep}; mount -t tmpfs -o size=4m tmpfs {store}\n"
        f"cp -r {keep}/. {store}; trap 'cp {store}/mlflow.db {keep}' EXIT",
        flags(files),
    )

    assert done.returncode == EXIT_BAD_INPUT, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "o space left on device" in done.stderr or "the disk is full" in done.stderr
    client = mlflow.MlflowClient(f"sqlite:///{keep}/mlflow.db")
    assert client.search_model_versions("name = 'face'") == []


def test_read_only_store(workspace, tmp_path):
    files = write_files(tmp_path / "files")
    store = workspace / ".mlflow"
    done = _run_mounted(
        workspace, f"mount --bind {store} {store}; mount -o remount,ro,bind {store}", flags(files)
    )

    assert done.returncode == EXIT_BAD_INPUT, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "ead-only" in done.stderr
    assert str(store) in done.stderr
