"""Shows how the aliases of a model moved."""

import argparse
import dataclasses

from registry.store import add_patience_flag, read_with_retries
from tools.command_line import new_parser, run

_EXAMPLES = """\
  bazel run //registry:history -- face
  bazel run //registry:history -- face@production --format=json"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "history",
        "Shows how the aliases of a model moved: when, from which version to which, by whom, why.",
        _EXAMPLES,
    )
    result.add_argument("model", help="MODEL, or MODEL@ALIAS for one alias")
    result.add_argument("--format", choices=("table", "json"), default="table")
    add_patience_flag(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    """Prints the history.

    Args:
      arguments: from `parser`.

    Returns:
      0.

    Raises:
      InputError: there is no such model.
    """
    from registry.aliases import Aliases
    from registry.catalog import Catalog, parse_reference
    from registry.tables import as_json, history_table

    name, alias = arguments.model, None
    if "@" in name:
        name, alias = parse_reference(name)

    def read(store, client) -> tuple:
        catalog = Catalog(store, client)
        moves = Aliases(store, client, catalog).history(name, alias)
        return moves, catalog.numbers(name) if moves else set()

    moves, present = read_with_retries(read, arguments.patience)
    named = {number for move in moves for number in (move.before, move.after) if number}
    deleted = sorted(named - present)
    if arguments.format == "json":
        listed = [dataclasses.asdict(move) for move in moves]
        print(as_json("history", {"deleted": deleted, "moves": listed}))
        return 0
    print(history_table(moves) if moves else f"no alias of {name} has moved")
    if deleted:
        print(f"deleted since: {', '.join(f'@{number}' for number in deleted)}")
    return 0


if __name__ == "__main__":
    run(parser(), main)
