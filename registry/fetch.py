"""Fetches the .tflite file of a version, and checks that it is the one."""

import argparse
import hashlib
import shutil
import tempfile
from pathlib import Path

from registry.store import add_patience_flag, if_there, read_with_retries, translate_mlflow_errors
from tools.command_line import (
    add_make_dirs,
    new_parser,
    refuse_missing_folder,
    run,
    user_path,
    whole_file,
)
from tools.errors import InputError

_EXAMPLES = """\
  bazel run //registry:fetch -- face@production --output=face.tflite
  bazel run //registry:fetch -- face@3 --output=app/src/main/assets/
  bazel run //registry:fetch -- face@production --output=assets/ \\
      --manifest=assets/manifest.json --signing_key=key.pem"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "fetch",
        "Fetches the .tflite file of a version. It is written only when its sha256 is the one "
        "that was registered.",
        _EXAMPLES,
    )
    result.add_argument("version", help="MODEL@VERSION or MODEL@ALIAS")
    result.add_argument(
        "--output", required=True, help="the file to write, or a folder (with a / at its end)"
    )
    result.add_argument(
        "--manifest",
        type=user_path,
        help="write what verify, or an app, checks the file by; in the same folder",
    )
    result.add_argument(
        "--signing_key",
        type=user_path,
        help="sign the manifest: a private Ed25519 key in PEM. The signature is MANIFEST.sig",
    )
    add_make_dirs(result)
    add_patience_flag(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    """Fetches one file.

    Args:
      arguments: from `parser`.

    Returns:
      0.

    Raises:
      InputError: there is no such version, or its file is another than it was.
    """
    from registry.catalog import parse_reference
    from registry.release import read_signing_key, released_file, write_release
    from tools.documents.release_manifest import ReleaseManifest

    output = user_path(arguments.output)
    if arguments.signing_key and not arguments.manifest:
        raise InputError("flag.missing", "--signing_key: --manifest=FILE is wanted, which it signs")
    key = read_signing_key(arguments.signing_key) if arguments.signing_key else None
    if not arguments.make_dirs:
        refuse_missing_folder("--output", output)
    with tempfile.TemporaryDirectory() as folder:
        version, fetched, issued_ms = read_with_retries(
            lambda store, client: _download(store, client, arguments.version, folder),
            arguments.patience,
        )
        with fetched.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != version.sha256:
            raise InputError(
                "registry.changed",
                f"{version.reference}: the stored file has sha256 {found[:12]}, registered was "
                f"{version.sha256[:12]}; the artifact store has changed it, nothing is written",
            )
        if arguments.output.endswith("/") or output.is_dir():
            output = output / fetched.name
        if arguments.manifest and arguments.manifest.resolve().parent != output.resolve().parent:
            raise InputError(
                "flag.value", f"--manifest={arguments.manifest}: must lie beside {output}"
            )
        with fetched.open("rb") as file, whole_file(output) as copy:
            shutil.copyfileobj(file, copy)
    if arguments.manifest:
        which = parse_reference(arguments.version)[1]
        manifest = ReleaseManifest(
            alias="" if which.isdigit() else which,
            files=(released_file(output),),
            issued_ms=issued_ms,
            model=version.name,
            scheme=version.tags.get("scheme", ""),
            version=version.number,
        )
        write_release(arguments.manifest, manifest, key)
    print(f"{output}: {version.reference} ({version.label}), sha256 {version.sha256}")
    return 0


def _download(store, client, reference: str, folder: str) -> tuple:
    """Reads a version and fetches its file into a folder: (version, file, when it was issued)."""
    from registry.aliases import Aliases
    from registry.catalog import Catalog, parse_reference, tflite_files

    catalog = Catalog(store, client)
    version = catalog.read_version(reference)
    issued_ms = version.created_ms
    which = parse_reference(reference)[1]
    if not which.isdigit():
        # A version that an alias goes back to is issued anew: it is no older than what it replaces.
        moves = Aliases(store, client, catalog).history(version.name, which)
        issued_ms = max([issued_ms, *(move.time_ms for move in moves)])
    with translate_mlflow_errors(store):
        names = if_there(lambda: tflite_files(client, version.run_id)) or []
        if len(names) != 1:
            raise InputError(
                "registry.changed",
                f"{version.reference}: run {version.run_id} holds {len(names)} .tflite files "
                "in model/, one is wanted; its artifacts have been changed or deleted. Register "
                "the same artifact again, which restores them",
            )
        file = Path(client.download_artifacts(version.run_id, names[0], folder))
        return version, file, issued_ms


if __name__ == "__main__":
    run(parser(), main)
