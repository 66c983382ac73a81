"""Which Bazel tools/bazel starts."""

import shutil
from pathlib import Path

import pytest

from tests.bazelw.stand_ins import ROOT, Machine

TOOLS_BAZEL = ROOT / "tools" / "bazel"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--version"],
        ["--output_user_root=/a/b", "test", "//..."],
        ["run", "//a:b", "--", "build", "a b", "$HOME", "it's", '"', "*"],
    ],
)
def test_arguments_reach_bazel_as_they_are(machine, arguments):
    real = machine.add("bazel-7.7.1")
    result = machine.run(TOOLS_BAZEL, *arguments, BAZEL_REAL=str(real))
    assert result.returncode == 0
    assert result.stderr == ""
    assert machine.calls("bazel-7.7.1") == [arguments]


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        (["bazel-4"], "bazel-4"),
        (["bazel-4.2.3", "bazel-10.0.0", "bazel-9.1.0", "bazel-9.10.0"], "bazel-10.0.0"),
        (["bazel-7.10.0", "bazel-7.9.1"], "bazel-7.10.0"),
        (["bazel-7.4.0", "bazel-4.2.3-linux-x86_64"], "bazel-7.4.0"),
    ],
)
def test_the_newest_stands_in_for_one_that_is_missing(machine, installed, expected):
    for name in installed:
        machine.add(name)
    wanted = machine.programs / "bazel-7.7.1"
    result = machine.run(TOOLS_BAZEL, "info", BAZEL_REAL=str(wanted))
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert f"{wanted} is not installed" in line
    assert line.endswith(f"using {expected} beside it")
    assert {name: machine.calls(name) for name in installed if name != expected} == {
        name: [] for name in installed if name != expected
    }
    assert [words[-1] for words in machine.calls(expected)] == ["info"]


@pytest.mark.parametrize("name", ["bazel-4", "bazel-4.2.3-linux-x86_64"])
def test_bazel_4_is_given_its_own_flags(machine, name):
    real = machine.add(name)
    arguments = ["--output_user_root=/a/b", "build", "//..."]
    assert machine.run(TOOLS_BAZEL, *arguments, BAZEL_REAL=str(real)).returncode == 0
    ((first, *others),) = machine.calls(name)
    assert others == arguments
    flag, _, path = first.partition("=")
    assert flag == "--bazelrc"
    assert "--//rules:json_workers" in Path(path).read_text()


def test_bazel_4_without_flags_of_its_own(machine, tmp_path):
    copied = tmp_path / "tools" / "bazel"
    copied.parent.mkdir()
    shutil.copy(TOOLS_BAZEL, copied)
    real = machine.add("bazel-4")
    assert machine.run(copied, "info", BAZEL_REAL=str(real)).returncode == 0
    assert machine.calls("bazel-4") == [["info"]]


def test_bazel_4_takes_no_other_flag_beside_version(machine):
    real = machine.add("bazel-4")
    assert machine.run(TOOLS_BAZEL, "--version", BAZEL_REAL=str(real)).returncode == 0
    assert machine.calls("bazel-4") == [["--version"]]


def test_what_cannot_be_started_does_not_stand_in(machine):
    machine.add("bazel-4")
    (machine.programs / "bazel-9.0.0").write_text("no program")
    (machine.programs / "bazel-8.0.0").mkdir()
    result = machine.run(TOOLS_BAZEL, "info", BAZEL_REAL=str(machine.programs / "bazel-7.7.1"))
    assert result.stderr.endswith("using bazel-4 beside it\n")


def test_a_version_asked_for_by_name_is_not_replaced(machine):
    machine.add("bazel-4")
    result = machine.run(
        TOOLS_BAZEL,
        "info",
        BAZEL_REAL=str(machine.programs / "bazel-9.9.9"),
        USE_BAZEL_VERSION="9.9.9",
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "bazel-9.9.9 is not installed" in line
    assert machine.calls("bazel-4") == []


def test_nothing_installed(machine):
    result = machine.run(TOOLS_BAZEL, "info", BAZEL_REAL=str(machine.programs / "bazel-7.7.1"))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "bazel-7.7.1 is not installed" in line


def test_started_by_hand(machine):
    result = machine.run(TOOLS_BAZEL, "info")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "./bazelw" in line


def test_the_exit_code_is_bazels(machine):
    real = machine.add("bazel-7.7.1", "exit 37")
    assert machine.run(TOOLS_BAZEL, "test", BAZEL_REAL=str(real)).returncode == 37
