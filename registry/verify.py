"""Checks what was fetched: its signature, its age and its files."""

import argparse

from tools.command_line import new_parser, run, user_path
from tools.errors import InputError

_EXAMPLES = """\
  bazel run //registry:verify -- --manifest=assets/manifest.json --public_key=public.pem
  bazel run //registry:verify -- --manifest=download/manifest.json --public_key=public.pem \\
      --model=face --installed=assets/manifest.json"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "verify",
        "Checks a manifest that fetch wrote, and the files beside it, as an app should before it "
        "uses them. Needs no store.",
        _EXAMPLES,
    )
    result.add_argument("--manifest", required=True, type=user_path, help="manifest.json")
    result.add_argument("--public_key", type=user_path, help="PEM file of whom to trust (Ed25519)")
    result.add_argument(
        "--unsigned", action="store_true", help="check no signature, in place of --public_key"
    )
    result.add_argument("--model", help="name of the registered model that it must be of")
    result.add_argument(
        "--installed", type=user_path, help="manifest of what is in use: an older one is refused"
    )
    return result


def main(arguments: argparse.Namespace) -> int:
    """Checks one release.

    Args:
      arguments: from `parser`.

    Returns:
      0.

    Raises:
      InputError: something is not right.
    """
    from registry.release import check_release

    if bool(arguments.public_key) == arguments.unsigned:
        raise InputError("flag.missing", "--public_key: a PEM file is wanted, or --unsigned")
    manifest = check_release(
        arguments.manifest, arguments.public_key, arguments.model, arguments.installed
    )
    signed = "not signed" if arguments.unsigned else f"signed by the key of {arguments.public_key}"
    print(
        f"{arguments.manifest}: {manifest.model}@{manifest.version}, {len(manifest.files)} file, "
        f"{signed}"
    )
    return 0


if __name__ == "__main__":
    run(parser(), main)
