"""Measures with a laboratory's own runner, given as a command template.

`command:ssh bench benchmark_model --graph={model} --num_threads={threads} {flags}` is run by
the shell once for each model and round. {model} is the path of the .tflite, {threads} the
number of threads. It prints what TFLite's benchmark_model prints. {flags} may be left out: it
is empty in a round, and has further flags of benchmark_model where operators are profiled.
"""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.errors import DeviceFailedError, InputError
from tools.latency.backend import Backend, Options, Round, turns
from tools.latency.benchmark_output import read_text
from tools.latency.delegate_use import parse_delegate_use
from tools.latency.operator_profile import read_operator_profile

_MOST_SECONDS = 300

PROFILE_FLAG = "--enable_op_profiling=true"
PROBE_FLAGS = f"{PROFILE_FLAG} --num_runs=1 --min_secs=0 --warmup_runs=1 --warmup_min_secs=0"


class CommandBackend(Backend):
    """A command that measures one model."""

    def __init__(self, template: str, models: Sequence[Path], options: Options):
        """Reads the template.

        Raises:
          InputError: when it names no {model}, or what is unknown.
        """
        self._template, self._options, self._models = template, options, models
        try:
            self._commands = [self._command(path, "") for path in models]
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                "device.setting",
                f"command:{template}: {error} is unknown; {{model}}, {{threads}} and {{flags}} "
                "are filled in",
            ) from None
        if "{model}" not in template:
            raise InputError("device.setting", f"command:{template}: says nowhere {{model}}")

    def _command(self, model: Path, flags: str) -> str:
        return self._template.format(
            model=shlex.quote(str(model)), threads=self._options.threads, flags=flags
        )

    def _said(self, command: str) -> str:
        try:
            done = subprocess.run(
                command,
                shell=True,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_MOST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeviceFailedError(
                "device.timeout", f"{command}: took over {_MOST_SECONDS} s"
            ) from None
        said = done.stdout + done.stderr
        if done.returncode:
            last = (said.strip().splitlines() or ["it said nothing"])[-1]
            raise DeviceFailedError(
                "device.failed", f"{command}: ended with {done.returncode}: {last}"
            )
        return said

    def measure_round(self, number: int) -> Round:
        found = {}
        for which in turns(len(self._commands), number):
            command = self._commands[which]
            found[which] = read_text(self._said(command), command).statistics()
        return Round(tuple(found[which] for which in sorted(found)))

    def delegate_use(self) -> list[dict | None]:
        # Without {flags} a probe is as long as a measurement.
        flags = PROBE_FLAGS if "{flags}" in self._template else ""
        return [
            parse_delegate_use(self._said(self._command(model, flags)), model)
            for model in self._models
        ]

    def operator_times(self) -> list[list[dict]]:
        if "{flags}" not in self._template:
            raise InputError(
                "device.setting",
                f"command:{self._template}: operators are profiled with further flags; "
                "say where they go: {flags}",
            )
        commands = [self._command(model, PROFILE_FLAG) for model in self._models]
        return [read_operator_profile(self._said(one), one) for one in commands]

    def describe(self) -> dict:
        return {
            "backend": "command",
            "command": self._template,
            "cores": None,
            "cpu": self._template.split()[0],
            "name": "command",
            "runtime": "benchmark_model",
            "threads": self._options.threads,
        }

    def close(self) -> None:
        pass
