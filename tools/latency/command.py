"""Measures with a laboratory's own runner, given as a command template.

`command:ssh bench benchmark_model --graph={model} --num_threads={threads}` is run by the
shell once for each model and round. {model} is the path of the .tflite, {threads} the
number of threads. It prints what TFLite's benchmark_model prints.
"""

import shlex
import subprocess
from pathlib import Path

from tools.errors import DeviceFailedError, InputError
from tools.latency.backend import Backend, Options, Round, RunStatistics
from tools.latency.benchmark_output import BenchmarkOutput, read_text

_MOST_SECONDS = 300


def statistics(output: BenchmarkOutput) -> RunStatistics:
    """Takes over what benchmark_model measured; it knows no 90th percentile."""
    return RunStatistics(
        p50_ms=output.median_ms,
        load_ms=output.load_ms,
        first_inference_ms=output.first_inference_ms,
        memory_mb=output.memory_mb,
        runs=output.runs,
    )


class CommandBackend(Backend):
    """A command that measures one model."""

    def __init__(self, template: str, float_model: Path, artifact: Path, options: Options):
        """Reads the template.

        Raises:
          InputError: when it names no {model}, or what is unknown.
        """
        try:
            self._commands = [
                template.format(model=shlex.quote(str(path)), threads=options.threads)
                for path in (float_model, artifact)
            ]
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"command:{template}: {error} is unknown; {{model}} and {{threads}} are filled in"
            ) from None
        if "{model}" not in template:
            raise InputError(f"command:{template}: says nowhere {{model}}")
        self._template, self._options = template, options

    def _run(self, command: str) -> RunStatistics:
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
            raise DeviceFailedError(f"{command}: took over {_MOST_SECONDS} s") from None
        said = done.stdout + done.stderr
        if done.returncode:
            last = (said.strip().splitlines() or ["it said nothing"])[-1]
            raise DeviceFailedError(f"{command}: ended with {done.returncode}: {last}")
        return statistics(read_text(said, command))

    def measure_round(self, number: int) -> Round:
        found = [None, None]
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            found[which] = self._run(self._commands[which])
        return Round(*found)

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
