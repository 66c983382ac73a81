"""A remote execution cluster on 127.0.0.1: BuildGrid's server, BuildBox's workers.

The server comes from PyPI (buildgrid.lock beside this file) and schedules in PostgreSQL;
the workers are Debian testing's package `buildbox`, which is unpacked into a folder with
all that it needs, down to the C library, and runs in front of the host's own system: what
an action starts is the host's.
"""

import contextlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.farm import loopback
from tests.registry.real_servers import postgresql
from tests.registry.tracking_server import free_port

_HERE = Path(__file__).resolve().parent

# Seconds without a sign of life after which a worker's action is given to another.
KEEPALIVE = 20

_SERVER = """\
server:
  - !channel
    address: "127.0.0.1:{port}"
    insecure-mode: true
connections:
  - !sql-connection &sql
    connection-string: {database}
    pool-size: 10
    max-overflow: 20
storages:
  - !disk-storage &storage
    path: {folder}/cas
caches:
  - !lru-action-cache &cache
    storage: *storage
    max-cached-refs: 4096
    allow-updates: true
    cache-failed-actions: false
schedulers:
  - !sql-scheduler &scheduler
    sql: *sql
    storage: *storage
    action-cache: *cache
    poll-interval: 0.2
    bot-poll-interval: 0.2
    bot-session-keepalive-timeout: {keepalive}
    session-expiry-timer-interval: 2
    property-set:
      !dynamic-property-set
      match-property-keys: [OSFamily, ISA, pool]
      wildcard-property-keys: [container-image]
    assigners:
      - !priority-age-assigner
        interval: 0.2
instances:
  - name: ""
    services:
      - !action-cache
        cache: *cache
      - !execution
        scheduler: *scheduler
      - !cas
        storage: *storage
      - !bytestream
        storage: *storage
# Each open stream holds a thread: with 100 the upload of an environment starves workers.
thread-pool-size: 320
limiter: !limiter
  concurrent-request-limit: 300
"""

_APT = """\
Dir "{root}";
Dir::State::status "{root}/status";
Dir::Etc::trusted "/usr/share/keyrings/debian-archive-keyring.gpg";
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
APT::Sandbox::User "root";
"""


def install_server(folder: Path) -> Path:
    """Installs BuildGrid.

    Returns:
      Its interpreter.
    """
    python = folder / "server/bin/python"
    loopback.run([sys.executable, "-m", "venv", folder / "server"])
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    loopback.run([*pip, "--require-hashes", "--no-deps", "-r", _HERE / "buildgrid.lock"])
    return python


def unpack_workers(folder: Path) -> Path:
    """Unpacks Debian testing's buildbox with its dependencies; apt gets a root of its own.

    Returns:
      The root of the tree.
    """
    root = folder / "apt"
    for path in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial"):
        (root / path).mkdir(parents=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
    (root / "status").touch()
    (root / "etc/apt/sources.list").write_text("deb http://deb.debian.org/debian forky main\n")
    configuration = root / "apt.conf"
    reach = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True)
    lines = [line for line in reach.stdout.splitlines() if "::http" in line.lower()]
    configuration.write_text(_APT.format(root=root) + "\n".join(lines) + "\n")
    environment = {"APT_CONFIG": str(configuration), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    loopback.run(["apt-get", "-qq", "update"], env=environment)
    install = ["install", "--yes", "--download-only", "--no-install-recommends", "buildbox"]
    loopback.run(["apt-get", "-qq", *install], env=environment)
    tree = folder / "workers"
    for deb in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        loopback.run(["dpkg", "-x", deb, tree])
    shutil.rmtree(root)
    return tree


# What an isolated action sees of the host, read-only: a shell, and a Python with its libraries.
_SYSTEM = ("/bin", "/etc", "/lib", "/lib64", "/usr")


class Worker:
    """One worker with a cache of its own; it is started again when it ends."""

    def __init__(
        self,
        cluster: "Cluster",
        number: int,
        pools: Sequence[str],
        shown: Sequence[Path] | None,
    ) -> None:
        self.name = f"worker-{number}"
        folder = cluster.folder / self.name
        port = free_port()
        casd = [*cluster.tool("buildbox-casd"), f"--cas-remote={cluster.address}"]
        casd += ["--quota-high=4G", f"--bind=127.0.0.1:{port}", folder]
        self.cache = loopback.Server(casd, port, cluster.folder / f"{self.name}-casd.log")
        runner = [cluster.python, _HERE / "output_paths_runner.py"]
        runner += [*cluster.runner(isolated=shown is not None), "--"]
        # BuildBox does not find where a link such as /bin leads.
        seen = [] if shown is None else [*map(Path, _SYSTEM), *shown]
        mounts = [f"{path.resolve()}:{path}" for path in seen]
        # buildbox-worker takes one program.
        self.runner = cluster.folder / f"{self.name}-runner"
        words = " ".join(f"'{word}'" for word in runner)
        self.runner.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        self.runner.chmod(0o755)
        self._command = [
            *cluster.tool("buildbox-worker"),
            f"--bots-remote={cluster.address}",
            f"--cas-remote=http://127.0.0.1:{port}",
            "--concurrent-jobs=1",
            "--max-wait-time=5",
            f"--buildbox-run={self.runner}",
            "--runner-arg=--staging-mode=copy-or-link",
            *(f"--runner-arg=--ro-bind-mount={mount}" for mount in mounts),
            *("--platform", "OSFamily=Linux", "--platform", "ISA=x86-64"),
            *(word for pool in pools for word in ("--platform", f"pool={pool}")),
            self.name,
        ]
        self._log = cluster.folder / f"{self.name}.log"
        self._process: subprocess.Popen | None = None
        self._wanted = threading.Event()
        self._loop = threading.Thread(target=self._keep_running, daemon=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        self.cache.start()
        self._wanted.set()
        self._loop.start()

    def _keep_running(self) -> None:
        with self._log.open("ab") as log:
            while self._wanted.is_set():
                self._process = subprocess.Popen(
                    [str(word) for word in self._command],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                self._process.wait()
                time.sleep(0.5)

    def is_running(self, program: str) -> bool:
        """Whether one of its processes has a program's name in its command line."""
        process = self._process
        for one in loopback.process_tree(process.pid) if process else []:
            with contextlib.suppress(OSError):
                if program in Path(f"/proc/{one}/cmdline").read_text(errors="replace"):
                    return True
        return False

    def kill(self) -> None:
        """Ends it, and the action that it runs, as a power cut would."""
        loopback.kill_tree(self._process.pid)

    def stop(self) -> None:
        self._wanted.clear()
        if self._process is not None:
            loopback.kill_tree(self._process.pid)
        if self._loop.is_alive():
            self._loop.join(10)
        self.cache.stop()


class Cluster:
    """The server, and as many workers as are asked for."""

    def __init__(self, folder: Path, python: Path, workers: Path, database: str) -> None:
        self.folder = folder
        self.python = python
        self._tree = workers
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.storage = folder / "cas"
        configuration = folder / "server.yml"
        configuration.write_text(
            _SERVER.format(database=database, folder=folder, keepalive=KEEPALIVE, port=self.port)
        )
        loopback.run([python.with_name("bgd"), "migrate", "apply", database])
        self.server = loopback.Server(
            [python.with_name("bgd"), "server", "start", configuration],
            self.port,
            folder / "server.log",
        )
        self.workers: list[Worker] = []
        self._made = 0

    @property
    def bazel_flags(self) -> list[str]:
        """What Bazel takes to run actions here."""
        return ["--config=remote", f"--remote_executor=grpc://127.0.0.1:{self.port}"]

    def tool(self, name: str) -> list[Path | str]:
        """The command that starts one of BuildBox's programs."""
        libraries = self._tree / "usr/lib/x86_64-linux-gnu"
        loader = libraries / "ld-linux-x86-64.so.2"
        return [loader, "--library-path", libraries, self._tree / "usr/bin" / name]

    def runner(self, isolated: bool) -> list[Path | str]:
        """The command that runs an action."""
        if not isolated:
            return self.tool("buildbox-run-hosttools")
        # It looks for this program by its name.
        programs = self.folder / "bubblewrap"
        if not programs.exists():
            programs.mkdir()
            bubblewrap = " ".join(f"'{word}'" for word in self.tool("bwrap"))
            (programs / "bwrap").write_text(f'#!/bin/sh\nexec {bubblewrap} "$@"\n')
            (programs / "bwrap").chmod(0o755)
        path = f"PATH={programs}:/usr/bin:/bin"
        return ["/usr/bin/env", path, *self.tool("buildbox-run-bubblewrap")]

    def have_workers(
        self, count: int, sizes: Sequence[int] = (), shown: Sequence[Path] | None = None
    ) -> None:
        """Starts or stops workers until there are `count`.

        Args:
          count: how many; all are of the pool "quantize".
          sizes: of further pools: "of_N" is the first N workers that are started.
          shown: isolates the actions of those that are started: they see the host's system,
            these folders and their inputs, and have no network. None: they see all.
        """
        while len(self.workers) > count:
            self.workers.pop().stop()
        while len(self.workers) < count:
            self._made += 1
            pools = [f"of_{size}" for size in sizes if self._made <= size]
            worker = Worker(self, self._made, ["quantize", *pools], shown)
            self.workers.append(worker)
            worker.start()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Installs and starts a server without workers, and stops all at the end of the block."""
    python = install_server(folder)
    tree = unpack_workers(folder)
    with postgresql("secret") as database:
        made = Cluster(folder, python, tree, database.replace("://", "+psycopg2://", 1))
        try:
            made.server.start()
            yield made
        finally:
            made.have_workers(0)
            made.server.stop()
