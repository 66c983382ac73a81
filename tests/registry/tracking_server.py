"""Starts MLflow's own tracking server on loopback."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_SECONDS = 600


def free_port() -> int:
    """Finds a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_tracking_server(
    folder: Path,
    port: int,
    flags: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen:
    """Starts a server and waits until it answers.

    Args:
      folder: where it keeps a log, and with no `flags` its database and artifacts.
      port: of 127.0.0.1.
      flags: where it keeps its records and artifacts, and what else.
      environment: variables besides this process's own.

    Returns:
      The process, which is the leader of a group of its own.
    """
    flags = flags or [
        f"--backend-store-uri=sqlite:///{folder}/server.db",
        f"--artifacts-destination={folder}/served",
    ]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1"),
                *(f"--port={port}", "--workers=1", *flags),
            ],
            env={
                **os.environ,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                **(environment or {}),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20).close()
            return process
        except urllib.error.HTTPError:
            # It wants credentials: it is there.
            return process
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                stop_server(process)
                raise AssertionError((folder / "server.log").read_text()) from None
            time.sleep(0.2)


def stop_server(process: subprocess.Popen, number: int = signal.SIGTERM) -> None:
    """Stops a server with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


@contextlib.contextmanager
def tracking_server(folder: Path, *flags: str, **environment: str) -> Iterator[str]:
    """Runs a server inside the block.

    Args:
      folder: as for `start_tracking_server`.
      *flags: the same.
      **environment: the same.

    Yields:
      Its address.
    """
    port = free_port()
    process = start_tracking_server(folder, port, flags, environment)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop_server(process)
