"""Lets the programs of a machine share devices: each device is held by one of them at a time.

A device's lock is a file that is locked by flock, so that it is free again when the process that
holds it ends, however that ends. The file says who holds it.
"""

import fcntl
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.errors import InputError, NoDeviceError

# Not the folder for temporary files: jobs of one machine often have one each.
_FOLDER = "/tmp/rules_quantize_devices"
_BETWEEN_LOOKS_SECONDS = 0.5
# What a file may hold is shown on one line.
_LONGEST = 200


def _folder() -> Path:
    """Gives the folder of the locks, and makes it for all users of this machine."""
    folder = Path(os.environ.get("RULES_QUANTIZE_DEVICE_LOCKS") or _FOLDER)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return folder
    except OSError as error:
        raise InputError(
            "device.setting",
            f"{folder}: cannot be made for the locks of devices: {error.strerror}; set "
            "RULES_QUANTIZE_DEVICE_LOCKS to a folder that all programs here may write to",
        ) from None
    # All may make locks, and none may remove another's.
    folder.chmod(0o1777)
    return folder


def _opened(path: Path) -> int:
    """Opens a lock's file, which another user may have made."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        try:
            # Where all may write, Linux refuses O_CREAT on a file that another made.
            return os.open(path, flags)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise InputError(
                "device.setting",
                f"{path}: cannot be locked: {error.strerror}; set RULES_QUANTIZE_DEVICE_LOCKS "
                "to a folder that all programs here may write to",
            ) from None
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(
                "device.setting",
                f"{path}: cannot be made: {error.strerror}; set RULES_QUANTIZE_DEVICE_LOCKS to "
                "a folder that all programs here may write to",
            ) from None
        os.fchmod(descriptor, 0o666)
        return descriptor


def _this_program() -> str:
    """Names what holds a device: a test or target of Bazel, or the program."""
    name = (
        os.environ.get("TEST_TARGET")
        or os.environ.get("RULES_QUANTIZE_LABEL")
        or Path(sys.argv[0] or "a program").name
    )
    return f"{name} (process {os.getpid()} on {socket.gethostname()})"


class DeviceLock:
    """A device that this process holds, until `release` or its end."""

    def __init__(self, serial: str, descriptor: int):
        """Takes over a file that is locked; `first_idle` makes it."""
        self.serial = serial
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Lets others have the device; a second call does nothing."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def _taken(serial: str) -> DeviceLock | str:
    """Takes a device, or says who holds it."""
    name = re.sub(r"[^0-9A-Za-z.-]", lambda found: f"_{ord(found[0]):x}_", serial)
    descriptor = _opened(_folder() / f"{name}.lock")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(descriptor, _LONGEST, 0).decode("utf-8", "replace")
        os.close(descriptor)
        return "".join(filter(str.isprintable, said)) or "another program"
    except BaseException:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, _this_program().encode()[:_LONGEST], 0)
    return DeviceLock(serial, descriptor)


def first_idle(
    candidates: Callable[[], Sequence[str]], asked_for: str, patience: float
) -> DeviceLock:
    """Takes the first device that nobody holds, and waits for one where all are held.

    Args:
      candidates: gives the serials of which any may be taken; asked anew at each look, since
        devices come and go.
      asked_for: how messages name them, such as "adb:model=Pixel 8".
      patience: seconds to wait at most.

    Returns:
      The device, held.

    Raises:
      NoDeviceError: when all are held for longer, and whatever `candidates` raises.
      InputError: when locks cannot be made.
    """
    end = time.monotonic() + patience
    told = False
    while True:
        held = []
        for serial in candidates():
            taken = _taken(serial)
            if isinstance(taken, DeviceLock):
                return taken
            held.append(f"{serial} is held by {taken}")
        holders = "; ".join(held)
        if time.monotonic() >= end:
            raise NoDeviceError(
                "device.held",
                f"{asked_for}: {holders}; none was free in {patience:g} s; have more patience, or "
                "end what holds them",
            )
        if not told:
            told = True
            print(f"{asked_for}: {holders}; waits up to {patience:g} s", file=sys.stderr)
        time.sleep(max(0.0, min(_BETWEEN_LOOKS_SECONDS, end - time.monotonic())))
