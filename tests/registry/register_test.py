"""The register command, on SQLite and on a tracking server, from several processes."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import mlflow
import pytest

import registry.register
from tests.registry.registration_files import flags, write_files
from tools.command_line import EXIT_BAD_INPUT, EXIT_GATE_FAILED

_COMMAND = [sys.executable, registry.register.__file__]
_PROCESSES = 8


def _environment(workspace, uri=""):
    return {
        **os.environ,
        "BUILD_WORKSPACE_DIRECTORY": str(workspace),
        "MLFLOW_TRACKING_URI": uri,
        "GIT_CEILING_DIRECTORIES": str(workspace.parent),
    }


def _register(arguments, environment):
    return subprocess.run(
        [*_COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )


def _register_in_child(arguments, environment, output, barrier):
    """Runs the command in a process that has imported MLflow, together with the others."""
    os.environ.update(environment)
    with open(output, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    given = registry.register.parser().parse_args(arguments)
    barrier.wait(60)
    status = registry.register.main(given)
    sys.stdout.flush()
    sys.exit(status)


def _register_together(all_arguments, environment, folder):
    """Registers in several processes at once; gives back what they printed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.store.tracking.sqlalchemy_store", __name__])
    barrier = context.Barrier(len(all_arguments))
    outputs = [folder / f"output_{number}" for number in range(len(all_arguments))]
    children = [
        context.Process(target=_register_in_child, args=(arguments, environment, output, barrier))
        for arguments, output in zip(all_arguments, outputs, strict=True)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    printed = [output.read_text() for output in outputs]
    assert [child.exitcode for child in children] == [0] * len(children), "\n".join(printed)
    return printed


def test_help_is_quick_and_ends_with_examples():
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['register', '--help']\n"
        "try:\n"
        f"    runpy.run_path({registry.register.__file__!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    print('loaded', sorted({'mlflow', 'git', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "examples:" in done.stdout
    assert done.stdout.endswith("loaded []\n")


def test_first_and_second_time(tmp_path):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    environment = _environment(workspace)
    files = write_files(tmp_path / "files")
    output = tmp_path / "recorded.json"

    first = _register([*flags(files), f"--output={output}"], environment)
    recorded = json.loads(output.read_text())
    second = _register(flags(files), environment)

    assert first.returncode == 0, first.stderr
    assert first.stderr == second.stderr == ""
    lines = first.stdout.splitlines()
    assert lines[0] == "registered face version 1 (face_int8 1.0.0, int8)"
    assert lines[1] == f"  run      {recorded['run_id']}"
    assert lines[2] == "  made of  face.float version 1"
    assert lines[4] == "  open     bazel run //registry:ui"
    assert second.stdout.splitlines()[:2] == ["already registered as face version 1", lines[1]]
    assert recorded["created"] is True
    # Nothing beside it, and nothing that git would see.
    assert [path.name for path in workspace.iterdir()] == [".mlflow"]
    assert (workspace / ".mlflow" / ".gitignore").read_text() == "*\n"
    run = mlflow.MlflowClient(f"sqlite:///{workspace}/.mlflow/mlflow.db").get_run(
        recorded["run_id"]
    )
    assert run.data.tags["git_state"] == "no repository"
    assert run.data.tags["target"] == "//models:face_int8"
    assert run.data.tags["bazel_version"] == "7.7.1"


def test_refused(tmp_path):
    files = write_files(tmp_path / "files", passed=False)
    done = _register(flags(files), _environment(tmp_path))

    assert done.returncode == EXIT_GATE_FAILED
    assert done.stdout.startswith(
        "refused: max_score_error: 0.02 against a threshold of 0.03; "
        "recorded as a failed run, not a version\n"
    )


def test_bad_input_touches_nothing(tmp_path):
    files = write_files(tmp_path / "files")
    files.model.write_bytes(b"another")
    done = _register(flags(files), _environment(tmp_path))

    assert done.returncode == EXIT_BAD_INPUT
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"register: error: {files.model}: its sha256 is ")
    assert not (tmp_path / ".mlflow").exists()


def test_eight_processes_on_a_new_database(tmp_path):
    """Two artifacts, four times each; MLflow alone breaks on making the tables at once."""
    every = []
    for artifact in (b"one", b"two"):
        files = write_files(tmp_path / artifact.decode(), artifact=artifact)
        every += [flags(files)] * (_PROCESSES // 2)
    printed = _register_together(every, _environment(tmp_path), tmp_path)

    said = sorted(text.splitlines()[0].partition(" (")[0] for text in printed)
    assert said == (
        ["already registered as face version 1"] * 3
        + ["already registered as face version 2"] * 3
        + ["registered face version 1", "registered face version 2"]
    )
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/.mlflow/mlflow.db")
    assert len(client.search_model_versions("name = 'face'")) == 2
    assert len(client.search_model_versions("name = 'face.float'")) == 1
    runs = client.search_runs([client.get_experiment_by_name("face").experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 3


@pytest.fixture(name="server")
def _server(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}"),
            f"--backend-store-uri=sqlite:///{tmp_path}/server.db",
            f"--artifacts-destination={tmp_path}/served",
            "--workers=1",
        ],
        env={
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def test_tracking_server(tmp_path, server):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    # Credentials in the address are sent, and never shown.
    uri = server.replace("://", "://me:secret@")
    files = write_files(tmp_path / "files")
    printed = _register_together([flags(files)] * 4, _environment(workspace, uri), tmp_path)

    said = sorted(text.splitlines()[0] for text in printed)
    assert said == [
        *["already registered as face version 1"] * 3,
        "registered face version 1 (face_int8 1.0.0, int8)",
    ]
    assert "secret" not in "".join(printed)
    assert f"  open     {server}/#/models/face/versions/1" in printed[0].splitlines()
    assert not (workspace / ".mlflow").exists()
    client = mlflow.MlflowClient(server)
    version = client.get_model_version("face", "1")
    run = client.get_run(version.run_id)
    assert run.data.metrics["cosine_mean/regressors"] == 0.99
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    found = client.search_logged_models([run.info.experiment_id], "metrics.latency_p50_ms < 2.5")
    assert [f"models:/{model.model_id}" for model in found] == [version.source]
    fetched = client.download_artifacts(version.run_id, "model/face_int8.tflite", str(tmp_path))
    assert Path(fetched).read_bytes() == files.model.read_bytes()


def test_server_that_does_not_answer(tmp_path):
    files = write_files(tmp_path / "files")
    environment = _environment(tmp_path, "http://me:secret@127.0.0.1:9")
    environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    done = _register(flags(files), environment)

    assert done.returncode == EXIT_BAD_INPUT
    assert done.stderr == (
        "register: error: http://127.0.0.1:9: the server does not answer; start it, or check "
        "MLFLOW_TRACKING_URI; then run the same command again\n"
    )
