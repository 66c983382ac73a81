"""Command: finds the program that a subcommand names, and starts it."""

import argparse
import difflib
import sys

from rqz.subcommands import SUBCOMMANDS, find
from rqz.version import version
from tools.command_line import new_parser

_EXAMPLES = """\
  rqz quantize face.tflite --scheme=int8 --calibration=calibration_images/
  rqz validate face.tflite face_int8.tflite --test=test_images/
  rqz benchmark face_int8.tflite face.tflite
  rqz registry list

`rqz SUBCOMMAND --help` shows the flags and examples of one."""


def parser() -> argparse.ArgumentParser:
    width = max(map(len, SUBCOMMANDS))
    lines = "\n".join(f"  {name:{width}}  {one.summary}" for name, one in SUBCOMMANDS.items())
    result = new_parser(
        "rqz",
        "Quantizes LiteRT and TFLite models, compares them with the float models, measures them, "
        f"and keeps a registry.\n\nsubcommands:\n{lines}",
        _EXAMPLES,
    )
    result.usage = "rqz [-h] [--version] SUBCOMMAND ..."
    result.add_argument("--version", action="version", version=f"rqz {version()}")
    return result


def _unknown(words: list[str]) -> str:
    """Says that there is no such subcommand, and which come near."""
    typed = " ".join(words[:2]) if words[0] == "registry" else words[0]
    if typed == "registry":
        known = [name.split()[1] for name in SUBCOMMANDS if name.startswith("registry ")]
        return f"rqz registry does one of these: {', '.join(known)}"
    near = difflib.get_close_matches(typed, SUBCOMMANDS, n=1)
    return f"there is no subcommand {typed!r}" + (f"; near it: {near[0]}" if near else "")


def main(words: list[str]) -> int:
    """Starts what a command line names.

    Args:
      words: what was typed after `rqz`.

    Returns:
      The exit status, where no program ran that ends the process with its own.
    """
    found = find(words)
    if found:
        from rqz.program import start

        start(*found)
    if words and not words[0].startswith("-") and words != ["registry", "--help"]:
        parser().error(_unknown(words))
    result = parser()
    result.parse_args(words[1:] if words[:1] == ["registry"] else words)
    result.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
