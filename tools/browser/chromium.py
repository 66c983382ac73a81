"""Starts the machine's Chromium on one page, and ends it whole."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tools.errors import NoDeviceError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Actions and tests of Bazel may have a shorter PATH than the user.
_FOLDERS = "/usr/bin:/usr/local/bin:/Applications/Google Chrome.app/Contents/MacOS"
FLAGS = (
    "--headless=new",
    # The page is our own. Containers and Bazel's sandbox leave Chromium no room for its own.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    # Nothing but this machine's own server is reached.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-quic",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    # A crash handler would be a process of its own, which outlives the browser.
    "--disable-breakpad",
    "--disable-crash-reporter",
    # A page that nobody sees runs as fast as another.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
)
# SwiftShader computes in place of a GPU: the same answers on every machine.
WEBGPU_FLAGS = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan,WebGPU",
    "--use-vulkan=swiftshader",
    "--use-angle=swiftshader",
    "--disable-vulkan-surface",
    "--ignore-gpu-blocklist",
)
_SECONDS_TO_END = 3


def find_chromium(named: str = "") -> str:
    """Finds a browser.

    Args:
      named: path or name of it; "" for the machine's Chromium or Chrome.

    Returns:
      A path.

    Raises:
      NoDeviceError: when there is none.
    """
    for name in [named] if named else _NAMES:
        found = shutil.which(name) or shutil.which(name, path=_FOLDERS)
        if found:
            return found
    missing = f"no browser {named}" if named else "no Chromium or Chrome on this machine"
    raise NoDeviceError(
        "device.browser",
        f"{missing}, which a browser device runs models in; install it (Debian: apt-get install "
        'chromium), or name one with chromium = "/path" of the browser_device (--chromium=)',
    )


@contextlib.contextmanager
def open_page(address: str, chromium: str, webgpu: bool) -> Iterator["Browser"]:
    """Shows a page in a browser for as long as a `with` block runs.

    Args:
      address: of the page.
      chromium: from `find_chromium`.
      webgpu: whether the page computes by WebGPU.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        flags = (*FLAGS, *(WEBGPU_FLAGS if webgpu else ()), f"--user-data-dir={folder}/profile")
        log = Path(folder, "log")
        with log.open("wb") as said:
            process = subprocess.Popen(
                [chromium, *flags, address],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                # What it keeps beside the profile goes with the folder as well.
                env={**os.environ, "HOME": folder, "TMPDIR": folder},
                start_new_session=True,
            )
        try:
            yield Browser(process, log)
        finally:
            _end(process)


class Browser:
    """A browser that runs."""

    def __init__(self, process: subprocess.Popen, log: Path):
        self._process = process
        self._log = log

    def is_running(self) -> bool:
        """Says whether it has not ended by itself."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """Gives the last line that it printed; "" where there is none."""
        lines = self._log.read_text("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _end(process: subprocess.Popen) -> None:
    """Ends a browser and all processes that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        end = time.monotonic() + _SECONDS_TO_END
        while _group_runs(process) and time.monotonic() < end:
            time.sleep(0.05)
    process.wait()


def _group_runs(process: subprocess.Popen) -> bool:
    # The first process is in the group until it was waited for.
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
