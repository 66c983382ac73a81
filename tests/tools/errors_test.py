import pickle
from pathlib import Path

import pytest

from tools.errors import CODES, InputError, NoDeviceError

# Not resolved: a file of runfiles is a link to one of the workspace.
_ROOT = Path(__file__).absolute().parents[2]


def test_the_page_shows_every_code():
    lines = (_ROOT / "docs/errors.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("| `")]
    assert table == [f"| `{code}` | {meaning} |" for code, meaning in sorted(CODES.items())]


def test_a_code_that_nobody_knows_is_a_fault_of_the_program():
    with pytest.raises(KeyError, match=r"model\.heavy"):
        InputError("model.heavy", "net.tflite: is heavy")


def test_what_another_process_raises_comes_back_as_it_is():
    raised = pickle.loads(pickle.dumps(NoDeviceError("device.none", "adb: no device")))
    assert type(raised) is NoDeviceError
    assert (raised.code, str(raised)) == ("device.none", "adb: no device")
    assert raised.exit_status == 4


def test_a_message_is_one_line():
    assert str(InputError("file.missing", "a\nb\x1b é\u2028: no such file")) == (
        r"a\nb\x1b é\u2028: no such file"
    )
