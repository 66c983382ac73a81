import ast
import functools
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import tools
from tests.tools import commands
from tools.command_line import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    bazel_command,
    new_parser,
    user_path,
    whole_file,
)

# The process itself is what is tested.
run_command = functools.partial(commands.run_command, fresh=True)
refusal = functools.partial(commands.refusal, fresh=True)
refusal_code = functools.partial(commands.refusal_code, fresh=True)


# A command that does what its flag says.
_COMMAND = """
import sys
import time
from tools.command_line import EXIT_GATE_FAILED, new_parser, output_folder, output_path, run
from tools.command_line import path_of_part, user_path, whole_file
from tools.errors import InputError

def parser():
    result = new_parser("command", "Does what it is told.", "  command --do=print")
    result.add_argument("--do", required=True)
    result.add_argument("--path", type=user_path)
    result.add_argument("--output", type=output_path)
    result.add_argument("--also", type=output_path)
    result.add_argument("--part", action="append", type=path_of_part)
    result.add_argument("--folder", type=output_folder)
    result.add_argument("files", nargs="*", type=user_path)
    result.add_argument("--number", type=int)
    return result

def main(arguments):
    if arguments.do == "refuse":
        raise InputError("model.kind", "face.tflite: not a TFLite file")
    if arguments.do == "read":
        print(arguments.path.read_text())
    if arguments.do == "write":
        with whole_file(arguments.path, "w") as file:
            file.write("whole")
    if arguments.do == "output":
        with whole_file(arguments.output, "w") as file:
            file.write("whole")
    if arguments.do == "fill":
        with whole_file(arguments.folder / "a.txt", "w") as file:
            file.write("whole")
    if arguments.do == "halfway":
        with whole_file(arguments.path, "w") as file:
            file.write("half")
            raise InputError("model.damaged", "only half")
    if arguments.do == "wait":
        with whole_file(arguments.path, "w") as file:
            file.write("half")
            print("writing", flush=True)
            time.sleep(60)
    if arguments.do == "fail":
        return EXIT_GATE_FAILED
    if arguments.do == "bug":
        raise KeyError("a bug")
    print(arguments.do, arguments.number)
    return 0

if __name__ == "__main__":
    run(parser(), main)
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("command") / "command.py"
    path.write_text(_COMMAND)
    return path


# Files that are whole.


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    with whole_file(path) as file:
        file.write(b"first")
        file.flush()
        assert not path.exists()
        assert len(list(path.parent.iterdir())) == 1
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_may_have_the_longest_name(tmp_path):
    path = tmp_path / ("n" * 248 + ".tflite")
    with whole_file(path) as file:
        file.write(b"model")
    assert path.read_bytes() == b"model"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_utf_8(tmp_path):
    with whole_file(tmp_path / "a.json", "w") as file:
        file.write("μ\n")
    assert (tmp_path / "a.json").read_bytes() == b"\xce\xbc\n"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_when_it_fails(tmp_path, error):
    def write(path: Path) -> None:
        with whole_file(path, "w") as file:
            file.write("new")
            raise error

    with pytest.raises(error):
        write(tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(error):
        write(tmp_path / "a.json")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_file_that_is_there_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old and longer")
    with open(path) as reader:
        with whole_file(path, "w") as file:
            file.write("new")
        # Who has the old one open keeps it.
        assert reader.read() == "old and longer"
    assert path.read_text() == "new"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_modes_are_those_of_any_new_file(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "a.bin") as file:
            file.write(b"")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == mode


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="directory"), whole_file(tmp_path / "a") as file:
        file.write(b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# Paths.


def test_path_is_the_process_s_own_without_bazel(monkeypatch):
    monkeypatch.delenv("BUILD_WORKING_DIRECTORY", raising=False)
    assert user_path("a/b.tflite") == Path("a/b.tflite")
    assert user_path("/a/b.tflite") == Path("/a/b.tflite")


def test_path_is_taken_from_where_the_user_stands(monkeypatch):
    monkeypatch.setenv("BUILD_WORKING_DIRECTORY", "/home/me/models")
    assert user_path("a/b.tflite") == Path("/home/me/models/a/b.tflite")
    assert user_path("../b.tflite") == Path("/home/me/models/../b.tflite")
    assert user_path("/a/b.tflite") == Path("/a/b.tflite")


def test_command_under_bazel_run(command, tmp_path):
    """It is started in another directory than the one where it was typed."""
    (tmp_path / "user").mkdir()
    (tmp_path / "runfiles").mkdir()
    (tmp_path / "user" / "a.txt").write_text("the user's")
    done = run_command(
        command,
        "--do=read",
        "--path=a.txt",
        where=tmp_path / "runfiles",
        BUILD_WORKING_DIRECTORY=str(tmp_path / "user"),
    )
    assert done.stdout == "the user's\nread None\n"


# Flags.


def test_flags_from_a_file(command, tmp_path):
    (tmp_path / "flags.txt").write_text("--do=print\n--number=7\n")
    done = run_command(command, "@flags.txt", where=tmp_path)
    assert (done.returncode, done.stdout) == (0, "print 7\n")


def test_flags_from_a_file_where_the_user_stands(command, tmp_path):
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "flags.txt").write_text("--do=print\n--number=9\n")
    done = run_command(
        command,
        "@flags.txt",
        where=tmp_path,
        BUILD_WORKING_DIRECTORY=str(tmp_path / "user"),
    )
    assert (done.returncode, done.stdout) == (0, "print 9\n")


@pytest.mark.parametrize(
    "flags", [["--number=7", "--number=8"], ["--number=7", "--number=7"], ["@flags.txt"]]
)
def test_a_flag_that_is_given_twice_is_refused(command, tmp_path, flags):
    (tmp_path / "flags.txt").write_text("--number=7\n--number=8\n")
    assert refusal_code(command, "--do=print", *flags, where=tmp_path) == "flag.conflict"


def test_what_a_user_gives_takes_the_place_of_what_a_rule_wrote(command):
    words = ("--do=print", "--number=7", "--end_of_rule")
    assert run_command(command, *words, "--number=8").stdout == "print 8\n"
    assert run_command(command, *words).stdout == "print 7\n"
    assert refusal_code(command, *words, "--number=8", "--number=9") == "flag.conflict"
    assert "end_of_rule" not in run_command(command, "--help").stdout


@pytest.mark.parametrize("misspelt", ["--nubmer=7", "--num=7", "--numbers=7"])
def test_a_misspelt_flag_names_those_near_it(command, misspelt):
    assert "near it: --number" in refusal(command, "--do=print", misspelt)
    assert refusal_code(command, "--do=print", misspelt) == "flag.usage"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--do=print", "--num=7"], "unrecognized arguments: --num=7"),
        (["--do=print", "--number=seven"], "argument --number: invalid int value: 'seven'"),
        (["--d=print"], "the following arguments are required: --do"),
        ([], "the following arguments are required: --do"),
        (["@none.txt"], "No such file or directory"),
    ],
)
def test_flags_that_cannot_be_read(command, tmp_path, flags, message):
    line = refusal(command, *flags, where=tmp_path)
    assert message in line
    assert line.endswith(" (--help shows flags and examples)")


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--do=refuse"], "model.kind", "face.tflite: not a TFLite file"),
        (["--do=read", "--path=none"], "file.missing", "none: No such file or directory"),
        (["--do=read", "--path=."], "file.access", ".: Is a directory"),
        (["@none.txt"], "file.missing", "none.txt: No such file or directory"),
        (["--do=print", "--number=x"], "flag.usage", "argument --number: invalid int value: 'x'"),
        (["--do=output", "--output=a", "--also=a"], "file.taken", "--also and --output name the"),
    ],
)
def test_a_script_reads_an_error_as_json(command, tmp_path, flags, code, message):
    done = run_command(command, *flags, where=tmp_path, RULES_QUANTIZE_ERROR_FORMAT="json")
    (line,) = done.stderr.splitlines()
    said = json.loads(line)
    assert said.pop("message").startswith(message)
    assert said == {"code": code, "exit_status": done.returncode, "program": "command"}
    assert done.returncode == EXIT_BAD_INPUT


_NAMES = ("é 猫.png", "Å\x85.png", "a b\u2028c.png", "\udce9.png", "plain.png")


def _as_bazel_4_writes(text: str) -> bytes:
    """Each byte of a name becomes a letter."""
    return os.fsencode(text).decode("latin-1").encode()


def _words(names, mark="--written_as=é"):
    return [mark, *(f"--path={name}" for name in names)]


def _paths_parser():
    parser = new_parser("command", "Does.", "  command\n")
    parser.add_argument("--path", action="append", type=Path)
    return parser


@pytest.mark.parametrize("write", [os.fsencode, _as_bazel_4_writes])
def test_names_from_a_file_of_flags_however_bazel_writes_them(tmp_path, write):
    """Names may hold what Unicode calls an end of a line, or be no UTF-8."""
    path = tmp_path / "é.params"
    path.write_bytes(write("".join(word + "\n" for word in _words(_NAMES))))
    found = _paths_parser().parse_args([f"@{path}"])
    assert [str(one) for one in found.path] == list(_NAMES)


@pytest.mark.parametrize("write", [os.fsencode, _as_bazel_4_writes])
def test_names_in_a_request_to_a_worker_however_bazel_writes_them(write):
    words = [os.fsdecode(write(word)) for word in _words(_NAMES)]
    found = _paths_parser().parse_args(words)
    assert [str(one) for one in found.path] == list(_NAMES)


def test_names_that_a_user_types_are_taken_as_they_are(tmp_path):
    (tmp_path / "flags").write_text("--path=Ã©.png\n")
    found = _paths_parser().parse_args(["--path=Ã©.png", f"@{tmp_path / 'flags'}"])
    assert [str(one) for one in found.path] == ["Ã©.png"] * 2


# Commands that are printed.


@pytest.mark.parametrize(
    ("label", "module", "typed"),
    [
        (None, None, "//registry:ui"),
        ("//registry:register", None, "//registry:ui"),
        ("@@//registry:register", "", "//registry:ui"),
        ("@rules_quantize//registry:register", None, "@rules_quantize//registry:ui"),
        ("@quantize//registry:register", None, "@quantize//registry:ui"),
        (
            "@@rules_quantize~//registry:register",
            'bazel_dep(name = "rules_quantize", version = "0.1.0")',
            "@rules_quantize//registry:ui",
        ),
        (
            "@@rules_quantize+//registry:register",
            'bazel_dep(name = "rules_quantize", version = "0.1.0", repo_name = "rq")',
            "@rq//registry:ui",
        ),
        (
            "@@rules_quantize~0.1.0//registry:register",
            'bazel_dep("rules_quantize", "0.1.0", repo_name = "rq")\nmodule(name = "app")',
            "@rq//registry:ui",
        ),
        # It comes with another module, and has no name of the user's.
        (
            "@@rules_quantize+//registry:register",
            'bazel_dep(name = "another", version = "1")',
            "@@rules_quantize+//registry:ui",
        ),
        ("@@rules_quantize+//registry:register", "no Starlark (", "@rules_quantize//registry:ui"),
        ("@@rules_quantize+//registry:register", None, "@rules_quantize//registry:ui"),
    ],
)
def test_a_command_is_as_the_user_types_it(tmp_path, monkeypatch, label, module, typed):
    monkeypatch.setenv("BUILD_WORKSPACE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("RULES_QUANTIZE_LABEL", raising=False)
    if label:
        monkeypatch.setenv("RULES_QUANTIZE_LABEL", label)
    if module is not None:
        (tmp_path / "MODULE.bazel").write_text(module)
    assert bazel_command("run", "//registry:ui") == f"bazel run {typed}"
    assert bazel_command("run", "//registry:ui", "a b") == f"bazel run {typed} -- 'a b'"


def test_examples_are_as_the_user_types_them(monkeypatch):
    monkeypatch.setenv("RULES_QUANTIZE_LABEL", "@rules_quantize//tools:demo")
    examples = "  demo --image=a.jpg\n  A=1 bazel run //registry:ui -- x\n\nA demo is shown.\n"
    assert new_parser("demo", "Says.", examples).epilog == (
        "examples:\n  bazel run @rules_quantize//tools:demo -- --image=a.jpg\n"
        "  A=1 bazel run @rules_quantize//registry:ui -- x\n\nA demo is shown.\n"
    )
    # Started otherwise, it is a program like any other.
    monkeypatch.delenv("RULES_QUANTIZE_LABEL")
    assert new_parser("demo", "Says.", examples).epilog == "examples:\n" + examples


def test_no_message_writes_a_command_by_itself():
    """Else it would not work in another workspace."""
    files = [
        *Path(tools.__file__).parent.rglob("*.py"),
        *(Path(tools.__file__).parents[1] / "registry").rglob("*.py"),
    ]
    assert len(files) > 60
    for file in files:
        tree = ast.parse(file.read_text())
        documentation = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
            and ast.get_docstring(node) is not None
        }
        examples = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_EXAMPLES"
        }
        for node in set(ast.walk(tree)) - documentation - examples:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.search("bazel (run|build|test) @?[a-z_]*//", node.value), file


def test_help_ends_with_examples(command):
    done = run_command(command, "--help")
    assert done.returncode == 0
    assert done.stdout.endswith("examples:\n  command --do=print\n")
    assert new_parser("x", "Says.", "  x --a\n").prog == "x"


# Errors.


def test_what_the_user_gave_is_one_line(command):
    assert refusal(command, "--do=refuse") == "face.tflite: not a TFLite file"


def test_file_that_is_not_there_is_one_line(command, tmp_path):
    path = tmp_path / "none.txt"
    assert refusal(command, "--do=read", f"--path={path}") == f"{path}: No such file or directory"
    assert refusal(command, "--do=read", f"--path={tmp_path}") == f"{tmp_path}: Is a directory"


def test_output_that_cannot_be_written_is_one_line(command, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    folder = tmp_path / "folder"
    assert refusal(command, "--do=write", f"--path={folder}") == f"{folder}: Is a directory"
    line = refusal(command, "--do=write", f"--path={tmp_path}/file/a.txt")
    assert line == f"{tmp_path}/file: Not a directory"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "mine"


def test_half_a_file_is_none(command, tmp_path):
    assert refusal(command, "--do=halfway", f"--path={tmp_path}/a.txt") == "only half"
    assert list(tmp_path.iterdir()) == []


def test_gate_is_another_exit_status(command):
    done = run_command(command, "--do=fail")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_a_bug_is_not_hidden(command):
    done = run_command(command, "--do=bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_interrupted_in_the_middle(command, tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, command, "--do=wait", f"--path={tmp_path}/a.txt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # A test that runs in the background hands down that interrupts are ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout.readline() == "writing\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == EXIT_INTERRUPTED
        assert process.stderr.read() == ""
    assert list(tmp_path.iterdir()) == []


# Files that would be lost.


@pytest.mark.parametrize("output", ["a.tflite", "./a.tflite", "links/a.tflite", "new/../a.tflite"])
@pytest.mark.parametrize(
    ("flag", "other"),
    [
        ("--path", "a.tflite"),
        ("--path", "link.tflite"),
        ("--also", "a.tflite"),
        ("files", "a.tflite"),
    ],
)
def test_an_output_never_takes_the_place_of_another_file(command, tmp_path, output, flag, other):
    model = tmp_path / "a.tflite"
    model.write_text("a model")
    (tmp_path / "new").mkdir()
    (tmp_path / "links").symlink_to(tmp_path)
    (tmp_path / "link.tflite").symlink_to(model)
    word = other if flag == "files" else f"{flag}={other}"
    line = refusal(command, "--do=output", f"--output={output}", word, where=tmp_path)
    assert "--output and " in line or " and --output " in line
    assert f"{flag} name the same file" in line or f"{flag} and --output name the same" in line
    assert model.read_text() == "a model"


def test_an_output_may_replace_a_link_and_an_older_output(command, tmp_path):
    model, link = tmp_path / "a.tflite", tmp_path / "link.tflite"
    model.write_text("a model")
    link.symlink_to(model)
    for _ in range(2):
        result = run_command(command, "--do=output", "--output=link.tflite", where=tmp_path)
        assert result.returncode == 0, result.stderr
        assert model.read_text() == "a model"
        assert link.read_text() == "whole"


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_an_output_never_takes_the_place_of_a_link_to_an_input(command, tmp_path, link):
    model, other = tmp_path / "a.tflite", tmp_path / "b.tflite"
    model.write_text("a model")
    getattr(other, link)(model)
    flags = ("--do=output", f"--output={other}")
    assert refusal_code(command, *flags, f"--path={model}") == "file.taken"
    assert refusal_code(command, *flags, str(model)) == "file.taken"
    assert refusal_code(command, *flags, f"--part=face.tflite={model}") == "file.taken"
    assert other.read_text() == "a model"


@pytest.mark.parametrize("output", ["0.png", "deep/0.png", "report.json", "../data/0.png"])
@pytest.mark.parametrize(
    "given", ["--path=data", "--part=data", "--part=b.tflite=data", "data", "--path=link"]
)
def test_an_output_never_lies_in_a_folder_that_is_an_input(command, tmp_path, output, given):
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "0.png").write_text("an image")
    (tmp_path / "link").symlink_to("data")
    flags = ("--do=output", f"--output=data/{output}", given)
    assert refusal_code(command, *flags, where=tmp_path) == "file.taken"
    assert (tmp_path / "data" / "0.png").read_text() == "an image"
    assert not (tmp_path / "data" / "report.json").exists()
    # Beside it there is room.
    beside = run_command(command, "--do=output", "--output=0.png", given, where=tmp_path)
    assert beside.returncode == 0, beside.stderr


@pytest.mark.parametrize("flag", ["--output", "--also"])
def test_the_folder_of_an_output_is_made_only_when_asked(command, tmp_path, flag):
    path = tmp_path / "no" / "such" / "a.json"
    other = "--output" if flag == "--also" else "--also"
    flags = ("--do=output", f"{other}={tmp_path / 'b.json'}", f"{flag}={path}")
    line = refusal(command, *flags)
    assert line.startswith(f"{flag}={path}: the folder {path.parent} does not exist")
    assert list(tmp_path.iterdir()) == []
    result = run_command(command, *flags, "--make_dirs")
    assert result.returncode == 0, result.stderr
    if flag == "--output":
        assert path.read_text() == "whole"


def test_a_folder_to_fill_is_made_and_those_above_it_only_when_asked(command, tmp_path):
    deep = tmp_path / "no" / "folder"
    assert str(deep.parent) in refusal(command, "--do=fill", f"--folder={deep}")
    assert not deep.parent.exists()
    for folder, more in ((tmp_path / "new", ()), (deep, ("--make_dirs",))):
        result = run_command(command, "--do=fill", f"--folder={folder}", *more)
        assert result.returncode == 0, result.stderr
        assert (folder / "a.txt").read_text() == "whole"
