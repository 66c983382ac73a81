"""Ways between this machine and a server that refuse: each is told of with what to set."""

import datetime
import http.server
import ipaddress
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry import list_versions
from tests.refused import refused

_DAY = datetime.timedelta(days=1)
_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class _Refusing(http.server.BaseHTTPRequestHandler):
    """Answers every request with one status."""

    def _handle(self):
        self.server.count += 1
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = self.server.body
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_CONNECT = _handle

    def log_message(self, *_):
        pass


@pytest.fixture(name="start")
def _start():
    """Starts servers; their ports are in `server_port`, the number of requests in `count`."""
    servers = []

    def start(status: int, body: bytes = b"", tls: ssl.SSLContext | None = None):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
        server.handle_error = lambda *_: None
        server.status, server.body, server.count = status, body, 0
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(name="certificate")
def _certificate(tmp_path):
    """Makes certificates that sign themselves; each as (its file, what serves with it)."""

    def make(address: str = "127.0.0.1", begins_in: int = -1, ends_in: int = 1):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a company")])
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address(address))
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now + begins_in * _DAY)
            .not_valid_after(now + ends_in * _DAY)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM)
        path, secret = tmp_path / "certificate.pem", tmp_path / "with_key.pem"
        path.write_bytes(pem)
        secret.write_bytes(
            pem
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(secret)
        return path, context

    return make


@pytest.fixture(name="list_models")
def _list_models(monkeypatch):
    """Lists models with some variables set, and a minute of patience."""

    def run(uri: str, **variables: str) -> None:
        for name in _VARIABLES:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        for name, value in {"MLFLOW_TRACKING_URI": uri, **variables}.items():
            monkeypatch.setenv(name, value)
        list_versions.main(list_versions.parser().parse_args(["--patience=60"]))

    return run


@pytest.fixture(autouse=True)
def _at_once():
    """What no repeat can mend is not repeated."""
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < 30


def test_a_certificate_of_a_company(start, certificate, list_models):
    path, context = certificate()
    server = start(418, b"behind the certificate", context)
    uri = f"https://127.0.0.1:{server.server_port}"
    with refused("store.connection", "REQUESTS_CA_BUNDLE"):
        list_models(uri)
    assert server.count == 0
    # What the message says helps.
    for helped in (
        {"REQUESTS_CA_BUNDLE": str(path)},
        {"MLFLOW_TRACKING_INSECURE_TLS": "true"},
    ):
        with refused("store.refused", "418"):
            list_models(uri, **helped)


def test_a_certificate_of_another_name(start, certificate, list_models):
    path, context = certificate(address="127.0.0.2")
    server = start(418, tls=context)
    with refused("store.connection", "another name"):
        list_models(f"https://127.0.0.1:{server.server_port}", REQUESTS_CA_BUNDLE=str(path))


@pytest.mark.parametrize(("begins", "ends"), [(-3, -2), (2, 3)], ids=["over", "not yet"])
def test_a_certificate_of_another_time(start, certificate, list_models, begins, ends):
    path, context = certificate(begins_in=begins, ends_in=ends)
    server = start(418, tls=context)
    with refused("store.connection", "clock"):
        list_models(f"https://127.0.0.1:{server.server_port}", REQUESTS_CA_BUNDLE=str(path))


def test_a_bundle_that_is_not_there(start, certificate, list_models, tmp_path):
    _, context = certificate()
    server = start(418, tls=context)
    missing = tmp_path / "no" / "such.pem"
    with refused("store.connection", f"REQUESTS_CA_BUNDLE.*{missing}"):
        list_models(f"https://127.0.0.1:{server.server_port}", REQUESTS_CA_BUNDLE=str(missing))


def test_https_to_a_server_of_http(start, list_models):
    server = start(418)
    with refused("store.connection", "http://"):
        list_models(f"https://127.0.0.1:{server.server_port}")


def test_http_to_a_server_of_https(start, list_models):
    # As nginx and its kin answer.
    server = start(400, b"The plain HTTP request was sent to HTTPS port")
    with refused("store.connection", "https://"):
        list_models(f"http://127.0.0.1:{server.server_port}")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_asks_for_a_password(start, list_models, scheme):
    proxy = start(407)
    address = f"http://127.0.0.1:{proxy.server_port}"
    with refused("store.connection", "NO_PROXY"):
        list_models(f"{scheme}://mlflow.example", **{f"{scheme.upper()}_PROXY": address})
    assert 0 < proxy.count < 4


def test_a_proxy_that_is_not_there(list_models):
    with refused("store.connection", "NO_PROXY"):
        list_models("http://mlflow.example", HTTP_PROXY="http://127.0.0.1:1")


def test_a_file_that_is_too_large(start, list_models):
    server = start(413)
    with refused("store.connection", "limit"):
        list_models(f"http://127.0.0.1:{server.server_port}")
    assert server.count == 1


def test_too_many_requests_may_pass(start, list_models, monkeypatch):
    server = start(429)
    monkeypatch.setattr("registry.store._FIRST_PAUSE_SECONDS", 0.1)
    with refused("store.unavailable", "fewer requests"):
        for name in _VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        list_versions.main(list_versions.parser().parse_args(["--patience=1"]))
    assert server.count > 2


def test_http_status_words_in_a_name_are_no_status(start, list_models):
    """A server's own words decide nothing: 407 may be in an address."""
    server = start(404, b'{"error_code": "ENDPOINT_NOT_FOUND", "message": "run 407 is gone"}')
    with refused("store.refused", "407"):
        list_models(f"http://127.0.0.1:{server.server_port}")
