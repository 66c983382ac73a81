"""Servers, packages and users for tests that need a farm: all on 127.0.0.1, none left behind.

Used by the scripts beside it, which run with the host's Python and nothing else.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.registry.tracking_server import stop_server

WORKSPACE = Path(__file__).resolve().parents[2]

# How pip, and Bazel's rules with it, reach a package index.
_NETWORK = ("PIP_", "SSL_CERT_", "REQUESTS_CA_BUNDLE")


class FarmError(Exception):
    """The test cannot be made, or failed; the message is what a person reads."""


def say(text: str) -> None:
    print(f"== {text}", flush=True)


def check(holds: bool, text: str) -> None:
    """Prints what was found to hold.

    Raises:
      FarmError: when it does not.
    """
    if not holds:
        raise FarmError(text)
    print(f"   ok: {text}", flush=True)


def run(command: Sequence[object], **settings) -> str:
    """Runs a command that must succeed.

    Args:
      command: program and arguments.
      **settings: of subprocess.run.

    Returns:
      Its standard output.

    Raises:
      FarmError: with the end of its output, when it fails.
    """
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, check=False, **settings)
    if result.returncode:
        end = "\n".join((result.stdout + result.stderr).splitlines()[-25:])
        raise FarmError(f"{' '.join(words)} ended with {result.returncode}:\n{end}")
    return result.stdout


def unpack_packages(names: Sequence[str], folder: Path) -> None:
    """Unpacks packages of the host's Debian into a folder: nothing is installed or started."""
    debs = folder / "debs"
    debs.mkdir(parents=True)
    # The lists of a new machine may be missing or old.
    subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
    run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *names], cwd=debs)
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg", "-x", deb, folder])


class Server:
    """A process that answers on a port of 127.0.0.1."""

    def __init__(self, command: Sequence[object], port: int, log: Path, **settings) -> None:
        """Args:
        command: program and arguments.
        port: that it listens on when it is ready.
        log: file for its output.
        **settings: of subprocess.Popen.
        """
        self._command = [str(word) for word in command]
        self._settings = settings
        self.port = port
        self.log = log
        self._process: subprocess.Popen | None = None

    def start(self, patience: float = 60) -> None:
        """Starts it and waits until it answers.

        Raises:
          FarmError: when it ends, or does not answer in `patience` seconds.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True, **self._settings
            )
        end = time.monotonic() + patience
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.1)
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        self.stop()
        raise FarmError(f"{self._command[0]} does not answer on port {self.port}:\n{last}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it with all that it started."""
        if self._process is not None:
            stop_server(self._process, how)
            self._process = None


def process_tree(process: int) -> list[int]:
    """Finds a process and all that it started, sessions of their own included."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(status.parent.name))
    tree = [process]
    for one in tree:
        tree += children.get(one, [])
    return tree


def kill_tree(process: int) -> None:
    """Kills a process with all that it started."""
    for one in process_tree(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


@contextlib.contextmanager
def user_named(name: str, home: Path) -> Iterator[str]:
    """Makes an ordinary user, whose home is `home`, for as long as the block runs."""
    with contextlib.suppress(KeyError):
        pwd.getpwnam(name)
        raise FarmError(f"there is a user {name} already")
    home.parent.mkdir(parents=True, exist_ok=True)
    run(["useradd", "--create-home", "--home-dir", home, "--no-log-init", name])
    try:
        yield name
    finally:
        subprocess.run(["userdel", name], capture_output=True, check=False)


class Checkout:
    """A clone of this repository in the hands of one user, with an output base of its own."""

    def __init__(self, folder: Path, user: str, home: Path, python: Path) -> None:
        """Args:
        folder: where to clone to.
        user: who owns it and runs Bazel.
        home: the user's folder; Bazel's caches are there.
        python: the interpreter of the environments.
        """
        self.folder = folder
        self.user = user
        self.home = home
        self.environment = {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "RULES_QUANTIZE_PYTHON": str(python),
            "USER": user,
        }
        for name, value in os.environ.items():
            if name.startswith(_NETWORK) or name.lower().endswith("_proxy"):
                self.environment[name] = value
        folder.parent.mkdir(parents=True, exist_ok=True)
        clone = ["git", "-c", "safe.directory=*", "clone", "--quiet", "--no-hardlinks"]
        run([*clone, WORKSPACE, folder])
        run(["chown", "-R", f"{user}:", folder])
        self.startup: list[str] = []

    def bazel(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        """Runs Bazel there, as that user.

        Args:
          *arguments: the command and its flags.
          **variables: added to the environment.
        """
        as_user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        return subprocess.run(
            [*as_user, "./bazelw", *self.startup, *arguments],
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=self.environment | variables,
            text=True,
        )

    def build(self, *arguments: str, command: str = "build", **variables: str) -> str:
        """Builds what must build.

        Returns:
          What Bazel printed.

        Raises:
          FarmError: with the end of it, when it fails.
        """
        flags = ["--color=no", "--curses=no", "--noshow_progress"]
        result = self.bazel(command, *flags, *arguments, **variables)
        output = result.stdout + result.stderr
        if result.returncode:
            end = "\n".join(output.splitlines()[-40:])
            raise FarmError(f"bazel {command} {' '.join(arguments)} failed:\n{end}")
        return output

    def path(self, name: str) -> Path:
        """Where Bazel's `info NAME` points to."""
        return Path(self.build(name, command="info").strip().splitlines()[0])

    def remove(self) -> None:
        """Ends Bazel's server and removes the clone and its caches."""
        self.bazel("shutdown")
        for folder in (self.folder, self.home / ".cache"):
            # Bazel takes the right to write from what it made.
            subprocess.run(["chmod", "-R", "u+w", folder], capture_output=True, check=False)
            shutil.rmtree(folder, ignore_errors=True)


def install_environment(folder: Path, python: Path, name: str = "litert") -> None:
    """Makes one of the rules' environments outside of Bazel, as an image for workers has it.

    Args:
      folder: what RULES_QUANTIZE_ENVIRONMENTS is to name.
      python: the interpreter.
      name: of the lock.
    """
    made = folder / name
    made.mkdir(parents=True)
    run(
        [
            *(python, "-I", WORKSPACE / "rules/private/install_python_env.py"),
            f"--lock={WORKSPACE / 'rules/locks' / name}.lock",
            *(f"--lock_name={name}.lock", f"--directory={made / 'venv'}"),
            f"--manifest={made / 'manifest.txt'}",
            f"--lock_copy={made / 'requirements.lock'}",
        ]
    )


def readable_python() -> Path:
    """Finds the system's Python, which every user may start, with pip.

    Raises:
      FarmError: when there is none.
    """
    python = Path("/usr/bin/python3")
    command = [str(python), "-I", "-m", "pip", "--version"]
    if not python.exists() or subprocess.run(command, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
        install = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends"]
        run([*install, "python3", "python3-pip"])
    return python.resolve()


def main(body) -> None:
    """Runs a script: exits with 1 and the reason on a failure; SIGTERM unwinds too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        start = time.monotonic()
        body()
        say(f"passed in {time.monotonic() - start:.0f} s")
    except FarmError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(1)


def as_root(why: str, test: Callable[[Path], None]) -> None:
    """Runs a script in a folder that is then removed.

    Args:
      why: it needs root.
      test: takes the folder.
    """

    def body() -> None:
        if os.geteuid() != 0:
            raise FarmError(f"needs root, {why}")
        with tempfile.TemporaryDirectory(prefix="farm-") as folder:
            test(Path(folder))

    main(body)


def main_as_root(usage: str, why: str, test: Callable[[Path], None]) -> None:
    """Runs a script that knows no flag but --help, as `as_root` does.

    Args:
      usage: what --help prints.
      why: it needs root.
      test: takes a folder that is then removed.
    """
    if len(sys.argv) > 1:
        print(usage)
        sys.exit(0 if sys.argv[1] == "--help" else 2)
    as_root(why, test)
