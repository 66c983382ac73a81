"""Installs an arm64 Debian's Python, packages of a lock, and the QEMU that runs them.

Run by the repository rule `arm64_python` with the host's interpreter, so it uses
nothing but the standard library. On failure it prints one line on standard
error that says what was wrong and what to do, and exits with status 1.
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from install_python_env import InstallError, explain, pip_module

# Its QEMU 10 runs XNNPACK; that of Debian 12 does not.
_SUITE, _PYTHON = "trixie", "3.13"
_DEBIAN_PACKAGES = (f"python{_PYTHON}", "libstdc++6")
# A wheel for an older C library runs with Debian 13's, 2.41.
_PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 42)]
_FROM_DEBIAN = (
    "emulated devices are for Debian and Ubuntu: there install it with apt-get; elsewhere give a "
    "python_device a command that starts your own emulator"
)

# What starts the Python; its first argument is the processor.
_LAUNCHER = """\
#!/bin/sh
# Starts the arm64 Python that lies beside this, on a processor that QEMU knows.
set -eu
here="$(dirname "$(readlink -f "$0")")"
cpu="$1"
shift
exec "$here/qemu-aarch64" -cpu "$cpu" -L "$here/root" \\
    -E PYTHONPATH="$here/packages" -E PYTHONDONTWRITEBYTECODE={no_bytecode} \\
    -E PYTHONNOUSERSITE=1 -E PYTHONUTF8=1 -E RULES_QUANTIZE_EMULATOR="{emulator} $cpu" \\
    "$here/root/usr/bin/python{python}" "$@"
"""


def _run(command: list[str], what: str) -> str:
    """Runs a program; gives its standard output.

    Raises:
      InstallError: when it fails; the line ends with its last words.
    """
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        words = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        raise InstallError(f"{what}: {words[-1] if words else 'it said nothing'}")
    return result.stdout


def refuse_other_machines(keyring: Path) -> None:
    """Refuses a machine without Debian's tools or keys.

    Raises:
      InstallError: one line that says what is missing.
    """
    for program in ("apt-get", "dpkg-deb", "tar"):
        if not shutil.which(program):
            raise InstallError(f"no {program} on this machine; {_FROM_DEBIAN}")
    if not keyring.is_file():
        raise InstallError(
            f"{keyring}: no keys to check Debian's packages by; install the package "
            "debian-archive-keyring"
        )


def download(mirror: str, keyring: Path, folder: Path) -> list[Path]:
    """Lets apt fetch packages and what they depend on, without the machine's own lists.

    Args:
      mirror: address of Debian's packages.
      keyring: keys of those who may sign them.
      folder: empty.

    Returns:
      The .deb files.

    Raises:
      InstallError: when a signature or a package is not there, or not as it must be.
    """
    host = _run(["dpkg", "--print-architecture"], "dpkg does not know this machine").strip()
    for name in ("lists/partial", "archives/partial", "cache"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={keyring}] {mirror} {_SUITE} main\n")
    settings = {
        "Acquire::Languages": "none",
        "APT::Architecture": "arm64",
        "APT::Architectures": f"arm64,{host}",
        # It can write to a folder of root's.
        "APT::Sandbox::User": "root",
        "Dir::Cache": f"{folder}/cache",
        "Dir::Cache::archives": f"{folder}/archives",
        "Dir::Etc::sourcelist": f"{folder}/sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": str(folder),
        "Dir::State::lists": f"{folder}/lists",
        "Dir::State::status": f"{folder}/status",
    }
    apt = ["apt-get", "--quiet=2"]
    apt += [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    what = f"Debian's packages cannot be had from {mirror}"
    # Lists that cannot be had are no error otherwise.
    _run([*apt, "--error-on=any", "update"], what)
    words = ["--yes", "--no-install-recommends", "--download-only", "install"]
    _run([*apt, *words, *_DEBIAN_PACKAGES, f"qemu-user:{host}"], what)
    return sorted(Path(folder, "archives").glob("*.deb"))


def unpack(archives: list[Path], directory: Path) -> None:
    """Unpacks what is needed of Debian's packages: `qemu-aarch64`, and all others in `root`.

    Args:
      archives: from `download`.
      directory: where to.

    Raises:
      InstallError: when one cannot be unpacked.
    """
    root = directory / "root"
    for name in ("bin", "lib", "sbin"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for archive in archives:
        if not archive.name.startswith("qemu-user_"):
            _run(["dpkg-deb", "--extract", str(archive), str(root)], f"{archive.name} is damaged")
            continue
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            # It holds emulators of all processors.
            words = f"tar -x -C {shlex.quote(folder)} ./usr/bin/qemu-aarch64"
            pipe = f"dpkg-deb --fsys-tarfile {shlex.quote(str(archive))} | {words}"
            _run(["/bin/sh", "-c", pipe], f"{archive.name} has no qemu-aarch64")
            shutil.move(f"{folder}/usr/bin/qemu-aarch64", directory / "qemu-aarch64")
    for name in ("etc", "usr/share", "var"):
        shutil.rmtree(root / name, ignore_errors=True)


def install_packages(lock: Path, lock_name: str, names: list[str], directory: Path) -> None:
    """Installs packages of a lock for the arm64 Python.

    Args:
      lock: requirements with hashes.
      lock_name: how the user knows the lock file.
      names: of the packages; what they depend on is not installed.
      directory: where to.

    Raises:
      InstallError: one line that says what failed.
    """
    entries = re.findall(r"^[a-zA-Z0-9].*\n(?:[ \t].*\n)*", lock.read_text(), re.MULTILINE)
    by_name = {re.split(r"[=<>\[ ]", entry, maxsplit=1)[0].lower(): entry for entry in entries}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise InstallError(f"{lock_name}: it has no {missing[0]}; lock again with that package")
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.lock")
        requirements.write_text("".join(by_name[name] for name in names))
        command = [*pip_module(), "install", "--require-hashes", "--no-deps", "--no-compile"]
        command += ["--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
        command += ["--progress-bar=off", "--root-user-action=ignore", "--implementation=cp"]
        command += [f"--python-version={_PYTHON}", f"--target={directory}"]
        command += [f"--platform={platform}" for platform in reversed(_PLATFORMS)]
        result = subprocess.run(
            [*command, f"--requirement={requirements}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if result.returncode:
        raise InstallError(explain(result.stdout, lock_name))


def write_launcher(directory: Path) -> None:
    """Writes `python`, and starts it once: what is imported then is compiled for later.

    Raises:
      InstallError: when it does not start.
    """
    said = _run([str(directory / "qemu-aarch64"), "--version"], "QEMU does not start here")
    version = said.split()[2]
    launcher = directory / "python"
    # Python takes an empty variable for one that is not set.
    for no_bytecode in ("", "1"):
        launcher.write_text(
            _LAUNCHER.format(emulator=f"QEMU {version}", no_bytecode=no_bytecode, python=_PYTHON)
        )
        launcher.chmod(0o755)
        _run(
            [str(launcher), "max", "-c", "import ai_edge_litert.interpreter, numpy"],
            f"the arm64 Python does not start under QEMU {version}",
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--directory", required=True, type=Path)
    parser.add_argument("--keyring", required=True, type=Path)
    parser.add_argument("--lock", required=True, type=Path)
    parser.add_argument("--lock_name", required=True)
    parser.add_argument("--mirror", required=True)
    parser.add_argument("--package", action="append", required=True)
    arguments = parser.parse_args()
    directory: Path = arguments.directory
    try:
        refuse_other_machines(arguments.keyring)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as folder:
            archives = download(arguments.mirror, arguments.keyring, Path(folder))
            unpack(archives, directory)
        install_packages(
            arguments.lock, arguments.lock_name, arguments.package, directory / "packages"
        )
        write_launcher(directory)
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
