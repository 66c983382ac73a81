"""Opens MLflow's own UI on the configured model registry."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tools.command_line import new_parser, run
from tools.errors import InputError

_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.2

# Without it MLflow's navigation is the one for chat applications.
_PAGE = "#/models?workflowType=machine_learning"

_EXAMPLES = """\
  bazel run //registry:ui
  bazel run //registry:ui -- --port=8080
  MLFLOW_TRACKING_URI=https://mlflow.example.com bazel run //registry:ui"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "ui",
        "Starts MLflow's UI on the model registry, and stops it on Ctrl-C. Without "
        "MLFLOW_TRACKING_URI that is .mlflow/ in the workspace; a tracking server has a UI of "
        "its own, whose address is printed.",
        _EXAMPLES,
    )
    result.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    result.add_argument(
        "--port", type=int, default=5000, help="port to listen on (default: %(default)s)"
    )
    return result


def main(arguments: argparse.Namespace) -> int:
    """Serves the UI until it is told to stop.

    Args:
      arguments: from `parser`.

    Returns:
      0 when it was stopped by SIGINT or SIGTERM.

    Raises:
      InputError: the port is taken, or the server did not start.
    """
    from registry.store import connect, find_store, locked, quiet_environment

    store = find_store(os.environ)
    if store.is_server:
        print(f"{store.display_uri} is a tracking server; its UI is at that address", flush=True)
        return 0
    _check_port(arguments.host, arguments.port)
    with locked(store):
        connect(store)
    environment = {**os.environ, **quiet_environment(os.environ)}
    # By environment, not by flag: other users of the machine can read the
    # command line of a process, and a database's URI may hold a password.
    environment["MLFLOW_BACKEND_STORE_URI"] = store.tracking_uri
    assert store.artifacts is not None, "only a server has a place of its own for them"
    environment["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = store.artifacts.as_uri()
    # Its log is where the reason stands when it does not start.
    environment["MLFLOW_LOGGING_LEVEL"] = "ERROR"
    # MLflow's job queue, for its GenAI features: two more processes.
    environment.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    return _serve(arguments.host, arguments.port, store.display_uri, environment)


def _check_port(host: str, port: int) -> None:
    if not 0 < port < 65536:
        raise InputError("server.address", f"--port={port}: a number from 1 to 65535 is wanted")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise InputError(
            "server.address", f"--host={host}: no such address; try 127.0.0.1"
        ) from None
    with socket.socket(family, kind, protocol) as probe:
        # As the server does; otherwise a server that has just stopped counts.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise InputError(
                "server.address",
                f"{host}:{port} cannot be used ({error.strerror}); give another --port",
            ) from None


def _serve(host: str, port: int, shown_uri: str, environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", "mlflow", "server", f"--host={host}", f"--port={port}"]
    command.append("--workers=1")
    stop: list[int] = []

    def on_signal(number, _frame) -> None:
        stop.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "server.log")
        with log.open("wb") as output:
            server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                # In a group of its own, so that it can be stopped with all that it starts.
                start_new_session=True,
                cwd=folder,
            )
        try:
            if not _wait_until_ready(host, port, server, stop):
                if stop:
                    return 0
                raise InputError("server.failed", f"MLflow's server did not start: {_reason(log)}")
            address = f"[{host}]" if ":" in host else host
            print(f"MLflow's UI on {shown_uri}", flush=True)
            print(f"  http://{address}:{port}/{_PAGE}", flush=True)
            print("Ctrl-C stops it.", flush=True)
            while not stop and server.poll() is None:
                time.sleep(_POLL_SECONDS)
            if not stop:
                raise InputError("server.failed", f"MLflow's server ended: {_reason(log)}")
            return 0
        finally:
            _stop(server)


def _wait_until_ready(host: str, port: int, server: subprocess.Popen, stop: list[int]) -> bool:
    # Whatever it listens on, it answers on loopback.
    probed = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_SECONDS
    while not stop and server.poll() is None and time.monotonic() < deadline:
        try:
            with opener.open(f"http://{probed}:{port}/health", timeout=2):
                return True
        except OSError:
            time.sleep(_POLL_SECONDS)
    return False


def _stop(server: subprocess.Popen) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
        except ProcessLookupError:
            break
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        # The group outlives its leader until the last worker has gone.
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            try:
                os.killpg(server.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(_POLL_SECONDS / 4)


def _reason(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:300] if said else "it said nothing"


if __name__ == "__main__":
    run(parser(), main)
