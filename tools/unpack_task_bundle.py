"""Command: takes the members of a MediaPipe `.task` bundle out of it."""

import argparse
from pathlib import Path

from tools.command_line import new_parser, output_folder, output_path, run, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = """\
  unpack_task_bundle --input_bundle=hand_landmarker.task
  unpack_task_bundle --input_bundle=hand_landmarker.task --output_folder=hand_landmarker/
  unpack_task_bundle --input_bundle=hand_landmarker.task --member=hand_detector.tflite \\
      --output=hand_detector.tflite

The first only lists what is in it.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "unpack_task_bundle", "Lists or unpacks a .task bundle of MediaPipe Tasks.", _EXAMPLES
    )
    result.add_argument("--input_bundle", required=True, type=user_path, help="the bundle")
    outputs = result.add_mutually_exclusive_group()
    outputs.add_argument("--output_folder", type=output_folder, help="folder for all members")
    outputs.add_argument("--output", type=output_path, help="file for the one of --member")
    result.add_argument(
        "--member", help="path of a member, such as hand_landmarker.task/hand_detector.tflite"
    )
    return result


def main(arguments: argparse.Namespace) -> int:
    from tools.bundle.task_bundle import models_of, read_task_bundle

    if bool(arguments.member) != bool(arguments.output):
        raise InputError("flag.missing", "--member and --output belong together")
    where = str(arguments.input_bundle)
    members = read_task_bundle(arguments.input_bundle.read_bytes(), where)
    files = {member.name: member.content for member in members} | models_of(members, where)
    if arguments.output:
        if arguments.member not in files:
            raise InputError(
                "bundle.member",
                f"{where}: no member {arguments.member}; there are {', '.join(sorted(files))}",
            )
        outputs = {arguments.output: files[arguments.member]}
    elif arguments.output_folder:
        outputs = {Path(arguments.output_folder, m.name): m.content for m in members}
    else:
        outputs = {}
        for name, content in files.items():
            print(f"{len(content):>12,}  {name}")
    for path, content in outputs.items():
        with whole_file(path) as file:
            file.write(content)
    return 0


if __name__ == "__main__":
    run(parser(), main)
