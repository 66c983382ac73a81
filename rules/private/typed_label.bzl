"""Labels in messages, as a user types them."""

load(":python_program.bzl", "shell_word")

# Everything else is quoted; a label may hold nearly any character.
_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_~-"

def typed_label(label, ending = ""):
    """Writes a label as a user types it after `bazel run`.

    Args:
      label: a Label. Newer Bazels show the main repository as `@@`, which is left out.
      ending: of the target's name, such as ".tune".

    Returns:
      Text that a shell takes as one word.
    """
    text = str(label) + ending
    if text.lstrip("@").startswith("//"):
        text = text.lstrip("@")
    plain = [character for character in text.elems() if character in _PLAIN]
    return text if len(plain) == len(text) else shell_word(text)
