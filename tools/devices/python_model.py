"""A model on a device that is reached by a command, which starts a Python there."""

import base64
import collections
import contextlib
import io
import json
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tools.devices.device_model import ROUNDS, SECONDS_A_ROUND, DeviceModel, speed_of
from tools.devices.run_samples import ANSWER
from tools.documents.device_verdict import Device, DeviceSpeed
from tools.errors import DeviceFailedError, NoDeviceError
from tools.graph.runtime import keeps_resources

# What one command may take; an emulator takes seconds for a run of a large model.
_SECONDS = 900
# How much of samples goes there at once. All of them may be more than a small device's memory.
_BYTES_AT_ONCE = 16 << 20
_BASE64_BYTES_A_LINE = 57
# What a shell ends with where it cannot start a program.
_NOT_STARTED = (126, 127)


class PythonModel(DeviceModel):
    """A model that a device's own Python runs.

    Attributes:
      command: of the shell; it starts a Python that reads its program from the standard input.
    """

    def __init__(self, content: bytes, where: str, command: str, seconds: float = _SECONDS):
        """Prepares a model; nothing is started before it runs.

        Args:
          content: a whole .tflite file.
          where: how messages name it.
          command: see the class.
          seconds: after which a command that has not ended has failed.

        Raises:
          InputError: when the model cannot be read.
        """
        super().__init__(content, where)
        self.command = command
        self._content, self._seconds = content, seconds
        self._announced: Iterator[Mapping[str, np.ndarray]] = iter(())
        self._answers: collections.deque[dict[str, bytes]] = collections.deque()
        self._said: dict[str, Any] = {}
        self._last: Mapping[str, np.ndarray] = {}

    def describe_device(self, name: str) -> Device:
        """See DeviceModel."""
        said = self._said
        return Device("cpu", said["emulator"], name, said["program"], said["runtime"])

    def announce(self, samples: Iterable[Mapping[str, np.ndarray]]) -> None:
        """See DeviceModel; samples are then run in this order and no other."""
        self._announced = iter(samples)

    def __call__(self, sample: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """See DeviceModel."""
        self._last = sample
        if not self._answers:
            self._run(self._next_samples() or [sample])
        return self._floats(self._answers.popleft(), self._said["runtime"])

    def _next_samples(self) -> list[Mapping[str, np.ndarray]]:
        """Takes as many announced samples as go there at once."""
        found: list[Mapping[str, np.ndarray]] = []
        held = 0
        while held < _BYTES_AT_ONCE and (sample := next(self._announced, None)) is not None:
            found.append(sample)
            held += sum(values.nbytes for values in sample.values())
        return found

    def _run(self, samples: list[Mapping[str, np.ndarray]]) -> None:
        answers = self._ask(samples, {}, 0)
        if self._said["refusal"]:
            raise self._refuse(self._said["runtime"], self._said["refusal"])
        for number in range(len(samples)):
            self._answers.append(
                {
                    name: answers[f"{number}_{output}"].tobytes()
                    for output, name in enumerate(self.outputs)
                }
            )

    def measure(self, float_master: bytes, names: Mapping[str, str]) -> DeviceSpeed | None:
        """See DeviceModel."""
        if self._said["emulator"]:
            return None
        arrays = {"master": np.frombuffer(float_master, np.uint8)}
        master_model = PythonModel(float_master, self.where, self.command)
        theirs = {name: self._last[ours] for ours, name in names.items()}
        for number, values in enumerate(master_model._values_to_set(theirs).values()):
            arrays[f"master_{number}"] = values
        self._ask([self._last], arrays, ROUNDS)
        if self._said["refusal"]:
            raise DeviceFailedError(
                "device.failed",
                f"{self.where}: the device failed while it measured: {self._said['refusal']}",
            )
        return speed_of(*self._said["medians"])

    def _ask(
        self, samples: list[Mapping[str, np.ndarray]], arrays: Mapping[str, np.ndarray], rounds: int
    ) -> Mapping[str, np.ndarray]:
        """Lets the device run samples, or measure where there are rounds."""
        order = {
            "inputs": len(self.inputs),
            "reopens": keeps_resources(self._content),
            "rounds": rounds,
            "samples": len(samples),
            "seconds": SECONDS_A_ROUND,
        }
        question: dict[str, Any] = {
            "model": np.frombuffer(self._content, np.uint8),
            "order": np.frombuffer(json.dumps(order).encode(), np.uint8),
            **arrays,
        }
        for sample, values in enumerate(samples):
            for number, one in enumerate(self._values_to_set(values).values()):
                question[f"{sample}_{number}"] = one
        file = io.BytesIO()
        np.savez_compressed(file, **question)
        printed = self._printed(_program(file.getvalue()))
        line = next((one for one in printed.splitlines() if one.startswith(ANSWER.encode())), None)
        if line is None:
            raise DeviceFailedError(
                "device.failed",
                f"{self.where}: `{self.command}` printed no answers; let it start a Python that "
                "reads its program from the standard input (python3 -)",
            )
        answers = np.load(io.BytesIO(base64.b64decode(line[len(ANSWER) :])))
        self._said = json.loads(answers["said"].tobytes())
        return answers

    def _printed(self, program: bytes) -> bytes:
        """Runs the command; gives its standard output."""
        with subprocess.Popen(
            ["/bin/sh", "-c", self.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A login that asks for a password has no terminal to ask on, and fails.
            start_new_session=True,
        ) as process:
            try:
                printed, errors = process.communicate(program, timeout=self._seconds)
            except subprocess.TimeoutExpired:
                raise DeviceFailedError(
                    "device.timeout",
                    f"{self.where}: `{self.command}` came to no end in {self._seconds:g} s; try "
                    "again when the device has less to do, or with fewer samples (--most_samples=)",
                ) from None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if not process.returncode:
            return printed
        words = [line.strip() for line in errors.decode("utf-8", "replace").splitlines()]
        last = next((line for line in reversed(words) if line), "it said nothing")
        if process.returncode in _NOT_STARTED:
            raise NoDeviceError(
                "device.none",
                f"{self.where}: `{self.command}` cannot be started ({last}); install what it "
                "names, or give the device another command",
            )
        raise DeviceFailedError(
            "device.failed",
            f"{self.where}: `{self.command}` ended with status {process.returncode} ({last}); see "
            "that it reaches the device, and that its Python there has numpy and ai-edge-litert",
        )


def _program(question: bytes) -> bytes:
    """Writes what the device's Python reads: the whole program with all that it works on."""
    source = Path(__file__).with_name("run_samples.py").read_bytes()
    step = _BASE64_BYTES_A_LINE
    lines = (
        base64.b64encode(question[start : start + step]) for start in range(0, len(question), step)
    )
    return source + b'\n\nanswer("""\n' + b"\n".join(lines) + b'\n""")\n'
