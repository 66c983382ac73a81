"""Recipes, in litert-quantizer's own JSON form.

A recipe is a list of entries, later ones over earlier ones; `regex` is searched in an
operator's scope, which is the names of its outputs, each followed by ";".
"""

import hashlib
import json
import re

from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.flatbuffer import tensor_name
from tools.graph.topology import Topology

_MIN_MAX = "min_max_uniform_quantize"
_NO_QUANTIZATION = "no_quantize"


def _entry(algorithm: str, config: dict, regex: str, operation: str) -> dict:
    return {
        "algorithm_key": algorithm,
        "op_config": {"min_weight_elements": 0, "skip_checks": False} | config,
        "operation": operation,
        "regex": regex,
    }


def _weights(bits: int, granularity: str = "CHANNELWISE") -> dict:
    return {"dtype": "INT", "granularity": granularity, "num_bits": bits, "symmetric": True}


def static(activation_bits: int, weight_bits: int, regex: str = ".*", operation: str = "*") -> dict:
    """An entry: activations by tensor, weights by channel, integer arithmetic.

    Args:
      activation_bits: 8 (any zero point) or 16 (zero point 0).
      weight_bits: 4 or 8.
      regex: of the operators that it is for.
      operation: the library's name for a kind of operator, or "*".

    Returns:
      The entry.
    """
    config = {
        "activation_tensor_config": {
            "dtype": "INT",
            "granularity": "TENSORWISE",
            "num_bits": activation_bits,
            "symmetric": activation_bits == 16,
        },
        "compute_precision": "INTEGER",
        "explicit_dequantize": False,
        "weight_tensor_config": _weights(weight_bits),
    }
    return _entry(_MIN_MAX, config, regex, operation)


def weight_only(bits: int, regex: str = ".*", operation: str = "*") -> dict:
    """An entry: weights by channel, computed in float."""
    config = {
        "compute_precision": "FLOAT",
        "explicit_dequantize": True,
        "weight_tensor_config": _weights(bits),
    }
    return _entry(_MIN_MAX, config, regex, operation)


def dynamic(bits: int, regex: str = ".*", operation: str = "*", block: int = 0) -> dict:
    """An entry: activations are quantized as the operator runs.

    Args:
      bits: of the weights.
      regex: of the operators that it is for.
      operation: the library's name for a kind of operator, or "*".
      block: weights that share a scale, along their last dimension; 0 is a channel.

    Returns:
      The entry.
    """
    config = {
        "compute_precision": "INTEGER",
        "explicit_dequantize": False,
        "weight_tensor_config": _weights(bits, f"BLOCKWISE_{block}" if block else "CHANNELWISE"),
    }
    return _entry(_MIN_MAX, config, regex, operation)


def float16(regex: str = ".*", operation: str = "*") -> dict:
    """An entry: weights float16, computed in float32."""
    config = {
        "compute_precision": "FLOAT",
        "explicit_dequantize": True,
        "weight_tensor_config": {
            "dtype": "FLOAT",
            "granularity": "TENSORWISE",
            "num_bits": 16,
            "symmetric": True,
        },
    }
    return _entry("float_casting", config, regex, operation)


def unsigned_end(regex: str, operation: str) -> dict:
    """An entry: the model's inputs or outputs are uint8.

    Args:
      regex: of their names.
      operation: "INPUT" or "OUTPUT".

    Returns:
      The entry.
    """
    entry = static(8, 8, regex, operation)
    entry["op_config"]["activation_tensor_config"]["dtype"] = "UINT"
    return entry


def unquantized(regex: str, operation: str = "*") -> dict:
    """An entry: left as it is."""
    return {
        "algorithm_key": _NO_QUANTIZATION,
        "op_config": {},
        "operation": operation,
        "regex": regex,
    }


def activation_bits(entry: dict) -> int | None:
    """Gives the bits of an entry's activations; None where they stay float."""
    return entry.get("op_config", {}).get("activation_tensor_config", {}).get("num_bits")


def is_static(entry: dict) -> bool:
    """Says whether an entry quantizes activations by ranges that calibration finds."""
    return "activation_tensor_config" in entry.get("op_config", {})


def is_blockwise(entry: dict) -> bool:
    """Says whether an entry gives each block of weights a scale."""
    weights = entry.get("op_config", {}).get("weight_tensor_config", {})
    return weights.get("granularity", "").startswith("BLOCKWISE")


def exactly(graph: Topology, operator: schema.OperatorT) -> str:
    """Makes the regex that finds one operator and no other.

    It reaches to the end: converters join names with semicolons, so that the name of one
    operator may begin like another's scope.
    """
    names = [tensor_name(graph.tensor(index)) for index in operator.outputs]
    return "^" + "".join(f"{re.escape(name)};" for name in names) + "$"


def _is_literal(regex: str) -> bool:
    """Says whether a regex is one that `exactly` makes."""
    body = regex[1:-1]
    return regex == f"^{body}$" and re.escape(re.sub(r"\\(.)", r"\1", body, flags=re.S)) == body


def joined(recipe: list[dict]) -> list[dict]:
    """Joins entries that name one operator each and say the same of it.

    The library searches every entry's regex in every operator's scope, and Python keeps
    512 compiled ones: 3,000 entries for 3,000 operators take it minutes. Names are
    unique, so that the order among different operators' entries does not matter.

    Args:
      recipe: a recipe.

    Returns:
      One that does the same, with a regex of alternatives for each run of such entries.
    """
    result: list[dict] = []
    run: dict[tuple[int, str], list[str]] = {}
    seen: dict[str, int] = {}

    def close() -> None:
        for turn, same in sorted(run, key=lambda key: key[0]):
            # The library keeps entries of one regex at the first one's place.
            regex = f"^({'|'.join(run[turn, same])})$" + f"(?#{turn})" * (turn > 0)
            result.append(json.loads(same) | {"regex": regex})
        run.clear()
        seen.clear()

    for entry in recipe:
        if not _is_literal(entry["regex"]):
            close()
            result.append(entry)
            continue
        # An operator's second entry goes over its first.
        turn = seen[entry["regex"]] = seen.get(entry["regex"], -1) + 1
        same = json.dumps({key: entry[key] for key in entry if key != "regex"}, sort_keys=True)
        run.setdefault((turn, same), []).append(entry["regex"][1:-1])
    close()
    return result


_FIELDS = {"algorithm_key": str, "op_config": dict, "operation": str, "regex": str}


def check_recipe(recipe: list, where: str) -> None:
    """Checks a recipe's form; what its entries ask for is the library's to judge.

    Args:
      recipe: a parsed JSON list.
      where: how messages name it.

    Raises:
      InputError: when it is empty, or an entry lacks a field, has one of another type
        or one that is not known, or a regex that is none.
    """
    if not recipe:
        raise InputError(
            "recipe.field", f"{where}: a recipe without entries; it would quantize nothing"
        )
    for number, entry in enumerate(recipe):
        at = f"{where}: entry {number}"
        if not isinstance(entry, dict):
            raise InputError("recipe.field", f"{at} is {json.dumps(entry)[:40]}; give an object")
        unknown = sorted(set(entry) - set(_FIELDS))
        if unknown:
            raise InputError("recipe.field", f"{at}: unknown field {unknown[0]}")
        for field, kind in _FIELDS.items():
            # The library itself leaves the configuration of no_quantize out.
            if field == "op_config" and entry.get("algorithm_key") == _NO_QUANTIZATION:
                continue
            if not isinstance(entry.get(field), kind):
                raise InputError(
                    "recipe.field", f"{at}: {field} is missing or no {_JSON_NAMES[kind]}"
                )
        try:
            re.compile(entry["regex"])
        except re.error as error:
            raise InputError("recipe.field", f"{at}: regex {entry['regex']}: {error}") from None


_JSON_NAMES = {dict: "object", str: "string"}


def recipe_text(recipe: list[dict]) -> str:
    """Writes a recipe as JSON, the same text for the same recipe."""
    return json.dumps(recipe, indent=2, sort_keys=True) + "\n"


def recipe_sha256(recipe: list[dict]) -> str:
    """Digests a recipe's JSON text."""
    return hashlib.sha256(recipe_text(recipe).encode()).hexdigest()
