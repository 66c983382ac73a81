"""The one exception type that a command shows to its user as a single line."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names what was wrong, where (target, file or
    tensor), and what to do about it. `tools.command_line.run` prints it and
    exits with status 2, without a traceback.

    Names in it come from files: what of them cannot be printed is shown as an escape.
    """

    def __init__(self, message: str):
        super().__init__(
            "".join(
                character if character.isprintable() else ascii(character)[1:-1]
                for character in message
            )
        )
