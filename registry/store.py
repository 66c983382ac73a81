"""Where the registry's records are kept, and how a process gets hold of them.

With nothing configured that is an SQLite database with a folder of artifacts,
`.mlflow/` in the workspace. MLFLOW_TRACKING_URI names another store, and its
credentials come from where MLflow itself takes them (MLFLOW_TRACKING_USERNAME,
MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN, `~/.mlflow/credentials`).
"""

import argparse
import contextlib
import hashlib
import logging
import os
import stat
import sys
import tempfile
import time
import urllib.parse
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from registry.schema import check_tables
from tools.command_line import bazel_command
from tools.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LOCK_SECONDS = 600.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0
_PATIENCE_SECONDS = 120.0

T = TypeVar("T")

# What MLflow does unless it is told otherwise, and what the registry wants
# instead. A variable that the user has set stays as it is.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # MLflow repeats single requests, blind to what the lost one did; `with_retries`
    # repeats the whole, which looks for that first.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    # GitPython must not raise on import where there is no git.
    "GIT_PYTHON_REFRESH": "quiet",
}


class StoreUnavailable(InputError):
    """The store did not answer, or said that it cannot just now."""


@dataclass(frozen=True)
class Store:
    """One place that holds runs, models and their artifacts.

    Attributes:
      tracking_uri: as MLflow takes it; it may hold a password, so show
        `display_uri` instead.
      database: the SQLite file, or None for any other kind of store.
      artifacts: the folder for artifacts, or None where the store has a place
        of its own for them (a tracking server does).
      lock_file: what processes on this machine lock while they write.
    """

    tracking_uri: str
    database: Path | None
    artifacts: Path | None
    lock_file: Path

    @property
    def display_uri(self) -> str:
        """The tracking URI without a password, to be shown to people."""
        return without_credentials(self.tracking_uri)

    @property
    def is_server(self) -> bool:
        """Whether the store is a tracking server, which has a UI of its own."""
        return urllib.parse.urlsplit(self.tracking_uri).scheme in ("http", "https")

    @property
    def is_database(self) -> bool:
        """Whether this process opens the tables itself."""
        return self.artifacts is not None


def without_credentials(uri: str) -> str:
    """Takes user, password and query out of a URI.

    Args:
      uri: any URI. One without an authority (`git@host:path`, a file path) is
        returned as it is.

    Returns:
      The URI as it may be shown, logged and recorded.
    """
    try:
        parts = urllib.parse.urlsplit(uri)
    except ValueError:
        return "(a URI that cannot be read)"
    if not parts.scheme or not parts.netloc:
        return uri
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme in ("ssh", "git+ssh", "ssh+git"):
        # There the user is part of the address, git@ most often.
        user = parts.netloc.rpartition("@")[0].partition(":")[0]
        host = f"{user}@{host}" if user else host
    # A query carries tokens as often as a user does.
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


def find_store(environment: Mapping[str, str]) -> Store:
    """Says which store is configured. Touches nothing.

    Args:
      environment: the process's environment variables.

    Returns:
      The store.

    Raises:
      InputError: MLFLOW_TRACKING_URI names a kind of store that MLflow has given up.
    """
    workspace = Path(environment.get("BUILD_WORKSPACE_DIRECTORY") or Path.cwd()).resolve()
    folder = workspace / ".mlflow"
    uri = environment.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        database = folder / "mlflow.db"
        return Store(
            tracking_uri=_sqlite_uri(database),
            database=database,
            artifacts=folder / "artifacts",
            lock_file=folder / "lock",
        )
    scheme = urllib.parse.urlsplit(uri).scheme.partition("+")[0]
    if scheme == "sqlite":
        path = urllib.parse.unquote(uri.partition(":///")[2].partition("?")[0])
        if not path or path == ":memory:":
            raise InputError(
                "store.setting",
                f"MLFLOW_TRACKING_URI={uri}: a database in memory keeps nothing; "
                "name a file, as in sqlite:////var/mlflow/mlflow.db",
            )
        # MLflow would take a relative path from the current directory, which
        # for `bazel run` lies deep in the output base.
        base = environment.get("BUILD_WORKING_DIRECTORY") or str(Path.cwd())
        database = Path(base, path).resolve()
        return Store(
            tracking_uri=_sqlite_uri(database),
            database=database,
            artifacts=database.parent / "artifacts",
            lock_file=database.with_name(database.name + ".lock"),
        )
    if scheme in ("", "file"):
        raise InputError(
            "store.setting",
            f"MLFLOW_TRACKING_URI={uri}: MLflow no longer keeps runs in plain folders; "
            "name an SQLite file (sqlite:////path/mlflow.db), a database or a server",
        )
    # A driver may follow, as in postgresql+psycopg.
    local_database = scheme.partition("+")[0] in ("postgresql", "mysql", "mssql")
    return Store(
        tracking_uri=uri,
        database=None,
        artifacts=folder / "artifacts" if local_database else None,
        lock_file=_lock_folder() / hashlib.sha256(uri.encode()).hexdigest()[:32],
    )


def _sqlite_uri(database: Path) -> str:
    return "sqlite:///" + urllib.parse.quote(str(database))


def _lock_folder() -> Path:
    return Path(tempfile.gettempdir(), f"rules_quantize_{os.getuid()}")


def quiet_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Gives the variables that keep MLflow quiet and send nothing home.

    Args:
      environment: the process's environment variables.

    Returns:
      Those that must be added.
    """
    return {name: value for name, value in _QUIET.items() if not environment.get(name)}


@contextlib.contextmanager
def locked(store: Store, timeout_seconds: float = _LOCK_SECONDS) -> Iterator[None]:
    """Keeps other processes of this machine and user from writing to the store.

    The kernel lets go of the lock when the process ends, however it ends.

    Args:
      store: from `find_store`.
      timeout_seconds: how long to wait for another process.

    Yields:
      Nothing; the lock is held inside the block.

    Raises:
      InputError: another process has held the lock for the whole time, or the file system
        knows no locks.
      OSError: the lock's folder or file cannot be written.
    """
    from filelock import FileLock, Timeout

    folder = store.lock_file.parent
    if store.database is None:
        # A folder in a place that everybody can write to: it has to be ours.
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise InputError(
                "store.lock", f"{folder}: belongs to somebody else; remove it or set TMPDIR"
            )
    else:
        folder.mkdir(parents=True, exist_ok=True)
    # Nothing in place of the kernel's lock: a file alone would outlive the process that made it.
    lock = FileLock(store.lock_file, timeout_seconds, fallback_to_soft=False)
    try:
        held = lock.acquire()
    except Timeout:
        raise InputError(
            "store.busy",
            f"{store.lock_file}: another process has been writing for "
            f"{timeout_seconds:.0f} s; try again when it has ended",
        ) from None
    except OSError as error:
        if error.filename:
            raise
        raise InputError(
            "store.lock",
            f"{store.lock_file}: cannot be locked: {error.strerror}; put the store on a file "
            "system that has locks",
        ) from error
    with held:
        yield


def connect(store: Store) -> "MlflowClient":
    """Opens the store, and makes it where it is an SQLite file that is missing.

    Call it with the lock held: several processes that open a new SQLite file at
    once run MLflow's migrations over each other.

    Args:
      store: from `find_store`.

    Returns:
      A client of the store, which is also MLflow's default from here on.

    Raises:
      InputError: the store cannot be opened.
    """
    with translate_mlflow_errors(store):
        mlflow = load_mlflow(store)
        if store.database is not None:
            _make_database(store)
        if store.is_database:
            check_tables(store.tracking_uri, store.display_uri)
        mlflow.set_tracking_uri(store.tracking_uri)
        return mlflow.MlflowClient(store.tracking_uri)


def load_mlflow(store: Store) -> ModuleType:
    """Imports MLflow, told to be quiet and to take this store for its own.

    Args:
      store: from `find_store`.

    Returns:
      The module.
    """
    os.environ.update(quiet_environment(os.environ))
    os.environ["MLFLOW_TRACKING_URI"] = store.tracking_uri
    warnings.filterwarnings("ignore", module=r"(mlflow|alembic|sqlalchemy|pydantic)(\..*)?")
    import mlflow

    for name in ("mlflow", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def connect_to_read(store: Store) -> "MlflowClient":
    """Opens a store that is there already; no lock is needed.

    Args:
      store: from `find_store`.

    Returns:
      As `connect`.

    Raises:
      InputError: nothing has been registered yet, or the store cannot be opened.
    """
    if store.database is not None and not store.database.exists():
        raise InputError(
            "store.empty",
            f"{store.display_uri}: nothing is registered there yet; register a model, or check "
            "MLFLOW_TRACKING_URI",
        )
    return connect(store)


def _make_database(store: Store) -> None:
    assert store.database is not None
    assert store.artifacts is not None, "a store in a file has its artifacts beside it"
    folder = store.database.parent
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if store.database.exists() and store.database.stat().st_size:
        return
    if folder.name == ".mlflow" and not ignore.exists():
        # Otherwise the first registration makes every later one "dirty".
        ignore.write_text("*\n", encoding="utf-8")
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # Beside it first: a process that dies while it makes the tables would leave
    # some of them, which no MLflow opens. MlflowClient would make the same
    # tables, with artifacts in ./mlruns of wherever the process stands.
    unfinished = store.database.with_name(store.database.name + ".new")
    for old in (unfinished, *folder.glob(unfinished.name + "-*")):
        old.unlink(missing_ok=True)
    SqlAlchemyStore(_sqlite_uri(unfinished), store.artifacts.as_uri()).engine.dispose()
    os.replace(unfinished, store.database)


def add_patience_flag(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that says how long `with_retries` goes on."""
    parser.add_argument(
        "--patience",
        type=float,
        default=_PATIENCE_SECONDS,
        metavar="SECONDS",
        help="how long to wait for a server that does not answer (default: %(default).0f)",
    )


def with_retries(attempt: Callable[[], T], limit_seconds: float) -> T:
    """Repeats what a store was not available for, with growing pauses.

    Args:
      attempt: what to do; it must bear being done again after it failed anywhere.
      limit_seconds: how long after the first failure to give up.

    Returns:
      What `attempt` returned.

    Raises:
      StoreUnavailable: from the last attempt.
    """
    pause = _FIRST_PAUSE_SECONDS
    deadline = None
    while True:
        try:
            return attempt()
        except StoreUnavailable as error:
            now = time.monotonic()
            deadline = now + limit_seconds if deadline is None else deadline
            if now >= deadline:
                raise
            say_progress(f"{error.args[0]}; trying again for {deadline - now:.0f} s")
            time.sleep(min(pause, deadline - now))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def read_with_retries(read: Callable[[Store, "MlflowClient"], T], limit_seconds: float) -> T:
    """Reads the configured store, and all of it again where it was not available.

    Args:
      read: takes the store and a client of it.
      limit_seconds: as for `with_retries`.

    Returns:
      What `read` returned.

    Raises:
      StoreUnavailable: from the last attempt.
      InputError: nothing has been registered yet, or `read` raises it.
    """
    store = find_store(os.environ)
    return with_retries(lambda: read(store, connect_to_read(store)), limit_seconds)


@contextlib.contextmanager
def translate_mlflow_errors(store: Store) -> Iterator[None]:
    """Turns what MLflow raises into one line that names the store.

    Args:
      store: the store that the block works on.

    Yields:
      Nothing.

    Raises:
      StoreUnavailable: the store did not answer, or failed inside.
      InputError: instead of MLflow's other exceptions.
    """
    try:
        yield
    except (InputError, OSError) as error:
        # requests' exceptions are OSErrors as well, and carry no errno.
        if isinstance(error, InputError) or error.errno is not None:
            raise
        raise _explanation(store, error) from error
    except Exception as error:
        # A program's own mistakes keep their traceback.
        origin = type(error).__module__.partition(".")[0]
        if origin not in _ORIGINS:
            raise
        raise _explanation(store, error) from error


def if_there(read: Callable[[], T]) -> T | None:
    """Reads what may have been deleted.

    Args:
      read: asks MLflow for one thing.

    Returns:
      What it gives; None where MLflow has no such thing.
    """
    from mlflow.exceptions import MlflowException

    try:
        return read()
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


_ORIGINS = (
    *("alembic", "boto3", "botocore", "mlflow", "psycopg", "psycopg2", "requests"),
    *("s3transfer", "sqlalchemy", "sqlite3", "urllib3"),
)

# What is found in an exception's text (in lower case), what is said of it, and
# what to do. The first that fits counts.
_MESSAGES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("out-of-date database schema", "can't locate revision"),
        "its tables are of another MLflow",
        f"{bazel_command('run', '//registry:upgrade')} upgrades older ones",
    ),
    (
        ("database or disk is full", "no space left on device", "could not extend file"),
        "the disk is full",
        "make room, then run the same command again",
    ),
    (
        ("readonly database", "read-only file system", "read-only transaction"),
        "the store is read-only",
        "give it write access, or name another store in MLFLOW_TRACKING_URI",
    ),
    (
        ("unable to open database file",),
        "the database file cannot be opened",
        "check that the folder exists and may be written to",
    ),
    (
        (
            *("error code 401", "401 client error", "unauthenticated", "unauthorized"),
            "password authentication failed",
        ),
        "the server refuses the credentials",
        "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the token",
    ),
    (
        (
            *("error code 403", "403 client error", "permission_denied", "permission denied"),
            "accessdenied",
        ),
        "the credentials do not allow this",
        "ask for write access to experiments and registered models",
    ),
    (
        ("unable to locate credentials",),
        "there are no credentials for the artifacts",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what your cloud takes",
    ),
)
# The same, of the way to the server, which stands as it is however often it is tried. These
# go first: what they tell of stands inside of what a server that does not answer gives.
_CONNECTIONS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("hostname mismatch", "ip address mismatch", "doesn't match", "is not valid for"),
        "its certificate is for another name",
        "name the server in MLFLOW_TRACKING_URI as its certificate does",
    ),
    (
        ("certificate has expired", "certificate is not yet valid"),
        "its certificate does not hold at this time",
        "check this machine's clock, or ask for a new certificate on the server",
    ),
    (
        ("certificate verify failed", "certificate_verify_failed"),
        "its certificate is of an authority that this machine does not know, as a company's own",
        "name a PEM file of that authority in REQUESTS_CA_BUNDLE, or set "
        "MLFLOW_TRACKING_INSECURE_TLS=true to go without the check",
    ),
    (
        ("could not find a suitable tls ca certificate bundle",),
        "the file of certificates is not there: REQUESTS_CA_BUNDLE names {path}",
        "name one that is there, or unset it",
    ),
    (
        ("wrong_version_number", "wrong version number", "record layer failure"),
        "it does not speak https",
        "write http:// in MLFLOW_TRACKING_URI, or start the server with a certificate",
    ),
    (
        ("plain http request was sent to https port", "http request to an https server"),
        "it speaks https only",
        "write https:// in MLFLOW_TRACKING_URI",
    ),
    (
        ("error code 407", "407 client error", "407 proxy authentication"),
        "the proxy asks for a password",
        "give it as http://USER:PASSWORD@PROXY in HTTPS_PROXY or HTTP_PROXY, or name the server in "
        "NO_PROXY",
    ),
    (
        ("unable to connect to proxy", "cannot connect to proxy", "tunnel connection failed"),
        "the proxy between does not take the connection",
        "check HTTPS_PROXY and HTTP_PROXY, or name the server in NO_PROXY",
    ),
    (
        ("error code 413", "413 client error"),
        "a file is larger than the server, or a proxy before it, takes",
        "raise its limit (client_max_body_size of nginx)",
    ),
)
# The same, of what may pass by itself.
_PASSING: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("too many 429", "error code 429", "429 client error", "resource_exhausted"),
        "the server asks for fewer requests",
    ),
    # Before the next: repeats that were in vain are told of in its words.
    (
        (
            *("internal_error", "internal server error", "too many 500", "too many 502"),
            *("too many 503", "too many 504", "error code 500", "error code 502"),
            *("error code 503", "error code 504", "temporarily_unavailable", "500 server error"),
            *("502 server error", "503 server error", "504 server error"),
        ),
        "the server fails inside",
    ),
    (("timed out", "timeout"), "the server does not answer in time"),
    (
        (
            *("max retries exceeded", "connection refused", "connection aborted"),
            *("connection reset", "could not connect", "connection to server"),
            *("server closed the connection", "terminating connection"),
            *("name resolution", "could not translate host name", "starting up"),
        ),
        "the server does not answer",
    ),
    (("database is locked", "deadlock", "giving up after"), "the database is busy"),
    # Two machines that clean up after a third at one moment, for one.
    (
        ("unique constraint", "duplicate key value", "duplicate entry"),
        "another process wrote the same at this moment",
    ),
)


def _explanation(store: Store, error: BaseException) -> InputError:
    text = " ".join(str(error).split())
    found = text.lower()
    for code, messages in (("store.connection", _CONNECTIONS), ("store.refused", _MESSAGES)):
        for marks, said, advice in messages:
            if any(mark in found for mark in marks):
                said = said.replace("{path}", text.rpartition("invalid path: ")[-1])
                return InputError(code, f"{store.display_uri}: {said}; {advice}")
    for marks, said in _PASSING:
        if any(mark in found for mark in marks):
            advice = "start it, or check MLFLOW_TRACKING_URI" if "answer" in said else ""
            return StoreUnavailable(
                "store.unavailable",
                f"{store.display_uri}: {said}" + (f"; {advice}" if advice else ""),
            )
    secret = urllib.parse.urlsplit(store.tracking_uri).netloc.rpartition("@")[0]
    if secret:
        text = text.replace(secret + "@", "")
        text = text.replace(urllib.parse.unquote(secret.partition(":")[2]) or secret, "***")
    if len(text) > 300:
        text = text[:300] + " ..."
    return InputError("store.refused", f"{store.display_uri}: {text}")


def say_progress(text: str) -> None:
    """Tells a person who waits what goes on; says nothing into a file or a pipe.

    Args:
      text: one line.
    """
    if sys.stderr.isatty():
        print(text, file=sys.stderr)
