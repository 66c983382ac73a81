"""Answers a browser on this machine: files of ours, npm packages, and content in memory."""

import http.server
import urllib.parse
from pathlib import Path

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".wasm": "application/wasm",
}
# A page has what WebGPU and the runtime's memory need only when it is isolated.
_HEADERS = {
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class StaticHandler(http.server.BaseHTTPRequestHandler):
    """Answers one request of a page."""

    server: "StaticServer"

    def answer(self, content: bytes | None, suffix: str = "") -> None:
        """Sends an answer.

        Args:
          content: of the answer; None where there is nothing.
          suffix: the ending of its name, such as ".js".
        """
        self.send_response(404 if content is None else 200)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", _TYPES.get(suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        self.answer(self.server.content_of(path), Path(path).suffix)

    def log_message(self, *_) -> None:
        """Says nothing: what goes wrong the page tells."""


class StaticServer(http.server.ThreadingHTTPServer):
    """A server on 127.0.0.1.

    Attributes:
      contents: path, such as "/models/face.tflite", to what stands there; it comes before files.
    """

    daemon_threads = True
    # Threads that wait for a page end with it, and are not waited for.
    block_on_close = False

    def __init__(self, packages: Path, port: int = 0, handler: type = StaticHandler):
        """Opens the server.

        Args:
          packages: a folder with a folder for each npm package, such as "core".
          port: to listen on; 0 for any that is free.
          handler: answers the requests.

        Raises:
          OSError: when the port cannot be had.
        """
        super().__init__(("127.0.0.1", port), handler)
        self._packages = packages
        self.contents: dict[str, bytes] = {}

    def content_of(self, path: str) -> bytes | None:
        """Reads what stands at a path.

        Files at the top are this package's, those in folders of npm packages.

        Args:
          path: from the root, such as "/page.html" or "/core/dist/index.js".

        Returns:
          The content; None where there is nothing.
        """
        if path in self.contents:
            return self.contents[path]
        _, first, *rest = path.split("/", 2)
        root = self._packages if rest else Path(__file__).parent
        file = root.joinpath(first, *rest)
        allowed = ".." not in path and file.suffix in _TYPES and file.is_file()
        return file.read_bytes() if allowed else None

    def handle_error(self, *_) -> None:
        """Says nothing of a connection that the browser dropped."""
