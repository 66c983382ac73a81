"""Command: draws labelled pictures of shapes, a folder for each class."""

import argparse
from pathlib import Path

from PIL import Image

from scenes.shapes import CLASSES, shapes
from tools.command_line import new_parser, output_folder, run

_EXAMPLES = """\
  draw_shapes --count=4000 --seed=2 --output=shapes/
"""


def parser() -> argparse.ArgumentParser:
    """Makes the command's parser."""
    result = new_parser("draw_shapes", "Draws labelled pictures of shapes.", _EXAMPLES)
    result.add_argument("--count", type=int, required=True, help="of pictures, in all")
    result.add_argument("--seed", type=int, required=True, help="another one draws others")
    result.add_argument("--output", type=output_folder, required=True, help="directory to fill")
    return result


def main(arguments: argparse.Namespace) -> int:
    """Draws them."""
    output: Path = arguments.output
    for name in CLASSES:
        (output / name).mkdir(parents=True, exist_ok=True)
    for number, (image, label) in enumerate(
        zip(*shapes(arguments.count, arguments.seed), strict=True)
    ):
        Image.fromarray(image).save(output / CLASSES[label] / f"{number:05}.png")
    return 0


if __name__ == "__main__":
    run(parser(), main)
