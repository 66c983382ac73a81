"""Drives a page in the machine's Chromium, by Chromium's own protocol over a pair of pipes."""

import base64
import contextlib
import fcntl
import itertools
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.browser.chromium import FLAGS, WEBGPU_FLAGS, find_chromium


class ShownPage:
    """A page that a browser shows."""

    def __init__(self, address: str, to_browser: int, from_browser: int):
        """Goes to an address in the only page of a browser that has just started.

        Args:
          address: of the page.
          to_browser: file descriptor that commands are written to.
          from_browser: that answers are read from.
        """
        self._to = to_browser
        self._from = os.fdopen(from_browser, "rb", buffering=0)
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session = ""
        while not (pages := self._pages()):
            time.sleep(0.1)
        target = {"targetId": pages[0]["targetId"], "flatten": True}
        self._session = self._command("Target.attachToTarget", **target)["sessionId"]
        self._command("Page.navigate", url=address)

    def _pages(self) -> list[dict]:
        targets = self._command("Target.getTargets")["targetInfos"]
        return [each for each in targets if each["type"] == "page"]

    def _command(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        words = {"id": number, "method": method, "params": parameters}
        if self._session:
            words["sessionId"] = self._session
        os.write(self._to, json.dumps(words).encode() + b"\0")
        while True:
            answer = self._answer()
            if answer.get("id") == number:
                assert "result" in answer, answer
                return answer["result"]

    def _answer(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = self._from.read(1 << 20)
            assert read, "the browser has ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def value_of(self, expression: str) -> Any:
        """Evaluates JavaScript in the page; a promise's value is waited for."""
        answer = self._command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 120) -> None:
        """Waits until JavaScript is true in the page."""
        end = time.monotonic() + seconds
        while not self.value_of(expression):
            assert time.monotonic() < end, self.value_of("document.body.innerText")
            time.sleep(0.2)

    def choose_file(self, selector: str, path: Path) -> None:
        """Gives a file to an element, as its user chooses one."""
        root = self._command("DOM.getDocument")["root"]["nodeId"]
        node = self._command("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._command("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self, path: Path, width: int) -> None:
        """Writes the whole page as a .png, so many pixels wide."""
        size = {"width": width, "height": 100, "deviceScaleFactor": 1, "mobile": False}
        self._command("Emulation.setDeviceMetricsOverride", **size)
        height = self.value_of("document.documentElement.scrollHeight")
        self._command("Emulation.setDeviceMetricsOverride", **{**size, "height": height})
        shown = self._command("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(shown))


@contextlib.contextmanager
def show_page(address: str, webgpu: bool = False) -> Iterator[ShownPage]:
    """Shows a page for as long as a `with` block runs.

    Args:
      address: of the page.
      webgpu: whether it has WebGPU.
    """
    ends, others = zip(os.pipe(), reversed(os.pipe()), strict=True)
    to_browser, from_browser = others
    # None of them is 3 or 4, where the browser wants them.
    read_commands, write_answers = (fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in ends)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        flags = [*FLAGS, *(WEBGPU_FLAGS if webgpu else ()), f"--user-data-dir={folder}/profile"]
        flags += ["--remote-debugging-pipe", "about:blank"]
        redirected = f'exec "$@" 3<&{read_commands} 4>&{write_answers}'
        process = subprocess.Popen(
            ["bash", "-c", redirected, "bash", find_chromium(), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": folder, "TMPDIR": folder},
            pass_fds=(read_commands, write_answers),
            start_new_session=True,
        )
        for each in (*ends, read_commands, write_answers):
            os.close(each)
        try:
            yield ShownPage(address, to_browser, from_browser)
        finally:
            os.close(to_browser)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
