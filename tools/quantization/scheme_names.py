"""The schemes that there are, and how they are spelled.

| scheme              | weights                  | arithmetic                           |
|---------------------|--------------------------|--------------------------------------|
| int8                | int8                     | int8; output heads float             |
| int4                | int4, else int8          | int8; output heads float             |
| int16x8             | int8                     | int16 activations                    |
| mixed               | int8, but as `layers` say| as `layers` say                      |
| dynamic             | int8                     | int8 where that is faster, else float|
| dynamic_int4        | int4, else int8          | int8, else float                     |
| int2                | int2, else int8          | int8, else float                     |
| blockwise_int4_SIZE | int4, a scale a block    | int8, else float                     |
| weight_only_int8    | int8                     | float                                |
| weight_only_int4    | int4, else int8          | float                                |
| float16             | float16                  | float                                |
| float               | float                    | float (in `layers` only)             |

"else": for operators of which the library or the runtime has no such form.
"""

from tools.errors import InputError

BLOCK_SIZES = (32, 64, 128, 256)
# Arithmetic on activations of which the ranges are known.
STATIC = frozenset({"int4", "int8", "int16x8", "mixed"})
# Weights of fewer than eight bits, where an operator has such a form.
FEW_BITS = frozenset(
    {
        "dynamic_int4",
        "int2",
        "int4",
        "weight_only_int4",
        *(f"blockwise_int4_{size}" for size in BLOCK_SIZES),
    }
)
# As the command line spells them; FULL_INTEGER is another name for INT8.
SCHEMES = (
    "INT8",
    "FULL_INTEGER",
    "DYNAMIC",
    "FLOAT16",
    "WEIGHT_ONLY_INT8",
    "WEIGHT_ONLY_INT4",
    "MIXED",
    "INT16X8",
    "INT4",
    "DYNAMIC_INT4",
    "INT2",
    *(f"BLOCKWISE_INT4_{size}" for size in BLOCK_SIZES),
)
# What an operator may be given by `layers`.
LAYER_SCHEMES = (
    "int8",
    "int4",
    "int16x8",
    "dynamic",
    "dynamic_int4",
    "int2",
    *(f"blockwise_int4_{size}" for size in BLOCK_SIZES),
    "weight_only_int8",
    "weight_only_int4",
    "float16",
    "float",
)


def canonical_scheme(name: str) -> str:
    """Reads the name of a whole model's scheme.

    Args:
      name: one of SCHEMES, in either case.

    Returns:
      In small letters; "int8" for FULL_INTEGER.

    Raises:
      InputError: when there is no such scheme.
    """
    upper = name.upper()
    if upper not in SCHEMES:
        raise InputError(
            "scheme.unknown", f"no quantization type {name}; choose one of {', '.join(SCHEMES)}"
        )
    return "int8" if upper == "FULL_INTEGER" else upper.lower()


def canonical_layer_scheme(name: str) -> str:
    """Reads the name of an operator's scheme.

    Args:
      name: one of LAYER_SCHEMES, in either case.

    Returns:
      In small letters.

    Raises:
      InputError: when there is no such scheme for an operator.
    """
    if name.lower() not in LAYER_SCHEMES:
        raise InputError(
            "scheme.unknown",
            f"no scheme {name} for a layer; choose one of {', '.join(LAYER_SCHEMES)}",
        )
    return name.lower()
