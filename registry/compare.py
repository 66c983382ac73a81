"""Compares versions of a registered model, figure by figure."""

import argparse

from registry.store import add_patience_flag, read_with_retries
from tools.command_line import new_parser, run

_EXAMPLES = """\
  bazel run //registry:compare -- face@2 face@3
  bazel run //registry:compare -- face@production face@5 --device=pixel7 --format=json"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "compare",
        "Compares two versions: sizes, similarity and latency, and what each was made from.",
        _EXAMPLES,
    )
    result.add_argument("before", help="MODEL@VERSION or MODEL@ALIAS")
    result.add_argument("after", help="MODEL@VERSION or MODEL@ALIAS")
    result.add_argument(
        "--device",
        help="take latency, and similarity where its answers were judged, from this one (default: "
        "the first that measured both)",
    )
    result.add_argument("--format", choices=("table", "json"), default="table")
    add_patience_flag(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    """Prints the comparison.

    Args:
      arguments: from `parser`.

    Returns:
      0.

    Raises:
      InputError: there is no such version, or the device has not measured both.
    """
    from registry.catalog import Catalog
    from registry.tables import as_json, comparison, comparison_table
    from tools.errors import InputError

    def read(store, client) -> list:
        catalog = Catalog(store, client)
        return [catalog.read_version(text) for text in (arguments.before, arguments.after)]

    versions = read_with_retries(read, arguments.patience)
    common = sorted(
        device
        for device in versions[0].measurements
        if device and device in versions[1].measurements
    )
    # Before those whose answers are their own: the report's are what most people ask for.
    common.sort(key=lambda device: bool(versions[0].measurements[device].taken))
    device = arguments.device or next(iter(common), "")
    if arguments.device and arguments.device not in common:
        raise InputError(
            "flag.name",
            f"--device={arguments.device}: has not measured both versions "
            f"(these have: {', '.join(common) or 'none'})",
        )
    document = comparison(versions[0], versions[1], device)
    if arguments.format == "json":
        print(as_json("comparison", document))
    else:
        print(comparison_table(document))
    return 0


if __name__ == "__main__":
    run(parser(), main)
