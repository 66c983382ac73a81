"""Runs what may end a process in a process of its own.

The runtime and its delegate check much by assertions: a file that they do not like can end
the process that opens it. Forked rather than started anew: the child has the model without
its being sent, and begins at once.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tools.errors import InputError


class ChildDiedError(RuntimeError):
    """A child ended without its result.

    Attributes:
      step: what it was doing, as it told; "" where it told nothing.
      reason: how it ended, such as SIGABRT.
    """

    def __init__(self, step: str, reason: str):
        super().__init__(f"{reason} {step}".strip())
        self.step, self.reason = step, reason


def _run(work: Callable[[Callable[[str], None]], Any], connection: Connection) -> None:
    # The runtime's own words, and those that go before an abort.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        result = work(lambda step: connection.send(("step", step)))
        connection.send(("result", result))
    except InputError as error:
        connection.send(("refused", error))
    except BaseException as error:
        connection.send(("failed", f"{type(error).__name__}: {error}"))
    finally:
        connection.close()


def in_child(
    work: Callable[[Callable[[str], None]], Any],
    seconds: float | Callable[[str], float] | None = None,
) -> Any:
    """Does work in a forked process, and waits for it.

    Args:
      work: called there with a function that it tells of each of its steps. What it returns
        is sent back.
      seconds: for which a step may last at most, the same for all or by what was told of it;
        any time where it is None.

    Returns:
      What the work returned.

    Raises:
      InputError: as the work does.
      ChildDiedError: when the process ended before its work, or a step took too long.
      RuntimeError: when the work raised anything else.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()
    step = ""
    try:
        while True:
            limit = seconds(step) if callable(seconds) else seconds
            if not ours.poll(limit):
                raise ChildDiedError(step, f"no end within {limit:g} seconds")
            what, content = ours.recv()
            if what == "result":
                return content
            if what == "refused":
                raise content
            if what == "failed":
                raise RuntimeError(content)
            step = content
    except EOFError:
        process.join()
        raise ChildDiedError(step, _end(process.exitcode)) from None
    finally:
        ours.close()
        process.kill()
        process.join()


def _end(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit status {code}"
