"""Serves one page of the browser on this machine: what it loads, what it is to do, what it says."""

import http.server
import json
import queue
import threading
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
# A page has what WebGPU and the runtime's memory need only when it is isolated.
_HEADERS = {
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request of the page."""

    server: "_Server"

    def _answer(self, content: bytes | None, suffix: str = "") -> None:
        self.send_response(404 if content is None else 200)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", _TYPES.get(suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        if path == "/alive":
            # Nothing more comes on this connection until the page is gone.
            self.connection.recv(1)
            self.server.events.put({"gone": True})
        elif path == "/work":
            self._answer(json.dumps(self.server.work.get()).encode(), ".json")
        else:
            self._answer(self.server.content_of(path), Path(path).suffix)

    def do_POST(self) -> None:
        _, first, *rest = urllib.parse.urlparse(self.path).path.split("/", 2)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if first == "outputs":
            self.server.outputs[urllib.parse.unquote(rest[0])] = content
        else:
            self.server.events.put(json.loads(content))
        self._answer(b"")

    def log_message(self, *_) -> None:
        """Says nothing: what goes wrong the page tells."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # Threads that wait for a page end with it, and are not waited for.
    block_on_close = False

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.models: dict[str, bytes] = {}
        self.inputs: dict[str, Mapping[str, np.ndarray]] = {}
        self.outputs: dict[str, bytes] = {}
        self.work: queue.Queue[dict[str, Any]] = queue.Queue()
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()

    def content_of(self, path: str) -> bytes | None:
        """Reads what stands at a path; None where there is nothing."""
        _, first, *rest = path.split("/", 3)
        if first == "models":
            return self.models.get(rest[0])
        if first == "inputs":
            values = self.inputs.get(rest[0], {}).get(rest[1])
            return None if values is None else values.tobytes()
        root = self.folder if rest else Path(__file__).parent
        file = root.joinpath(first, *rest)
        allowed = ".." not in path and file.suffix in _TYPES and file.is_file()
        return file.read_bytes() if allowed else None

    def handle_error(self, *_) -> None:
        """Says nothing of a connection that the browser dropped."""


class PageServer:
    """A server on 127.0.0.1 for as long as a `with` block runs.

    Attributes:
      address: of the page.
      models: name to a whole .tflite file, which the page may load.
      inputs: a model's name to its input names and values, which it runs on next.
      outputs: name to the bytes of what the last run gave.
    """

    def __init__(self, folder: Path):
        """Opens the server.

        Args:
          folder: with the npm packages @litertjs/core and @litertjs/wasm-utils, as "core" and
            "wasm-utils".
        """
        self._server = _Server(folder)
        self.address = f"http://127.0.0.1:{self._server.server_port}/page.html"
        self.models = self._server.models
        self.inputs = self._server.inputs
        self.outputs = self._server.outputs

    def ask(self, work: str, **more: Any) -> None:
        """Hands work to the page: a key of WORK in page.js, and what it takes."""
        self._server.work.put({"work": work, **more})

    def next_event(self, seconds: float) -> dict[str, Any] | None:
        """Gives what the page said next; None where it says nothing for some seconds."""
        try:
            return self._server.events.get(timeout=seconds)
        except queue.Empty:
            return None

    def __enter__(self) -> "PageServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
