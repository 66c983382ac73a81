"""Finds operators and tensors by regular expressions over their names.

An operator has no name of its own in a .tflite file: its scope, the names of its outputs,
each followed by ";", stands for it, as it does in litert-quantizer's recipes.
"""

import difflib
import re
from collections.abc import Iterable

from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, tensor_name
from tools.graph.topology import Topology

_SHOWN = 3


def scope(graph: Topology, operator: schema.OperatorT) -> str:
    """Joins the names of an operator's outputs, each followed by ";"."""
    return "".join(f"{tensor_name(graph.tensor(index))};" for index in operator.outputs)


def end_names(graph: Topology) -> dict[str, str]:
    """Joins the names of a subgraph's inputs ("INPUT") and outputs ("OUTPUT") as recipes do."""
    sides = {"INPUT": graph.subgraph.inputs, "OUTPUT": graph.subgraph.outputs}
    return {
        side: "".join(f"{tensor_name(graph.tensor(index))};" for index in indices)
        for side, indices in sides.items()
    }


class EarlierScopes:
    """The scopes that operators had before passes renamed what they write.

    A user reads names in the model that they gave; fusing takes some of these away.
    """

    def __init__(self, graph: Topology):
        self._of = {id(operator): scope(graph, operator) for operator in graph.subgraph.operators}
        # An operator that is gone would give its id to a new one.
        self._alive = list(graph.subgraph.operators)

    def of_copy(self, model: TfliteModel, copy: TfliteModel) -> "EarlierScopes":
        """Gives the same for a copy of the model in the state that it is in now."""
        result = EarlierScopes(Topology(copy))
        for one, other in zip(
            model.schema.subgraphs[0].operators, copy.schema.subgraphs[0].operators, strict=True
        ):
            result._of[id(other)] = self.of(one)
        return result

    def of(self, operator: schema.OperatorT) -> str:
        """Gives an operator's earlier scope; "" for one that is new."""
        return self._of.get(id(operator), "")


def matches(graph: Topology, operator: schema.OperatorT, pattern: str) -> bool:
    """Says whether a pattern is found in an operator's scope."""
    return re.search(pattern, scope(graph, operator)) is not None


def matching(
    graph: Topology, pattern: str, before: EarlierScopes | None = None
) -> list[schema.OperatorT]:
    """Finds operators.

    Args:
      graph: to search.
      pattern: a regular expression, searched in scopes.
      before: scopes that operators had earlier, which are searched too.

    Returns:
      The operators, in the model's order.
    """
    search = re.compile(pattern).search
    return [
        operator
        for operator in graph.subgraph.operators
        if search(scope(graph, operator)) or (before and search(before.of(operator)))
    ]


def _near(pattern: str, names: Iterable[str]) -> list[str]:
    """Finds the names that are most like what a pattern spells."""
    spelt = re.sub(r"\\(.)", r"\1", re.sub(r"[\^$]|\.[*+?]?", "", pattern)).lower()
    parts: dict[str, str] = {}
    for name in names:
        for part in [name, *re.split(r"[/;]", name)]:
            parts.setdefault(part.lower(), name)
    close = difflib.get_close_matches(spelt, list(parts), n=8, cutoff=0.5)
    return list(dict.fromkeys(parts[part] for part in close))[:_SHOWN]


def no_match(what: str, pattern: str, names: Iterable[str]) -> InputError:
    """Makes the error for a pattern that matches nothing.

    Args:
      what: what looked, such as "face: layers".
      pattern: the regular expression.
      names: what it was searched in.

    Returns:
      The error; it names what comes near.
    """
    names = [name.removesuffix(";") for name in names]
    near = _near(pattern, names)
    told = f"near it: {', '.join(near)}" if near else f"one of them is {names[0]}" if names else ""
    return InputError(
        "settings.pattern",
        f"{what}: {pattern} matches none of {len(names)} names{'; ' + told if told else ''}",
    )
