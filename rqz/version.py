"""The version of this project, as `rqz` says it and as workspaces name it."""

import re
from pathlib import Path


def version() -> str:
    """Reads the version from the one place that says it, beside the sources as in a wheel."""
    text = Path(__file__).parents[1].joinpath("rules", "version.bzl").read_text("utf-8")
    found = re.search(r'^VERSION = "(.+)"$', text, re.MULTILINE)
    assert found
    return found[1]
