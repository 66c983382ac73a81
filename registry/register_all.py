"""Registers a set of artifacts with one start of Python."""

import argparse
import functools
from pathlib import Path

from registry.formatting import aligned
from registry.registering import add_registration_flags, register
from registry.store import add_patience_flag
from tools.command_line import EXIT_GATE_FAILED, bazel_command, new_parser, run, user_path
from tools.errors import InputError

# What a .register target of a set writes (rules/private/quantized_model_programs.bzl).
_FLAGS = "flags"
_TARGET = "target"
_EXAMPLES = """\
  bazel run //models:all_int8.register
  bazel run //models:all_int8.register -- --dry_run
"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "register_all",
        "Records a set of quantized models in MLflow, one after the other, and goes on after one "
        "that fails. The rule register_all measures them and starts it.",
        _EXAMPLES,
    )
    result.add_argument(
        "--registrations",
        required=True,
        type=user_path,
        help="folder of a folder for each artifact, 0, 1, ..., with its target and the flags of "
        "register",
    )
    result.add_argument("--dry_run", action="store_true", help="print what would be written")
    add_patience_flag(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    """Registers the set.

    Args:
      arguments: from `parser`.

    Returns:
      0, or EXIT_GATE_FAILED when one was not registered.
    """
    of_one = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_registration_flags(of_one)
    rows, failed = [("target", "result")], 0
    for folder in sorted(arguments.registrations.iterdir(), key=lambda each: int(each.name)):
        target = (folder / _TARGET).read_text(encoding="utf-8").strip()
        try:
            registered = register(
                of_one.parse_args(_words(folder)),
                arguments.patience,
                arguments.dry_run,
                functools.partial(bazel_command, "run", target),
            )
        except InputError as error:
            failed += 1
            rows.append((target, f"FAILED: {error}"))
            continue
        print(registered.text)
        failed += not registered.passed
        said = registered.line if registered.passed else f"FAILED: {registered.line}"
        rows.append((target, said))
    print(f"\n{aligned(rows)}")
    return EXIT_GATE_FAILED if failed else 0


def _words(folder: Path) -> list[str]:
    path = folder / _FLAGS
    if not path.exists():
        raise InputError("file.missing", "it was not measured; what is printed above says why")
    return path.read_text(encoding="utf-8").removesuffix("\0").split("\0")


if __name__ == "__main__":
    run(parser(), main)
