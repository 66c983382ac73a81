"""What several test files share."""

import pytest


@pytest.fixture(name="server", scope="session")
def _server(tmp_path_factory):
    """A tracking server; to start one takes five seconds of processor time."""
    # What needs no server need not import MLflow.
    from tests.registry.relayed_server import RelayedServer

    server = RelayedServer(tmp_path_factory.mktemp("server"))
    yield server
    server.close()
