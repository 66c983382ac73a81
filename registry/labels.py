"""How a registry command is named where its user stands."""

import os
from pathlib import Path


def bazel_command(name: str) -> str:
    """Gives the command line that starts one of the registry's commands.

    Args:
      name: such as "ui".

    Returns:
      It, as typed in this project or in a workspace that uses it.
    """
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    own = not workspace or Path(workspace, "registry", "register.py").exists()
    return f"bazel run {'' if own else '@rules_quantize'}//registry:{name}"
