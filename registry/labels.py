"""How a registry command is named where its user stands."""

import os
import shlex
from pathlib import Path


def bazel_command(verb: str, label: str, *words: str) -> str:
    """Gives a command line as it is typed in the user's workspace.

    Args:
      verb: such as "run".
      label: of a target of this project, such as "//registry:ui".
      *words: what the program itself is given.

    Returns:
      It, where the user's workspace is this project or one that uses it.
    """
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    own = not workspace or Path(workspace, "registry", "register.py").exists()
    own_words = f" -- {shlex.join(words)}" if words else ""
    return f"bazel {verb} {'' if own else '@rules_quantize'}{label}{own_words}"
