"""What adb prints of devices in every state, read as a user needs it."""

import subprocess

import pytest
from hypothesis import given, strategies

from tests.refused import refused
from tools.errors import NoDeviceError
from tools.latency.adb_devices import chosen, listed, read_devices

HEADER = "List of devices attached\n"
STATES = [
    "authorizing", "bootloader", "connecting", "detached", "device", "disconnect", "host",
    "no device", "offline", "recovery", "rescue", "sideload", "unauthorized", "unknown",
]  # fmt: skip
NO_PERMISSIONS = (
    "no permissions (missing udev rules? user is in the plugdev group); see "
    "[http://developer.android.com/tools/device.html]"
)


@pytest.mark.parametrize("state", STATES)
def test_a_line_with_a_tab(state):
    assert read_devices(f"{HEADER}0123456789ABCDEF\t{state}\n\n") == {"0123456789ABCDEF": state}


@pytest.mark.parametrize("state", STATES)
def test_a_long_line(state):
    details = "usb:1-4 product:oriole model:Pixel_6 device:oriole transport_id:3"
    assert read_devices(f"{HEADER}{'1A2B':<22} {state} {details}\n") == {"1A2B": state}


@pytest.mark.parametrize(
    "words",
    [
        NO_PERMISSIONS,
        "no permissions",
        "no permissions; see [http://developer.android.com/tools/device.html]",
        "no permissions (user in plugdev group; are your udev rules wrong?); see [http://x]",
    ],
)
@pytest.mark.parametrize("between", ["\t", "  "])
def test_missing_permissions_name_udev(words, between):
    devices = read_devices(f"{HEADER}863276c1{between}{words}\n")
    assert devices == {"863276c1": "no permissions"}
    for serial in ("", "863276c1"):
        with refused("device.not_ready", r"adb:863276c1: this computer may not.* udev"):
            chosen(devices, serial)


@pytest.mark.parametrize("between", ["\t", "   "])
@pytest.mark.parametrize(
    "serial",
    [
        "adb-R58M41XXXXX-abCdEf._adb-tls-connect._tcp",
        "adb-R58M41XXXXX-abCdEf (2)._adb-tls-connect._tcp",
        "192.168.1.20:5555",
        "emulator-5554",
        "????????????",
        "(no serial number)",
    ],
)
def test_serials(serial, between):
    assert read_devices(f"{HEADER}{serial}{between}device\n") == {serial: "device"}


def test_a_serial_with_a_state_in_it_ends_at_the_tab():
    assert read_devices(f"{HEADER}my device\toffline\n") == {"my device": "offline"}


def test_lines_of_the_daemon():
    said = (
        "* daemon not running; starting now at tcp:5037\n* daemon started successfully\n"
        f"{HEADER}* server version (41) doesn't match this client (39); killing...\n"
        "A\tdevice\nB\toffline\n\n"
    )
    assert read_devices(said) == {"A": "device", "B": "offline"}


@pytest.mark.parametrize(
    ("stdout", "stderr", "reason"),
    [
        (
            "",
            "* daemon not running; starting now at tcp:5037\nADB server didn't ACK\n"
            "* failed to start daemon\nadb: failed to check server version: cannot connect\n",
            "ADB server didn't ACK",
        ),
        ("", "error: cannot bind listener: Address already in use\n", "error: cannot bind"),
        ("", "", "it ended with 1 and said nothing"),
    ],
)
def test_a_server_that_does_not_start(stdout, stderr, reason):
    done = subprocess.CompletedProcess(["adb", "devices"], 1, stdout, stderr)
    with refused("device.none") as raised:
        listed(done)
    assert str(raised.value).startswith(f"adb: lists no devices: {reason}")
    assert str(raised.value).endswith("; try `adb kill-server`, then `adb start-server`")


def test_the_only_one_that_is_ready_is_taken():
    assert chosen({"A": "offline", "B": "device", "C": "unauthorized"}, "") == "B"
    assert chosen({"A": "device", "B": "device"}, "A") == "A"


@pytest.mark.parametrize(
    ("devices", "serial", "code", "says"),
    [
        ({}, "", "device.none", "adb: no device; connect one, and allow USB debugging on it"),
        ({}, "A", "device.none", "adb:A: not there; adb sees no device at all"),
        ({"B": "device"}, "A", "device.none", "adb:A: not there; adb sees B"),
        (
            {"B": "device", "A": "device"},
            "",
            "device.none",
            "adb: 2 devices (A, B); say which: adb:SERIAL",
        ),
        (
            {"A": "recovery"},
            "",
            "device.not_ready",
            "adb:A: in recovery; start Android on it: adb -s A reboot",
        ),
        (
            {"A": "offline", "B": "unauthorized"},
            "",
            "device.not_ready",
            "adb:A: offline; take the cable out and put it in again, or: adb reconnect offline; "
            "adb:B: unauthorized; unlock the device and allow this computer",
        ),
    ],
)
def test_none_to_take(devices, serial, code, says):
    with refused(code) as raised:
        chosen(devices, serial)
    assert str(raised.value) == says
    assert isinstance(raised.value, NoDeviceError)


@pytest.mark.parametrize("state", [state for state in STATES if state != "device"])
def test_every_other_state_is_refused_with_what_to_do(state):
    with refused("device.not_ready", r"^adb:A: .*; .*"):
        chosen({"A": state}, "A")


@given(strategies.text(max_size=200))
def test_whatever_is_printed_is_read(text):
    assert all(serial for serial in read_devices(HEADER + text))
