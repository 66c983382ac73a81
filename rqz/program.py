"""A program of this project as a subcommand: its parser with shorter flags."""

import argparse
import importlib
import importlib.util
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from rqz.subcommands import SUBCOMMANDS, Subcommand
from tools.command_line import run, write_as_subcommands
from tools.errors import InputError


def written_as_subcommands() -> dict[str, str]:
    """Gives by target of a program what its user types, for messages that name it."""
    return {one.target: f"rqz {name}" for name, one in SUBCOMMANDS.items() if one.target}


def load_subcommand(name: str) -> tuple[ModuleType, argparse.ArgumentParser]:
    """Loads a program's module and makes its parser, as a user of `rqz` sees it.

    Args:
      name: of a subcommand.

    Returns:
      The module, and the parser with the subcommand's own flags beside the program's.
    """
    subcommand = SUBCOMMANDS[name]
    module = importlib.import_module(subcommand.module)
    parser: argparse.ArgumentParser = module.parser()
    parser.prog = f"rqz {name}"
    flags = parser._option_string_actions
    for alias, flag in subcommand.aliases.items():
        # Shown beside the flag that it stands for, and found by every check of flags.
        flags[flag].option_strings = [*flags[flag].option_strings, alias]
        flags[alias] = flags[flag]
    if subcommand.positional:
        values = " ".join(flag.removeprefix("--").upper() for flag in subcommand.positional)
        parser.description = (
            f"{parser.description}\n\n`rqz {name} {values}` is short for "
            f"{' '.join(f'{flag}={flag[2:].upper()}' for flag in subcommand.positional)}."
        )
    return module, parser


def as_flags(
    parser: argparse.ArgumentParser, words: Sequence[str], positional: Sequence[str]
) -> list[str]:
    """Writes words that stand alone as the flags that they are short for.

    argparse itself would take all of them where the first one stands.

    Args:
      parser: of the program.
      words: of its command line.
      positional: flags, in the order of the words.

    Returns:
      The words with a flag before each that stands alone, as long as there are flags.
    """
    flags = parser._option_string_actions
    waiting = list(positional)
    result = []
    is_value = False
    for word in words:
        if is_value or word.startswith(("-", "@")):
            action = flags.get(word)
            is_value = not is_value and action is not None and action.nargs is None
            result.append(word)
        else:
            result.append(f"{waiting.pop(0)}={word}" if waiting else word)
    return result


def _with_output(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """Names the artifact where its user does not: by the model and the scheme."""
    found, _ = parser.parse_known_args(words)
    if found.output_model or found.prepared_output:
        return list(words)
    model: Path = found.input_model or found.float_master
    scheme = (found.quantization_type or "quantized").lower()
    return [*words, f"--output_model={model.stem}_{scheme}{model.suffix}"]


def _refuse_missing_package(name: str, subcommand: Subcommand) -> None:
    if subcommand.needs is None or importlib.util.find_spec(subcommand.needs[0]):
        return
    package, extra = subcommand.needs
    lock = Path(__file__).parents[1] / "rules" / "locks" / f"{extra}.lock"
    raise InputError(
        "environment.package",
        f"rqz {name} needs the package {package}, which is not installed; run "
        f"`pip install 'rules-quantize[{extra}]'`, or for exactly what the rules use "
        f"`pip install --no-deps -r {shlex.quote(str(lock))}`",
    )


def start(name: str, words: list[str]) -> None:
    """Runs a subcommand and ends the process with its status.

    Args:
      name: of the subcommand.
      words: of its command line.
    """
    subcommand = SUBCOMMANDS[name]
    write_as_subcommands(written_as_subcommands())
    module, parser = load_subcommand(name)
    words = as_flags(parser, words, subcommand.positional)
    if name == "quantize":
        words = _with_output(parser, words)

    def main(arguments: argparse.Namespace) -> int:
        _refuse_missing_package(name, subcommand)
        return module.main(arguments)

    # A program may say again what it was started with.
    sys.argv = [parser.prog, *words]
    run(parser, main)
