"""Command: locks the Python environments, a file with hashes for each dependency group."""

import argparse
import ast
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tools.command_line import bazel_command, new_parser, run, whole_file
from tools.errors import InputError

EXIT_STALE = 1

_PYTHON_VERSION = "3.11"
_EXAMPLES = """\
  bazel run //rules:lock                        after a change of pyproject.toml
  bazel run //rules:lock -- --upgrade           take the newest versions
  bazel run //rules:lock -- --check             change nothing; 1 when a lock is stale
  bazel run //rules:lock -- --group=testing

The index, proxy and certificates are those of uv's settings (UV_DEFAULT_INDEX),
else of pip's (index-url, proxy, cert). Further indexes of pip's are left out: a
lock names the same files whoever makes it.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "lock",
        "Locks the dependency groups of pyproject.toml into rules/locks/GROUP.lock. "
        "Versions that are locked stay while they satisfy the group.",
        _EXAMPLES,
    )
    result.add_argument(
        "--group", action="append", default=[], help="one group; may be repeated (default: all)"
    )
    result.add_argument("--upgrade", action="store_true", help="take the newest versions")
    result.add_argument(
        "--check", action="store_true", help="write nothing, and name the locks that are stale"
    )
    return result


def pip_settings() -> dict[str, str]:
    """Reads the settings of the host's pip.

    Returns:
      Value by name, such as "index-url"; nothing where there is no pip.
    """
    # An environment has no pip of its own.
    python = Path(sys.base_prefix, "bin", f"python{_PYTHON_VERSION}")
    command = [str(python), "-I", "-m", "pip", "config", "list"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return {}
    return read_pip_settings(result.stdout)


def read_pip_settings(listing: str) -> dict[str, str]:
    """Reads what `pip config list` prints.

    Args:
      listing: lines such as "global.index-url='https://host/simple'".

    Returns:
      Value by name. The environment comes before what is set for `pip install`,
      and that before what is set for every command.
    """
    settings = {}
    for section in ("global", "install", ":env:"):
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(section + "."):
                try:
                    settings[key.removeprefix(section + ".")] = str(ast.literal_eval(value))
                except (SyntaxError, ValueError):
                    continue
    return settings


def uv_environment(pip: dict[str, str], environment: dict[str, str]) -> dict[str, str]:
    """Gives uv the user's way to the package index.

    Args:
      pip: from `pip_settings`.
      environment: the user's. What it says to uv itself is kept.

    Returns:
      The environment for uv.
    """
    result = dict(environment)
    if "index-url" in pip and not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & environment.keys():
        result["UV_DEFAULT_INDEX"] = pip["index-url"]
    if "cert" in pip:
        result.setdefault("SSL_CERT_FILE", pip["cert"])
    if "proxy" in pip:
        result.setdefault("HTTPS_PROXY", pip["proxy"])
        result.setdefault("HTTP_PROXY", pip["proxy"])
    result["UV_PYTHON_DOWNLOADS"] = "never"
    return result


def lock(
    workspace: Path, group: str, current: str | None, upgrade: bool, environment: dict[str, str]
) -> str:
    """Locks one group.

    Args:
      workspace: where pyproject.toml is.
      group: name of the dependency group.
      current: the lock as it is, whose versions are kept; None where there is none.
      upgrade: whether to take the newest versions instead.
      environment: from `uv_environment`.

    Returns:
      The lock's text.

    Raises:
      InputError: when uv finds no set of versions, or no index.
    """
    with tempfile.TemporaryDirectory() as folder:
        # uv reads the versions to keep from the file that it writes.
        output = Path(folder, f"{group}.lock")
        if current is not None:
            output.write_text(current, encoding="utf-8")
        command = [
            str(Path(sys.prefix, "bin", "uv")),
            *("pip", "compile", "pyproject.toml", "--quiet", "--universal", "--generate-hashes"),
            *("--no-header", f"--python-version={_PYTHON_VERSION}", f"--python={sys.executable}"),
            *(f"--group={group}", f"--output-file={output}"),
            *(["--upgrade"] if upgrade else []),
        ]
        result = subprocess.run(
            command, cwd=workspace, env=environment, capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            reason = " ".join(result.stderr.split()) or f"uv ended with {result.returncode}"
            raise InputError(f"group {group} cannot be locked: {reason}")
        return output.read_text(encoding="utf-8")


def main(arguments: argparse.Namespace) -> int:
    place = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if not place:
        command = bazel_command("run", "//rules:lock")
        raise InputError(f"BUILD_WORKSPACE_DIRECTORY is not set; use `{command}`")
    workspace = Path(place)
    project = tomllib.loads((workspace / "pyproject.toml").read_text(encoding="utf-8"))
    groups = sorted(project.get("dependency-groups", {}))
    unknown = sorted(set(arguments.group) - set(groups))
    if unknown:
        raise InputError(f"pyproject.toml has no dependency group {unknown[0]}; it has {groups}")
    environment = uv_environment(pip_settings(), dict(os.environ))
    stale = False
    for group in arguments.group or groups:
        path = workspace / "rules" / "locks" / f"{group}.lock"
        current = path.read_text(encoding="utf-8") if path.exists() else None
        locked = lock(workspace, group, current, arguments.upgrade, environment)
        shown = path.relative_to(workspace)
        if locked == current:
            print(f"{shown}: up to date")
        elif arguments.check:
            stale = True
            command = bazel_command("run", "//rules:lock")
            print(f"{shown}: stale; lock again with `{command}`")
        else:
            with whole_file(path, "w") as file:
                file.write(locked)
            print(f"{shown}: written")
    return EXIT_STALE if stale else 0


if __name__ == "__main__":
    run(parser(), main)
