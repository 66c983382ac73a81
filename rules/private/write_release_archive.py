"""Packs files into a .tar.gz whose bytes depend on names, modes and contents alone."""

import argparse
import gzip
import io
import os
import tarfile
from pathlib import Path

from tools.command_line import new_parser, run, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = """\
  write_release_archive --output=rules.tar.gz --folder=rules-1.0 --file=LICENSE=LICENSE
"""


def parser() -> argparse.ArgumentParser:
    """Makes the command's parser."""
    result = new_parser("write_release_archive", __doc__, _EXAMPLES)
    result.add_argument("--output", required=True, type=user_path, help="the .tar.gz to make")
    result.add_argument("--folder", required=True, help="the one folder that all lies in")
    result.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a file, and its name below the folder; may be given often",
    )
    return result


def main(arguments: argparse.Namespace) -> int:
    """Writes the archive."""
    files: dict[str, Path] = {}
    for entry in arguments.file:
        name, _, path = entry.partition("=")
        if name in files:
            raise InputError(f"--file names {name} twice")
        files[name] = user_path(path)
    with (
        whole_file(arguments.output) as output,
        # No name and no time in the header.
        gzip.GzipFile(filename="", mode="wb", fileobj=output, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, path in sorted(files.items()):
            content = path.read_bytes()
            # Owner, group and time stay at their defaults: none, and 1970.
            entry = tarfile.TarInfo(f"{arguments.folder}/{name}")
            entry.size = len(content)
            entry.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return 0


if __name__ == "__main__":
    run(parser(), main)
