"""Says which operators of a model XNNPACK takes on this host, and which fall back.

After delegation the runtime keeps the operators that a delegate took, and adds a DELEGATE
operator for every partition. What a partition computes is what lies between its outputs
and its inputs; every other operator that is needed runs by itself, and each border between
the two costs a copy and a wait.
"""

from collections import Counter
from pathlib import Path

_QUANTIZED = ("int8", "uint8", "int16")


def read_delegate_use(interpreter) -> dict:
    """Reads what a delegate took of an interpreter's main graph.

    Args:
      interpreter: an ai_edge_litert Interpreter with tensors allocated.

    Returns:
      {"partitions": int, "operators": int, "delegated": int, "fallback": {"NAME (types)":
      count}}. Operators whose results nobody needs are not counted.
    """
    operators = interpreter._get_ops_details()
    producer = {}
    for place, operator in enumerate(operators):
        if operator["op_name"] != "DELEGATE":
            producer.update({int(tensor): place for tensor in operator["outputs"]})

    def behind(outputs, inputs) -> set[int]:
        """Operators that compute tensors from others."""
        stop, found, waiting = {int(one) for one in inputs}, set(), [int(one) for one in outputs]
        while waiting:
            tensor = waiting.pop()
            place = producer.get(tensor)
            if tensor in stop or place is None or place in found:
                continue
            found.add(place)
            waiting += [int(one) for one in operators[place]["inputs"] if one >= 0]
        return found

    partitions = [one for one in operators if one["op_name"] == "DELEGATE"]
    taken = set()
    for one in partitions:
        taken |= behind(one["outputs"], one["inputs"])
    needed = behind([one["index"] for one in interpreter.get_output_details()], [])
    fallback = Counter()
    for place in sorted(needed - taken):
        operator = operators[place]
        types = sorted({kind.__name__ for kind in operator["operand_types"]})
        fallback[f"{operator['op_name']} ({', '.join(types)})"] += 1
    return {
        "delegated": len(needed & taken),
        "fallback": dict(sorted(fallback.items())),
        "operators": len(needed),
        "partitions": len(partitions),
    }


def host_delegate_use(path: Path, threads: int = 1) -> dict:
    """Reads what XNNPACK takes of a model file; as `read_delegate_use`.

    Raises:
      InputError: when it cannot be run.
    """
    from tools.graph.flatbuffer import read_bytes
    from tools.quantization.calibration import open_interpreter

    return read_delegate_use(open_interpreter(read_bytes(path), str(path), threads=threads))


def advice(use: dict) -> str:
    """Says in one line what falls back and what can be done; "" when nothing does."""
    fallback = use.get("fallback") or {}
    if not fallback:
        return ""
    names = ", ".join(f"{count} x {name}" for name, count in fallback.items())
    if any(kind in name for name in fallback for kind in _QUANTIZED):
        return f"the delegate leaves {names}; keep_float on them may join the partitions"
    return f"the delegate leaves {names}; take such operators out of the float model"
