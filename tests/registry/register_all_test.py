"""A set of artifacts, registered by one process: on a real SQLite store of MLflow."""

import pytest

from registry import list_versions, register_all
from registry.store import connect
from tests.registry.new_stores import new_store
from tests.registry.registration_files import flags, write_files
from tools.command_line import EXIT_GATE_FAILED


@pytest.fixture(name="opened")
def _opened(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.setenv("BUILD_WORKSPACE_DIRECTORY", str(tmp_path))
    store = new_store(tmp_path)
    return store, connect(store), tmp_path


def _add(folder, number, target, words):
    """Writes what a .register target of a set writes; without flags where measuring failed."""
    place = folder / str(number)
    place.mkdir(parents=True)
    (place / "target").write_text(target + "\n")
    if words is not None:
        (place / "flags").write_text("".join(word + "\0" for word in words))


def test_goes_on_after_what_fails(opened, command, tmp_path):
    folder = tmp_path / "set"
    one, two = (write_files(tmp_path / each, artifact=each.encode()) for each in ("one", "two"))
    slow = write_files(tmp_path / "slow", artifact=b"slow", latency_passed=False)
    broken = write_files(tmp_path / "broken", artifact=b"broken")
    broken.report.write_text("{")
    _add(folder, 0, "//m:one.register", flags(one))
    _add(folder, 1, "//m:broken.register", flags(broken))
    _add(folder, 2, "//m:unmeasured.register", None)
    _add(folder, 3, "//m:slow.register", flags(slow))
    _add(folder, 10, "//m:two.register", flags(two, "hand"))

    status, printed = command(register_all, f"--registrations={folder}")
    assert status == EXIT_GATE_FAILED
    table = printed.rpartition("\n\n")[2].splitlines()
    assert [line.split()[0] for line in table[1:]] == [
        "//m:one.register",
        "//m:broken.register",
        "//m:unmeasured.register",
        "//m:slow.register",
        "//m:two.register",
    ]
    assert table[1].endswith("registered face version 1 (face_int8 1.0.0, int8)")
    assert "FAILED: " in table[2]
    assert "report.json: not JSON" in table[2]
    assert "FAILED: it was not measured" in table[3]
    assert "FAILED: refused; recorded as a failed run" in table[4]
    assert table[5].endswith("registered hand version 1 (face_int8 1.0.0, int8)")
    assert "hand@1" in command(list_versions)[1]

    again = tmp_path / "again"
    _add(again, 0, "//m:one.register", flags(one))
    _add(again, 1, "//m:two.register", flags(two, "hand"))
    status, printed = command(register_all, f"--registrations={again}")
    assert (status, printed.count("already registered as ")) == (0, 4)


def test_dry_run(opened, command, tmp_path):
    _add(tmp_path / "set", 0, "//m:one.register", flags(write_files(tmp_path / "one")))
    status, printed = command(register_all, f"--registrations={tmp_path / 'set'}", "--dry_run")

    assert status == 0
    assert "//m:one.register  would register a new version of face" in printed
    assert opened[1].search_registered_models() == []
