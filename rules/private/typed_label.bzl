"""Labels in messages, as a user types them."""

load(":python_program.bzl", "shell_word")

# Everything else is quoted; a label may hold nearly any character.
_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_~-"

def label_text(label):
    """Writes a label as a user knows it, on every Bazel alike.

    Args:
      label: a Label.

    Returns:
      A string. Newer Bazels show the main repository as `@@`, which is left out.
    """
    text = str(label)
    return text.lstrip("@") if text.lstrip("@").startswith("//") else text

def typed_label(label, ending = ""):
    """Writes a label as a user types it after `bazel run`.

    Args:
      label: a Label.
      ending: of the target's name, such as ".tune".

    Returns:
      Text that a shell takes as one word.
    """
    text = label_text(label) + ending
    plain = [character for character in text.elems() if character in _PLAIN]
    return text if len(plain) == len(text) else shell_word(text)
