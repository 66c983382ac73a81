"""Which Bazel tools/bazel starts, and with which flags."""

import pytest

from tests.bazelw.stand_ins import ROOT, Machine

TOOLS_BAZEL = ROOT / "tools" / "bazel"
FLAGS_OF_4 = ["--experimental_run_validations", "--nosandbox_debug"]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def started_with(machine: Machine, bazel: str, *arguments: str) -> list[str]:
    """Runs tools/bazel with a Bazel that is there, and gives the arguments that reach it."""
    real = machine.add(bazel)
    result = machine.run(TOOLS_BAZEL, *arguments, BAZEL_REAL=str(real))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    (call,) = machine.calls(bazel)
    return call


@pytest.mark.parametrize("command", ["build", "test", "run", "coverage"])
def test_4_gets_its_flags(machine, command):
    assert started_with(machine, "bazel-4", command, "//a:b") == [command, *FLAGS_OF_4, "//a:b"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "//..."],
        ["cquery", "//..."],
        ["info", "bazel-bin"],
        ["clean", "--expunge"],
        ["shutdown"],
        ["help", "build"],
        ["--version"],
        [],
    ],
)
def test_what_runs_no_action_is_left_alone(machine, arguments):
    assert started_with(machine, "bazel-4", *arguments) == arguments


def test_the_users_own_flags_come_later(machine):
    call = started_with(machine, "bazel-4.2.3", "build", "--sandbox_debug", "//a:b")
    assert call == ["build", *FLAGS_OF_4, "--sandbox_debug", "//a:b"]


@pytest.mark.parametrize(
    "startup",
    [
        ["--output_user_root=/a/b", "--batch"],
        ["--output_user_root", "/a/build"],
        ["--output_base", "test", "--nohome_rc", "--host_jvm_args=-Xmx1g"],
        # A folder that bears a command's name is not the command.
        ["--bazelrc", "build"],
    ],
)
def test_startup_options_stay_before_the_command(machine, startup):
    call = started_with(machine, "bazel-4", *startup, "test", "//...")
    assert call == [*startup, "test", *FLAGS_OF_4, "//..."]


def test_nothing_changes_behind_two_dashes(machine):
    arguments = ["//a:b", "--", "build", "--flag", "a b", "$HOME", "it's", '"', "*"]
    assert started_with(machine, "bazel-4", "run", *arguments) == ["run", *FLAGS_OF_4, *arguments]


@pytest.mark.parametrize(
    "bazel",
    ["bazel-5.4.1", "bazel-6.5.0", "bazel-7.7.1", "bazel-7.7.1-linux-x86_64", "bazel-9.0.0"],
)
def test_later_versions_get_no_flag(machine, bazel):
    assert started_with(machine, bazel, "build", "//a:b") == ["build", "//a:b"]


@pytest.mark.parametrize(
    ("version", "flags"),
    [("bazel 4.2.3", FLAGS_OF_4), ("bazel 7.7.1", []), ("bazel no_version", []), ("", [])],
)
def test_a_binary_without_a_version_in_its_name_is_asked(machine, version, flags):
    # As bazelisk keeps them.
    real = machine.add("bazel", f'[ "$1" != --version ] || echo "{version}"')
    result = machine.run(TOOLS_BAZEL, "build", "//a:b", BAZEL_REAL=str(real))
    assert result.returncode == 0
    assert machine.calls("bazel") == [["--version"], ["build", *flags, "//a:b"]]


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
    assert machine.calls(expected) == [["info"]]


def test_the_one_that_stands_in_gets_its_flags(machine):
    machine.add("bazel-4")
    result = machine.run(
        TOOLS_BAZEL, "test", "//...", BAZEL_REAL=str(machine.programs / "bazel-7.7.1")
    )
    assert result.returncode == 0
    assert machine.calls("bazel-4") == [["test", *FLAGS_OF_4, "//..."]]


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
