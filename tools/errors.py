"""The one exception type that a command shows to its user as a single line."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names what was wrong, where (target, file or
    tensor), and what to do about it. `tools.command_line.run` prints it and
    exits with status 2, without a traceback.

    Names in it come from files: what of them cannot be printed is shown as an escape.

    Attributes:
      exit_status: what a command ends with.
    """

    exit_status = 2

    def __init__(self, message: str):
        super().__init__(
            "".join(
                character if character.isprintable() else ascii(character)[1:-1]
                for character in message
            )
        )


class NoDeviceError(InputError):
    """There is no device to measure on, or none that may be used."""

    exit_status = 4


class DeviceFailedError(InputError):
    """A device was there, and failed while it was used; nothing is known of the model."""

    exit_status = 5
