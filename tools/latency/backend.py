"""What every device that latency is measured on has in common.

A device is named like a URI: `host`, `adb`, `adb:SERIAL`, `adb:NAME=VALUE` or
`command:TEMPLATE`. A backend measures in rounds; each round runs every model in turn, in an order
that alternates. A shared machine's speed drifts by tens of percent within seconds, for all models
alike: the ratio of a round does not see it, and the median over rounds does not see a round that
was disturbed.
"""

import abc
import dataclasses
import math
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class RunStatistics:
    """One model in one round. NaN is what the device does not tell.

    Attributes:
      p50_ms: median time of an inference in milliseconds.
      p90_ms: 90th percentile.
      p95_ms: 95th percentile.
      load_ms: from the file in memory to an interpreter that is ready.
      first_inference_ms: the first one after that.
      memory_mb: resident memory that loading and running added, in 2**20 bytes.
      runs: inferences measured.
    """

    p50_ms: float
    p90_ms: float = math.nan
    p95_ms: float = math.nan
    load_ms: float = math.nan
    first_inference_ms: float = math.nan
    memory_mb: float = math.nan
    runs: int = 0


@dataclasses.dataclass(frozen=True)
class Round:
    """Every model, one after the other.

    Attributes:
      runs: each model's, in the order in which the backend was given them.
      note: what disturbed it, or "".
    """

    runs: tuple[RunStatistics, ...]
    note: str = ""


def turns(models: int, number: int) -> range:
    """Says in which order a round runs models.

    Args:
      models: how many.
      number: of the round, from 0; every second one goes the other way.

    Returns:
      Their numbers.
    """
    return range(models) if number % 2 == 0 else range(models - 1, -1, -1)


@dataclasses.dataclass(frozen=True)
class Options:
    """How a device runs models.

    Attributes:
      threads: of the interpreter.
      delegate: "xnnpack", "gpu", "nnapi" or "none".
      benchmark_binary: TFLite's benchmark_model for the device, or None.
      patience: seconds to wait for a device that another program holds.
    """

    threads: int = 1
    delegate: str = "xnnpack"
    benchmark_binary: Path | None = None
    patience: float = 0


class Backend(abc.ABC):
    """A device with models on it. It is a context; leaving it cleans up."""

    def __enter__(self) -> "Backend":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @abc.abstractmethod
    def measure_round(self, number: int) -> Round:
        """Runs every model.

        Args:
          number: of the round, from 0; its parity says in which order.

        Raises:
          InputError: when the models cannot be run there.
        """

    @abc.abstractmethod
    def describe(self) -> dict:
        """Describes the device: at least name, backend, cpu, cores, threads and runtime."""

    @abc.abstractmethod
    def delegate_use(self) -> list[dict | None]:
        """Says what the delegate takes; no round needs to have been measured.

        Returns:
          For each model what tools.latency.delegate_use.read_delegate_use gives. None, and no
          fallback, where the device does not tell.
        """

    @abc.abstractmethod
    def operator_times(self) -> list[list[dict]]:
        """Profiles each model's operators.

        Returns:
          For each model what tools.latency.operator_profile.read_operator_profile gives.

        Raises:
          InputError: when the device has no such profile.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Leaves nothing behind on the device."""
