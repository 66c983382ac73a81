"""The device verdict: what an artifact does where it runs, held to the build's gates."""

import dataclasses
from typing import Literal

from tools.documents.document import Document
from tools.documents.models import Amount, AtLeastOne, FileIdentity
from tools.documents.report import Similarity
from tools.documents.verdict import JudgedGate


@dataclasses.dataclass(frozen=True)
class Device:
    """What runs models.

    Attributes:
      accelerator: "wasm", XNNPACK in WebAssembly; "gpu", the GPU delegate by WebGPU; or "cpu",
        the runtime of a device's own Python with XNNPACK.
      adapter: what computes in place of a GPU or of the processor, as it names itself, or the
        GPU behind WebGPU; "" without.
      name: of the device.
      program: the browser, or the Python and its system, with versions.
      runtime: that of the program, and its version.
    """

    accelerator: Literal["cpu", "gpu", "wasm"]
    adapter: str
    name: str
    program: str
    runtime: str


@dataclasses.dataclass(frozen=True)
class DeviceSpeed:
    """How fast an artifact and its float master run on a device, measured in turns.

    Attributes:
      artifact_ms: median of a run, in milliseconds.
      float_master_ms: likewise.
      speedup: how many times as fast the artifact is, the median of the rounds.
    """

    artifact_ms: Amount
    float_master_ms: Amount
    speedup: Amount


@dataclasses.dataclass(frozen=True)
class DeviceVerdict(Document):
    """What an artifact does on a device, and whether its answers there pass the build's gates.

    Attributes:
      artifact: the file.
      device: that it ran on.
      fault: why there are no answers, in the runtime's words; "" where there are.
      float_master: the file; it ran on the host.
      gates: of outputs and tasks, whether they passed or not; none where there are no answers.
      name: of the artifact.
      passed: whether there are answers, and all gates passed.
      similarity: of the answers there to the float master's on the host; null without answers.
      speed: null where the device tells none.
      taken: whether the accelerator runs all operators, some, or refuses the model.
      test_samples: how many there are; `similarity.samples` of them ran.
    """

    KIND = "rules_quantize.device_verdict"
    MADE_BY = "validate_in_browser --output= or validate_on_device --output="

    artifact: FileIdentity
    device: Device
    fault: str
    float_master: FileIdentity
    gates: tuple[JudgedGate, ...]
    name: str
    passed: bool
    similarity: Similarity | None
    speed: DeviceSpeed | None
    taken: Literal["partly", "refused", "whole"]
    test_samples: AtLeastOne
