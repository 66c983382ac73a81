"""Which commit an artifact was built from."""

import os
from dataclasses import dataclass
from pathlib import Path

from registry.store import without_credentials


@dataclass(frozen=True)
class GitLineage:
    """The state of the work tree that was built.

    Attributes:
      state: "clean", "dirty" (changes or untracked files), or why there is no
        answer: "no repository", "no commit", "no git", "refused".
      commit: full hash of HEAD, or None.
      branch: name, or None on a detached HEAD.
      remote: URL without credentials, or None.
    """

    state: str
    commit: str | None = None
    branch: str | None = None
    remote: str | None = None

    def tags(self) -> dict[str, str]:
        """Gives the tags of a run, in the project's names and in MLflow's own."""
        tags = {"git_state": self.state}
        if self.commit:
            tags["git_commit"] = self.commit
            tags["git_dirty"] = "true" if self.state == "dirty" else "false"
            tags["mlflow.source.git.commit"] = self.commit
        if self.branch:
            tags["git_branch"] = self.branch
            tags["mlflow.source.git.branch"] = self.branch
        if self.remote:
            tags["git_remote"] = self.remote
            tags["mlflow.source.git.repoURL"] = self.remote
        return tags


def read_git_lineage(directory: Path) -> GitLineage:
    """Reads the repository that a directory lies in.

    Args:
      directory: a directory of the work tree, such as the Bazel workspace.

    Returns:
      What git says. It never fails: a tree without git is recorded as such.
    """
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # Reading must not rewrite the index under a git command of the user's.
    os.environ.setdefault("GIT_OPTIONAL_LOCKS", "0")
    import git

    try:
        repository = git.Repo(directory, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return GitLineage("no repository")
    with repository:
        try:
            if not repository.head.is_valid():
                return GitLineage("no commit", remote=_remote(repository))
            dirty = repository.is_dirty(untracked_files=True)
            return GitLineage(
                state="dirty" if dirty else "clean",
                commit=repository.head.commit.hexsha,
                branch=None if repository.head.is_detached else repository.active_branch.name,
                remote=_remote(repository),
            )
        except git.GitCommandNotFound:
            return GitLineage("no git")
        except (git.GitCommandError, ValueError, OSError):
            # git refuses a tree that belongs to another user, for one.
            return GitLineage("refused")


def _remote(repository) -> str | None:
    names = [remote.name for remote in repository.remotes]
    if not names:
        return None
    name = "origin" if "origin" in names else names[0]
    # From the file: `git remote get-url` would apply insteadOf, whose
    # replacement is where people put tokens.
    url = repository.remote(name).config_reader.get_value("url", default="")
    return without_credentials(str(url)) or None
