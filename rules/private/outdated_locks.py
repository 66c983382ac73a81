"""Compares locks with the package index: what is behind, and what keeps it there."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from rules.private.package_index import PackageIndex, Project
from tools.command_line import bazel_command
from tools.errors import InputError

# The index is asked for some hundred pages.
_READERS = 8


@dataclass
class Package:
    """A package of a lock beside the index.

    Attributes:
      name: of the package.
      direct: whether pyproject.toml names it in the group.
      current: the locked version.
      released: the day of that release, or "".
      newest: the newest release on the index, or None where there is none.
      newest_released: the day of that release, or "".
      upgrade: what `lock --upgrade` would take, or None where it would leave the package out.
      installable: the newest that can be locked once pyproject.toml's limits on the versions
        of direct packages are lifted; as `upgrade` for the others.
      limit: pyproject.toml's limit on its versions, such as "==2.3.0", or "".
      held: why pyproject.toml keeps it where it is, or "".
      hindrance: why the newest cannot be locked, or "".
      yanked: why the locked release was withdrawn, "" without a reason; None where it was not.
      status: of the project, or "missing" where the index has none of that name.
      reason: what the project's maintainers say to its status.
    """

    name: str
    direct: bool
    current: str
    released: str = ""
    newest: str | None = None
    newest_released: str = ""
    upgrade: str | None = None
    installable: str | None = None
    limit: str = ""
    held: str = ""
    hindrance: str = ""
    yanked: str | None = None
    status: str = "active"
    reason: str = ""

    def behind(self) -> bool:
        """Whether the index has a newer release."""
        return self.newest is not None and Version(self.newest) > Version(self.current)

    def can_be_newer(self) -> bool:
        """Whether somebody could lock a newer one now."""
        reachable = [Version(each) for each in (self.upgrade, self.installable) if each]
        return (
            self.direct
            and not self.held
            and max(reachable, default=Version("0")) > Version(self.current)
        )

    def warnings(self) -> list[str]:
        """Says what the index warns of, a sentence each."""
        found = []
        if self.yanked is not None:
            found.append(f"this release was withdrawn: {self.yanked or 'no reason is given'}")
        if self.status == "missing":
            found.append("the index has no project of this name any more")
        elif self.status != "active":
            found.append(f"the project is {self.status}: {self.reason or 'no reason is given'}")
        return found

    def line(self, group: str) -> str:
        """Says in one line how it stands."""
        parts = []
        if self.behind():
            day = f" ({self.newest_released})" if self.newest_released else ""
            parts.append(f"the newest is {self.newest}{day}")
            if self.held:
                parts.append(f"held: {self.held}")
            elif self.upgrade and Version(self.upgrade) > Version(self.current):
                command = bazel_command("run", "//rules:lock", "--upgrade", f"--group={group}")
                parts.append(f"`{command}` takes {self.upgrade}")
            elif self.installable and Version(self.installable) > Version(self.current):
                parts.append(f"pyproject.toml asks for {self.limit}, else {self.installable} fits")
            if self.hindrance:
                parts.append(f"{self.newest} cannot be locked: {self.hindrance}")
        return f"{self.name} {self.current}: " + "; ".join(parts + self.warnings())


def requirements(groups: dict, group: str) -> list[Requirement]:
    """Reads a dependency group, with the groups that it includes.

    Args:
      groups: the table `dependency-groups` of pyproject.toml.
      group: its name.

    Returns:
      The requirements.

    Raises:
      InputError: when there is no such group.
    """
    if group not in groups:
        raise InputError(
            "environment.project",
            f"pyproject.toml has no dependency group {group}; it has {sorted(groups)}",
        )
    found = []
    for entry in groups[group]:
        if isinstance(entry, dict):
            found += requirements(groups, entry["include-group"])
        else:
            found.append(Requirement(entry))
    return found


def locked_versions(lock: str) -> dict[str, str]:
    """Reads the versions in a lock.

    Args:
      lock: its text.

    Returns:
      Version by name.
    """
    found = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;]+)", lock, re.M)
    return {canonicalize_name(name): version for name, version in found}


def without_limits(wanted: list[Requirement], held: dict[str, str]) -> list[str]:
    """Lifts the limits on versions, but those of packages that are held.

    Args:
      wanted: of a group.
      held: why each package is kept where it is, by its name.

    Returns:
      Lines of a requirements file.
    """
    lines = []
    for requirement in wanted:
        free = Requirement(str(requirement))
        if canonicalize_name(free.name) not in held:
            free.specifier = SpecifierSet()
        lines.append(str(free))
    return lines


def read_projects(index: PackageIndex, names: set[str]) -> dict[str, Project | None]:
    """Asks the index for projects.

    Args:
      index: to ask.
      names: of the projects.

    Returns:
      Project by name, None where the index has none of it.

    Raises:
      InputError: when the index cannot be reached.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        ordered = sorted(names)
        return dict(zip(ordered, pool.map(index.project, ordered), strict=True))


def compare(
    lock: str,
    wanted: list[Requirement],
    held: dict[str, str],
    projects: dict[str, Project | None],
    first_python: str,
    resolve: Callable[[list[str]], str],
) -> tuple[list[Package], str]:
    """Compares a lock with the index.

    Args:
      lock: its text.
      wanted: the requirements of its group.
      held: why a package is kept where it is, by its name.
      projects: from `read_projects`.
      first_python: the oldest that the lock is for, as "MAJOR.MINOR".
      resolve: locks a list of requirements anew and gives the lock's text; it raises
        InputError where they cannot be had together.

    Returns:
      The packages, those that pyproject.toml names first, and why the group cannot be locked
      anew, or "".
    """
    direct: dict[str, Requirement] = {canonicalize_name(each.name): each for each in wanted}
    upgraded, obstacle = _resolved([str(each) for each in wanted], resolve)
    freed, _ = _resolved(without_limits(wanted, held), resolve)
    packages = []
    for name, current in locked_versions(lock).items():
        package = Package(name, name in direct, current)
        project = projects[name]
        newest = project.newest() if project else None
        if project is None:
            package.status = "missing"
        else:
            release = project.releases.get(Version(current))
            package.status, package.reason = project.status, project.reason
            package.newest = str(newest) if newest else None
            package.newest_released = project.releases[newest].released if newest else ""
            package.released = release.released if release else ""
            package.yanked = release.yanked if release else None
        package.upgrade = package.installable = upgraded.get(name)
        if package.direct:
            package.installable = freed.get(name)
            package.limit = str(direct[name].specifier)
            package.held = held.get(name, "")
        if project and newest and package.direct and package.behind() and not package.held:
            reachable = [Version(each) for each in (package.upgrade, package.installable) if each]
            if newest > max(reachable, default=Version("0")):
                needed = project.releases[newest].requires_python
                if not SpecifierSet(needed).contains(f"{first_python}.99"):
                    package.hindrance = f"it needs Python {needed}"
                else:
                    package.hindrance = _hindrance(package, wanted, held, resolve)
        packages.append(package)
    return sorted(packages, key=lambda package: (not package.direct, package.name)), obstacle


def _resolved(lines: list[str], resolve: Callable[[list[str]], str]) -> tuple[dict[str, str], str]:
    """Gives the newest versions that go together, or why there are none."""
    try:
        return locked_versions(resolve(lines)), ""
    except InputError as error:
        # What follows is that nothing can be done.
        return {}, str(error).partition(", we can conclude that")[0]


def _hindrance(
    package: Package,
    wanted: list[Requirement],
    held: dict[str, str],
    resolve: Callable[[list[str]], str],
) -> str:
    """Finds out why a package's newest release cannot be locked with what stands beside it."""
    lines = [*without_limits(wanted, held), f"{package.name}=={package.newest}"]
    _, obstacle = _resolved(lines, resolve)
    return obstacle or "it can be, but only beside older releases of other packages"
