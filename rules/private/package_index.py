"""What a package index says of a project: its releases, and whether it still stands by them.

It reads the simple API that every index has (PEP 503 and 691), from a server or a folder.
"""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from tools.errors import InputError

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
_SECONDS = 60


@dataclass
class Release:
    """One version of a project.

    Attributes:
      files: how many files it has.
      yanked: why all of them were withdrawn ("" where the index gives no reason), or None.
      requires_python: what its files declare, or "".
      released: the day of its first file, such as "2026-10-12", or "" where nothing says.
    """

    files: int = 0
    yanked: str | None = None
    requires_python: str = ""
    released: str = ""


@dataclass
class Project:
    """A project on an index.

    Attributes:
      releases: by version.
      status: "active", or "archived", "deprecated", "quarantined" (PEP 792).
      reason: what its maintainers say to that, such as its new name, or "".
    """

    releases: dict[Version, Release]
    status: str = "active"
    reason: str = ""

    def newest(self) -> Version | None:
        """Gives the newest release that is neither withdrawn nor for trial alone."""
        usable = [
            version
            for version, release in self.releases.items()
            if not version.is_prerelease and release.yanked is None
        ]
        return max(usable, default=None)


class _Links(HTMLParser):
    """Collects the files of an HTML page as the JSON form lists them."""

    def __init__(self) -> None:
        super().__init__()
        self.page: dict[str, Any] = {"files": [], "project-status": {}}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        name = found.get("name") or ""
        if tag == "meta" and name.startswith("pypi:project-status"):
            key = "reason" if name.endswith("-reason") else "status"
            self.page["project-status"][key] = found.get("content") or ""
        address = found.get("href")
        if tag == "a" and address:
            path = urllib.parse.urlsplit(address).path
            yanked = (found.get("data-yanked") or True) if "data-yanked" in found else False
            self.page["files"].append(
                {
                    "filename": urllib.parse.unquote(path.rpartition("/")[2]),
                    "requires-python": found.get("data-requires-python"),
                    "yanked": yanked,
                }
            )


def _version(filename: str, project: str) -> Version | None:
    """Reads the version of a file; None for what is neither a wheel nor sources of a project."""
    try:
        if filename.endswith(".whl"):
            name, version = parse_wheel_filename(filename)[:2]
        else:
            name, version = parse_sdist_filename(filename)
    except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
        return None
    # Of "selenium-2.0-dev-9429.tar.gz" the name would be "selenium-2.0-dev".
    return version if name == canonicalize_name(project) else None


def read_page(text: str, name: str) -> Project:
    """Reads a project's page.

    Args:
      text: JSON or HTML.
      name: of the project.

    Returns:
      The project.
    """
    if text.lstrip().startswith("{"):
        page = json.loads(text)
    else:
        links = _Links()
        links.feed(text)
        page = links.page
    releases: dict[Version, Release] = {}
    for file in page.get("files", []):
        version = _version(file["filename"], name)
        if version is None:
            continue
        release = releases.setdefault(version, Release())
        reason = file.get("yanked")
        reason = None if not reason else reason if isinstance(reason, str) else ""
        # One file that stands is enough for a release.
        release.yanked = reason if not release.files or release.yanked is not None else None
        release.files += 1
        release.requires_python = file.get("requires-python") or release.requires_python
        day = (file.get("upload-time") or "")[:10]
        release.released = min(filter(None, (day, release.released)), default="")
    status = page.get("project-status") or {}
    return Project(releases, status.get("status") or "active", status.get("reason") or "")


class PackageIndex:
    """An index.

    Attributes:
      address: where it is, without a user's name and password.
    """

    def __init__(self, url: str) -> None:
        """Takes an index.

        Args:
          url: of its simple API, such as "https://pypi.org/simple" or "file:///folder". A
            user's name and password in it are sent to the server.
        """
        parts = urllib.parse.urlsplit(url)
        self._headers = {"Accept": _ACCEPT}
        if parts.username:
            user = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}")
            self._headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        host = parts.netloc.rpartition("@")[2]
        self.address = urllib.parse.urlunsplit(parts._replace(netloc=host)).rstrip("/")

    def project(self, name: str) -> Project | None:
        """Looks a project up.

        Args:
          name: of the project.

        Returns:
          The project, or None where the index has none of that name.

        Raises:
          InputError: when the index cannot be reached, or says what is no page.
        """
        address = f"{self.address}/{canonicalize_name(name)}/"
        try:
            return read_page(self._read(address), name)
        except FileNotFoundError:
            return None
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise InputError(
                "environment.index", f"{address} cannot be read: HTTP {error.code}"
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise InputError(
                "environment.index",
                f"the package index {self.address} cannot be reached ({reason}); check the "
                "network, or the settings of uv or pip (index, proxy, cert)",
            ) from None

    def _read(self, address: str) -> str:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme == "file":
            folder = Path(urllib.request.url2pathname(parts.path))
            if not folder.parent.is_dir():
                raise OSError(f"there is no folder {folder.parent}")
            return (folder / "index.html").read_text(encoding="utf-8")
        request = urllib.request.Request(address, headers=self._headers)
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            return answer.read().decode("utf-8")
