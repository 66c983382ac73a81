"""Serves one page of the browser on this machine: what it loads, what it is to do, what it says."""

import json
import queue
import threading
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tools.browser.static_server import StaticHandler, StaticServer


class _Handler(StaticHandler):
    """Answers one request of the page."""

    server: "_Server"

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        if path == "/alive":
            # Nothing more comes on this connection until the page is gone.
            self.connection.recv(1)
            self.server.events.put({"gone": True})
        elif path == "/work":
            self.answer(json.dumps(self.server.work.get()).encode(), ".json")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        _, first, *rest = urllib.parse.urlparse(self.path).path.split("/", 2)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if first == "outputs":
            self.server.outputs[urllib.parse.unquote(rest[0])] = content
        else:
            self.server.events.put(json.loads(content))
        self.answer(b"")


class _Server(StaticServer):
    def __init__(self, packages: Path):
        super().__init__(packages, handler=_Handler)
        self.models: dict[str, bytes] = {}
        self.inputs: dict[str, Mapping[str, np.ndarray]] = {}
        self.outputs: dict[str, bytes] = {}
        self.work: queue.Queue[dict[str, Any]] = queue.Queue()
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()

    def content_of(self, path: str) -> bytes | None:
        """See StaticServer."""
        _, first, *rest = path.split("/", 3)
        if first == "models":
            return self.models.get(rest[0])
        if first == "inputs":
            values = self.inputs.get(rest[0], {}).get(rest[1])
            return None if values is None else values.tobytes()
        return super().content_of(path)


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
