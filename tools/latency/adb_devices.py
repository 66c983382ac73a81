"""Reads which devices adb sees, and which of them are asked for."""

import dataclasses
import re
import subprocess
from collections.abc import Callable, Mapping

from tools.errors import InputError, NoDeviceError

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


# Android's names of what people call a device by; a device may have several of one kind.
_KNOWN = {
    "abi": ("ro.product.cpu.abi",),
    "brand": ("ro.product.brand",),
    "device": ("ro.product.device",),
    "manufacturer": ("ro.product.manufacturer",),
    "model": ("ro.product.model",),
    "sdk": ("ro.build.version.sdk",),
    "soc": ("ro.soc.model", "ro.board.platform"),
}
# What a message says of each device.
_SHOWN = ("model", "soc", "abi")
# A comma in a value is one that no name follows.
_BETWEEN = re.compile(r",(?=\s*[A-Za-z][\w.]*=)")
_PROPERTY = re.compile(r"^\[(.+?)\]: \[(.*?)\]\r?$", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Request:
    """Which devices are asked for; without either field the only one that is ready.

    Attributes:
      serial: of the one device, or "".
      properties: (name, value) of all devices that may be taken; a name is one of
        abi, brand, device, manufacturer, model, sdk and soc, or Android's own, such as
        ro.hardware.
    """

    serial: str = ""
    properties: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        detail = self.serial or ",".join(f"{name}={value}" for name, value in self.properties)
        return f"adb:{detail}" if detail else "adb"


def read_request(text: str) -> Request:
    """Reads what stands after `adb:`.

    Args:
      text: "", a serial, or NAME=VALUE,NAME=VALUE.

    Raises:
      InputError: when a property is none that is known, has no value, or is there twice.
    """
    if "=" not in text:
        return Request(serial=text)
    properties = []
    for part in _BETWEEN.split(text):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in _KNOWN and "." not in name:
            raise InputError(
                "device.setting",
                f"adb:{text}: no property {name or 'without a name'}; take {', '.join(_KNOWN)}, "
                "or a name of Android's getprop, such as ro.hardware",
            )
        if not value:
            raise InputError("device.setting", f"adb:{text}: {name} has no value")
        properties.append((name, value))
    names = [name for name, _ in properties]
    if len(set(names)) != len(names):
        raise InputError("device.setting", f"adb:{text}: a property is there twice")
    return Request(properties=tuple(properties))


def read_properties(said: str) -> dict[str, str]:
    """Reads what `getprop` prints when it is given no name: value by Android's name."""
    return dict(_PROPERTY.findall(said))


def _values(properties: Mapping[str, str], name: str) -> list[str]:
    """Gives all that a device may be called by a name."""
    found = [properties.get(one, "") for one in _KNOWN.get(name, (name,))]
    if name == "soc":
        # As reports say it.
        maker = properties.get("ro.soc.manufacturer", "")
        found.insert(0, f"{maker} {properties.get('ro.soc.model', '')}" if maker else "")
    return [value for value in found if value.strip()]


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").split()).casefold()


def _fits(request: Request, properties: Mapping[str, str]) -> bool:
    return all(
        _plain(wanted) in map(_plain, _values(properties, name))
        for name, wanted in request.properties
    )


def candidates(
    devices: Mapping[str, str],
    request: Request,
    properties_of: Callable[[str], Mapping[str, str]],
) -> list[str]:
    """Finds the devices of which any may be taken.

    Args:
      devices: of `read_devices`.
      request: what is asked for. Values are compared without upper and lower case, and with
        an underscore as a space.
      properties_of: gives the properties of a device that is ready; asked only where the
        request has some.

    Returns:
      Serials in their order, at least one; exactly one where no property is asked for.

    Raises:
      NoDeviceError: when it is not there or not ready, none fits, or several are there and
        nothing says which.
    """
    if request.serial:
        if request.serial not in devices:
            there = ", ".join(sorted(devices)) or "no device at all"
            raise NoDeviceError("device.none", f"{request}: not there; adb sees {there}")
        if devices[request.serial] != READY:
            raise refusal(request.serial, devices[request.serial])
        return [request.serial]
    if not devices:
        raise NoDeviceError(
            "device.none", f"{request}: no device; connect one, and allow USB debugging on it"
        )
    ready = sorted(one for one, state in devices.items() if state == READY)
    if not ready:
        reasons = [str(refusal(*device)) for device in sorted(devices.items())]
        raise NoDeviceError("device.not_ready", "; ".join(reasons))
    if request.properties:
        return _that_fit(devices, ready, request, properties_of)
    if len(ready) > 1:
        raise NoDeviceError(
            "device.none",
            f"adb: {len(ready)} devices ({', '.join(ready)}); say which, by adb:SERIAL or by a "
            "property that all that may be taken have: adb:model=NAME",
        )
    return ready


def _that_fit(
    devices: Mapping[str, str],
    ready: list[str],
    request: Request,
    properties_of: Callable[[str], Mapping[str, str]],
) -> list[str]:
    """Finds the ready devices that have all properties of a request."""
    known = {serial: properties_of(serial) for serial in ready}
    found = [serial for serial in ready if _fits(request, known[serial])]
    if found:
        return found
    shown = _SHOWN + tuple(name for name, _ in request.properties if name not in _SHOWN)
    there = []
    for serial, state in sorted(devices.items()):
        said = [state]
        if serial in known:
            said = [
                f"{name}={values[0]}" for name in shown if (values := _values(known[serial], name))
            ]
        there.append(f"{serial} ({', '.join(said) or 'it tells no property'})")
    raise NoDeviceError("device.none", f"{request}: none fits; adb sees {', '.join(there)}")
