"""A project with dependency groups, and an index in a folder with the packages it asks for."""

import copy
import hashlib
import html
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from rules.private import lock_environments

ROOT = Path(__file__).parents[2]
PROJECT = """\
[project]
name = "tiny"
version = "1.0"
requires-python = ">=3.11,<3.15"

[dependency-groups]
tools = ["first"]
tests = ["second>=2"]

[tool.uv]
fork-strategy = "fewest"

"""


class Workspace:
    """The project and the index.

    Attributes:
      folder: the workspace.
      index: the index.
      project: pyproject.toml.
      hashes: sha256 by name and version of what was published.
    """

    def __init__(self, folder: Path):
        self.hashes = {}
        self._links = {}
        self._lie_in(folder)
        self.folder.mkdir()
        self.project.write_text(PROJECT)
        self.publish("first", "1.0")
        self.publish("second", "1.0")
        self.publish("second", "2.0")

    def _lie_in(self, folder: Path) -> None:
        self.folder = folder / "workspace"
        self.index = folder / "index"
        self.project = self.folder / "pyproject.toml"
        self.cache = folder / "cache"

    def copy(self, folder: Path) -> "Workspace":
        """Makes another of the same, in a folder of its own."""
        made = copy.deepcopy(self)
        made._lie_in(folder)
        shutil.copytree(self.folder, made.folder)
        shutil.copytree(self.index, made.index)
        return made

    def publish(
        self,
        name: str,
        version: str,
        tags: str = "py3-none-any",
        requires: tuple[str, ...] = (),
        requires_python: str = "",
        yanked: str | None = None,
        status: str = "",
    ) -> None:
        """Publishes a wheel, and writes its project's page.

        Args:
          name: of the project.
          version: of the release.
          tags: of the wheel.
          requires: packages that it needs.
          requires_python: Pythons that it runs on; empty for all.
          yanked: why it was withdrawn, or None.
          status: of the project from now on, and the reason, such as "archived: moved".
        """
        folder = self.index / name
        folder.mkdir(parents=True, exist_ok=True)
        wheel = folder / f"{name}-{version}-{tags}.whl"
        info = f"{name}-{version}.dist-info"
        metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        metadata += [f"Requires-Dist: {each}" for each in requires]
        metadata += [f"Requires-Python: {requires_python}"] if requires_python else []
        members = {
            f"{info}/METADATA": "\n".join(metadata) + "\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n",
            f"{info}/RECORD": "",
        }
        with zipfile.ZipFile(wheel, "w") as archive:
            for member, text in members.items():
                archive.writestr(zipfile.ZipInfo(member), text)
        self.hashes[name, version] = hashlib.sha256(wheel.read_bytes()).hexdigest()
        attributes = f' data-requires-python="{html.escape(requires_python)}"'
        if yanked is not None:
            attributes += f' data-yanked="{html.escape(yanked)}"'
        links = self._links.setdefault(name, {})
        links[wheel.name] = f'<a href="{wheel.name}"{attributes}>{wheel.name}</a>'
        head = ""
        if status:
            kind, _, reason = status.partition(": ")
            head = f'<meta name="pypi:project-status" content="{kind}">'
            head += f'<meta name="pypi:project-status-reason" content="{html.escape(reason)}">'
        (folder / "index.html").write_text(
            f"<!DOCTYPE html><head>{head}</head><body>{''.join(links.values())}</body>"
        )

    def lock(self, *flags: str, **environment: str) -> subprocess.CompletedProcess:
        """Runs the command with nothing of the user's own settings."""
        clean = {
            key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))
        }
        clean |= {
            "BUILD_WORKSPACE_DIRECTORY": str(self.folder),
            "HOME": str(self.folder),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self.index.as_uri(),
            "UV_CACHE_DIR": str(self.cache),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ["PYTHONPATH"]])]),
        }
        return subprocess.run(
            [sys.executable, lock_environments.__file__, *flags],
            capture_output=True,
            text=True,
            env=clean | environment,
            check=False,
        )

    def path(self, group: str) -> Path:
        """Says where a group's lock is."""
        return self.folder / "rules" / "locks" / f"{group}.lock"


def one_line(result: subprocess.CompletedProcess) -> str:
    """Gives the one line of a command that refused its input."""
    assert result.returncode == 2, result.stdout + result.stderr
    (line,) = result.stderr.splitlines()
    return line
