"""A tracking server with users, over PostgreSQL, whose artifacts go to S3."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import boto3
import mlflow
import psycopg
import pytest

import registry.fetch
import registry.promote
from tests.registry.real_servers import postgresql, s3_server
from tests.registry.register_processes import Command, run_together
from tests.registry.registration_files import flags, write_files
from tests.registry.tracking_server import tracking_server
from tools.command_line import EXIT_BAD_INPUT

_ARTIFACTS = 8
_TIMES_EACH = 4
_MACHINES = 2
_BUCKET = "models"
# Each of them must never be found in what was written.
_SECRETS = {
    "admin": "Adm1n-Passw0rd-of-the-server",
    "database": "Passw0rd-of-the-database",
    "s3_key": "AKIAKEYOFTHEBUCKET00",
    "s3_secret": "s3cretOfTheBucket/0123456789",
}


@pytest.fixture(name="backend", scope="module")
def _backend(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backend")
    config = folder / "basic_auth.ini"
    config.write_text(
        "[mlflow]\n"
        "default_permission = NO_PERMISSIONS\n"
        f"database_uri = sqlite:///{folder}/users.db\n"
        "admin_username = admin\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "auth_cache_ttl_seconds = 60\n"
    )
    keys = {
        "AWS_ACCESS_KEY_ID": _SECRETS["s3_key"],
        "AWS_SECRET_ACCESS_KEY": _SECRETS["s3_secret"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with postgresql(_SECRETS["database"]) as database, s3_server(folder) as s3:
        bucket = boto3.resource(
            "s3",
            endpoint_url=s3,
            aws_access_key_id=_SECRETS["s3_key"],
            aws_secret_access_key=_SECRETS["s3_secret"],
            region_name="us-east-1",
        ).create_bucket(Bucket=_BUCKET)
        with tracking_server(
            folder,
            "--app-name=basic-auth",
            f"--artifacts-destination=s3://{_BUCKET}/artifacts",
            MLFLOW_BACKEND_STORE_URI=database,
            MLFLOW_S3_ENDPOINT_URL=s3,
            MLFLOW_AUTH_CONFIG_PATH=str(config),
            MLFLOW_AUTH_ADMIN_PASSWORD=_SECRETS["admin"],
            MLFLOW_FLASK_SERVER_SECRET_KEY="of the test",
            **keys,
        ) as server:
            yield server, database, bucket


@pytest.fixture(name="environment")
def _environment(backend, tmp_path):
    return {
        "BUILD_WORKSPACE_DIRECTORY": str(tmp_path),
        "MLFLOW_TRACKING_URI": backend[0],
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": _SECRETS["admin"],
        "GIT_CEILING_DIRECTORIES": str(tmp_path.parent),
    }


@pytest.fixture(name="client")
def _client(environment, monkeypatch):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    return mlflow.MlflowClient(environment["MLFLOW_TRACKING_URI"])


def _run(module, arguments, environment):
    return subprocess.run(
        [sys.executable, module.__file__, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_32_processes_on_two_machines(environment, client, tmp_path):
    """Each machine has a lock of its own; only the store is shared."""
    commands = []
    for number in range(_ARTIFACTS):
        files = write_files(tmp_path / str(number), artifact=f"model {number}".encode())
        for time in range(_TIMES_EACH):
            machine = tmp_path / f"machine_{time % _MACHINES}"
            machine.mkdir(exist_ok=True)
            commands.append(Command(flags(files), {**environment, "TMPDIR": str(machine)}))
    done = run_together(commands, tmp_path)

    printed = "\n".join(text for _, text in done)
    assert [status for status, _ in done] == [0] * len(commands), printed
    versions = client.search_model_versions("name = 'face'")
    assert len(versions) == len({version.tags["artifact_sha256"] for version in versions})
    assert len(versions) == _ARTIFACTS
    (parent,) = client.search_model_versions("name = 'face.float'")
    assert {version.tags["parent_version"] for version in versions} == {
        f"face.float/{parent.version}"
    }
    experiment = client.get_experiment_by_name("face").experiment_id
    runs = client.search_runs([experiment])
    assert {run.info.status for run in runs} == {"FINISHED"}, printed
    kinds = Counter(run.data.tags["kind"] for run in runs)
    assert kinds == {"registration": _ARTIFACTS, "float master": 1, "dashboard": 1}, printed
    assert len(client.search_logged_models([experiment])) == _ARTIFACTS + 1


def test_artifacts_go_through_the_server_and_numbers_are_searched(
    environment, client, backend, tmp_path
):
    files = write_files(tmp_path / "files", p50_ms=2.0)
    ((status, printed),) = run_together([Command(flags(files, "proxied"), environment)], tmp_path)
    assert status == 0, printed
    version = client.get_model_version("proxied", "1")
    run = client.get_run(version.run_id)
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    kept = [entry.key for entry in backend[2].objects.filter(Prefix="artifacts/")]
    assert [key for key in kept if key.endswith(f"{version.run_id}/artifacts/overview.html")]
    found = client.search_logged_models([run.info.experiment_id], "metrics.latency_p50_ms < 4")
    assert version.source in {f"models:/{model.model_id}" for model in found}
    policy = tmp_path / "promotion.toml"
    policy.write_text('[aliases.production]\nrequired_devices = ["host"]\n')
    done = _run(
        registry.promote, ["proxied@1", "--to=production", f"--policy={policy}"], environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    output = tmp_path / "face.tflite"
    done = _run(registry.fetch, ["proxied@production", f"--output={output}"], environment)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == files.model.read_bytes()


@pytest.mark.parametrize("password", ["", "wrong"])
def test_without_the_right_password(environment, tmp_path, password):
    files = write_files(tmp_path / "files")
    wrong = {**environment, "MLFLOW_TRACKING_PASSWORD": password}
    ((status, printed),) = run_together([Command(flags(files, "refused"), wrong)], tmp_path)

    assert status == EXIT_BAD_INPUT
    assert len(printed.splitlines()) == 1
    assert "the server refuses the credentials" in printed


def test_no_secret_was_written(environment, backend, tmp_path):
    """Looks at every row, every artifact and all output."""
    files = write_files(tmp_path / "files", artifact=b"another model")
    uri = environment["MLFLOW_TRACKING_URI"].replace("://", f"://admin:{_SECRETS['admin']}@")
    outputs = []
    for changes in ({}, {"MLFLOW_TRACKING_URI": uri}):
        command = Command(flags(files, "secret"), {**environment, **changes})
        ((status, printed),) = run_together([command], tmp_path)
        assert status == 0, printed
        outputs.append(printed)
    dead = {**environment, "MLFLOW_TRACKING_URI": "http://admin:dead-passw0rd@127.0.0.1:9"}
    ((status, printed),) = run_together(
        [Command([*flags(files, "secret"), "--patience=0"], dead)], tmp_path
    )
    assert status == EXIT_BAD_INPUT
    assert "dead-passw0rd" not in printed
    written = {f"output {number}": text.encode() for number, text in enumerate([*outputs, printed])}
    _, database, bucket = backend
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT * FROM "{table}"')
            written[table] = repr(cursor.fetchall()).encode()
    for entry in bucket.objects.all():
        written[entry.key] = entry.get()["Body"].read()
    for path in Path(tmp_path).rglob("*"):
        if path.is_file():
            written[str(path)] = path.read_bytes()

    assert b"record_digest" in written["tags"]
    assert any(key.endswith("MLmodel") for key in written)
    for name, secret in _SECRETS.items():
        assert [key for key, text in written.items() if secret.encode() in text] == [], name
