"""What several test files share."""

from dataclasses import replace

import pytest

from registry.record import read_record
from registry.recording import RegistrationWriter
from registry.store import locked
from tests.registry.registration_files import write_files
from tools.documents.document import read_document, write_document
from tools.documents.latency import Latency

_LINEAGE = {"git_state": "clean", "git_commit": "0" * 40, "git_dirty": "false"}


@pytest.fixture(name="server", scope="session")
def _server(tmp_path_factory):
    """A tracking server; to start one takes five seconds of processor time."""
    # What needs no server need not import MLflow.
    from tests.registry.relayed_server import RelayedServer

    server = RelayedServer(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture(name="name")
def _name(request):
    """A registered model for each test, so that none sees another's."""
    return request.node.name.removeprefix("test_").replace("[", "_").replace("]", "")


@pytest.fixture(name="register")
def _register(opened, tmp_path, name):
    """Registers an artifact in the store of the fixture `opened`, (store, client, workspace)."""
    store, client, _ = opened

    def register(artifact: bytes, name: str = name, device: str = "host", **changes):
        folder = tmp_path / f"{artifact.decode()}_{device}_{len(list(tmp_path.iterdir()))}"
        files = write_files(folder, artifact=artifact, **changes)
        if device != "host":
            latency = read_document(files.latency, Latency)
            latency = replace(latency, device=replace(latency.device, name=device))
            write_document(files.latency, latency)
        record = read_record(files, name, "//models:face_int8")
        with locked(store):
            return RegistrationWriter(store, client, _LINEAGE).write(record)

    return register


@pytest.fixture(name="command")
def _command(opened, capsys):
    """Runs a command as its command line does; gives back its status and what it printed."""

    def command(module, *arguments):
        capsys.readouterr()
        status = module.main(module.parser().parse_args(arguments))
        return status, capsys.readouterr().out

    return command
