"""Flags that name a float model, or the master that was made of it already."""

import argparse

from tools.command_line import user_path


def add_float_model_flags(parser: argparse.ArgumentParser, flag: str, what: str) -> None:
    """Adds a flag for a float model, and --float_master in its place.

    Args:
      parser: of the command; one of the two flags is required.
      flag: with its dashes.
      what: its help.
    """
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument(flag, type=user_path, help=what)
    either.add_argument(
        "--float_master",
        type=user_path,
        help=f"in place of {flag}: what make_float_master wrote, which is checked and not made "
        "again",
    )


def float_master_of(given: bytes, where: str, is_master: bool) -> bytes:
    """Makes the float master of what a flag names, or checks that it is one.

    Args:
      given: the file.
      where: how messages name it.
      is_master: whether --float_master names it.

    Returns:
      The master.

    Raises:
      InputError: when it is no float TFLite model, or no master where it should be one.
    """
    from tools.graph.float_master import make_float_master, refuse_other_than_master

    if is_master:
        refuse_other_than_master(given, where)
        return given
    return make_float_master(given, where)[0]
