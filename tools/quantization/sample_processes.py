"""Shares samples out among forked processes.

Forked rather than started anew: a process has the samples and the model without their
being sent, and begins at once.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from tools.errors import InputError

# Opening a model costs about as much as running this many samples of it.
_LEAST_SAMPLES = 8

_Worker = TypeVar("_Worker", bound=Callable[[int], None])


def process_count(samples: int, wanted: int | None = None) -> int:
    """Says how many processes share samples out.

    Args:
      samples: how many there are.
      wanted: at most so many; the cores that this process may use where it is None.

    Returns:
      At least 1.
    """
    cores = len(os.sched_getaffinity(0)) if wanted is None else wanted
    return max(1, min(cores, samples // _LEAST_SAMPLES))


def _work(
    numbers: range,
    open_worker: Callable[[], _Worker],
    result: Callable[[_Worker], Any] | None,
    connection: Connection,
) -> None:
    """Runs in a process of its own: tells of each sample, of a failure, and of the end."""
    number = numbers.start
    try:
        worker = open_worker()
        for number in numbers:
            worker(number)
            connection.send(("done", number, None))
        connection.send(("end", number, result(worker) if result else None))
    except (InputError, OSError, MemoryError) as error:
        connection.send(("failed", number, error))
    except KeyboardInterrupt:
        # The process that started this one is told as well.
        pass
    except Exception as error:
        # Whatever a library raises of a sample, a user reads one line of it.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        refusal = InputError("model.runtime", f"calibration sample {number} fails: {reason}")
        connection.send(("failed", number, refusal))
    finally:
        connection.close()


def over_samples(
    samples: int,
    open_worker: Callable[[], _Worker],
    progress: Callable[[int], None] | None = None,
    processes: int | None = None,
    result: Callable[[_Worker], Any] | None = None,
) -> list[Any]:
    """Calls a worker for every sample number.

    Args:
      samples: how many there are.
      open_worker: makes a worker, in each process once. A worker takes a sample's number.
      progress: called with the number of samples done.
      processes: at most so many; the cores that there are where it is None.
      result: called in each process at its end with the worker; what it returns is sent
        back.

    Returns:
      Each process's result, in the order of their first samples.

    Raises:
      Exception: what a worker raised; of several, that of the first sample.
    """
    count = process_count(samples, processes)
    context = multiprocessing.get_context("fork")
    running, started = {}, []
    try:
        for first in range(count):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_work,
                args=(range(first, samples, count), open_worker, result, theirs),
                daemon=True,
            )
            process.start()
            theirs.close()
            started.append(process)
            running[ours] = first
        return _listen(running, samples, progress)
    finally:
        for process in started:
            process.terminate()
            process.join()


def _listen(
    running: dict[Connection, int], samples: int, progress: Callable[[int], None] | None
) -> list:
    """Waits for all processes.

    Args:
      running: where each process's messages come in, and its first sample.
      samples: how many there are.
      progress: called with the number of samples done.

    Returns:
      What they sent at their ends, in the order of their first samples.
    """
    results: dict[int, Any] = {}
    failures: dict[int, BaseException] = {}
    done = 0
    while running:
        ready = set(wait(list(running)))
        for connection, first in list(running.items()):
            if connection not in ready:
                continue
            try:
                what, number, content = connection.recv()
            except EOFError:
                del running[connection]
                if first not in results and not failures:
                    failures[samples] = InputError(
                        "model.runtime",
                        "a process that runs calibration samples was ended: the runtime fails on "
                        "this model, or memory ran out; try fewer samples",
                    )
                continue
            if what == "done":
                done += 1
                if progress:
                    progress(done)
            elif what == "end":
                results[first] = content
            else:
                failures[number] = content
    if failures:
        raise failures[min(failures)]
    return [results[first] for first in sorted(results)]
