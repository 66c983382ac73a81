"""Runs a task of MediaPipe for the web on images, in the machine's Chromium."""

import json
import queue
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.e2e.mediapipe_runtime.shown import placed, shown, shown_person
from tools.browser.chromium import find_chromium, open_page
from tools.browser.static_server import StaticHandler, StaticServer
from tools.errors import DeviceFailedError, InputError

DELEGATES = ("CPU", "GPU")
TASKS = ("FaceDetector", "HandLandmarker", "PoseLandmarker")
_SECONDS = 900
# What the graph prints at other times as well, and where it stands in MediaPipe's sources.
_LOG = re.compile(r"\s*(INFO|WARNING|VERBOSE|[IW]\d{4} )")
_TRACE = "=== Source Location Trace"
_TIME = re.compile(r"^[EF]\d{4} [\d:.]+ +\d+ ")


class _Handler(StaticHandler):
    """Takes what the page says as well."""

    server: "_Server"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.said.put(json.loads(content))
        self.answer(b"")


class _Server(StaticServer):
    def __init__(self, packages: Path):
        super().__init__(packages, handler=_Handler)
        self.said: queue.Queue[dict[str, Any]] = queue.Queue()


def _reason(words: Sequence[str]) -> str:
    """Joins in one line why a task stopped."""
    told = "\n".join(words).split(_TRACE)[0]
    lines = [line for line in told.splitlines() if line.strip() and not _LOG.match(line)]
    return "; ".join(dict.fromkeys(" ".join(_TIME.sub("", line).split()) for line in lines))


def _objects(task: str, image: dict[str, Any]) -> list[dict]:
    """Says what a user sees in an image, as `agreement` takes it."""
    size = np.array(image["size"])
    seen = []
    for found in image["objects"]:
        points = [SimpleNamespace(**point) for point in found["points"]]
        if task == "PoseLandmarker":
            seen.append(shown_person(points, size))
        else:
            seen.append(shown(placed(points, size), size, box=found["box"]))
    return seen


def seen_in_browser(
    task: str, model: Path, delegate: str, images: Sequence[Path], packages: Path
) -> dict[str, list[dict]]:
    """Runs a task.

    Args:
      task: one of TASKS.
      model: a .tflite file, or a .task file.
      delegate: one of DELEGATES; GPU is WebGL, which SwiftShader computes.
      images: files.
      packages: folder with the npm package @mediapipe/tasks-vision, as "tasks-vision".

    Returns:
      Name of an image to the objects in it.

    Raises:
      InputError: what MediaPipe says, when it refuses a model.
      NoDeviceError: when the machine has no browser.
      DeviceFailedError: when the browser ends, or comes to no end.
    """
    where = f"{task} in the browser, {delegate}"
    program = find_chromium()
    with _Server(packages) as server:
        asked = {"task": task, "delegate": delegate, "images": [path.name for path in images]}
        server.contents["/asked.json"] = json.dumps(asked).encode()
        server.contents["/model"] = model.read_bytes()
        for name in ("task_page.html", "task_page.js"):
            server.contents[f"/{name}"] = Path(__file__).with_name(name).read_bytes()
        for path in images:
            server.contents[f"/images/{path.name}"] = path.read_bytes()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/task_page.html"
        try:
            with open_page(address, program, webgpu=True) as browser:
                said = _wait(server, browser, where)
        finally:
            server.shutdown()
    if "refusal" in said:
        raise InputError("model.runtime", f"{where} failed: {_reason(said['refusal'])}")
    return {name: _objects(task, image) for name, image in said["seen"].items()}


def _wait(server: _Server, browser: Any, where: str) -> dict[str, Any]:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        try:
            return server.said.get(timeout=0.5)
        except queue.Empty:
            if not browser.is_running():
                raise DeviceFailedError(
                    "device.gone", f"{where}: the browser ended ({browser.last_words()})"
                ) from None
    raise DeviceFailedError("device.timeout", f"{where}: no end in {_SECONDS} s")
