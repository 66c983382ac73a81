"""Subcommands are the programs of this project, with shorter flags."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rqz.main
from rqz.program import as_flags, load_subcommand, written_as_subcommands
from rqz.subcommands import SUBCOMMANDS, find
from tools import command_line

# Not resolved: a file of runfiles is a link to one of the workspace.
_ROOT = Path(__file__).absolute().parents[2]


def _rqz(*words, **variables):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, rqz.main.__file__, *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment | variables,
    )


@pytest.fixture(autouse=True)
def _no_names_are_left(monkeypatch):
    monkeypatch.setattr(command_line, "_subcommands", {})


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_flag_of_the_table_is_one_of_the_program(name):
    one = SUBCOMMANDS[name]
    _, parser = load_subcommand(name)
    flags = parser._option_string_actions
    assert set(one.positional) | set(one.aliases.values()) <= set(flags)
    for alias, flag in one.aliases.items():
        assert flags[alias] is flags[flag]
    assert parser.prog == f"rqz {name}"


def test_a_target_starts_the_file_that_the_subcommand_starts():
    for line in (_ROOT / "tests/imports/programs.tsv").read_text().splitlines():
        label, main, *_ = line.split("\t")
        for one in SUBCOMMANDS.values():
            if one.target and label.endswith(one.target):
                assert main == one.file


def test_help_lists_every_subcommand_with_a_line():
    done = _rqz("--help")
    assert done.returncode == 0
    for name, one in SUBCOMMANDS.items():
        assert any(
            line.split(maxsplit=len(name.split()))[-1] == one.summary
            for line in done.stdout.splitlines()
            if line.strip().startswith(name)
        )
    assert done.stdout == _rqz().stdout == _rqz("registry", "--help").stdout


def test_help_and_version_import_nothing_that_is_heavy():
    code = "import sys, rqz.main; rqz.main.main([]); print(*sys.modules, file=sys.stderr)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    loaded = set(done.stderr.split())
    assert "rqz.main" in loaded
    assert not loaded & {"numpy", "mlflow", "ai_edge_litert", "tools.quantize_model", "filelock"}


def test_the_version_is_that_of_the_rules():
    assert (
        f'VERSION = "{_rqz("--version").stdout.split()[1]}"'
        in (_ROOT / "rules/version.bzl").read_text()
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["quantise"], "there is no subcommand 'quantise'; near it: quantize"),
        (["registry", "promot", "face@1"], "near it: registry promote"),
        (["registry"], "rqz registry does one of these: list, "),
        (["xyzzy"], "there is no subcommand 'xyzzy' (--help"),
        (["--versoin"], "near it: --version"),
    ],
)
def test_what_is_no_subcommand_is_one_line(words, said):
    done = _rqz(*words)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("rqz: error: ")
    assert said in line


def test_a_program_says_who_it_is_to_its_user():
    done = _rqz("quantize", "missing.tflite", "--scheme=int8")
    assert done.returncode == 2
    assert done.stderr == "rqz quantize: error: missing.tflite: No such file or directory\n"
    done = _rqz("quantize", "a.tflite", "b.tflite")
    assert "rqz quantize: error: unrecognized arguments: b.tflite" in done.stderr


def test_a_package_that_is_missing_is_one_line(tmp_path):
    # As where only the base requirements are installed: nothing but this project's own modules.
    done = subprocess.run(
        [sys.executable, "-S", rqz.main.__file__, "registry", "list"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(_ROOT), "RULES_QUANTIZE_ERROR_FORMAT": "json"},
    )
    assert done.returncode == 2, done.stderr
    said = json.loads(done.stderr)
    assert said["code"] == "environment.package"
    assert "pip install 'rules-quantize[registry]'" in said["message"]
    assert said["message"].endswith(f"`pip install --no-deps -r {_ROOT}/rules/locks/registry.lock`")


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["a.tflite"], ["--float_model=a.tflite"]),
        (["a", "b", "--test=c"], ["--float_model=a", "--quantized_model=b", "--test=c"]),
        (["--test", "c", "a", "--name", "d", "b"],
         ["--test", "c", "--float_model=a", "--name", "d", "--quantized_model=b"]),
        (["--report_only", "a"], ["--report_only", "--float_model=a"]),
        (["@flags.txt", "a"], ["@flags.txt", "--float_model=a"]),
        (["a", "b", "c"], ["--float_model=a", "--quantized_model=b", "c"]),
        (["--unknown", "a"], ["--unknown", "--float_model=a"]),
    ],
)  # fmt: skip
def test_what_stands_alone_becomes_a_flag(words, flags):
    _, parser = load_subcommand("validate")
    assert as_flags(parser, words, SUBCOMMANDS["validate"].positional) == flags


def test_the_longest_name_is_found():
    assert find(["registry", "list", "face"]) == ("registry list", ["face"])
    assert find(["quantize"]) == ("quantize", [])
    assert find(["registry"]) is None
    assert find([]) is None


def test_messages_name_subcommands():
    command_line.write_as_subcommands(written_as_subcommands())
    assert command_line.bazel_command("run", "//registry:ui") == "rqz registry ui"
    assert command_line.bazel_command("run", "//registry:list", "a b") == "rqz registry list 'a b'"
    assert command_line.own_command("layer_report", "--name=a") == "rqz layers --name=a"
    # What only Bazel does stays a command of Bazel.
    assert command_line.bazel_command("run", "//rules:lock") == "bazel run //rules:lock"
    examples = "  demo --image=a.jpg\n  A=1 bazel run //registry:ui -- --port=1\n"
    assert command_line.new_parser("demo", "Says.", examples).epilog == (
        "examples:\n  rqz demo --image=a.jpg\n  A=1 rqz registry ui --port=1\n"
    )
