"""Plans with a recipe that the user gives, as litert-quantizer reads it.

The library passes in silence over an entry that matches no operator, and over one whose
operators it cannot write so. Either is a mistake in the recipe or a recipe for another
model, and is refused.
"""

import re

from tools.errors import InputError
from tools.graph.flatbuffer import tensor_name
from tools.graph.topology import Topology
from tools.quantization import patterns
from tools.quantization.schemes import Plan, library_has, operation_name

_NO_QUANTIZATION = "no_quantize"


def _check_matches(graph: Topology, recipe: list[dict]) -> None:
    where = graph.model.where
    graphs = [Topology(graph.model, n) for n in range(len(graph.model.schema.subgraphs))]
    named = [
        (operation_name(one, operator), patterns.scope(one, operator))
        for one in graphs
        for operator in one.subgraph.operators
    ]
    named += list(patterns.end_names(graph).items())
    for number, entry in enumerate(recipe):
        what = f"{where}: recipe entry {number}"
        wanted = entry["operation"]
        candidates = [pair for pair in named if wanted in ("*", pair[0])]
        if not candidates:
            kinds = ", ".join(sorted({kind for kind, _ in named if kind != "*"}))
            raise InputError(
                "recipe.matches_none", f"{what}: the model has no {wanted}; it has {kinds}"
            )
        found = [pair for pair in candidates if re.search(entry["regex"], pair[1])]
        if not found:
            raise patterns.no_match(what, entry["regex"], [scope for _, scope in candidates])
        if entry["algorithm_key"] == _NO_QUANTIZATION:
            continue
        if not any(library_has(kind, entry) for kind, _ in found):
            kinds = ", ".join(sorted({kind for kind, _ in found}))
            raise InputError(
                "recipe.matches_none",
                f"{what}: the library writes none of the {len(found)} operators that it matches "
                f"so ({kinds})",
            )


def _reason(algorithm: str, config) -> str | None:
    """Says why an operator computes in float; None where it does not."""
    if algorithm == _NO_QUANTIZATION:
        return "the recipe leaves it in float"
    if config.compute_precision == "FLOAT":
        weights = config.weight_tensor_config
        kind = "float" if weights.dtype == "FLOAT" else "int"
        return f"the recipe gives it {kind}{weights.num_bits} weights, float arithmetic"
    return None


def plan_given(graph: Topology, recipe: list[dict]) -> Plan:
    """Makes the plan that a recipe is.

    Args:
      graph: of the prepared float master.
      recipe: of the form that `check_recipe` checks.

    Returns:
      The plan; its recipe is the one given.

    Raises:
      InputError: when the library cannot read the recipe, or an entry does nothing.
    """
    from litert_quantizer import recipe_manager

    manager = recipe_manager.RecipeManager()
    complete = [entry | {"op_config": entry.get("op_config", {})} for entry in recipe]
    for number, entry in enumerate(complete):
        try:
            manager.load_quantization_recipe([entry])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                "recipe.refused",
                f"{graph.model.where}: recipe entry {number}: the library refuses it: {reason}",
            ) from error
    _check_matches(graph, complete)
    manager.load_quantization_recipe(complete)
    kept: dict[str, str] = {}
    for operator in graph.subgraph.operators:
        chosen = manager.get_quantization_configs(
            operation_name(graph, operator), patterns.scope(graph, operator)
        )
        why = _reason(*chosen)
        if why:
            kept |= {tensor_name(graph.tensor(index)): why for index in operator.outputs}
    outputs, _ = manager.get_quantization_configs("OUTPUT", patterns.end_names(graph)["OUTPUT"])
    return Plan(
        recipe=complete,
        kept_float=kept,
        float_outputs=outputs == _NO_QUANTIZATION,
    )
