"""Points an alias back at the version that held it before."""

import argparse
import os

from registry.store import (
    add_patience_flag,
    connect_to_read,
    find_store,
    locked,
    with_retries,
)
from tools.command_line import new_parser, run, user_path
from tools.documents.promotion import Promotion

_EXAMPLES = """\
  bazel run //registry:rollback -- face@production --reason="crashes on start"
  bazel run //registry:rollback -- face@production --dry_run"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "rollback",
        "Points an alias back at the version that held it before. Once more goes back one further. "
        "No policy is asked: that version was allowed when it was promoted.",
        _EXAMPLES,
    )
    result.add_argument("alias", help="MODEL@ALIAS")
    result.add_argument("--reason", default="", help="why; recorded with the move")
    result.add_argument(
        "--policy",
        type=user_path,
        help="TOML file whose `notify` is told of the move (default: models/promotion.toml in the "
        "workspace, where it is there)",
    )
    add_patience_flag(result)
    result.add_argument("--dry_run", action="store_true", help="print, write nothing")
    return result


def main(arguments: argparse.Namespace) -> int:
    """Rolls one alias back.

    Args:
      arguments: from `parser`.

    Returns:
      0.

    Raises:
      InputError: there is no such alias, or nothing to return to.
    """
    from registry.aliases import Aliases
    from registry.catalog import Catalog, parse_reference
    from registry.dashboard import refresh_or_warn
    from registry.git_lineage import read_git_lineage
    from registry.notification import (
        command_of,
        default_policy_file,
        send_pending,
        workspace_folder,
    )
    from registry.tags import KIND_ROLLBACK

    name, alias = parse_reference(arguments.alias)
    policy_file = arguments.policy or default_policy_file()
    notify = command_of(policy_file, name, alias)
    store = find_store(os.environ)
    client = with_retries(lambda: connect_to_read(store), arguments.patience)
    with locked(store):
        catalog = Catalog(store, client)
        aliases = Aliases(store, client, catalog)

        def read() -> tuple:
            found = aliases.previous_holders(name, alias)
            current, previous = (
                number and catalog.read_version(f"{name}@{number}")
                for number in (found.current, found.previous)
            )
            return current, previous, found.deleted

        before, after, deleted = with_retries(read, arguments.patience)
        if deleted:
            listed = ", ".join(f"{name}@{number}" for number in deleted)
            print(f"passed over, because deleted: {listed}")
        moved = f"{alias}: {before.reference if before else 'a deleted version'} -> "
        moved += after.reference
        if arguments.dry_run:
            print(f"would move {moved}; nothing is written")
            return 0
        lineage_tags = read_git_lineage(workspace_folder()).tags()
        promotion = Promotion(
            after=after.reference,
            alias=alias,
            before=before.reference if before else None,
            checks=(),
            forced=False,
            reason=arguments.reason,
        )
        run_id = with_retries(
            lambda: aliases.move(
                KIND_ROLLBACK, before, after, promotion, lineage_tags, bool(notify)
            ),
            arguments.patience,
        )
        refresh_or_warn("rollback", store, client, name)
    print(f"moved {moved}")
    print(f"  run      {run_id}")
    send_pending(store, client, name, policy_file, arguments.patience)
    return 0


if __name__ == "__main__":
    run(parser(), main)
