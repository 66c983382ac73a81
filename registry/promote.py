"""Points an alias at a version that its policy allows."""

import argparse
import os
from pathlib import Path

from registry.store import (
    add_patience_flag,
    connect_to_read,
    find_store,
    locked,
    with_retries,
)
from tools.command_line import EXIT_GATE_FAILED, new_parser, run, user_path
from tools.documents.promotion import Promotion
from tools.errors import InputError

_EXAMPLES = """\
  bazel run //registry:promote -- face@3 --to=production
  bazel run //registry:promote -- face@3 --to=production --dry_run
  bazel run //registry:promote -- face@2 --to=production --force="face@3 fails on the Pixel 4"
  bazel run //registry:promote -- face@staging --to=production --policy=models/promotion.toml"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "promote",
        "Points an alias at a version, when the policy of that alias allows it: the gates passed "
        "on every required device, and nothing is worse than it may be. Prints what it judged by.",
        _EXAMPLES,
    )
    result.add_argument("version", help="MODEL@VERSION or MODEL@ALIAS")
    result.add_argument("--to", required=True, metavar="ALIAS", help="the alias to move")
    result.add_argument(
        "--policy",
        type=user_path,
        help="TOML file of conditions (default: models/promotion.toml in the workspace)",
    )
    result.add_argument(
        "--force", metavar="REASON", help="move it although the policy forbids it; recorded"
    )
    result.add_argument("--reason", default="", help="why; recorded with the move")
    add_patience_flag(result)
    result.add_argument("--dry_run", action="store_true", help="judge and print, write nothing")
    return result


def main(arguments: argparse.Namespace) -> int:
    """Promotes one version.

    Args:
      arguments: from `parser`.

    Returns:
      0, or EXIT_GATE_FAILED when the policy forbids it.

    Raises:
      InputError: there is no such version, policy or alias, or the policy's command failed that
        is told of the move.
    """
    from registry.notification import default_policy_file, send_pending
    from registry.tables import alias_problem

    problem = alias_problem(arguments.to)
    if problem:
        raise InputError("registry.name", f"--to={arguments.to}: {problem}")
    if arguments.force is not None and not arguments.force.strip():
        raise InputError(
            "flag.missing", "--force: a reason is wanted, such as --force='the old one crashes'"
        )
    policy_file = arguments.policy or default_policy_file()
    store = find_store(os.environ)
    client = with_retries(lambda: connect_to_read(store), arguments.patience)
    with locked(store):
        status, name = _promote(arguments, store, client, policy_file)
    if not arguments.dry_run:
        send_pending(store, client, name, policy_file, arguments.patience)
    return status


def _promote(arguments, store, client, policy_file: Path) -> tuple[int, str]:
    """Judges and moves; gives the exit status, and the model's name. Hold the store's lock."""
    from registry.aliases import Aliases
    from registry.catalog import Catalog
    from registry.dashboard import refresh_or_warn
    from registry.promotion_policy import judge, read_policy, unmet_lines
    from registry.tables import check_table
    from registry.tags import KIND_PROMOTION

    catalog = Catalog(store, client)

    def read() -> tuple:
        candidate = catalog.read_version(arguments.version)
        number = catalog.aliases(candidate.name).get(arguments.to)
        holder = catalog.read_version(f"{candidate.name}@{number}") if number else None
        return candidate, holder

    candidate, holder = with_retries(read, arguments.patience)
    policy = read_policy(policy_file, candidate.name, arguments.to)
    checks = judge(policy, candidate, holder)
    passed = all(check.passed for check in checks)
    print(check_table(checks, candidate, holder, arguments.to))
    if holder is not None and holder.number == candidate.number:
        print(f"{arguments.to} points at {candidate.reference} already")
        return 0, candidate.name
    failed = sum(not check.passed for check in checks)
    if not passed and arguments.force is None:
        print(
            f"refused: {failed} of {len(checks)} conditions of {policy_file.name} are not met "
            f"({'; '.join(unmet_lines(checks))}); "
            f"{arguments.to} stays at {holder.reference if holder else 'nothing'}"
        )
        return EXIT_GATE_FAILED, candidate.name
    moved = f"{arguments.to}: {holder.reference if holder else 'nothing'} -> "
    moved += candidate.reference
    if not passed:
        moved += f" (forced, {failed} of {len(checks)} conditions not met)"
    if arguments.dry_run:
        print(f"would move {moved}; nothing is written")
        return 0, candidate.name
    from registry.git_lineage import read_git_lineage
    from registry.notification import workspace_folder

    aliases = Aliases(store, client, catalog)
    lineage_tags = read_git_lineage(workspace_folder()).tags()
    promotion = Promotion(
        after=candidate.reference,
        alias=arguments.to,
        before=holder.reference if holder else None,
        checks=tuple(checks),
        forced=not passed,
        reason=arguments.force if not passed else arguments.reason or arguments.force or "",
    )
    run_id = with_retries(
        lambda: aliases.move(
            KIND_PROMOTION, holder, candidate, promotion, lineage_tags, bool(policy.notify)
        ),
        arguments.patience,
    )
    refresh_or_warn("promote", store, client, candidate.name)
    print(f"moved {moved}")
    print(f"  run      {run_id}")
    return 0, candidate.name


if __name__ == "__main__":
    run(parser(), main)
