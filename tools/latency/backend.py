"""What every device that latency is measured on has in common.

A device is named like a URI: `host`, `adb`, `adb:SERIAL` or `command:TEMPLATE`. A backend
measures in rounds; each round runs float master and artifact in turn, the first one
alternating, so that a ratio does not see the machine's speed drift.
"""

import abc
import dataclasses
import math
from pathlib import Path

from tools.errors import InputError


@dataclasses.dataclass(frozen=True)
class RunStatistics:
    """One model in one round. NaN is what the device does not tell.

    Attributes:
      p50_ms: median time of an inference in milliseconds.
      p90_ms: 90th percentile.
      load_ms: from the file in memory to an interpreter that is ready.
      first_inference_ms: the first one after that.
      memory_mb: resident memory that loading and running added, in 2**20 bytes.
      runs: inferences measured.
    """

    p50_ms: float
    p90_ms: float = math.nan
    load_ms: float = math.nan
    first_inference_ms: float = math.nan
    memory_mb: float = math.nan
    runs: int = 0


@dataclasses.dataclass(frozen=True)
class Round:
    """Both models, one after the other.

    Attributes:
      float_master: the float master's.
      artifact: the artifact's.
      note: what disturbed it, or "".
    """

    float_master: RunStatistics
    artifact: RunStatistics
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Options:
    """How a device runs models.

    Attributes:
      threads: of the interpreter.
      delegate: "xnnpack", "gpu", "nnapi" or "none".
      benchmark_binary: TFLite's benchmark_model for the device, or None.
    """

    threads: int = 1
    delegate: str = "xnnpack"
    benchmark_binary: Path | None = None


class Backend(abc.ABC):
    """A device with two models on it. It is a context; leaving it cleans up."""

    def __enter__(self) -> "Backend":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @abc.abstractmethod
    def measure_round(self, number: int) -> Round:
        """Runs both models.

        Args:
          number: of the round, from 0; its parity says which model is first.

        Raises:
          InputError: when the models cannot be run there.
        """

    @abc.abstractmethod
    def describe(self) -> dict:
        """Describes the device: at least name, backend, cpu, cores, threads and runtime."""

    def delegate_use(self) -> dict[str, dict | None]:
        """Says what the delegate takes, after a round was measured.

        Returns:
          By "float_master" and "artifact", as tools.latency.delegate_use has it; None, and
          no fallback, where the device does not tell.
        """
        return {"artifact": None, "float_master": None}

    @abc.abstractmethod
    def close(self) -> None:
        """Leaves nothing behind on the device."""


def open_backend(device: str, float_model: Path, artifact: Path, options: Options) -> Backend:
    """Opens a device with two models.

    Args:
      device: its name, such as "host" or "adb:0123456789".
      float_model: the float master.
      artifact: the quantized model.
      options: how it runs them.

    Raises:
      InputError: when there is no such device, or a model cannot be run.
    """
    scheme, _, rest = device.partition(":")
    if device == "host":
        from tools.latency.host import HostBackend

        return HostBackend(float_model, artifact, options)
    if scheme == "adb":
        from tools.latency.android import AndroidBackend

        return AndroidBackend(rest, float_model, artifact, options)
    if scheme == "command" and rest:
        from tools.latency.command import CommandBackend

        return CommandBackend(rest, float_model, artifact, options)
    raise InputError(
        f"no device {device}; host, adb, adb:SERIAL and command:TEMPLATE are the ones known"
    )
