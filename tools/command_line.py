"""What every command of this project shares: flags, one-line errors, whole files.

A command file holds `parser()` and `main(arguments) -> int` and ends with

    if __name__ == "__main__":
        run(parser(), main)
"""

import argparse
import ast
import contextlib
import difflib
import errno
import functools
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeGuard

from tools.errors import InputError

EXIT_GATE_FAILED = 1
EXIT_BAD_INPUT = InputError.exit_status
EXIT_INCONCLUSIVE = 3
EXIT_INTERRUPTED = 130

# A variable and not a flag: a script of CI sets it once, and no action's key changes.
_ERROR_FORMAT = "RULES_QUANTIZE_ERROR_FORMAT"

_MAKE_DIRS = "--make_dirs"

# What comes first among the words that a rule writes for a tool (rules/private/tool_action.bzl).
_WRITTEN_AS = "--written_as="
_LETTER = "é"

# Targets of this project by the command that starts each, where one command starts them all.
_subcommands: dict[str, str] = {}

# What stands between the flags that a rule wrote and those that a user gives beside them, which
# take their place (rules/private/launch_script.bzl).
_END_OF_RULE = "--end_of_rule"


def _as_meant(words: list[str]) -> list[str]:
    """Undoes what Bazel 4 does to names in files of flags and in requests to workers.

    It writes each byte of a name as a letter of its own: é, in UTF-8 two bytes, comes as Ã©.
    Later versions write names as they are.

    Args:
      words: that a rule wrote.

    Returns:
      The words after the mark.
    """
    if not words or not words[0].startswith(_WRITTEN_AS):
        return words
    mark, *rest = words
    if mark == _WRITTEN_AS + _LETTER:
        return rest
    return [os.fsdecode(word.encode("latin-1")) for word in rest]


class _StoreOnce(argparse._StoreAction):
    """Keeps a flag's value, and refuses a second one: nobody can tell which was meant."""

    def __call__(self, parser, namespace, values, option_string=None):
        assert isinstance(parser, _OneLineParser)
        if option_string and not parser.first_time(self):
            parser.refuse(
                "flag.conflict", f"{option_string} is given twice; give it once, with what is meant"
            )
        super().__call__(parser, namespace, values, option_string)


class _EndOfRule(argparse.Action):
    """Lets every flag be given once more."""

    def __call__(self, parser, namespace, values, option_string=None):
        assert isinstance(parser, _OneLineParser)
        parser.forget_given()


class _OneLineParser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command line; the usage may be thirty."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self._given: set[argparse.Action] = set()
        for name in (None, "store"):
            self.register("action", name, _StoreOnce)
        self.add_argument(_END_OF_RULE, nargs=0, action=_EndOfRule, help=argparse.SUPPRESS)

    def first_time(self, action: argparse.Action) -> bool:
        """Says whether a flag was not given before, and remembers it."""
        first = action not in self._given
        self._given.add(action)
        return first

    def forget_given(self) -> None:
        """Forgets which flags were given."""
        self._given.clear()

    def parse_args(self, args=None, namespace=None):
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._near(unknown)}")
        return found

    def _near(self, unknown: Sequence[str]) -> str:
        """Says which flags the misspelt ones are near to."""
        known = [flag for flag in self._option_string_actions if flag != _END_OF_RULE]
        names = [word.partition("=")[0] for word in unknown if word.startswith("--")]
        near = [one for name in names for one in difflib.get_close_matches(name, known)]
        # An abbreviation is less like the flag that it stands for.
        near += [flag for name in names for flag in known if len(name) > 4 and flag[:-1] in name]
        near += [flag for name in names for flag in known if len(name) > 4 and name in flag]
        return f"; near it: {', '.join(dict.fromkeys(near))}" if near else ""

    def parse_known_args(self, args=None, namespace=None):
        words = sys.argv[1:] if args is None else args
        # A worker parses many command lines.
        self.forget_given()
        return super().parse_known_args(self._with_files(words), namespace)

    def _get_value(self, action, arg_string):
        """Reads a flag's value; a type may refuse it by a code of its own."""
        reader = self._registry_get("type", action.type, action.type)
        try:
            return reader(arg_string)
        except InputError as error:
            name = action.option_strings[-1] if action.option_strings else action.dest
            return self.refuse(error.code, f"{name}: {error}")
        except (argparse.ArgumentTypeError, TypeError, ValueError):
            # Says it in its own words.
            return super()._get_value(action, arg_string)

    def _with_files(self, words: Sequence[str]) -> list[str]:
        """Puts the words of files in the place of their names.

        argparse would end a word at whatever Unicode calls a line's end, and a name may
        hold that.
        """
        result = []
        for word in _as_meant(list(words)):
            if not word.startswith("@"):
                result.append(word)
                continue
            try:
                # A file of flags is named from where the user stands, as every other path is.
                text = user_path(word[1:]).read_text("utf-8", "surrogateescape")
            except OSError as error:
                self.refuse(_code_of(error), f"{word[1:]}: {error.strerror}")
            result += _as_meant(text.removesuffix("\n").split("\n") if text else [])
        return result

    def refuse(self, code: str, message: str) -> NoReturn:
        """Ends the program with one line.

        Args:
          code: of `tools.errors.CODES`.
          message: what is wrong with the command line.
        """
        said = f"{message} (--help shows flags and examples)"
        # As in every other message, what cannot be printed is shown as an escape.
        _say(self.prog, code, str(InputError(code, said)), EXIT_BAD_INPUT)
        self.exit(EXIT_BAD_INPUT)

    def error(self, message: str) -> NoReturn:
        self.refuse("flag.usage", message)


def _code_of(error: OSError) -> str:
    """Gives the code of what the system says of a file."""
    return "file.missing" if isinstance(error, FileNotFoundError) else "file.access"


def new_parser(program: str, description: str, examples: str) -> argparse.ArgumentParser:
    """Makes a parser whose --help ends with examples.

    Abbreviated flags are refused, so that adding a flag never changes what an
    old command line means.

    Args:
      program: the name shown in the usage line, such as "quantize_model".
      description: one or two sentences.
      examples: command lines, shown as they are.

    Returns:
      The parser. It also reads flags from a file given as `@FILE`, one a line.
    """
    parser = _OneLineParser(
        prog=program,
        description=description,
        epilog="examples:\n" + _as_typed(program, examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser


def write_as_subcommands(subcommands: Mapping[str, str]) -> None:
    """Has every message name programs by the subcommands of the one command that started this.

    Args:
      subcommands: by target, such as "//registry:ui", what its user types: "rqz registry ui".
    """
    _subcommands.update(subcommands)


def bazel_command(verb: str, target: str, *words: str) -> str:
    """Writes a command that works where this program was started.

    Every message that names a command of this project has it from here: in another
    workspace it is `bazel run @rules_quantize//registry:ui`, and of the installed package
    `rqz registry ui`.

    Args:
      verb: "run", "build" or "test".
      target: of this project, such as "//registry:ui".
      words: arguments of the program that it runs.

    Returns:
      The command, as a shell takes it.
    """
    if verb == "run" and target in _subcommands:
        return " ".join([_subcommands[target], *([shlex.join(words)] if words else [])])
    command = f"bazel {verb} {_typed_repository()}{target}"
    return f"{command} -- {shlex.join(words)}" if words else command


def own_command(program: str, *words: str) -> str:
    """Writes the command of a program beside this one, as the user started this one.

    Args:
      program: such as "layer_report".
      words: its arguments.

    Returns:
      The command, as a shell takes it: by `bazel run` where that started this program.
    """
    for target in _subcommands:
        if target.endswith(f":{program}"):
            return bazel_command("run", target, *words)
    if not _own_label():
        return shlex.join([program, *words])
    package = _own_label().partition("//")[2].partition(":")[0]
    return bazel_command("run", f"//{package}:{program}", *words)


def _typed_repository() -> str:
    """Names this project's repository as the user's workspace does: "" for its own."""
    name = _own_label().partition("//")[0]
    # Only names that Bazel itself made for a module have such letters.
    module, *made = re.split("[~+]", name, maxsplit=1)
    if not made:
        return "@" + name if name else ""
    try:
        file = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ""), "MODULE.bazel")
        calls = [node for node in ast.walk(ast.parse(file.read_bytes())) if _is_call(node)]
    except (OSError, SyntaxError, ValueError):
        return "@" + module
    for call in calls:
        given = {keyword.arg: getattr(keyword.value, "value", None) for keyword in call.keywords}
        names = [given.get("name"), *(getattr(word, "value", None) for word in call.args[:1])]
        if module in names:
            return "@" + (given.get("repo_name") or module)
    # A module of a module has no other name there.
    return "@@" + name


def _is_call(node: ast.AST) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "bazel_dep"
    )


def _own_label() -> str:
    """Gives the label of the program that runs, without leading @; its launcher says it."""
    return os.environ.get("RULES_QUANTIZE_LABEL", "").lstrip("@")


def _as_typed(program: str, examples: str) -> str:
    """Writes examples as they are typed where the program was started."""

    def typed(found: re.Match) -> str:
        command = bazel_command(found[1], found[2])
        return command + (found[3] or "" if command.startswith("bazel ") else "")

    examples = re.sub(
        r"\bbazel (run|build|test) (//(?:registry|rules|tools)\b\S*)( --(?= ))?", typed, examples
    )
    for started, command in _subcommands.items():
        if started.endswith(f":{program}"):
            return re.sub(rf"^( *){program}(?= )", rf"\1{command}", examples, flags=re.MULTILINE)
    target = "//" + _own_label().partition("//")[2]
    if not target.endswith(f":{program}"):
        return examples
    command = bazel_command("run", target)
    return re.sub(rf"^( *){program}(?= )", rf"\1{command} --", examples, flags=re.MULTILINE)


def user_path(text: str) -> Path:
    """Resolves a path against the directory where the user stands.

    `bazel run` starts a command in its runfiles directory and says in
    BUILD_WORKING_DIRECTORY where it was typed.

    Args:
      text: an absolute path, or one relative to the user's directory.

    Returns:
      A path that is valid in this process. It need not exist.
    """
    base = os.environ.get("BUILD_WORKING_DIRECTORY")
    return Path(base, text) if base else Path(text)


def output_path(text: str) -> Path:
    """Resolves the path of a file that the command writes, as `user_path` does.

    `run` refuses a command line in which another flag names the same file, and one whose
    folder is not there, unless --make_dirs is given.
    """
    return user_path(text)


def output_folder(text: str) -> Path:
    """Resolves the path of a folder that the command fills, and makes where it is missing.

    `run` refuses one that would lie in a folder that is not there, unless --make_dirs is given.
    """
    return user_path(text)


def path_of_part(text: str) -> str:
    """Marks a flag that takes [NAME=]PATH; the command itself reads what it is given.

    `run` refuses an output that would take the place of such a file, as of every other input.
    """
    return text


def _input_paths(text: str) -> list[Path]:
    """Gives what [NAME=]PATH may name: a path may have an equals sign as well."""
    return [user_path(part) for part in {text, text.partition("=")[2]} if part]


# The types of flags that name what a command writes.
_WRITTEN = (output_path, output_folder)


def _paths(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> Iterator[tuple[str, Path, object]]:
    """Gives the paths of a command line: (flag, path, the flag's type)."""
    for action in parser._actions:
        value = getattr(arguments, action.dest, None)
        for one in value if isinstance(value, list) else [value]:
            # What stands alone has a name only.
            flag = (action.option_strings or [action.dest])[-1]
            if isinstance(one, Path):
                yield flag, one, action.type
            elif isinstance(one, str) and action.type is path_of_part:
                for path in _input_paths(one):
                    yield flag, path, action.type


def refuse_missing_folder(flag: str, path: Path) -> None:
    """Refuses an output whose folder is not there: a misspelt path is likelier than a new one.

    Args:
      flag: that names it.
      path: of the file or folder to be made.

    Raises:
      InputError: with the folder and what to do.
    """
    if not path.parent.is_dir():
        raise InputError(
            "file.no_folder",
            f"{flag}={path}: the folder {path.parent} does not exist; correct the path, or give "
            "--make_dirs to have it made",
        )


def add_make_dirs(parser: argparse.ArgumentParser) -> None:
    """Adds --make_dirs, by which folders of outputs are made.

    `run` does it for every command that has a flag of the type `output_path` or `output_folder`.
    """
    parser.add_argument(
        _MAKE_DIRS, action="store_true", help="make the folders of outputs that are missing"
    )


def _refuse_lost_files(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuses an output that would take the place of another file of the command line.

    Raises:
      InputError: when a flag for an output names what another flag names, by whatever path or
        link, or a file in a folder that is an input.
    """
    written: list[tuple[str, Path]] = []
    named: list[tuple[str, Path, object]] = []
    for flag, path, kind in _paths(parser, arguments):
        if kind is output_path:
            written.append((flag, path))
        else:
            named.append((flag, path, kind))
    places: dict[Path, str] = {}
    for flag, path in written:
        other = places.setdefault(_place(path), flag)
        if other != flag:
            raise _taken(flag, other, path)
    # By the numbers of what is there: a file may have many names, and inputs may be thousands.
    files = {_number(path): (flag, path) for flag, path in written}
    folders = {
        _number(folder): (flag, path)
        for flag, path in written
        for folder in Path(os.path.realpath(path.parent), path.name).parents
    }
    for flag, path, kind in named if written else ():
        number = _number(path)
        if number is None:
            continue
        if number in files:
            output, at = files[number]
            raise _taken(output, flag, at)
        if number in folders and kind is not output_folder:
            output, at = folders[number]
            raise InputError(
                "file.taken",
                f"{output}={at} lies in the folder {path} that {flag} names; write it to another",
            )


def _taken(flag: str, other: str, path: Path) -> InputError:
    return InputError(
        "file.taken", f"{flag} and {other} name the same file {path}; name another one"
    )


def _number(path: Path) -> tuple[int, int] | None:
    """Gives what the system knows a file by, whatever its names; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _place(path: Path) -> Path:
    """Names a folder's entry, of which there may be several names by links to folders."""
    return Path(os.path.realpath(path.parent), path.name)


@contextlib.contextmanager
def whole_file(path: Path, mode: str = "wb") -> Iterator:
    """Opens a file that appears under its name only when it is complete.

    Args:
      path: the file to make. Its directory is made where it is missing.
      mode: "wb" for bytes, or "w" for UTF-8 text.

    Yields:
      The open temporary file. When the block raises, nothing is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(
            errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)
        ) from None
    encoding = None if "b" in mode else "utf-8"
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".unfinished.")
    try:
        with os.fdopen(descriptor, mode, encoding=encoding) as file:
            yield file
        # mkstemp makes private files; an output has the modes of any new file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def run(
    parser: argparse.ArgumentParser,
    main: Callable[[argparse.Namespace], int],
    imports: Sequence[str] = (),
) -> None:
    """Runs the command line and exits with its status, or serves Bazel as a worker.

    Args:
      parser: from `new_parser`.
      main: returns the exit status: 0, or EXIT_GATE_FAILED.
      imports: modules that `main` imports when it runs; a worker does so once.
    """
    words = sys.argv[1:]
    # What Bazel starts a worker with.
    if "--persistent_worker" in words:
        from tools.persistent_worker import serve

        words.remove("--persistent_worker")
        command = functools.partial(_status, parser, main)
        sys.exit(serve(parser.prog, command, words, imports))
    sys.exit(_status(parser, main, words))


def _say(program: str, code: str, message: str, exit_status: int) -> int:
    """Writes an error's line to the standard error, as the environment wants it.

    Args:
      program: that ends with it.
      code: of `tools.errors.CODES`.
      message: one line.
      exit_status: what the program ends with.

    Returns:
      The exit status.
    """
    line = f"{program}: error: {message}"
    if os.environ.get(_ERROR_FORMAT) == "json":
        fields = {"code": code, "exit_status": exit_status, "message": message}
        line = json.dumps(fields | {"program": program}, sort_keys=True)
    print(line, file=sys.stderr)
    return exit_status


def _status(
    parser: argparse.ArgumentParser, main: Callable[[argparse.Namespace], int], words: list[str]
) -> int:
    writes = any(action.type in _WRITTEN for action in parser._actions)
    # A worker parses many command lines.
    if writes and _MAKE_DIRS not in parser._option_string_actions:
        add_make_dirs(parser)
    arguments = parser.parse_args(words)
    try:
        if not getattr(arguments, "make_dirs", True):
            for flag, path, kind in _paths(parser, arguments):
                if kind in _WRITTEN:
                    refuse_missing_folder(flag, path)
        _refuse_lost_files(parser, arguments)
        return main(arguments)
    except InputError as error:
        return _say(parser.prog, error.code, str(error), error.exit_status)
    except OSError as error:
        # The second is the target, where a whole file should have been put.
        path = error.filename2 or error.filename
        where = f"{path}: " if path else ""
        said = f"{where}{error.strerror or error}"
        return _say(parser.prog, _code_of(error), said, EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
