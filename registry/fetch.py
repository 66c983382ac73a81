"""Fetches the .tflite file of a version, and checks that it is the one."""

import argparse
import hashlib
import shutil
import tempfile
from pathlib import Path

from registry.store import add_patience_flag, explained, if_there, read_patiently
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
  bazel run //registry:fetch -- face@3 --output=app/src/main/assets/"""


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
    output = user_path(arguments.output)
    if not arguments.make_dirs:
        refuse_missing_folder("--output", output)
    with tempfile.TemporaryDirectory() as folder:
        version, fetched = read_patiently(
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
        with fetched.open("rb") as file, whole_file(output) as copy:
            shutil.copyfileobj(file, copy)
    print(f"{output}: {version.reference} ({version.label}), sha256 {version.sha256}")
    return 0


def _download(store, client, reference: str, folder: str) -> tuple:
    """Reads a version and fetches its file into a folder: (the version, the file's path)."""
    from registry.catalog import Catalog, tflite_files

    version = Catalog(store, client).read_version(reference)
    with explained(store):
        names = if_there(lambda: tflite_files(client, version.run_id)) or []
        if len(names) != 1:
            raise InputError(
                "registry.changed",
                f"{version.reference}: run {version.run_id} holds {len(names)} .tflite files "
                "in model/, one is wanted; its artifacts have been changed or deleted. Register "
                "the same artifact again, which restores them",
            )
        return version, Path(client.download_artifacts(version.run_id, names[0], folder))


if __name__ == "__main__":
    run(parser(), main)
