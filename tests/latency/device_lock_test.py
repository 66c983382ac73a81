"""Devices that programs of a machine share, with processes that hold them."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.refused import refused
from tools.latency.device_lock import first_idle

_HOLDS = """
import sys, time
from tools.latency.device_lock import first_idle
lock = first_idle(lambda: sys.argv[2:], "adb", float(sys.argv[1]))
print(lock.serial, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def locks(tmp_path, monkeypatch):
    folder = tmp_path / "locks"
    monkeypatch.setenv("RULES_QUANTIZE_DEVICE_LOCKS", str(folder))
    monkeypatch.setenv("TEST_TARGET", "//lab:one")
    return folder


@pytest.fixture
def holder():
    """Starts processes that take a device and keep it; they end with the test."""
    started = []

    def start(*serials: str, patience: float = 0) -> subprocess.Popen:
        words = [sys.executable, "-c", _HOLDS, str(patience), *serials]
        variables = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        one = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=variables)
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_the_first_that_is_idle(holder):
    assert holder("A").stdout.readline() == "A\n"
    lock = first_idle(lambda: ["A", "B"], "adb:model=Pixel 8", 0)
    assert lock.serial == "B"
    lock.release()
    lock.release()
    again = first_idle(lambda: ["B"], "adb:B", 0)
    again.release()


def test_when_all_are_held_one_line_says_by_whom(holder, capsys):
    process = holder("A")
    process.stdout.readline()
    with refused("device.held") as raised:
        first_idle(lambda: ["A"], "adb:A", 0.6)
    who = rf"A is held by //lab:one \(process {process.pid} on \S+\)"
    assert re.fullmatch(
        rf"adb:A: {who}; none was free in 0.6 s; have more patience, or end what holds them",
        str(raised.value),
    )
    assert re.fullmatch(rf"adb:A: {who}; waits up to 0.6 s\n", capsys.readouterr().err)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_ends_with_its_process(holder, ending):
    process = holder("A")
    process.stdout.readline()
    waiting = holder("A", patience=30)
    time.sleep(0.2)
    process.send_signal(ending)
    assert waiting.stdout.readline() == "A\n"


def test_a_device_that_comes_while_others_are_held_is_taken(holder):
    holder("A").stdout.readline()
    looks = iter([["A"], ["A", "B"]])
    lock = first_idle(lambda: next(looks), "adb:abi=arm64-v8a", 30)
    assert lock.serial == "B"
    lock.release()


def test_any_serial_has_a_lock_of_its_own(locks):
    serials = ["192.168.1.20:5555", "a/b", "a_2f_b", "..", "(no serial number)"]
    held = [first_idle(lambda serial=serial: [serial], "adb", 0) for serial in serials]
    assert len(list(locks.iterdir())) == len(serials)
    for lock in held:
        lock.release()


def test_other_users_may_lock_too(locks):
    first_idle(lambda: ["A"], "adb", 0).release()
    (file,) = locks.iterdir()
    assert locks.stat().st_mode & 0o7777 == 0o1777
    assert file.stat().st_mode & 0o777 == 0o666


def test_a_link_is_not_followed(locks, tmp_path):
    locks.mkdir()
    (tmp_path / "other").write_text("kept")
    (locks / "A.lock").symlink_to(tmp_path / "other")
    with refused("device.setting", r"A\.lock: cannot be locked: .*RULES_QUANTIZE_DEVICE_LOCKS"):
        first_idle(lambda: ["A"], "adb", 0)
    assert (tmp_path / "other").read_text() == "kept"


def test_a_folder_that_cannot_be_made(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RULES_QUANTIZE_DEVICE_LOCKS", str(tmp_path / "file/locks"))
    with refused("device.setting", "cannot be made for the locks of devices: Not a directory"):
        first_idle(lambda: ["A"], "adb", 0)
