"""Measures on this machine, with ai-edge-litert in this process.

On a machine that does other things as well, the process at times waits for a processor,
and the clock runs on. Such an inference says nothing about the model. So a round in which
more than a tenth of the inferences waited is measured again; in one that stays disturbed
to the limit, the time of an inference is the time that its thread had a processor. With
several threads there is no such time: what the round gives is then not a number, and
decides nothing.
"""

import math
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tools.errors import InputError
from tools.graph.child_process import in_child
from tools.latency.backend import Backend, Options, Round, RunStatistics, turns
from tools.latency.device import allow_cpus, describe_host, pin_to_cpus, usable_cpus

_ROUND_SECONDS = 0.15
_WARM_UP_SECONDS = 0.5
_MOST_INVOKES = 2000

# A median does not see a tenth that is disturbed.
_MOST_WAITING = 0.1
# Shares of a time: a clock read and a tick of the kernel are no waiting.
_WAITED = 0.05
_AGAIN_IN_A_ROUND = 2
_AGAIN_IN_ALL = 20


def timed(invoke: Callable[[], None], count: int, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """Runs a model and says which inferences had to wait for a processor.

    Args:
      invoke: runs it once.
      count: how often.
      threads: that it runs on, this one among them.

    Returns:
      float64 [2, count] milliseconds: by the clock, by this thread's processor time; and
      bool [count], True where the process was taken off a processor, or waited for one.
    """
    times = np.empty((2, count))
    switches = np.empty(count, int)
    usage = resource.getrusage
    for position in range(count):
        before = usage(resource.RUSAGE_SELF).ru_nivcsw
        cpu = time.thread_time_ns()
        start = time.perf_counter_ns()
        invoke()
        times[0, position] = time.perf_counter_ns() - start
        times[1, position] = time.thread_time_ns() - cpu
        switches[position] = usage(resource.RUSAGE_SELF).ru_nivcsw - before
    times /= 1e6
    waited = switches > 0
    if threads == 1:
        # Taken off for so short a time that it does not show is not disturbed.
        waited = times[0] - times[1] > _WAITED * times[0] + 0.005
    return times, waited


def _resident_kb() -> float:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return float(line.split()[1])
    except OSError:
        pass
    return math.nan


def made_up_inputs(content: bytes, where: str) -> list[np.ndarray]:
    """Makes values that a model's inputs can take, in their order.

    Args:
      content: a whole .tflite file.
      where: how messages name it.

    Raises:
      InputError: when the runtime cannot run the model.
    """
    from tools.graph.flatbuffer import model_to_read
    from tools.graph.made_up_inputs import MadeUpInputs
    from tools.graph.runtime import open_interpreter

    made_up = MadeUpInputs(model_to_read(content, where))
    random = np.random.default_rng(0)
    values = []
    for details in open_interpreter(content, where).get_input_details():
        shape = tuple(int(size) for size in details["shape"])
        values.append(made_up.values(details["index"], shape, details["dtype"], random))
    return values


def _give(interpreter, inputs: Sequence[np.ndarray]) -> None:
    for details, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], values)


def load_cost(
    content: bytes, where: str, threads: int, inputs: Sequence[np.ndarray]
) -> tuple[float, float, float]:
    """Loads a model and runs it once, in a process of its own.

    Args:
      content: a whole .tflite file.
      where: how messages name it.
      threads: of the interpreter.
      inputs: of `made_up_inputs`.

    Returns:
      (milliseconds to load, milliseconds of the first inference, resident memory that
      both added in 2**20 bytes); NaN what the system does not tell.
    """

    def load(_) -> tuple[float, float, float]:
        from tools.graph.runtime import open_interpreter

        before = _resident_kb()
        start = time.perf_counter_ns()
        interpreter = open_interpreter(content, where, threads=threads)
        loaded = time.perf_counter_ns()
        _give(interpreter, inputs)
        given = time.perf_counter_ns()
        interpreter.invoke()
        done = time.perf_counter_ns()
        memory = (_resident_kb() - before) / 1024
        return (loaded - start) / 1e6, (done - given) / 1e6, memory

    try:
        return in_child(load)
    except RuntimeError as error:
        raise InputError(
            "model.runtime", f"{where}: the runtime cannot load and run this model: {error}"
        ) from None


def invoker(
    content: bytes, where: str, threads: int, inputs: Sequence[np.ndarray]
) -> Callable[[], None]:
    """Opens a model on inputs that it can take.

    Args:
      content: a whole .tflite file.
      where: how messages name it.
      threads: of the interpreter.
      inputs: of `made_up_inputs`.

    Returns:
      What runs it once.

    Raises:
      InputError: when the runtime cannot run it.
    """
    from tools.graph.runtime import open_interpreter

    interpreter = open_interpreter(content, where, threads=threads)
    try:
        _give(interpreter, inputs)
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise InputError(
            "model.runtime", f"{where}: the runtime cannot run this model: {reason}"
        ) from None
    return interpreter.invoke


class HostBackend(Backend):
    """This machine."""

    def __init__(self, models: Sequence[Path], options: Options):
        """Opens the models and warms them up; until it is closed the process is pinned.

        Raises:
          InputError: when one cannot be run, or there are not that many processors.
        """
        from tools.graph.flatbuffer import read_bytes

        if not 1 <= options.threads <= len(usable_cpus()):
            raise InputError(
                "flag.value",
                f"--threads={options.threads}: this process may use {len(usable_cpus())} "
                "processors",
            )
        if options.delegate != "xnnpack":
            raise InputError(
                "flag.value", f"delegate {options.delegate}: the host has xnnpack only"
            )
        self._threads = options.threads
        self._models = [(read_bytes(path), str(path)) for path in models]
        self._allowed = usable_cpus()
        self._pinned = pin_to_cpus(options.threads)
        self._inputs = [made_up_inputs(*model) for model in self._models]
        self._invokes = [
            invoker(*model, options.threads, inputs)
            for model, inputs in zip(self._models, self._inputs, strict=True)
        ]
        self._again = 0
        self._count = _MOST_INVOKES
        for invoke in self._invokes:
            start, done = time.perf_counter(), 0
            while done < 5 or time.perf_counter() - start < _WARM_UP_SECONDS:
                invoke()
                done += 1
            each = (time.perf_counter() - start) / done
            self._count = min(self._count, max(5, round(_ROUND_SECONDS / each)))

    def describe(self) -> dict:
        return describe_host(self._threads, self._pinned)

    def delegate_use(self) -> list[dict | None]:
        from tools.graph.runtime import open_interpreter
        from tools.latency.delegate_use import read_delegate_use

        return [
            read_delegate_use(open_interpreter(*model, threads=self._threads))
            for model in self._models
        ]

    def operator_times(self) -> list[list[dict]]:
        from tools.latency.host_profile import host_operator_times

        return [host_operator_times(*model, self._threads) for model in self._models]

    def close(self) -> None:
        self._invokes = []
        allow_cpus(self._allowed)

    def _turn(self, number: int) -> tuple[list[np.ndarray], bool]:
        times: list[np.ndarray] = [np.empty(0)] * len(self._invokes)
        busy = False
        for which in turns(len(self._invokes), number):
            taken, waited = timed(self._invokes[which], self._count, self._threads)
            if waited.mean() > _MOST_WAITING:
                busy = True
                taken[0] = np.where(waited, taken[1], taken[0]) if self._threads == 1 else np.nan
            times[which] = taken[0]
        return times, busy

    def measure_round(self, number: int) -> Round:
        times, busy = self._turn(number)
        for _ in range(_AGAIN_IN_A_ROUND):
            if not busy or self._again >= _AGAIN_IN_ALL:
                break
            self._again += 1
            times, busy = self._turn(number)
        found = []
        for model, inputs, taken in zip(self._models, self._inputs, times, strict=True):
            load_ms, first_ms, memory = load_cost(*model, self._threads, inputs)
            p50, p90, p95 = map(float, np.percentile(taken, [50, 90, 95]))
            found.append(RunStatistics(p50, p90, p95, load_ms, first_ms, memory, taken.size))
        return Round(tuple(found), note="waited for a processor" if busy else "")
