"""What every command of this project shares: flags, one-line errors, whole files.

A command file holds `parser()` and `main(arguments) -> int` and ends with

    if __name__ == "__main__":
        run(parser(), main)
"""

import argparse
import contextlib
import errno
import functools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from tools.errors import InputError

EXIT_GATE_FAILED = 1
EXIT_BAD_INPUT = InputError.exit_status
EXIT_INCONCLUSIVE = 3
EXIT_INTERRUPTED = 130


class _OneLineParser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command line; the usage may be thirty."""

    def error(self, message: str) -> NoReturn:
        self.exit(
            EXIT_BAD_INPUT, f"{self.prog}: error: {message} (--help shows flags and examples)\n"
        )


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
        epilog="examples:\n" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fromfile_prefix_chars="@",
        allow_abbrev=False,
    )
    return parser


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
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
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


def _status(
    parser: argparse.ArgumentParser, main: Callable[[argparse.Namespace], int], words: list[str]
) -> int:
    # A file of flags is named from where the user stands, as every other path is.
    words = [f"@{user_path(word[1:])}" if word.startswith("@") else word for word in words]
    arguments = parser.parse_args(words)
    try:
        return main(arguments)
    except InputError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        # The second is the target, where a whole file should have been put.
        path = error.filename2 or error.filename
        where = f"{path}: " if path else ""
        print(f"{parser.prog}: error: {where}{error.strerror or error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
