"""Says which operators of a model a device's delegate takes, and which fall back.

Each border between what a delegate computes and what runs by itself costs a copy and a wait.
"""

import contextlib
from pathlib import Path

from tools.graph.delegate import read_delegation

_QUANTIZED = ("int8", "uint8", "int16")


def read_delegate_use(interpreter) -> dict:
    """Reads what a delegate took of an interpreter's main graph.

    Args:
      interpreter: an ai_edge_litert Interpreter with tensors allocated.

    Returns:
      {"partitions": int, "operators": int, "delegated": int, "fallback": {"NAME (types)":
      count}}. Operators whose results nobody needs are not counted.
    """
    found = read_delegation(interpreter)
    return {
        "delegated": len(found.taken),
        "fallback": found.fallback,
        "operators": len(found.needed),
        "partitions": found.partitions,
    }


def parse_delegate_use(text: str, path: Path) -> dict | None:
    """Reads what benchmark_model says that a delegate took.

    Args:
      text: what it printed, best with --enable_op_profiling=true.
      path: the model that it ran.

    Returns:
      As `read_delegate_use`, with None for what the text does not tell; None when it tells
      nothing at all.
    """
    from tools.errors import InputError
    from tools.graph.flatbuffer import read_model
    from tools.latency.benchmark_output import read_delegate_use as read_lines
    from tools.latency.operator_profile import fallback_of, read_operator_profile

    use = read_lines(text)
    fallback: dict[str, int] | None = {} if use and use.whole else None
    if fallback is None:
        with contextlib.suppress(InputError):
            profile = read_operator_profile(text, str(path))
            if any(one["delegated"] for one in profile):
                fallback = fallback_of(profile, read_model(path))
    if use is None and fallback is None:
        return None
    return {
        "delegated": use and use.delegated_nodes,
        "fallback": fallback,
        "operators": use and use.all_nodes,
        "partitions": use and use.partitions,
    }


def advice(use: dict) -> str:
    """Says in one line what falls back and what can be done; "" when nothing does."""
    fallback = use.get("fallback") or {}
    if not fallback and use.get("operators") == use.get("delegated"):
        return ""
    pieces = f"{use['partitions']} partitions; " if use.get("partitions") else ""
    if not fallback:
        return f"{pieces}the delegate leaves operators that the device does not name"
    names = ", ".join(f"{count} x {name}" for name, count in fallback.items())
    if any(kind in name for name in fallback for kind in _QUANTIZED):
        return f"{pieces}the delegate leaves {names}; keep_float on them may join the partitions"
    return f"{pieces}the delegate leaves {names}; take such operators out of the float model"
