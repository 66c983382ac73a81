"""What is told of moves of aliases: by the policy's command, and by MLflow's own webhooks."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest

from registry import notify, promote, rollback
from registry.record import read_record
from registry.recording import RegistrationWriter
from registry.store import connect, find_store, locked
from tests.refused import refused
from tests.registry.new_stores import new_store
from tests.registry.registration_files import write_files
from tests.registry.tracking_server import tracking_server

_SENDER = """\
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], data=sys.stdin.buffer.read(), method="POST")
urllib.request.urlopen(request, timeout=60).close()
"""
_SECONDS = 120


class _Receiver(http.server.ThreadingHTTPServer):
    """An app's pipeline: keeps what is posted; `answer` is the status that it gives."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = 200
        self.posted: list[tuple[dict, bytes]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/moved"

    def documents(self) -> list[dict]:
        return [json.loads(body) for _, body in self.posted]


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.answer == 200:
            self.server.posted.append((dict(self.headers), body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(name="receiver")
def _receiver():
    with _Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


@pytest.fixture(name="opened", scope="module")
def _opened(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "models").mkdir()
    (workspace / "sender.py").write_text(_SENDER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        patch.setenv("BUILD_WORKSPACE_DIRECTORY", str(workspace))
        store = new_store(workspace)
        yield store, connect(store), workspace


@pytest.fixture(name="tell")
def _tell(opened, receiver):
    """Writes a policy whose command posts what it is given to the receiver."""
    command = shlex.join([sys.executable, "sender.py", receiver.address])

    def tell(command=command):
        text = f"[aliases.staging]\n[aliases.production]\nnotify = {json.dumps(command)}\n"
        (opened[2] / "models" / "promotion.toml").write_text(text)

    tell()
    return tell


def test_each_move_is_told_of_with_its_facts(register, command, receiver, tell, name):
    register(b"one")
    register(b"two")
    command(promote, f"{name}@1", "--to=production", "--reason=first")
    command(promote, f"{name}@1", "--to=staging")
    command(promote, f"{name}@2", "--to=production")
    command(rollback, f"{name}@production", "--reason=crashes")

    moves = receiver.documents()
    assert [(move["move"], move["before"], move["version"]["version"]) for move in moves] == [
        ("promotion", None, 1),
        ("promotion", 1, 2),
        ("rollback", 2, 1),
    ]
    first = moves[0]
    assert (first["kind"], first["schema_version"]) == ("rules_quantize.alias_move", 1)
    assert (first["alias"], first["reason"]) == ("production", "first")
    assert first["version"]["name"] == name
    assert first["version"]["tags"]["artifact_sha256"] == hashlib.sha256(b"one").hexdigest()
    assert first["version"]["metrics"]["size_bytes"] == 3
    assert len({move["run_id"] for move in moves}) == 3
    assert command(notify, name)[1] == f"every move of {name} has been told of\n"
    assert len(receiver.posted) == 3


def test_told_again_until_it_is_heard(register, command, receiver, tell, opened, name):
    for artifact in (b"one", b"two", b"three"):
        register(artifact)
    receiver.answer = 503
    with refused("registry.notify", r"ended with status 1\. The alias has moved; .*notify -- "):
        command(promote, f"{name}@1", "--to=production")
    holder = opened[1].get_model_version_by_alias(name, "production")
    assert str(holder.version) == "1"
    with refused("registry.notify", "ended with status 1"):
        command(notify, name)
    with refused("registry.notify", "ended with status 1"):
        command(promote, f"{name}@2", "--to=production")
    assert receiver.posted == []

    receiver.answer = 200
    command(promote, f"{name}@3", "--to=production")
    assert [move["version"]["version"] for move in receiver.documents()] == [1, 2, 3]


def test_a_dead_process_leaves_it_to_the_next(register, command, receiver, tell, opened, name):
    register(b"one")
    mark = opened[2] / "started"
    tell(f"touch {shlex.quote(str(mark))}; sleep 600")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, promote.__file__, f"{name}@1", "--to=production"],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + _SECONDS
    while not mark.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    process.kill()
    process.wait()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(child), signal.SIGKILL)

    tell()
    assert command(notify, name)[1] == f"told of production: {name}@1\n"
    assert [move["version"]["version"] for move in receiver.documents()] == [1]


def test_a_version_that_was_deleted_since(register, command, receiver, tell, opened, name):
    register(b"one")
    register(b"two")
    receiver.answer = 500
    with refused("registry.notify", "status 1"):
        command(promote, f"{name}@1", "--to=production")
    receiver.answer = 200
    opened[1].delete_model_version(name, "1")
    command(promote, f"{name}@2", "--to=production")
    assert [move["version"]["version"] for move in receiver.documents()] == [2]


def test_dry_run_and_no_command(register, command, receiver, tell, name):
    register(b"one")
    command(promote, f"{name}@1", "--to=production", "--dry_run")
    command(promote, f"{name}@1", "--to=staging")
    command(notify, name)
    assert receiver.posted == []


def test_webhooks_of_mlflow(receiver, tmp_path, monkeypatch, command):
    secret = "a secret"
    with tracking_server(
        tmp_path,
        MLFLOW_WEBHOOK_ALLOWED_SCHEMES="http",
        MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS="true",
    ) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("BUILD_WORKSPACE_DIRECTORY", str(tmp_path))
        # The client checks the address as the server does.
        monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http")
        monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "promotion.toml").write_text("[aliases.production]\n")
        store = find_store(os.environ)
        client = connect(store)
        client.create_webhook(
            "pipeline", receiver.address, ["model_version_alias.created"], secret=secret
        )
        record = read_record(write_files(tmp_path / "files"), "face", "//models:face_int8")
        with locked(store):
            RegistrationWriter(store, client, {}).write(record)
        command(promote, "face@1", "--to=production")
        deadline = time.monotonic() + _SECONDS
        while not receiver.posted:
            assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()
            time.sleep(0.1)
    ((headers, body),) = receiver.posted
    posted = json.loads(body)
    assert (posted["entity"], posted["action"]) == ("model_version_alias", "created")
    assert posted["data"] == {"name": "face", "alias": "production", "version": "1"}
    signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.{body.decode()}"
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    assert headers["X-MLflow-Signature"] == "v1," + base64.b64encode(digest).decode()
