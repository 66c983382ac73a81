"""What becomes of the subgraphs behind the first: branches, loops, other signatures.

Samples run through the first subgraph, so that the others have no ranges. Where a recipe
quantizes activations, their operators keep float arithmetic, with int8 weights where the
library writes them, and their inputs and outputs stay float. A recipe that needs no ranges
applies to all of them.
"""

import re

from tools.graph.flatbuffer import TfliteModel
from tools.graph.topology import Topology
from tools.quantization import recipes
from tools.quantization.patterns import end_names
from tools.quantization.schemes import library_has, operation_name


def inner_entries(model: TfliteModel, recipe: list[dict]) -> list[dict]:
    """Makes the entries that keep inner subgraphs' activations in float.

    Args:
      model: the prepared float master, in which no two tensors have the same name.
      recipe: the main subgraph's.

    Returns:
      The entries to add behind the recipe's; none where no entry takes ranges.
    """
    if not any(recipes.is_static(entry) for entry in recipe):
        return []
    result = []
    for number in range(1, len(model.schema.subgraphs)):
        graph = Topology(model, number)
        result += [
            recipes.unquantized(f"^{re.escape(names)}$", end)
            for end, names in end_names(graph).items()
        ]
        for operator in graph.subgraph.operators:
            if not len(operator.outputs):
                continue
            regex, operation = recipes.exactly(graph, operator), operation_name(graph, operator)
            weights = recipes.weight_only(8, regex, operation)
            fits = library_has(operation, weights)
            result.append(weights if fits else recipes.unquantized(regex, operation))
    return result
