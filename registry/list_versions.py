"""Lists the registered models, or the versions of one."""

import argparse

from registry.store import add_patience_flag, read_with_retries
from tools.command_line import new_parser, run

_EXAMPLES = """\
  bazel run //registry:list
  bazel run //registry:list -- face --limit=50
  bazel run //registry:list -- face --metric=scale_error --metric=min_runtime
  bazel run //registry:list -- face --format=json"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "list",
        "Lists the registered models, or the versions of one of them, the newest first.",
        _EXAMPLES,
    )
    result.add_argument("model", nargs="?", help="show the versions of this one")
    result.add_argument(
        "--limit", type=int, default=20, help="how many versions at most (default: %(default)s)"
    )
    result.add_argument(
        "--metric",
        action="append",
        default=[],
        help="show this one as well: METRIC (of every output or task), METRIC/OUTPUT, "
        "task/NAME/METRIC or min_runtime; may be repeated",
    )
    result.add_argument("--format", choices=("table", "json"), default="table")
    add_patience_flag(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    """Prints the list.

    Args:
      arguments: from `parser`.

    Returns:
      0.

    Raises:
      InputError: there is no such model or metric.
    """
    from registry.catalog import Catalog
    from registry.metrics import definition, full_names
    from registry.tables import as_json, model_table, version_json, version_table
    from registry.tags import MIN_RUNTIME_TAG
    from tools.errors import InputError

    if not 0 < arguments.limit <= 10000:
        raise InputError(
            "flag.value", f"--limit={arguments.limit}: a number from 1 to 10000 is wanted"
        )
    for metric in arguments.metric:
        if metric != MIN_RUNTIME_TAG and definition(metric) is None:
            raise InputError(
                "flag.name",
                f"--metric={metric}: no such metric; docs/reference/registry.md has them all",
            )
    if arguments.metric and not arguments.model:
        raise InputError(
            "flag.missing", "--metric: a model is wanted, whose versions are shown with it"
        )
    if arguments.model:
        versions = read_with_retries(
            lambda store, client: Catalog(store, client).versions(arguments.model, arguments.limit),
            arguments.patience,
        )
        if arguments.format == "json":
            print(as_json("versions", {"versions": [version_json(each) for each in versions]}))
        else:
            recorded = sorted({name for version in versions for name in version.metrics})
            shown = [name for each in arguments.metric for name in full_names(each, recorded)]
            table = version_table(versions, shown) if versions else ""
            print(table or f"{arguments.model} has no version")
        return 0
    newest, aliases = read_with_retries(_newest_versions, arguments.patience)
    if arguments.format == "json":
        models = [{**version_json(version), "aliases": aliases[version.name]} for version in newest]
        print(as_json("models", {"models": models}))
    else:
        print(model_table(newest, aliases) if newest else "no model is registered")
    return 0


def _newest_versions(store, client) -> tuple[list, dict]:
    """Reads the newest version of each model, and each model's aliases."""
    from registry.catalog import Catalog

    catalog = Catalog(store, client)
    newest = []
    for name in catalog.models():
        newest += catalog.versions(name, 1) or []
    return newest, {version.name: catalog.aliases(version.name) for version in newest}


if __name__ == "__main__":
    run(parser(), main)
