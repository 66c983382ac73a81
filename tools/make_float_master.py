"""Command: makes the float master of a .tflite file."""

import argparse

from tools.command_line import new_parser, output_path, run, user_path, whole_file
from tools.documents.json_file import write_json

_EXAMPLES = """\
  make_float_master --input_model=face.tflite --output_model=face_fp32.tflite
  make_float_master --input_model=face.tflite --output_model=face_fp32.tflite --summary=face.json
"""

# What `main` imports when it runs.
IMPORTS = ("tools.graph.float_master",)


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "make_float_master",
        "Makes an fp32 model that computes what the original computes: fp16 and sparse weights "
        "expanded, one signature, nothing unused.",
        _EXAMPLES,
    )
    result.add_argument("--input_model", required=True, type=user_path, help="a float .tflite file")
    result.add_argument("--output_model", required=True, type=output_path, help="file to write")
    result.add_argument("--summary", type=output_path, help="JSON file: what was changed")
    return result


def main(arguments: argparse.Namespace) -> int:
    from tools.graph.flatbuffer import read_bytes
    from tools.graph.float_master import make_float_master

    master, summary = make_float_master(
        read_bytes(arguments.input_model), str(arguments.input_model)
    )
    with whole_file(arguments.output_model) as file:
        file.write(master)
    if arguments.summary:
        write_json(arguments.summary, summary)
    return 0


if __name__ == "__main__":
    run(parser(), main, IMPORTS)
