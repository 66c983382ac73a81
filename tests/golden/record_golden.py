"""Command: writes golden.json again, for a change of bytes on purpose."""

import argparse
import json
import os
import tempfile
from pathlib import Path

from tests.golden.golden_digests import digests, generated_cases, processor_kind
from tests.golden.real_case import face_case
from tools.command_line import new_parser, run, whole_file
from tools.errors import InputError
from tools.quantization.scheme_names import SCHEMES

_EXAMPLES = """\
  bazel run //tests/golden:record
"""


def parser() -> argparse.ArgumentParser:
    return new_parser(
        "record",
        "Writes tests/golden/golden.json: the digests of what quantizing makes here and now.",
        _EXAMPLES,
    )


def main(_arguments: argparse.Namespace) -> int:
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if not workspace:
        raise InputError(
            "environment.workspace",
            "BUILD_WORKSPACE_DIRECTORY is not set; start this with `bazel run`",
        )
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in (*generated_cases(folder), face_case()):
            for scheme in SCHEMES:
                found[f"{case.name} {scheme}"] = digests(case, scheme, folder)
    document = {"processors": [processor_kind()], "digests": found}
    path = Path(workspace, "tests/golden/golden.json")
    with whole_file(path, "w") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
    print(f"wrote {len(found)} entries to {path.relative_to(workspace)}")
    return 0


if __name__ == "__main__":
    run(parser(), main)
