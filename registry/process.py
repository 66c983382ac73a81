"""Who writes: the process and the user, named so that others know them again."""

import contextlib
import getpass
import hashlib
import os
from pathlib import Path


def user_name() -> str:
    """Gives the name of the user that runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def this_process() -> str:
    """Names this process so that others can tell whether it still lives.

    Returns:
      "PLACE/PID.START": PLACE is a digest that is equal for processes which see
      each other's numbers (machine, boot and PID namespace).
    """
    parts = []
    for file in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with contextlib.suppress(OSError):
            parts.append(Path(file).read_text(encoding="ascii"))
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    place = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return f"{place}/{os.getpid()}.{_started(os.getpid())}"


def is_alive(process: str) -> bool:
    """Tells whether a process still lives that sees this one's numbers.

    Args:
      process: what follows the slash in the name that `this_process` gave it.
    """
    pid, _, start = process.partition(".")
    return pid.isdigit() and bool(start) and _started(int(pid)) == start


def _started(pid: int) -> str:
    """Gives a process's start in clock ticks since boot; "" when there is none."""
    try:
        # The name, in parentheses, may hold anything; the 20th field after it is the start.
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]
