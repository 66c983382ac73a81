"""Reads which devices adb sees, and in which state each is."""

import re
import subprocess

from tools.errors import NoDeviceError

_HEADER = "List of devices attached"

READY = "device"
# A device passes through these while it connects.
PASSING = frozenset({"authorizing", "connecting"})

# What to do about each state that adb names (its transport.cpp), but READY.
_ADVICE = {
    "authorizing": "still asks for leave; unlock the device and allow this computer",
    "bootloader": "in its bootloader; start Android on it: fastboot reboot",
    "connecting": "still connects; try again, or take the cable out and put it in again",
    "detached": "used by another program; end that, or: adb -s {serial} reconnect",
    "disconnect": "disconnected; connect it again",
    "host": "the computer's own end, no device; name a device",
    "no device": "gone; connect it again",
    "no permissions": "this computer may not use its USB port; give the user the right with udev "
    "rules (Debian: apt-get install android-sdk-platform-tools-common, add the user to "
    "plugdev), then connect it again",
    "offline": "offline; take the cable out and put it in again, or: adb reconnect offline",
    "recovery": "in recovery; start Android on it: adb -s {serial} reboot",
    "rescue": "in rescue mode; start Android on it: adb -s {serial} reboot",
    "sideload": "in sideload mode; start Android on it: adb -s {serial} reboot",
    "unauthorized": "unauthorized; unlock the device and allow this computer",
    "unknown": "in a state that adb does not know; connect it again",
}
# A serial may hold spaces (mDNS names: "adb-0123 (2)._adb-tls-connect._tcp"), so that a line
# is read by its state. What adb says of missing permissions goes on after it.
_STATES = "|".join(map(re.escape, sorted([READY, *_ADVICE], key=len, reverse=True)))
_LINE = re.compile(rf"(?P<serial>\S.*?)(?:\t\s*|\s+)(?P<state>{_STATES})(?=$|[\s;(])")


def read_devices(said: str) -> dict[str, str]:
    """Reads what `adb devices` prints, with -l or without.

    Args:
      said: all that it printed; lines about its daemon may stand around the list.

    Returns:
      State by serial, in adb's words.
    """
    _, _, after = said.partition(_HEADER)
    found = {}
    for line in after.splitlines()[1:]:
        if line.startswith("*"):
            continue
        # With a tab the serial ends there, whatever is in it.
        serial, tab, rest = line.partition("\t")
        matched = _LINE.match(f"- {rest.strip()}" if tab else line)
        if matched:
            found[serial.strip() if tab else matched["serial"]] = matched["state"]
    return found


def refusal(serial: str, state: str) -> NoDeviceError:
    """Says why a device cannot be used, and what to do.

    Args:
      serial: of the device.
      state: of `read_devices`, not READY.
    """
    return NoDeviceError(
        "device.not_ready", f"adb:{serial}: {_ADVICE[state].format(serial=serial)}"
    )


def listed(done: subprocess.CompletedProcess) -> dict[str, str]:
    """Gives the devices of a run of `adb devices`.

    Args:
      done: the run, with its output as text.

    Returns:
      As `read_devices`.

    Raises:
      NoDeviceError: when adb printed no list, because its server does not start most often.
    """
    if _HEADER in done.stdout:
        return read_devices(done.stdout)
    lines = [line.strip("* ") for line in (done.stdout + done.stderr).splitlines()]
    reasons = [line for line in lines if line and not line.startswith("daemon not running")]
    reason = reasons[0] if reasons else f"it ended with {done.returncode} and said nothing"
    raise NoDeviceError(
        "device.none",
        f"adb: lists no devices: {reason}; try `adb kill-server`, then `adb start-server`",
    )


def chosen(devices: dict[str, str], serial: str) -> str:
    """Chooses the device to use.

    Args:
      devices: of `read_devices`.
      serial: the one that is asked for; "" takes the only one that is ready.

    Returns:
      Its serial.

    Raises:
      NoDeviceError: when it is not there or not ready, or several are.
    """
    if serial:
        if serial not in devices:
            there = ", ".join(sorted(devices)) or "no device at all"
            raise NoDeviceError("device.none", f"adb:{serial}: not there; adb sees {there}")
        if devices[serial] != READY:
            raise refusal(serial, devices[serial])
        return serial
    ready = sorted(one for one, state in devices.items() if state == READY)
    if len(ready) == 1:
        return ready[0]
    if ready:
        raise NoDeviceError(
            "device.none", f"adb: {len(ready)} devices ({', '.join(ready)}); say which: adb:SERIAL"
        )
    if not devices:
        raise NoDeviceError(
            "device.none", "adb: no device; connect one, and allow USB debugging on it"
        )
    reasons = [str(refusal(*device)) for device in sorted(devices.items())]
    raise NoDeviceError("device.not_ready", "; ".join(reasons))
