"""What adb prints of devices in every state, read as a user needs it."""

import subprocess

import pytest
from hypothesis import given, strategies

from tests.refused import refused
from tools.errors import NoDeviceError
from tools.latency.adb_devices import (
    candidates,
    listed,
    read_devices,
    read_properties,
    read_request,
)

HEADER = "List of devices attached\n"
STATES = [
    "authorizing", "bootloader", "connecting", "detached", "device", "disconnect", "host",
    "no device", "offline", "recovery", "rescue", "sideload", "unauthorized", "unknown",
]  # fmt: skip
NO_PERMISSIONS = (
    "no permissions (missing udev rules? user is in the plugdev group); see "
    "[http://developer.android.com/tools/device.html]"
)


PIXEL = {
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 8",
    "ro.soc.manufacturer": "Google",
    "ro.soc.model": "Tensor G3",
}
GALAXY = {
    "ro.board.platform": "kalama",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.product.model": "SM-S911B",
}
RACK = {"A": PIXEL, "B": GALAXY, "C": PIXEL}


def found(devices: dict[str, str], asked_for: str) -> list[str]:
    return candidates(devices, read_request(asked_for), RACK.__getitem__)


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
            found(devices, serial)


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
    assert found({"A": "offline", "B": "device", "C": "unauthorized"}, "") == ["B"]
    assert found({"A": "device", "B": "device"}, "A") == ["A"]


@pytest.mark.parametrize(
    ("asked_for", "serials"),
    [
        ("model=Pixel 8", ["A", "C"]),
        ("model=pixel_8", ["A", "C"]),
        (" model = PIXEL  8 , abi=arm64-v8a", ["A", "C"]),
        ("soc=tensor g3", ["A", "C"]),
        ("soc=Google Tensor G3,manufacturer=google", ["A", "C"]),
        ("soc=Kalama", ["B"]),
        ("ro.product.model=SM-S911B", ["B"]),
        ("abi=arm64-v8a", ["A", "B", "C"]),
    ],
)
def test_devices_by_their_properties(asked_for, serials):
    assert found(dict.fromkeys("CBA", "device"), asked_for) == serials


def test_a_device_that_is_not_ready_is_none_of_a_pool():
    assert found({"A": "offline", "C": "device"}, "model=Pixel 8") == ["C"]


def test_a_value_with_a_comma():
    request = read_request("ro.product.cpu.abilist=arm64-v8a,armeabi-v7a,model=Pixel 8")
    assert request.properties == (
        ("ro.product.cpu.abilist", "arm64-v8a,armeabi-v7a"),
        ("model", "Pixel 8"),
    )
    assert str(request) == "adb:ro.product.cpu.abilist=arm64-v8a,armeabi-v7a,model=Pixel 8"


@pytest.mark.parametrize(
    ("asked_for", "says"),
    [
        ("colour=red", r"no property colour; take abi, brand, .*, soc, or a name of .*getprop"),
        ("=Pixel 8", "no property without a name; take "),
        ("model=", "model has no value"),
        ("model=a,model=b", "a property is there twice"),
    ],
)
def test_no_such_property(asked_for, says):
    with refused("device.setting", f"^adb:{asked_for}: {says}"):
        read_request(asked_for)


def test_what_getprop_prints():
    said = "[a.b]: [c d]\r\n[lines]: [one\ntwo]\n[empty]: []\n[brackets]: [[x]: [y]]\n"
    assert read_properties(said) == {
        "a.b": "c d",
        "lines": "one\ntwo",
        "empty": "",
        "brackets": "[x]: [y]",
    }


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
            "adb: 2 devices (A, B); say which, by adb:SERIAL or by a property that all that may "
            "be taken have: adb:model=NAME",
        ),
        (
            {},
            "model=Pixel 9",
            "device.none",
            "adb:model=Pixel 9: no device; connect one, and allow USB debugging on it",
        ),
        (
            {"A": "device", "B": "device", "D": "unauthorized"},
            "model=Pixel 9,soc=Tensor G3,sdk=34",
            "device.none",
            "adb:model=Pixel 9,soc=Tensor G3,sdk=34: none fits; adb sees A (model=Pixel 8, "
            "soc=Google Tensor G3, abi=arm64-v8a), B (model=SM-S911B, soc=kalama, "
            "abi=arm64-v8a), D (unauthorized)",
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
        found(devices, serial)
    assert str(raised.value) == says
    assert isinstance(raised.value, NoDeviceError)


@pytest.mark.parametrize("state", [state for state in STATES if state != "device"])
def test_every_other_state_is_refused_with_what_to_do(state):
    with refused("device.not_ready", r"^adb:A: .*; .*"):
        found({"A": state}, "A")


@given(strategies.text(max_size=200))
def test_whatever_is_printed_is_read(text):
    assert all(serial for serial in read_devices(HEADER + text))
