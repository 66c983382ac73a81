"""The register command, on SQLite and on a tracking server, from several processes."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mlflow

import registry.register
from tests.extent import count
from tests.registry.new_stores import new_store
from tests.registry.register_processes import Command, run_together, run_warm
from tests.registry.registration_files import flags, write_files
from tools.command_line import EXIT_BAD_INPUT, EXIT_GATE_FAILED

_ARTIFACTS = count(4, nightly=8)
_TIMES_EACH = count(2, nightly=4)


def _environment(workspace, uri=""):
    return {
        "BUILD_WORKSPACE_DIRECTORY": str(workspace),
        "MLFLOW_TRACKING_URI": uri,
        "GIT_CEILING_DIRECTORIES": str(workspace.parent),
    }


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

    # From its very start, as a user's is; the others start from a process that has MLflow.
    first = subprocess.run(
        [sys.executable, registry.register.__file__, *flags(files), f"--output={output}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    recorded = json.loads(output.read_text())
    second = run_warm(flags(files), environment, tmp_path)

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


def test_dry_run_writes_nothing(tmp_path):
    files = write_files(tmp_path / "files")
    done = run_warm([*flags(files), "--dry_run"], _environment(tmp_path), tmp_path)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "would register a new version of face (face_int8 1.0.0)"
    assert lines[2] == "  made of  a new version of face.float"
    assert ["latency_p50_ms", "2"] in [line.split() for line in lines]
    assert f"  artifact_sha256          {hashlib.sha256(b'an int8 model').hexdigest()}" in lines
    assert "  min_runtime              2.7.0" in lines
    assert "  model/face_int8.tflite" in lines
    assert lines[-1] == "nothing is written"
    assert not (tmp_path / ".mlflow").exists()


def test_artifact_from_elsewhere(tmp_path):
    """Only a report and a model are at hand; pages are kept beside them."""
    files = write_files(tmp_path / "files", report_changes={"recipe": None})
    page = tmp_path / "layers.html"
    page.write_text("<p>layers</p>")
    output = tmp_path / "recorded.json"
    new_store(tmp_path)
    done = run_warm(
        [
            f"--report={files.report}",
            f"--model={files.model}",
            f"--page={page}",
            f"--output={output}",
        ],
        _environment(tmp_path),
        tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("registered face_int8 version 1 ")
    recorded = json.loads(output.read_text())
    assert recorded["gates"] == "not checked"
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/.mlflow/mlflow.db")
    assert [file.path for file in client.list_artifacts(recorded["run_id"], "pages")] == [
        "pages/layers.html"
    ]


def test_refused(tmp_path):
    files = write_files(tmp_path / "files", passed=False, latency_passed=False)
    new_store(tmp_path)
    done = run_warm(flags(files), _environment(tmp_path), tmp_path)

    assert done.returncode == EXIT_GATE_FAILED
    assert done.stdout.startswith(
        "refused; recorded as a failed run, not a version\n"
        "  failed   max_score_error of detection: 0.04 against a threshold of 0.02\n"
        "  failed   min_fps: 500 against a threshold of 200\n"
    )


def test_bad_input_touches_nothing(tmp_path):
    files = write_files(tmp_path / "files")
    files.model.write_bytes(b"another")
    done = run_warm(flags(files), _environment(tmp_path), tmp_path)

    assert done.returncode == EXIT_BAD_INPUT
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"register: error: {files.model}: its sha256 is ")
    assert not (tmp_path / ".mlflow").exists()


def _check_registered_once(client, printed):
    """Holds what is in the store, and what each process said, to one version an artifact."""
    versions = client.search_model_versions("name = 'face'")
    assert len(versions) == len({version.tags["artifact_sha256"] for version in versions})
    assert len(versions) == _ARTIFACTS
    assert len(client.search_model_versions("name = 'face.float'")) == 1
    experiment = client.get_experiment_by_name("face").experiment_id
    runs = client.search_runs([experiment])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.info.run_id for run in runs} >= {version.run_id for version in versions}
    kinds = Counter(run.data.tags["kind"] for run in runs)
    assert kinds == {"registration": _ARTIFACTS, "float master": 1, "dashboard": 1}
    assert len(client.search_logged_models([experiment])) == _ARTIFACTS + 1
    said = [text.splitlines()[0] for text in printed]
    assert sum(line.startswith("registered face version ") for line in said) == _ARTIFACTS
    assert sum(line.startswith("already registered as face version ") for line in said) == (
        _ARTIFACTS * (_TIMES_EACH - 1)
    )


def test_32_processes_on_a_new_database(tmp_path):
    """MLflow alone breaks on making the tables at once."""
    environment = {"BUILD_WORKSPACE_DIRECTORY": str(tmp_path), "MLFLOW_TRACKING_URI": ""}
    commands = []
    for number in range(_ARTIFACTS):
        files = write_files(tmp_path / str(number), artifact=f"model {number}".encode())
        commands += [Command(flags(files), environment)] * _TIMES_EACH
    done = run_together(commands, tmp_path)

    printed = [text for _, text in done]
    assert [status for status, _ in done] == [0] * len(commands), "\n".join(printed)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/.mlflow/mlflow.db")
    _check_registered_once(client, printed)


def test_tracking_server(tmp_path, server):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    # Credentials in the address are sent, and never shown.
    uri = server.address.replace("://", "://me:secret@")
    files = write_files(tmp_path / "files")
    done = run_warm(flags(files), _environment(workspace, uri), tmp_path)

    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert f"  open     {server.address}/#/models/face/versions/1" in done.stdout.splitlines()
    assert not (workspace / ".mlflow").exists()
    client = server.client
    version = client.get_model_version("face", "1")
    run = client.get_run(version.run_id)
    assert run.data.metrics["cosine_mean/regressors"] == 0.99
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    found = client.search_logged_models([run.info.experiment_id], "metrics.latency_p50_ms < 2.5")
    assert [f"models:/{model.model_id}" for model in found] == [version.source]
    fetched = client.download_artifacts(version.run_id, "model/face_int8.tflite", str(tmp_path))
    assert Path(fetched).read_bytes() == files.model.read_bytes()


def test_machines_that_share_a_server(tmp_path, server):
    """Each has a lock of its own, so nothing keeps them from writing at one moment."""
    commands = []
    machines = count(4, nightly=6)
    for number in range(machines):
        machine = tmp_path / f"machine_{number}"
        machine.mkdir()
        files = write_files(machine / "files", p50_ms=2.0 + 2 * number // machines)
        environment = {"MLFLOW_TRACKING_URI": server.address, "TMPDIR": str(machine)}
        commands.append(Command(flags(files, "shared"), environment))
    done = run_together(commands, tmp_path)

    printed = "\n".join(text for _, text in done)
    assert [status for status, _ in done] == [0] * len(commands), printed
    assert len([*tmp_path.glob("machine_*/rules_quantize_*/*")]) == len(commands)
    client = server.client
    (version,) = client.search_model_versions("name = 'shared'")
    (parent,) = client.search_model_versions("name = 'shared.float'")
    assert version.tags["parent_version"] == f"shared.float/{parent.version}"
    experiment = client.get_experiment_by_name("shared").experiment_id
    models = client.search_logged_models([experiment])
    assert {f"models:/{model.model_id}" for model in models} == {version.source, parent.source}
    # Two sets of figures, each from several: one made the version, the other measured it.
    runs = client.search_runs([experiment])
    kinds = sorted(run.data.tags["kind"] for run in runs)
    assert kinds == ["dashboard", "float master", "measurement", "registration"], printed
    assert {run.info.status for run in runs} == {"FINISHED"}
    said = {f"version {version.version}" in text for _, text in done}
    assert said == {True}, printed


def test_server_that_does_not_answer(tmp_path):
    files = write_files(tmp_path / "files")
    environment = _environment(tmp_path, "http://me:secret@127.0.0.1:9")
    environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    environment["RULES_QUANTIZE_LABEL"] = "@rules_quantize//registry:register"
    arguments = [*flags(files), "--patience=1"]
    done = run_warm(arguments, environment, tmp_path)

    assert done.returncode == EXIT_BAD_INPUT
    assert done.stderr == (
        "register: error: http://127.0.0.1:9: the server does not answer; start it, or check "
        "MLFLOW_TRACKING_URI (tried for 1 s); to go on: "
        f"bazel run @rules_quantize//registry:register -- {shlex.join(arguments)}\n"
    )
