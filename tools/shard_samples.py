"""Command: shares the samples of a folder out among folders, by their names alone."""

import argparse
import shutil
import zlib

from tools.command_line import new_parser, output_folder, run, user_path
from tools.errors import InputError

_EXAMPLES = """\
  shard_samples --samples=calibration_images/ --output=shards/0 --output=shards/1

A file's folder follows from its path inside the samples, so that adding or removing a file
changes one folder and leaves the others as they are.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "shard_samples", "Shares the samples of a folder out among several folders.", _EXAMPLES
    )
    result.add_argument("--samples", required=True, type=user_path, help="a folder")
    result.add_argument(
        "--output",
        required=True,
        action="append",
        type=output_folder,
        help="folder to fill; give one for each shard",
    )
    return result


def main(arguments: argparse.Namespace) -> int:
    if not arguments.samples.is_dir():
        raise InputError("file.missing", f"{arguments.samples}: no such folder")
    for shard in arguments.output:
        shard.mkdir(parents=True, exist_ok=True)
        # Bazel leaves a folder without files out of an action's inputs.
        (shard / ".shard").touch()
    for file in sorted(arguments.samples.rglob("*")):
        if not file.is_file():
            continue
        name = file.relative_to(arguments.samples)
        shard = arguments.output[zlib.crc32(name.as_posix().encode()) % len(arguments.output)]
        target = shard / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return 0


if __name__ == "__main__":
    run(parser(), main)
