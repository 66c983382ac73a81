"""A shell completes what the programs take: the flags are read from their own parsers."""

import shutil
import subprocess

import pytest

from rqz.completion import flags_of, script
from rqz.subcommands import SUBCOMMANDS


def _completed(tmp_path, *words):
    """Gives what bash offers for the last word of a command line."""
    file = tmp_path / "rqz.bash"
    file.write_text(script("bash"))
    code = """
        . "$1"; shift
        COMP_WORDS=(rqz "$@")
        COMP_CWORD=$#
        _rqz
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", code, "bash", str(file), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.removesuffix("\n").split("\n")


def test_the_first_word_is_a_subcommand(tmp_path):
    assert _completed(tmp_path, "qu") == ["quantize "]
    offered = {word.strip() for word in _completed(tmp_path, "")}
    assert offered == {name.split()[0] for name in SUBCOMMANDS}


def test_the_second_word_of_the_registry_is_one_too(tmp_path):
    assert _completed(tmp_path, "registry", "pro") == ["promote "]
    offered = {word.strip() for word in _completed(tmp_path, "registry", "")}
    assert offered == {name.split()[1] for name in SUBCOMMANDS if " " in name}


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_all_flags_of_a_subcommand_are_offered(tmp_path, name):
    offered = {word.strip(" =") for word in _completed(tmp_path, *name.split(), "--")}
    assert offered == set(flags_of(name))


def test_what_takes_a_value_goes_on_behind_the_equals_sign(tmp_path):
    assert _completed(tmp_path, "quantize", "face.tflite", "--sch") == ["--scheme="]
    assert _completed(tmp_path, "benchmark", "--per") == ["--per_op "]


def test_a_name_of_a_file_is_left_to_the_shell(tmp_path):
    assert _completed(tmp_path, "quantize", "fa") == [""]


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_every_shell_knows_every_flag(shell):
    text = script(shell)
    for name in SUBCOMMANDS:
        for flag in flags_of(name):
            assert (f"-l {flag[2:]}" if shell == "fish" else flag) in text


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_a_shell_that_is_here_can_read_its_script(tmp_path, shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "rqz"
    file.write_text(script(shell))
    done = subprocess.run([shell, "-n", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
