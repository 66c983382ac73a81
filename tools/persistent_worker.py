"""Serves a command to Bazel as a persistent worker, by the JSON protocol; no library does.

https://bazel.build/remote/creating describes it: a request is a JSON object on standard
input, with the words of a command line; a response one on standard output, with the exit
status and what the command printed.

The worker imports what the command needs, once, and does no work itself: each request runs
in a process forked from it, which ends with the request. So nothing can leak from one
request to the next (module state, random numbers, warnings, directory, memory), one that
crashes takes no other with it, and the worker never grows beyond its imports.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NoReturn

_READ_SIZE = 1 << 16
# What a command prints goes into one response; nobody reads more of it.
_MOST_OUTPUT = 1 << 20
_PR_SET_PDEATHSIG = 1
_decoder = json.JSONDecoder()


def requests_in(buffer: bytearray) -> Iterator[dict]:
    """Takes the whole requests off the front of a buffer.

    Bazel 4 writes nothing between two objects and later versions a newline, so that
    neither a line nor the end of a read is the end of a request.

    Args:
      buffer: what has been read so far; what is taken is removed from it.

    Yields:
      Each request.
    """
    # An object that is not whole yet need not be looked at: it cannot end here.
    while buffer.rstrip().endswith(b"}"):
        try:
            text = buffer.decode().lstrip()
            request, end = _decoder.raw_decode(text)
        except ValueError:
            return
        buffer[:] = text[end:].lstrip().encode()
        yield request


class _Request:
    """A request that runs in a process of its own."""

    def __init__(self, number: int, process: int, output: IO[bytes]):
        self.number, self.process, self._output = number, process, output

    def kill(self) -> None:
        """Ends its process, and what that one started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)

    def response(self, status: int, program: str) -> dict:
        """Makes the answer when the process has ended.

        Args:
          status: as os.waitpid gives it.
          program: how messages name the command.

        Returns:
          A WorkResponse.
        """
        with self._output as file:
            file.seek(0)
            printed = file.read(_MOST_OUTPUT).decode(errors="replace")
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            name = signal.Signals(-code).name
            hint = "; it may have run out of memory" if name == "SIGKILL" else ""
            printed += f"{program}: error: its process was ended by {name}{hint}\n"
            code = 128 - code
        return {"exitCode": code, "output": printed, "requestId": self.number}


def _run_forked(
    prepare: Callable[[], None], command: Callable[[list[str]], int], words: list[str]
) -> NoReturn:
    """Runs a command in a process that was forked for it, and ends the process."""
    status = 1
    try:
        prepare()
        status = command(words)
    except SystemExit as error:
        # What a parser raises for a wrong flag; a text is to be printed, as Python does.
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        else:
            status = error.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        finally:
            # Whatever happened: it never goes on as a second worker, and nothing that the
            # worker registered for its own end runs here.
            os._exit(status)


class Worker:
    """Reads requests, and forks a process for each."""

    def __init__(self, program: str, command: Callable[[list[str]], int], words: Sequence[str]):
        """Takes standard output for the responses; what is printed from now on is no response.

        Args:
          program: how messages name the command.
          command: runs a command line and returns its exit status.
          words: go before those of each request.
        """
        self._program, self._command, self._words = program, command, list(words)
        self._running: dict[int, _Request] = {}
        self._process = os.getpid()
        sys.stdout.flush()
        self._responses = os.dup(1)
        os.dup2(2, 1)
        self._ended, self._wakeup = os.pipe()
        os.set_blocking(self._ended, False)
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> int:
        """Answers requests until standard input is closed.

        Returns:
          The worker's exit status.
        """
        buffer = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(self._ended, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if self._ended in ready:
                    os.read(self._ended, _READ_SIZE)
                    self._answer_ended()
                if 0 in ready:
                    content = os.read(0, _READ_SIZE)
                    if not content:
                        return self._close(buffer)
                    buffer += content
                    for request in requests_in(buffer):
                        self._take(request)

    def _close(self, buffer: bytearray) -> int:
        for request in self._running.values():
            request.kill()
        if buffer.strip():
            print(f"{self._program}: error: half a request, or no JSON", file=sys.stderr)
            return 2
        return 0

    def _take(self, request: dict) -> None:
        number = request.get("requestId", 0)
        if request.get("cancel"):
            self._cancel(number)
            return
        words = self._words + list(request.get("arguments", ()))
        output = tempfile.TemporaryFile()  # noqa: SIM115
        sys.stderr.flush()
        process = os.fork()
        if not process:
            _run_forked(lambda: self._become(output), self._command, words)
        # Both sides do it: whichever comes first, the group is there when it is needed.
        with contextlib.suppress(OSError):
            os.setpgid(process, process)
        self._running[process] = _Request(number, process, output)

    def _become(self, output: IO[bytes]) -> None:
        """Makes a forked process one that only has its request."""
        os.setpgid(0, 0)
        # A request does not outlive its worker, however that one ends.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._process:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in (self._responses, self._ended, self._wakeup):
            os.close(descriptor)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, 0)
        os.close(nowhere)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)

    def _answer_ended(self) -> None:
        for process in list(self._running):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                self._answer(self._running.pop(process).response(status, self._program))

    def _cancel(self, number: int) -> None:
        # One that has ended meanwhile was answered; Bazel expects no second answer.
        for process, request in list(self._running.items()):
            if request.number == number:
                request.kill()
                os.waitpid(process, 0)
                del self._running[process]
                self._answer({"requestId": number, "wasCancelled": True})

    def _answer(self, response: dict) -> None:
        content = memoryview((json.dumps(response) + "\n").encode())
        while content:
            content = content[os.write(self._responses, content) :]


def serve(
    program: str,
    command: Callable[[list[str]], int],
    words: Sequence[str],
    imports: Sequence[str],
) -> int:
    """Runs a command as a worker until standard input is closed.

    Args:
      program: how messages name the command.
      command: runs a command line and returns its exit status.
      words: of the worker's own command line; they go before those of each request.
      imports: modules that the command needs, which are imported once.

    Returns:
      The worker's exit status.
    """
    worker = Worker(program, command, words)
    for name in imports:
        # What the command cannot import either it says by itself, when it runs.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # What is there now is never collected, so that forked processes go on sharing it.
    gc.collect()
    gc.freeze()
    return worker.serve()
