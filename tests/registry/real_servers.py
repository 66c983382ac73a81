"""Starts PostgreSQL and an S3 server on loopback, for the time of a test."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.registry.tracking_server import free_port, stop_server

_SECONDS = 600


def postgresql_programs() -> Path:
    """Finds the folder of PostgreSQL's programs.

    Raises:
      FileNotFoundError: Debian's package `postgresql` is not installed.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise FileNotFoundError("PostgreSQL is missing: apt-get install postgresql")
    return found[-1].parent


@contextlib.contextmanager
def postgresql(password: str) -> Iterator[str]:
    """Runs a PostgreSQL server with an empty database inside the block.

    It refuses to run as root, and is then run as another user of a namespace of its
    own, which needs no such user on the machine.

    Args:
      password: of its user `mlflow`, who owns the database `mlflow`.

    Yields:
      Address of the database, with user and password.
    """
    programs = postgresql_programs()
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="postgresql_"))
    user = []
    if os.getuid() == 0:
        user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]

    def start(*command, **options) -> None:
        done = subprocess.run(
            [*user, *(str(word) for word in command)],
            capture_output=True,
            text=True,
            cwd=folder,
            **options,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o600)
    data = folder / "data"
    try:
        start(
            *(programs / "initdb", "--pgdata", data, "--username=mlflow", "--encoding=UTF8"),
            *("--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync", "--no-locale"),
        )
        server = subprocess.Popen(
            [
                *(*user, str(programs / "postgres"), "-D", str(data), "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                *("-c", "fsync=off", "-c", "max_connections=60"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + _SECONDS
            ready = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-q"]
            while subprocess.run(ready).returncode != 0:
                assert server.poll() is None, "PostgreSQL did not start"
                assert time.monotonic() < deadline, "PostgreSQL did not start in time"
                time.sleep(0.1)
            start(
                *(programs / "createdb", "-h", "127.0.0.1", "-p", port, "-U", "mlflow", "mlflow"),
                env={**os.environ, "PGPASSWORD": password},
            )
            yield f"postgresql://mlflow:{password}@127.0.0.1:{port}/mlflow"
        finally:
            # SIGTERM waits for clients to leave, SIGINT sends them away.
            stop_server(server, number=2)
    finally:
        shutil.rmtree(folder)


def servers_python() -> str:
    """Finds the interpreter of the environment that has moto and selenium."""
    folder = os.environ.get("RULES_QUANTIZE_SERVERS")
    if folder:
        return f"{folder}/bin/python"
    found = [*Path(os.environ["RUNFILES_DIR"]).glob("*rules_quantize_servers/venv/bin/python")]
    if not found:
        raise FileNotFoundError(
            "the environment of servers is not among the test's data; outside Bazel set "
            "RULES_QUANTIZE_SERVERS to it"
        )
    return str(found[0])


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Runs an S3 server inside the block.

    Args:
      folder: for its log.

    Yields:
      Its address.
    """
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with (folder / "s3.log").open("wb") as log:
        server = subprocess.Popen(
            [servers_python(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/moto-api/data.json", timeout=20).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "s3.log").read_text()
                assert time.monotonic() < deadline, "the S3 server did not start in time"
                time.sleep(0.2)
        yield address
    finally:
        stop_server(server)
