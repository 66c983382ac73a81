"""Opens the device that a name such as `host` or `adb:SERIAL` stands for."""

from collections.abc import Sequence
from pathlib import Path

from tools.errors import InputError
from tools.latency.backend import Backend, Options


def open_backend(device: str, models: Sequence[Path], options: Options) -> Backend:
    """Opens a device with models.

    Args:
      device: its name, such as "host" or "adb:0123456789".
      models: .tflite files.
      options: how it runs them.

    Raises:
      InputError: when there is no such device, or a model cannot be run.
    """
    scheme, _, rest = device.partition(":")
    if device == "host":
        from tools.latency.host import HostBackend

        return HostBackend(models, options)
    if scheme == "adb":
        from tools.latency.android import AndroidBackend

        return AndroidBackend(rest, models, options)
    if scheme == "command" and rest:
        from tools.latency.command import CommandBackend

        return CommandBackend(rest, models, options)
    raise InputError(
        "device.setting",
        f"no device {device}; host, adb, adb:SERIAL, adb:NAME=VALUE and command:TEMPLATE are the "
        "ones known",
    )
