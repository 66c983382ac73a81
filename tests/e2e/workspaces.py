"""Bazel, started by a test in this workspace or in one that the test makes."""

import base64
import os
import re
import subprocess
from pathlib import Path

HERE = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
WORKSPACE = Path(HERE or ".")


def bazel(*arguments: str, folder: Path = WORKSPACE) -> subprocess.CompletedProcess:
    """Starts Bazel as its user does.

    Args:
      *arguments: of Bazel.
      folder: the workspace, in which there is a `bazelw`.

    Returns:
      The finished process, with its output as text.
    """
    return _start(["./bazelw", *arguments], folder)


def typed(command: str, folder: Path) -> subprocess.CompletedProcess:
    """Runs a command that a program printed, as it was printed.

    Args:
      command: shell text that begins with "bazel".
      folder: the workspace in which it is typed.

    Returns:
      The finished process, with its output as text.
    """
    assert command.startswith("bazel "), command
    return _start(["sh", "-c", "./bazelw" + command.removeprefix("bazel")], folder)


def users_environment() -> dict[str, str]:
    """Gives this process's variables without those that `bazel run` and the launcher set."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BUILD_", "RUNFILES", "RULES_QUANTIZE_LABEL", "PYTHON", "TEST_"))
    }


def _start(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command,
        capture_output=True,
        check=False,
        cwd=folder,
        env=users_environment(),
        errors="replace",
        text=True,
    )


def info(key: str, folder: Path = WORKSPACE) -> Path:
    """Asks Bazel for one of its folders, such as "output_base"."""
    result = bazel("info", key, folder=folder)
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.strip())


def release_archive(folder: Path) -> Path:
    """Packs this workspace as a release, with what is not committed yet.

    Args:
      folder: where the archive goes, and a repository that has all in one commit.

    Returns:
      The archive.
    """
    name = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    settings = {"GIT_DIR": str(folder / "git"), "GIT_WORK_TREE": str(WORKSPACE)}

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            words, capture_output=True, check=False, text=True, env=os.environ | settings
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    run("git", "init", "--quiet")
    run("git", "add", "--all", WORKSPACE)
    run("git", *name, "commit", "--quiet", "--message=all")
    return Path(run(WORKSPACE / ".ci/release_archive", "HEAD", folder))


def is_bazel_4(folder: Path) -> bool:
    """Says whether Bazel is a 4, which Debian's does not say itself."""
    known = base64.b64decode(bazel("help", "flags-as-proto", folder=folder).stdout)
    return b"experimental_worker_allow_json_protocol" in known


def blocks_of(page: Path, heading: str = "") -> dict[str, str]:
    """Reads the code blocks of a page that say in their first line which file they are.

    Args:
      page: Markdown.
      heading: of the section that is read, of the second level; "" for the whole page.

    Returns:
      The blocks by that line, without "# "; the first where several are of one file.
    """
    section = page.read_text()
    if heading:
        _, _, section = section.partition(f"\n## {heading}\n")
        section, _, _ = section.partition("\n## ")
    block = re.compile(r"^```\w*\n# ([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return dict(reversed(block.findall(section)))
