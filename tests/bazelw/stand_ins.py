"""Programs that record how they were called, on a PATH where there is nothing else.

A unit test cannot install a system package or do without the machine's own
Bazel, so bazelw and tools/bazel meet these instead of `bazel` and `apt-get`.
"""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What the scripts themselves are made of.
_COMMANDS = [
    *("basename", "cat", "chmod", "cut", "dirname", "grep", "mkdir", "mktemp", "mv", "rm", "sed"),
    *("sh", "sha256sum", "sort", "tail", "uname"),
]


class Machine:
    """A folder of programs, and what happened to them."""

    def __init__(self, folder: Path):
        self.programs = folder / "programs"
        self.calls_folder = folder / "calls"
        self.home = folder / "home"
        for path in (self.programs, self.calls_folder, self.home):
            path.mkdir(parents=True)
        for command in _COMMANDS:
            (self.programs / command).symlink_to(shutil.which(command))

    def add(self, name: str, script: str = "", folder: Path | None = None) -> Path:
        """Makes a program that writes down its arguments and then runs a script."""
        path = (folder or self.programs) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        calls = self.calls_folder / name
        path.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" "" >>"{calls}"\n{script}\n')
        path.chmod(0o755)
        return path

    def calls(self, name: str) -> list[list[str]]:
        """Gives the argument lists that a program was called with."""
        path = self.calls_folder / name
        if not path.exists():
            return []
        # An empty argument ends a call; no test passes one.
        calls = path.read_text().removesuffix("\0").split("\0\0")
        return [call.strip("\0").split("\0") if call.strip("\0") else [] for call in calls]

    def run(self, script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Runs a script with this machine's programs alone."""
        base = {"PATH": str(self.programs), "HOME": str(self.home)}
        if "TMPDIR" in os.environ or "TEST_TMPDIR" in os.environ:
            base["TMPDIR"] = os.environ.get("TEST_TMPDIR", os.environ.get("TMPDIR", "/tmp"))
        return subprocess.run(
            [str(script), *arguments],
            capture_output=True,
            text=True,
            env=base | environment,
            check=False,
            timeout=60,
        )
