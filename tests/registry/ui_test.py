"""The ui command: MLflow's own server, started and stopped for real."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

import registry.register
import registry.ui
from tests.extent import part_of
from tests.registry.new_stores import new_store
from tests.registry.registration_files import flags, write_files
from tools.command_line import EXIT_BAD_INPUT

_COMMAND = [sys.executable, registry.ui.__file__]


@pytest.fixture(name="port")
def _port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(name="environment")
def _environment(tmp_path):
    # Only python itself is found: MLflow's scripts need not be on the PATH.
    return {
        **os.environ,
        "BUILD_WORKSPACE_DIRECTORY": str(tmp_path),
        "MLFLOW_TRACKING_URI": "",
        "PATH": "/nonexistent",
    }


def _get(url):
    with urllib.request.urlopen(url, timeout=300) as answer:
        return answer.read()


@pytest.fixture(name="recorded", scope="module")
def _recorded(tmp_path_factory):
    """A workspace with one version, and the files that it was made of."""
    workspace = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILD_WORKSPACE_DIRECTORY", str(workspace))
        patch.setenv("MLFLOW_TRACKING_URI", "")
        new_store(workspace)
        files = write_files(workspace / "files")
        assert registry.register.main(registry.register.parser().parse_args(flags(files))) == 0
    return workspace, files


@pytest.mark.parametrize("stop", part_of([signal.SIGINT, signal.SIGTERM], 2))
def test_serves_the_records_until_it_is_stopped(recorded, environment, port, stop):
    workspace, files = recorded
    environment["BUILD_WORKSPACE_DIRECTORY"] = str(workspace)
    with subprocess.Popen(
        [*_COMMAND, f"--port={port}"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as ui:
        try:
            shown = [ui.stdout.readline() for _ in range(3)]
            assert shown == [
                f"MLflow's UI on sqlite:///{workspace}/.mlflow/mlflow.db\n",
                f"  http://127.0.0.1:{port}/#/models?workflowType=machine_learning\n",
                "Ctrl-C stops it.\n",
            ]
            base = f"http://127.0.0.1:{port}"
            assert b'<div id="root"' in _get(base)
            found = json.loads(_get(f"{base}/ajax-api/2.0/mlflow/registered-models/search"))
            models = {model["name"]: model for model in found["registered_models"]}
            assert set(models) == {"face", "face.float"}
            run_id = models["face"]["latest_versions"][0]["run_id"]
            served = _get(f"{base}/get-artifact?path=model/face_int8.tflite&run_uuid={run_id}")
            assert served == files.model.read_bytes()
        finally:
            ui.send_signal(stop)
        assert ui.wait(300) == 0
        assert ui.stderr.read() == ""
    with socket.socket() as probe:
        # Nothing that it started listens any more.
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_port_is_taken(environment, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(
            [*_COMMAND, f"--port={port}"], env=environment, capture_output=True, text=True
        )

    assert done.returncode == EXIT_BAD_INPUT
    assert done.stderr == (
        f"ui: error: 127.0.0.1:{port} cannot be used (Address already in use); "
        "give another --port\n"
    )
    assert not (tmp_path / ".mlflow").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [("--port=0", "--port=0: a number"), ("--host=no.such.host.invalid", "no such address")],
)
def test_address_that_cannot_be(environment, flag, message):
    done = subprocess.run([*_COMMAND, flag], env=environment, capture_output=True, text=True)

    assert done.returncode == EXIT_BAD_INPUT
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_tracking_server_has_its_own(environment):
    environment["MLFLOW_TRACKING_URI"] = "https://me:secret@mlflow.example.com"
    done = subprocess.run(_COMMAND, env=environment, capture_output=True, text=True)

    assert done.returncode == 0
    assert "https://mlflow.example.com is a tracking server" in done.stdout
    assert "secret" not in done.stdout
