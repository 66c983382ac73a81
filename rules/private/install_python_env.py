"""Installs a hash-pinned lock into a virtual environment that looks the same wherever it is made.

Run by the repository rule `python_env` with the host's interpreter, so it uses
nothing but the standard library. On failure it prints one line on standard
error that says what was wrong and what to do, and exits with status 1.
"""

import argparse
import compileall
import csv
import hashlib
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

# Lines of pip's error output that tell one cause from another.
_WRONG_HASH = re.compile(r"DO NOT MATCH THE HASHES|hashes are required|Hashes are required")
_UNREACHABLE = re.compile(
    r"Failed to establish a new connection|Temporary failure in name resolution|NewConnectionError"
    r"|Max retries exceeded|Read timed out|ConnectTimeout|SSLError|CERTIFICATE_VERIFY_FAILED"
    r"|ProxyError|Could not fetch URL|Connection refused"
)
_NOT_FOUND = re.compile(r"No matching distribution found for (\S+)")
_EXPECTED_FROM = re.compile(r"^\s+(\S+) from (\S+?)(?:#\S+)?( \(from .*\))?:\s*$", re.MULTILINE)


class InstallError(Exception):
    """The environment could not be made; the message is one line."""


def explain(output: str, lock_name: str) -> str:
    """Turns what pip printed into one line.

    Args:
      output: pip's standard output and error, together.
      lock_name: how the user knows the lock file.

    Returns:
      One line: what was wrong, where, and what to do.
    """
    if _WRONG_HASH.search(output):
        found = _EXPECTED_FROM.search(output)
        what = found.group(1) if found else "a package"
        return (
            f"{lock_name}: the file that the package index sent for {what} does not have the hash "
            "that the lock names; lock again if the change is expected, else distrust the index"
        )
    if _UNREACHABLE.search(output):
        return (
            f"{lock_name}: the package index cannot be reached; check the network, or pip's own "
            "settings (pip config list: index-url, proxy, cert)"
        )
    missing = _NOT_FOUND.search(output)
    if missing:
        return f"{lock_name}: {explain_missing(missing.group(1), listing(missing.group(1)))}"
    errors = [line.strip() for line in output.splitlines() if line.strip().startswith("ERROR")]
    last = errors[-1] if errors else (output.strip().splitlines() or ["pip said nothing"])[-1]
    return f"{lock_name}: pip could not install it: {last.strip()}"


def listing(requirement: str) -> str:
    """Lets pip say which files the index has, also those that are not for this machine.

    Args:
      requirement: "name==version".

    Returns:
      What pip printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [*pip_module(), "download", "-vv", "--no-deps", "--only-binary=:all:"]
        command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off"]
        result = subprocess.run(
            [*command, f"--dest={folder}", requirement],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    return result.stdout


def _same_name(left: str, right: str) -> bool:
    return re.sub(r"[-_.]+", "-", left).lower() == re.sub(r"[-_.]+", "-", right).lower()


def _pythons(tags: str) -> list[tuple[int, int]]:
    """Reads the first part of a wheel's tags, such as "cp311" or "py2.py3"."""
    found = []
    for tag in tags.split("."):
        match = re.fullmatch(r"(?:cp|py)(\d)(\d*)", tag)
        if match:
            found.append((int(match.group(1)), int(match.group(2) or 0)))
    return found


def _spoken(words: list[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _first_and_last(words: list[str]) -> str:
    return _spoken(words) if len(words) < 5 else f"{words[0]}, {words[1]} ... {words[-1]}"


def explain_missing(requirement: str, output: str) -> str:
    """Says which wheels there are of a package that has none for this machine.

    Args:
      requirement: "name==version".
      output: from `listing`.

    Returns:
      One line.
    """
    name, _, version = requirement.partition("==")
    have = f"{sys.version_info.major}.{sys.version_info.minor}"
    machine = platform.machine()
    system = "macosx" if sys.platform == "darwin" else "linux"
    wheels = [
        (parts[-3], parts[-2], parts[-1])
        for parts in (
            file.split("-") for file in dict.fromkeys(re.findall(r"([^/\s]+)\.whl\b", output))
        )
        if len(parts) >= 5 and _same_name(parts[0], name) and parts[1] == version
    ]
    usable = re.search(r"\(from versions: ([^)]*)\)", output)
    others = [each for each in usable.group(1).split(", ") if each != "none"] if usable else []
    advice = (
        f"versions with a wheel for this one: {_first_and_last(others)}"
        if others
        else "no other version has a wheel for this one either"
    )
    if not wheels:
        return f"the package index has no wheel of {requirement} at all; {advice}"
    here = [
        each
        for each in wheels
        if each[2] == "any" or (system in each[2] and each[2].endswith((machine, "universal2")))
    ]
    if not here:
        return (
            f"{requirement} has no wheel for {sys.platform} {machine}, only for "
            f"{_spoken(sorted({each[2] for each in wheels}))}; {advice}"
        )
    exact = sorted({found for each in here for found in _pythons(each[0])})
    stable = [found for each in here if each[1] == "abi3" for found in _pythons(each[0])]
    fitting = [
        each
        for each in here
        if sys.version_info[:2] in _pythons(each[0])
        or (each[1] == "abi3" and min(_pythons(each[0])) <= sys.version_info[:2])
    ]
    if fitting:
        return (
            f"{requirement} has wheels for Python {have}, but for a newer system than this: "
            f"{_spoken(sorted({each[2] for each in fitting}))}; {advice}"
        )
    pythons = [f"{major}.{minor}" if minor else str(major) for major, minor in exact]
    return (
        f"{requirement} has no wheel for Python {have} on {sys.platform} {machine}, but for Python "
        f"{_spoken(pythons)}{' and later' if stable else ''} (name one in RULES_QUANTIZE_PYTHON); "
        f"{advice}"
    )


def pip_module() -> list[str]:
    """Finds a pip that can install into another interpreter's environment.

    Returns:
      The command line's start.

    Raises:
      InstallError: when this interpreter has none.
    """
    command = [sys.executable, "-m", "pip"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"pip (\d+)\.(\d+)", version.stdout)
    if found and (int(found.group(1)), int(found.group(2))) >= (22, 3):
        return command
    raise InstallError(
        f"{sys.executable} has no pip of version 22.3 or later; install it "
        "(Debian and Ubuntu: apt-get install python3-pip)"
    )


def install(lock: Path, lock_name: str, directory: Path) -> None:
    """Makes the virtual environment and installs the lock's files into it.

    Args:
      lock: requirements with hashes.
      lock_name: how the user knows the lock file.
      directory: where to make the environment; it must not exist.

    Raises:
      InstallError: one line that says what failed.
    """
    # Symlinks keep the environment small, and leave the interpreter where its
    # own libraries are.
    venv.EnvBuilder(with_pip=False, symlinks=True).create(directory)
    python = directory / "bin" / "python"
    command = [
        *pip_module(),
        f"--python={python}",
        "install",
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        "--no-compile",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--root-user-action=ignore",
        f"--requirement={lock}",
    ]
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode != 0:
        raise InstallError(explain(result.stdout, lock_name))


def normalise(directory: Path) -> None:
    """Removes from the environment what differs between machines and folders.

    Console scripts carry the environment's absolute path (every command is
    started with `python -m` instead), pyvenv.cfg the command that made it and the
    folder of the interpreter, which finds its own library without it (through the
    symlink, or at the prefix that it was compiled for), and pip's RECORD files the
    hashes of both.

    Args:
      directory: the environment.
    """
    for path in sorted((directory / "bin").iterdir()):
        if path.is_symlink() or path.is_dir():
            continue
        head = path.read_bytes()[:2]
        if head == b"#!" or path.name.lower().startswith("activate"):
            path.unlink()
    (directory / "pyvenv.cfg").write_text(
        "include-system-site-packages = false\n"
        f"version = {'.'.join(str(part) for part in sys.version_info[:3])}\n"
    )
    site_packages = _site_packages(directory)
    for record in sorted(site_packages.glob("*.dist-info/RECORD")):
        with record.open(newline="") as file:
            rows = [row for row in csv.reader(file) if row]
        kept = [row for row in rows if (site_packages / row[0]).exists()]
        with record.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(sorted(kept))
        for leftover in ("direct_url.json", "REQUESTED"):
            (record.parent / leftover).unlink(missing_ok=True)


def _site_packages(directory: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return directory / "lib" / version / "site-packages"


def compile_sources(directory: Path) -> None:
    """Compiles every source once, so that no action pays for it.

    Unchecked hash-based files carry no time and are used as they are; the path
    in them is relative to the environment.
    """
    compileall.compile_dir(
        str(_site_packages(directory)),
        quiet=2,
        workers=0,
        stripdir=str(directory),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def write_manifest(directory: Path, output: Path) -> None:
    """Writes one line a file: sha256 and path, sorted by path.

    Actions take the environment as one directory and this list as a file: the
    directory keeps a sandbox cheap, the list makes an action's key change when
    a file in it does.
    """
    lines = []
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{digest}  {path.relative_to(directory).as_posix()}\n")
    output.write_text("".join(lines))


def add_packages(lock: Path, lock_name: str, directory: Path, python: str) -> None:
    """Installs the lock once more, for another interpreter, whose folder in lib is its own.

    Args:
      lock: requirements with hashes.
      lock_name: how the user knows the lock file.
      directory: the environment.
      python: the other interpreter.

    Raises:
      InstallError: one line that says what failed.
    """
    with tempfile.TemporaryDirectory(dir=directory.parent) as folder:
        command = [python, "-I", __file__, f"--lock={lock}", f"--lock_name={lock_name}"]
        command += [f"--directory={folder}/venv", f"--manifest={folder}/manifest.txt"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise InstallError(result.stderr.strip())
        for packages in Path(folder, "venv", "lib").iterdir():
            # Two interpreters of one version share it.
            if not (directory / "lib" / packages.name).exists():
                packages.rename(directory / "lib" / packages.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--lock", required=True, type=Path)
    parser.add_argument("--lock_name", required=True)
    parser.add_argument("--lock_copy", type=Path)
    parser.add_argument("--directory", required=True, type=Path)
    parser.add_argument("--manifest", required=True, type=Path)
    parser.add_argument("--also_for", action="append", default=[])
    arguments = parser.parse_args()
    try:
        shutil.rmtree(arguments.directory, ignore_errors=True)
        install(arguments.lock, arguments.lock_name, arguments.directory)
        normalise(arguments.directory)
        compile_sources(arguments.directory)
        for python in arguments.also_for:
            add_packages(arguments.lock, arguments.lock_name, arguments.directory, python)
        write_manifest(arguments.directory, arguments.manifest)
        if arguments.lock_copy:
            shutil.copyfile(arguments.lock, arguments.lock_copy)
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    # The user's own packages must not stand in for the lock's.
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
