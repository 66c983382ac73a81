"""Finds the npm packages of LiteRT.js among a program's files."""

import json
import os
from pathlib import Path

from tools.errors import InputError

# Bazel's modules put a prefix of their own before the repository's name.
_REPOSITORY = "*rules_quantize_litertjs"


def packages_folder() -> Path:
    """Finds the folder of @litertjs/core and @litertjs/wasm-utils, "core" and "wasm-utils".

    Outside Bazel it is what RULES_QUANTIZE_LITERTJS names.

    Raises:
      InputError: when there is none.
    """
    named = os.environ.get("RULES_QUANTIZE_LITERTJS")
    runfiles = os.environ.get("RUNFILES_DIR")
    folders = [Path(named)] if named else sorted(Path(runfiles or "/-").glob(_REPOSITORY))
    for folder in folders:
        if Path(folder, "core/package.json").is_file():
            return folder
    raise InputError(
        "file.missing",
        f"{named or _REPOSITORY}: no npm packages of LiteRT.js; start the program with Bazel, "
        "which fetches them, or let RULES_QUANTIZE_LITERTJS name a folder with @litertjs/core as "
        "core and @litertjs/wasm-utils as wasm-utils",
    )


def litertjs_version(folder: Path) -> str:
    """Reads the version of LiteRT.js out of its npm package."""
    return json.loads((folder / "core/package.json").read_text("utf-8"))["version"]
