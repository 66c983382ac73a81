"""Recipes, in ai-edge-quantizer's own JSON form.

A recipe is a list of entries, later ones over earlier ones; `regex` is searched in an
operator's scope, which is the names of its outputs, each followed by ";".
"""

import hashlib
import json
import re

from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import tensor_name
from tools.graph.topology import Topology

_MIN_MAX = "min_max_uniform_quantize"
_NO_QUANTIZATION = "no_quantize"


def _weights(bits: int, symmetric: bool = True) -> dict:
    return {
        "dtype": "INT",
        "granularity": "CHANNELWISE",
        "num_bits": bits,
        "symmetric": symmetric,
    }


def static_int8(regex: str = ".*", operation: str = "*") -> dict:
    """An entry: weights int8 by channel, activations int8 by tensor."""
    return {
        "algorithm_key": _MIN_MAX,
        "op_config": {
            "activation_tensor_config": {
                "dtype": "INT",
                "granularity": "TENSORWISE",
                "num_bits": 8,
                "symmetric": False,
            },
            "compute_precision": "INTEGER",
            "explicit_dequantize": False,
            "min_weight_elements": 0,
            "skip_checks": False,
            "weight_tensor_config": _weights(8),
        },
        "operation": operation,
        "regex": regex,
    }


def weight_only_int8(regex: str = ".*", operation: str = "*") -> dict:
    """An entry: weights int8 by channel, computed in float."""
    return {
        "algorithm_key": _MIN_MAX,
        "op_config": {
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
            "min_weight_elements": 0,
            "skip_checks": False,
            "weight_tensor_config": _weights(8),
        },
        "operation": operation,
        "regex": regex,
    }


def dynamic_int8(regex: str = ".*", operation: str = "*") -> dict:
    """An entry: weights int8 by channel, activations quantized as the operator runs."""
    entry = weight_only_int8(regex, operation)
    entry["op_config"] |= {"compute_precision": "INTEGER", "explicit_dequantize": False}
    return entry


def float16(regex: str = ".*", operation: str = "*") -> dict:
    """An entry: weights float16, computed in float32."""
    return {
        "algorithm_key": "float_casting",
        "op_config": {
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
            "min_weight_elements": 0,
            "skip_checks": False,
            "weight_tensor_config": {
                "dtype": "FLOAT",
                "granularity": "TENSORWISE",
                "num_bits": 16,
                "symmetric": True,
            },
        },
        "operation": operation,
        "regex": regex,
    }


def unquantized(regex: str, operation: str = "*") -> dict:
    """An entry: left as it is."""
    return {
        "algorithm_key": _NO_QUANTIZATION,
        "op_config": {},
        "operation": operation,
        "regex": regex,
    }


def exactly(graph: Topology, operator: schema.OperatorT) -> str:
    """Makes the regex that finds one operator and no other.

    It reaches to the end: converters join names with semicolons, so that the name of one
    operator may begin like another's scope.
    """
    names = [tensor_name(graph.tensor(index)) for index in operator.outputs]
    return "^" + "".join(f"{re.escape(name)};" for name in names) + "$"


def recipe_text(recipe: list[dict]) -> str:
    """Writes a recipe as JSON, the same text for the same recipe."""
    return json.dumps(recipe, indent=2, sort_keys=True) + "\n"


def recipe_sha256(recipe: list[dict]) -> str:
    """Digests a recipe's JSON text."""
    return hashlib.sha256(recipe_text(recipe).encode()).hexdigest()
