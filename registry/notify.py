"""Tells the policy's command of moves that it has not been told of."""

import argparse
import os

from registry.store import add_patience_flag, connect_to_read, find_store, with_retries
from tools.command_line import new_parser, run, user_path

_EXAMPLES = "  bazel run //registry:notify -- face"


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "notify",
        "Runs the `notify` of a policy for each move of an alias that it has not been told of: "
        "because it failed, or the process ended first. promote and rollback do so too.",
        _EXAMPLES,
    )
    result.add_argument("model", help="the registered model")
    result.add_argument(
        "--policy",
        type=user_path,
        help="TOML file of conditions (default: models/promotion.toml in the workspace)",
    )
    add_patience_flag(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    """Tells of the moves.

    Args:
      arguments: from `parser`.

    Returns:
      0.

    Raises:
      InputError: there is no such model, or the command failed.
    """
    from registry.notification import default_policy_file, send_pending

    store = find_store(os.environ)
    client = with_retries(lambda: connect_to_read(store), arguments.patience)
    policy_file = arguments.policy or default_policy_file()
    moves = send_pending(store, client, arguments.model, policy_file, arguments.patience)
    for move in moves:
        print(f"told of {move.alias}: {arguments.model}@{move.after}")
    if not moves:
        print(f"every move of {arguments.model} has been told of")
    return 0


if __name__ == "__main__":
    run(parser(), main)
