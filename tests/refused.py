"""What a test says of input that cannot be used."""

import contextlib
from collections.abc import Iterator

import pytest

from tools.errors import InputError


@contextlib.contextmanager
def refused(code: str, says: str = "") -> Iterator[pytest.ExceptionInfo[InputError]]:
    """Expects that what is done inside is refused, by this code and no other.

    Args:
      code: of `tools.errors.CODES`.
      says: a regular expression for what of the message is the point of the test, such as a
        name in it; a sentence that tells which fault it is need not be repeated.

    Yields:
      What was raised, once it was.
    """
    with pytest.raises(InputError, match=says or None) as raised:
        yield raised
    assert raised.value.code == code, raised.value
    # A message of several lines is shown with their ends as escapes.
    assert "\\n" not in str(raised.value)
