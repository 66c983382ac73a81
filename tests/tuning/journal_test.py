"""An interrupted search goes on where it was, and never from something else."""

import pytest

from tools.tuning.journal import Journal, code_digest


def test_results_are_there_again(tmp_path):
    first = Journal(tmp_path, {"model": "a"})
    first.put(["candidate", {"b": 1, "a": [2]}], {"bytes": 3})
    first.close()
    again = Journal(tmp_path, {"model": "a"})
    assert len(again) == 1
    assert again.get(["candidate", {"a": [2], "b": 1}]) == {"bytes": 3}
    assert again.get(["candidate", {"a": [2], "b": 2}]) is None


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_a_line_that_was_cut_off_is_left_out(tmp_path, cut):
    journal = Journal(tmp_path, {})
    journal.put("first", 1)
    journal.put("second", 2)
    journal.close()
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-cut])
    again = Journal(tmp_path, {})
    assert (again.get("first"), again.get("second")) == (1, None)
    again.put("third", 3)
    again.close()
    last = Journal(tmp_path, {})
    assert [last.get(key) for key in ("first", "second", "third")] == [1, None, 3]


def test_other_data_is_another_journal(tmp_path):
    journal = Journal(tmp_path, {"calibration": "x"})
    journal.put("key", 1)
    journal.close()
    assert Journal(tmp_path, {"calibration": "y"}).get("key") is None


def test_the_code_has_a_digest():
    assert len(code_digest()) == 64
    assert code_digest() == code_digest()
