"""Every gate on speed and memory, once; see tools/gate_definition.py.

The flags of measure_latency and tune_model, rules/gates.bzl and the table of
docs/reference/gates.md are made from this.
"""

import dataclasses

from tools.gate_definition import COUNT, GateDefinition


@dataclasses.dataclass(frozen=True)
class SpeedGate(GateDefinition):
    """A gate on what a device does with the artifact.

    Attributes:
      measured: whether rounds are measured for it. The others are judged before.
    """

    measured: bool = True


def _measured(name: str, about: str) -> SpeedGate:
    return SpeedGate(name, about, least=0, above_least=True)


_DEFINITIONS = (
    _measured("min_fps", "inferences a second"),
    _measured("min_speedup", "how many times as fast as the float master"),
    _measured("max_p90_ms", "milliseconds that nine in ten inferences stay under"),
    _measured("max_load_ms", "milliseconds to load the model"),
    _measured("max_first_inference_ms", "milliseconds of the first inference"),
    _measured("max_memory_mb", "resident memory that loading and running adds, in 2**20 bytes"),
    SpeedGate(
        "max_arena_mb",
        "memory of the artifact's activations, in 2**20 bytes",
        least=0,
        above_least=True,
        measured=False,
    ),
    SpeedGate(
        "max_partitions",
        "pieces that the delegate may cut the artifact into",
        COUNT,
        least=0,
        measured=False,
    ),
    SpeedGate(
        "max_fallback",
        "operators of the artifact that the delegate may leave",
        COUNT,
        least=0,
        measured=False,
    ),
)

SPEED_GATES = {gate.name: gate for gate in _DEFINITIONS}
