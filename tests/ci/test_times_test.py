"""What is read of a build event file, and what is said of it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci.test_times import LIMITS, TestTime, describe, read_test_times


def _events(*tests):
    """Events as Bazel writes them: of each test one when it is configured and one at its end."""
    for label, size, _ in tests:
        configured = {"targetKind": "python_test rule", "testSize": size}
        yield {"id": {"targetConfigured": {"label": label}}, "configured": configured}
    for label, _, milliseconds in tests:
        summary = {"overallStatus": "PASSED"}
        if milliseconds is not None:
            summary["totalRunDurationMillis"] = str(milliseconds)
        yield {"id": {"testSummary": {"label": label}}, "testSummary": summary}


def _text(*tests):
    return "\n".join(json.dumps(event) for event in _events(*tests))


def test_the_slowest_test_comes_first():
    times = read_test_times(_text(("//a:x_test", "SMALL", 1500), ("//b:y_test", "LARGE", 30000)))
    assert times == [TestTime("//b:y_test", "LARGE", 30.0), TestTime("//a:x_test", "SMALL", 1.5)]


def test_a_test_that_did_not_run_is_left_out():
    assert read_test_times(_text(("//a:x_test", "SMALL", None))) == []


@pytest.mark.parametrize(
    ("size", "seconds", "near"),
    [("SMALL", 45, False), ("SMALL", 45.1, True), ("MEDIUM", 150, False), ("LARGE", 451, True)],
)
def test_four_times_as_long_must_be_allowed(size, seconds, near):
    assert TestTime("//a:x_test", size, seconds).is_near_its_limit == near


def test_limits_are_those_that_bazel_is_given():
    # Not resolved: a file of runfiles is a link to one of the workspace.
    rc = (Path(__file__).absolute().parents[2] / ".bazelrc").read_text()
    (given,) = re.findall(r"^test --test_timeout=(.*)$", rc, re.MULTILINE)
    assert [int(limit) for limit in given.split(",")] == list(LIMITS.values())


def test_ten_are_printed_and_all_that_are_near_their_limit():
    times = [TestTime(f"//a:t{number}_test", "SMALL", 50 - number) for number in range(12)]
    text = describe(times)
    assert text.splitlines()[0] == "12 tests, 534 s in all; the slowest:"
    slowest, near = text.split("less than 4 times")
    assert slowest.count("//a:t") == 10
    assert near.count("//a:t") == 5


def test_another_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "events.json"
    path.write_text("no JSON")
    result = subprocess.run(
        [sys.executable, Path(__file__).with_name("test_times.py"), path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert f"{path}: no build event file" in result.stderr
