"""What fetch writes for an app, and what verify refuses: on a real SQLite store of MLflow."""

import json
import subprocess

import pytest

from registry import fetch, promote, rollback, verify
from registry.store import connect
from tests.refused import refused
from tests.registry.new_stores import new_store


@pytest.fixture(name="opened", scope="module")
def _opened(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "models").mkdir()
    (workspace / "models" / "promotion.toml").write_text("[aliases.production]\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        patch.setenv("BUILD_WORKSPACE_DIRECTORY", str(workspace))
        store = new_store(workspace)
        yield store, connect(store), workspace


def _openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def _make_keys(folder):
    private, public = folder / "key.pem", folder / "public.pem"
    _openssl("genpkey", "-algorithm", "ed25519", "-out", str(private))
    _openssl("pkey", "-in", str(private), "-pubout", "-out", str(public))
    return private, public


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory):
    return _make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(name="fetched")
def _fetched(command, keys, tmp_path, name):
    """Fetches a version with its signed manifest into a folder of its own."""

    def fetched(which, folder):
        (tmp_path / folder).mkdir()
        manifest = tmp_path / folder / "manifest.json"
        command(
            fetch,
            f"{name}@{which}",
            f"--output={tmp_path / folder}/",
            f"--manifest={manifest}",
            f"--signing_key={keys[0]}",
        )
        return manifest

    return fetched


def test_an_app_trusts_what_was_released(register, command, fetched, keys, name):
    register(b"one")
    command(promote, f"{name}@1", "--to=production")
    manifest = fetched("production", "one")

    document = json.loads(manifest.read_text())
    assert (document["kind"], document["alias"]) == (
        "rules_quantize.release_manifest",
        "production",
    )
    assert (document["model"], document["version"]) == (name, 1)
    assert [(file["name"], file["bytes"]) for file in document["files"]] == [
        ("face_int8.tflite", 3)
    ]
    status, printed = command(
        verify, f"--manifest={manifest}", f"--public_key={keys[1]}", f"--model={name}"
    )
    assert (status, f"{name}@1, 1 file, signed by the key of " in printed) == (0, True)
    # As who has no code of ours would.
    signature = manifest.with_name("manifest.json.sig")
    _openssl(
        *("pkeyutl", "-verify", "-pubin", "-inkey", str(keys[1]), "-rawin"),
        *("-in", str(manifest), "-sigfile", str(signature)),
    )


def test_what_was_changed_is_refused(register, command, fetched, keys, tmp_path, name):
    register(b"one")
    manifest = fetched("1", "one")
    model = manifest.with_name("face_int8.tflite")
    signature = manifest.with_name("manifest.json.sig")
    trusted = (f"--manifest={manifest}", f"--public_key={keys[1]}")

    model.write_bytes(b"on")
    with refused("release.file", "has 2 bytes, released were 3"):
        command(verify, *trusted)
    model.write_bytes(b"two")
    with refused("release.file", "released was"):
        command(verify, *trusted)
    model.unlink()
    with pytest.raises(FileNotFoundError):
        command(verify, *trusted)
    model.write_bytes(b"one")
    with refused("release.model", "wanted is hand"):
        command(verify, *trusted, "--model=hand")
    assert command(verify, *trusted)[0] == 0

    other = tmp_path / "other"
    other.mkdir()
    with refused("release.signature", "not by the key of"):
        command(verify, f"--manifest={manifest}", f"--public_key={_make_keys(other)[1]}")
    text = manifest.read_text()
    manifest.write_text(text.replace('"version": 1', '"version": 9'))
    with refused("release.signature", "or the manifest was changed"):
        command(verify, *trusted)
    manifest.write_text(text)
    signature.write_bytes(signature.read_bytes()[:40])
    with refused("release.signature", "not by the key of"):
        command(verify, *trusted)
    signature.unlink()
    with refused("release.signature", "has no signature beside it"):
        command(verify, *trusted)
    with refused("flag.missing", "--public_key"):
        command(verify, f"--manifest={manifest}")
    assert "not signed" in command(verify, f"--manifest={manifest}", "--unsigned")[1]


def test_an_old_release_is_refused_and_a_rollback_is_none(register, command, fetched, keys, name):
    register(b"one")
    register(b"two")
    command(promote, f"{name}@1", "--to=production")
    old = fetched("production", "old")
    command(promote, f"{name}@2", "--to=production")
    new = fetched("production", "new")
    trusted = f"--public_key={keys[1]}"

    assert command(verify, f"--manifest={new}", trusted, f"--installed={old}")[0] == 0
    with refused("release.older", f"{name}@1 was released before {name}@2"):
        command(verify, f"--manifest={old}", trusted, f"--installed={new}")
    command(rollback, f"{name}@production")
    back = fetched("production", "back")
    assert json.loads(back.read_text())["version"] == 1
    assert command(verify, f"--manifest={back}", trusted, f"--installed={new}")[0] == 0


def test_keys_and_flags_that_cannot_be_used(register, command, keys, tmp_path, name):
    register(b"one")
    asked = (f"{name}@1", f"--output={tmp_path / 'face.tflite'}")
    with refused("flag.missing", "--manifest=FILE"):
        command(fetch, *asked, f"--signing_key={keys[0]}")
    manifest = f"--manifest={tmp_path / 'manifest.json'}"
    with refused("release.key", "no private Ed25519 key"):
        command(fetch, *asked, manifest, f"--signing_key={keys[1]}")
    with refused("flag.value", "must lie beside"):
        command(fetch, *asked, f"--manifest={keys[0].parent / 'manifest.json'}")
    assert not (tmp_path / "face.tflite").exists()
    command(fetch, *asked, manifest)
    with refused("release.key", "no public Ed25519 key"):
        command(verify, manifest, f"--public_key={keys[0]}")
