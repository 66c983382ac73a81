"""Command: locks the Python environments, a file with hashes for each dependency group."""

import argparse
import ast
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from rules.private import outdated_locks
from rules.private.package_index import PackageIndex
from tools.command_line import bazel_command, new_parser, output_path, run, whole_file
from tools.errors import InputError

EXIT_STALE = 1

_DEFAULT_INDEX = "https://pypi.org/simple"
# What a lock is for: as python_env calls it, and as uv does.
_PLATFORMS = {
    "linux x86_64": "x86_64-manylinux_2_28",
    "linux aarch64": "aarch64-manylinux_2_28",
    "macos arm64": "aarch64-apple-darwin",
}
_EXAMPLES = """\
  bazel run //rules:lock                        after a change of pyproject.toml
  bazel run //rules:lock -- --upgrade           take the newest versions
  bazel run //rules:lock -- --check             change nothing; 1 when a lock is stale
  bazel run //rules:lock -- --group=testing
  bazel run //rules:lock -- --outdated          compare with the index; 1 when a package that
                                                pyproject.toml names could be newer

A lock is for every Python of requires-python, whichever runs this. At its top stands for which
of them all packages have wheels. A package that is to stay behind is named, with the reason, in
the table tool.rules_quantize.held.GROUP of pyproject.toml.

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
    result.add_argument(
        "--outdated",
        action="store_true",
        help="write no lock, and name the packages that the index has newer releases of",
    )
    result.add_argument(
        "--json", type=output_path, help="file for what --outdated finds, as JSON, of every package"
    )
    return result


def pip_settings() -> dict[str, str]:
    """Reads the settings of the host's pip.

    Returns:
      Value by name, such as "index-url"; nothing where there is no pip.
    """
    # An environment has no pip of its own.
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = Path(sys.base_prefix, "bin", name)
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


def supported_pythons(project: dict) -> list[str]:
    """Reads requires-python.

    Args:
      project: what pyproject.toml holds.

    Returns:
      Each "MAJOR.MINOR" that it allows, oldest first.

    Raises:
      InputError: when it allows none, or has no upper bound.
    """
    text = project.get("project", {}).get("requires-python", "")
    allowed = SpecifierSet(text)
    # The last release of a minor version: >=3.11.4 allows Python 3.11 too.
    found = [f"3.{minor}" for minor in range(100) if allowed.contains(f"3.{minor}.99")]
    if not found or "3.99" in found:
        raise InputError(
            "environment.project",
            f"pyproject.toml: requires-python is {text!r}; give a first Python and one that is too "
            "new, such as >=3.11,<3.15",
        )
    return found


def _call_uv(
    workspace: Path, arguments: list[str], environment: dict[str, str], text: str = ""
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(Path(sys.prefix, "bin", "uv")), *arguments],
        cwd=workspace,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def _one_line(result: subprocess.CompletedProcess) -> str:
    return " ".join(result.stderr.split()) or f"uv ended with {result.returncode}"


class Locker:
    """Locks the groups of one project.

    Attributes:
      workspace: where pyproject.toml is.
      pythons: that locks are for, oldest first.
      environment: for uv, from `uv_environment`.
    """

    def __init__(self, workspace: Path, pythons: list[str], environment: dict[str, str]) -> None:
        self.workspace = workspace
        self.pythons = pythons
        self.environment = environment
        self._compile = [
            *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"),
            *(f"--python-version={pythons[0]}", f"--python={sys.executable}"),
        ]

    def lock(self, group: str, current: str | None, upgrade: bool) -> str:
        """Locks one group.

        Args:
          group: name of the dependency group.
          current: the lock as it is, whose versions are kept; None where there is none.
          upgrade: whether to take the newest versions instead.

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
            result = _call_uv(
                self.workspace,
                [
                    *self._compile,
                    *("pyproject.toml", f"--group={group}", f"--output-file={output}"),
                    *(["--upgrade"] if upgrade else []),
                ],
                self.environment,
            )
            if result.returncode != 0:
                raise InputError(
                    "environment.lock", f"group {group} cannot be locked: {_one_line(result)}"
                )
            text = output.read_text(encoding="utf-8")
            return "".join(self._wheels(group, text)) + text

    def _wheels(self, group: str, text: str) -> Iterator[str]:
        """Writes, a line for each platform, for which Pythons all packages have wheels."""
        with tempfile.TemporaryDirectory() as folder:
            # Not the workspace: its pyproject.toml's settings are in the lock already.
            Path(folder, "lock.txt").write_text(text, encoding="utf-8")
            for name, platform in _PLATFORMS.items():
                found = []
                for python in self.pythons:
                    result = _call_uv(
                        Path(folder),
                        [
                            *("pip", "install", "--quiet", "--dry-run", "--no-deps"),
                            *("--require-hashes", "--only-binary=:all:", "--requirements=lock.txt"),
                            *(f"--target={folder}/packages", f"--python={sys.executable}"),
                            *(f"--python-version={python}", f"--python-platform={platform}"),
                        ],
                        self.environment,
                    )
                    if result.returncode == 0:
                        found.append(python)
                    elif "No solution found" not in result.stderr:
                        raise InputError(
                            "environment.lock",
                            f"group {group} cannot be checked: {_one_line(result)}",
                        )
                yield f"# wheels on {name}: {', '.join(found) or 'none'}\n"

    def resolve(self, requirements: list[str]) -> str:
        """Finds the newest versions that go together, under the project's settings.

        Args:
          requirements: lines of a requirements file.

        Returns:
          A lock's text.

        Raises:
          InputError: when uv finds no set of versions, or no index; the message is uv's reason.
        """
        result = _call_uv(
            self.workspace,
            [*self._compile, "--no-annotate", "-"],
            self.environment,
            "".join(f"{line}\n" for line in requirements),
        )
        if result.returncode != 0:
            reason = _one_line(result)
            raise InputError(
                "environment.lock", reason.partition("cause: ")[2].partition(" hint: ")[0] or reason
            )
        return result.stdout


def _index(environment: dict[str, str]) -> PackageIndex:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if environment.get(name):
            return PackageIndex(environment[name])
    return PackageIndex(_DEFAULT_INDEX)


def report_outdated(
    locker: Locker, project: dict, locks: dict[str, str], output: Path | None
) -> int:
    """Prints what the index has newer releases of.

    Args:
      locker: of the project.
      project: what pyproject.toml holds.
      locks: text of each lock by its group.
      output: file for the same as JSON, or None.

    Returns:
      The exit status: EXIT_STALE where a package that pyproject.toml names could be newer.

    Raises:
      InputError: when the index cannot be reached.
    """
    index = _index(locker.environment)
    names = {name for lock in locks.values() for name in outdated_locks.locked_versions(lock)}
    projects = outdated_locks.read_projects(index, names)
    held = project.get("tool", {}).get("rules_quantize", {}).get("held", {})
    document: dict[str, Any] = {"index": index.address, "locks": []}
    status = 0
    for group, lock in locks.items():
        wanted = outdated_locks.requirements(project["dependency-groups"], group)
        packages, obstacle = outdated_locks.compare(
            lock, wanted, held.get(group, {}), projects, locker.pythons[0], locker.resolve
        )
        direct = [package for package in packages if package.direct]
        others = [package for package in packages if not package.direct]
        behind = {
            "direct": sum(package.behind() for package in direct),
            "others": sum(package.behind() for package in others),
        }
        path = f"rules/locks/{group}.lock"
        print(
            f"{path}: behind the index are {behind['direct']} of the {len(direct)} packages that "
            f"pyproject.toml names, and {behind['others']} of {len(others)} others"
        )
        if obstacle:
            print(f"  the group cannot be locked anew: {obstacle}")
        for package in packages:
            if (package.direct and package.behind()) or package.warnings():
                print("  " + package.line(group))
        if any(package.can_be_newer() for package in packages):
            status = EXIT_STALE
        document["locks"].append(
            {
                "group": group,
                "lock": path,
                "behind": behind,
                "obstacle": obstacle,
                "packages": [dataclasses.asdict(package) for package in packages],
            }
        )
    if output:
        with whole_file(output, "w") as file:
            file.write(json.dumps(document, indent=2) + "\n")
    return status


def main(arguments: argparse.Namespace) -> int:
    place = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if not place:
        command = bazel_command("run", "//rules:lock")
        raise InputError(
            "environment.workspace", f"BUILD_WORKSPACE_DIRECTORY is not set; use `{command}`"
        )
    workspace = Path(place)
    project = tomllib.loads((workspace / "pyproject.toml").read_text(encoding="utf-8"))
    groups = sorted(project.get("dependency-groups", {}))
    unknown = sorted(set(arguments.group) - set(groups))
    if unknown:
        raise InputError(
            "environment.project",
            f"pyproject.toml has no dependency group {unknown[0]}; it has {groups}",
        )
    if arguments.json and not arguments.outdated:
        raise InputError("flag.missing", "--json is the form of what --outdated finds; give both")
    environment = uv_environment(pip_settings(), dict(os.environ))
    locker = Locker(workspace, supported_pythons(project), environment)
    paths = {
        group: workspace / "rules" / "locks" / f"{group}.lock"
        for group in arguments.group or groups
    }
    current = {
        group: path.read_text(encoding="utf-8") for group, path in paths.items() if path.exists()
    }
    if arguments.outdated:
        missing = sorted(set(paths) - set(current))
        if missing:
            command = bazel_command("run", "//rules:lock", f"--group={missing[0]}")
            raise InputError(
                "environment.project",
                f"group {missing[0]} has no lock yet; make it with `{command}`",
            )
        return report_outdated(locker, project, current, arguments.json)
    stale = False
    for group, path in paths.items():
        locked = locker.lock(group, current.get(group), arguments.upgrade)
        shown = path.relative_to(workspace)
        if locked == current.get(group):
            print(f"{shown}: up to date")
        elif arguments.check:
            stale = True
            words = ("--upgrade", f"--group={group}") if arguments.upgrade else ()
            command = bazel_command("run", "//rules:lock", *words)
            print(f"{shown}: stale; lock again with `{command}`")
        else:
            with whole_file(path, "w") as file:
                file.write(locked)
            print(f"{shown}: written")
    return EXIT_STALE if stale else 0


if __name__ == "__main__":
    run(parser(), main)
