"""Prints what the bytes of models are, as the rows of a Markdown table.

bytes_by_kind.py --model=face_int8.tflite --model=face_fp16.tflite
"""

import argparse

from tools.command_line import new_parser, run, user_path

_EXAMPLES = "  bytes_by_kind --model=face_int8.tflite --model=face_fp16.tflite"


def parser() -> argparse.ArgumentParser:
    result = new_parser("bytes_by_kind", "Prints what the bytes of models are.", _EXAMPLES)
    result.add_argument(
        "--model", required=True, type=user_path, action="append", help="a .tflite file"
    )
    return result


def main(arguments: argparse.Namespace) -> int:
    from benchmarks.byte_accounting import KINDS, bytes_by_kind
    from tools.graph.flatbuffer import read_model

    print(f"| model | all | {' | '.join(KINDS)} |")
    print("| --- " * (len(KINDS) + 2) + "|")
    for path in arguments.model:
        kinds = bytes_by_kind(read_model(path))
        counts = [sum(kinds.values()), *kinds.values()]
        print(f"| {path.stem} | {' | '.join(f'{count:,}' for count in counts)} |")
    return 0


if __name__ == "__main__":
    run(parser(), main)
