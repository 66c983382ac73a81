"""Command: writes the JSON Schema of every document into docs/schemas."""

import argparse
import os
from pathlib import Path

from tools.command_line import new_parser, run
from tools.documents.json_file import write_json
from tools.documents.schema import DOCUMENTS, schema_file, schema_of
from tools.errors import InputError

_EXAMPLES = """\
  bazel run //tools/documents:write_schemas
"""


def parser() -> argparse.ArgumentParser:
    return new_parser(
        "write_schemas",
        "Writes docs/schemas: the JSON Schema of every document, from its dataclass.",
        _EXAMPLES,
    )


def main(_arguments: argparse.Namespace) -> int:
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if not workspace:
        raise InputError(
            "environment.workspace",
            "BUILD_WORKSPACE_DIRECTORY is not set; start this with `bazel run`",
        )
    folder = Path(workspace, "docs/schemas")
    folder.mkdir(exist_ok=True)
    for kind in DOCUMENTS:
        write_json(folder / schema_file(kind), schema_of(kind))
        print(f"docs/schemas/{schema_file(kind)}")
    return 0


if __name__ == "__main__":
    run(parser(), main)
