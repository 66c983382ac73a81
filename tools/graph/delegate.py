"""Reads which operators of a model the runtime's delegate took.

After delegation the runtime keeps the operators that a delegate took, and adds a DELEGATE
operator for every partition. What a partition computes is what lies between its outputs
and its inputs; every other operator that is needed runs by itself.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Delegation:
    """What a delegate took of a model's main subgraph.

    Attributes:
      needed: places of the operators whose results somebody needs.
      taken: of those that the delegate computes, a part of `needed`.
      partitions: pieces that it cuts the model into.
      names: of each operator by its place, with its types, such as "ADD (int8)".
    """

    needed: frozenset[int]
    taken: frozenset[int]
    partitions: int
    names: Mapping[int, str]

    @property
    def fallback(self) -> dict[str, int]:
        """Counts the needed operators that the delegate leaves, by name and types."""
        left = Counter(self.names[place] for place in sorted(self.needed - self.taken))
        return dict(sorted(left.items()))


def read_delegation(interpreter) -> Delegation:
    """Reads what a delegate took.

    Args:
      interpreter: an ai_edge_litert Interpreter with tensors allocated.

    Returns:
      Places are those of the file's operators, which come before the runtime's own.
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
    names = {}
    for place in needed:
        types = sorted({kind.__name__ for kind in operators[place]["operand_types"]})
        names[place] = f"{operators[place]['op_name']} ({', '.join(types)})"
    return Delegation(frozenset(needed), frozenset(needed & taken), len(partitions), names)
