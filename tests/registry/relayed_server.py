"""A tracking server behind a relay that does harm to chosen requests."""

import http.client
import http.server
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import mlflow

from tests.registry.tracking_server import free_port, start_tracking_server, stop_server


class _Relay(http.server.BaseHTTPRequestHandler):
    """Stands between client and server, and does harm to one request."""

    protocol_version = "HTTP/1.1"

    def _handle(self):
        relay = self.server
        with relay.counting:
            relay.count += 1
            number = relay.count
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            # Its client was killed. A server that waited for the rest could not be stopped.
            self.close_connection = True
            return
        harm = relay.harm(number)
        if harm == "hang":
            relay.stopped.wait(600)
            self.close_connection = True
            return
        if harm == "fail":
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        try:
            connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=600)
            headers = {key: value for key, value in self.headers.items() if key != "Connection"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except OSError:
            self.close_connection = True
            return
        if harm == "lose the answer":
            self.close_connection = True
            return
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _handle

    def log_message(self, *_):
        pass


class RelayedServer:
    """A tracking server that can be killed and started again, behind a relay.

    Attributes:
      address: of the server itself.
      uri: of the relay.
      client: of the server itself.
      relay: has in `count` the number of requests since `set_harm`.
    """

    def __init__(self, folder: Path):
        """Starts it.

        Args:
          folder: where it keeps its database, artifacts and log.
        """
        self._folder = folder
        self._port = free_port()
        self._process = start_tracking_server(folder, self._port)
        self.relay = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Relay)
        self.relay.port = self._port
        self.relay.counting = threading.Lock()
        self.relay.stopped = threading.Event()
        self.relay.daemon_threads = True
        self.set_harm(lambda number: None)
        self.uri = f"http://127.0.0.1:{self.relay.server_address[1]}"
        self.address = f"http://127.0.0.1:{self._port}"
        self.client = mlflow.MlflowClient(self.address)
        threading.Thread(target=self.relay.serve_forever, daemon=True).start()

    def set_harm(self, harm: Callable[[int], str | None]) -> None:
        """Says what happens to each request from here on.

        Args:
          harm: takes the number of a request, from 1 on; gives "hang", "fail",
            "lose the answer" or None.
        """
        self.relay.count = 0
        self.relay.harm = harm

    def kill(self) -> None:
        """Kills the server; the relay stays."""
        stop_server(self._process, signal.SIGKILL)

    def start(self) -> None:
        """Starts the server again, on what it had kept."""
        self._process = start_tracking_server(self._folder, self._port)

    def close(self) -> None:
        """Ends both."""
        self.relay.stopped.set()
        self.relay.shutdown()
        self.relay.server_close()
        stop_server(self._process)
