"""The latency measurement: how fast an artifact is on a device, against its float master."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from tools.documents.document import Document
from tools.documents.models import Count, Sha256

VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE"]


@dataclasses.dataclass(frozen=True)
class Speed:
    """How fast a model is, each figure the median of the rounds; null where nobody knows.

    Attributes:
      arena_mb: memory of the model's activations, in 2**20 bytes.
      first_inference_ms: milliseconds of the first inference.
      fps: inferences a second, from p50_ms.
      load_ms: milliseconds to load the model.
      memory_mb: resident memory that loading and running adds, in 2**20 bytes.
      p50_ms: median milliseconds of an inference.
      p90_ms: milliseconds that nine in ten inferences stay under.
      p95_ms: milliseconds that 95 in 100 inferences stay under.
      sha256: of the model's file, hexadecimal.
    """

    arena_mb: float | None
    first_inference_ms: float | None
    fps: float | None
    load_ms: float | None
    memory_mb: float | None
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    sha256: Sha256


@dataclasses.dataclass(frozen=True)
class DelegateUse:
    """What a delegate takes of a model; null where the device does not tell.

    Attributes:
      delegated: operators that it takes.
      fallback: those that it leaves: how many of each, by name and types.
      operators: whose results are needed.
      partitions: pieces that it cuts the model into.
    """

    delegated: int | None
    fallback: Mapping[str, int] | None
    operators: int | None
    partitions: int | None


@dataclasses.dataclass(frozen=True)
class DelegateUses:
    """What a delegate takes of both models; null where the device does not tell.

    Attributes:
      artifact: of the quantized model.
      float_master: of the float32 model.
    """

    artifact: DelegateUse | None
    float_master: DelegateUse | None


@dataclasses.dataclass(frozen=True)
class DeviceState:
    """How warm an Android device is; null where it does not tell.

    Attributes:
      battery_celsius: temperature of the battery.
      battery_percent: charge of the battery.
      thermal_status: Android's, 0 to 6; it slows things down from 2.
    """

    battery_celsius: float | None
    battery_percent: int | None
    thermal_status: int | None


@dataclasses.dataclass(frozen=True)
class Device:
    """Where it was measured. What follows `threads` is of some kinds of devices only.

    Attributes:
      backend: how it was reached: host, adb or command.
      cores: of the processor; null where it is not known.
      cpu: the processor.
      name: how reports name the device.
      runtime: what ran the models.
      threads: that the models ran on.
      abi: of an Android device.
      after: state of an Android device after the last round.
      before: state of an Android device before the first round.
      command: what was run.
      delegate: that an Android device used.
      fingerprint: of the Android build.
      model: of the Android device.
      pinned_cpus: processors of the host that the run was kept on.
      serial: of the Android device.
      soc: of the Android device.
    """

    backend: str
    cores: int | None
    cpu: str
    name: str
    runtime: str
    threads: int
    abi: str | None = None
    after: DeviceState | None = None
    before: DeviceState | None = None
    command: str | None = None
    delegate: str | None = None
    fingerprint: str | None = None
    model: str | None = None
    pinned_cpus: tuple[int, ...] | None = None
    serial: str | None = None
    soc: str | None = None


@dataclasses.dataclass(frozen=True)
class LatencyGate:
    """What a gate on speed or memory found; null where the device does not tell.

    Attributes:
      high: upper end of the interval that decided.
      low: lower end.
      name: of the gate.
      passed: whether it holds, or is undecided and may be.
      threshold: that the gate was given.
      value: median over the rounds.
      verdict: what is known of the gate.
    """

    high: float | None
    low: float | None
    name: str
    passed: bool
    threshold: float
    value: float | None
    verdict: VerdictWord


@dataclasses.dataclass(frozen=True)
class Latency(Document):
    """How fast an artifact is, against its float master.

    Attributes:
      artifact: the quantized model.
      delegate_use: what the delegate takes of both models.
      device: where it was measured.
      disturbed_rounds: rounds in which the device was disturbed, measured again or not.
      float_master: the float32 model that the artifact was made from.
      gates: all of them.
      invokes_per_round: inferences of each model in a round.
      passed: whether every gate did.
      rounds: how many were measured; 0 where a gate failed that needs none.
      speedup: times as fast as the float master, median of the rounds; null without rounds.
      speedup_high: upper end of its 95% interval.
      speedup_low: lower end.
      verdict: of all gates.
      wrong_verdicts_at_most: share of the verdicts that may be wrong by chance.
    """

    KIND = "rules_quantize.latency"
    MADE_BY = "measure_latency --output="

    artifact: Speed
    delegate_use: DelegateUses
    device: Device
    disturbed_rounds: Count
    float_master: Speed
    gates: tuple[LatencyGate, ...]
    invokes_per_round: Count
    passed: bool
    rounds: Count
    speedup: float | None
    speedup_high: float | None
    speedup_low: float | None
    verdict: VerdictWord
    wrong_verdicts_at_most: float
