"""Versions of TensorFlow Lite, and which comes before which."""

import re

from tools.errors import InputError


def version_key(version: str, where: str = "version") -> tuple[int, ...]:
    """Gives what orders versions: "2.9.0" comes before "2.10.0".

    Args:
      version: two or three numbers with dots between.
      where: how messages name it.

    Returns:
      Three numbers.

    Raises:
      InputError: when it is no such version.
    """
    if not isinstance(version, str) or not re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
        raise InputError(
            "runtime.version", f"{where}: {version!r} is no version; give one such as 2.16.1"
        )
    numbers = tuple(int(part) for part in version.split("."))
    return numbers + (0,) * (3 - len(numbers))
