"""Steps and codes of weights of fewer than eight bits.

At eight bits the largest weight of a row is the largest code. At four or two, that leaves the many
small weights a few codes each, so that a smaller step can serve better although it cuts the
largest weights off. With w a row's weights, s its step, c(s) the codes nearest to w / s and d the
variance of what each weight meets, the step is the one of a few that makes

    sum d (w - s c(s))^2

least: the error of the row's output as far as its inputs are independent (Nagel et al. 2021, "A
White Paper on Neural Network Quantization", section 3.1, with the error weighted by the inputs).
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

# The bits of weights that can be written anew.
BITS = {schema.TensorType.INT2: 2, schema.TensorType.INT4: 4, schema.TensorType.INT8: 8}
# Steps that are tried, as shares of the one that reaches the largest weight.
_SHARES = tuple(round(0.93**number, 4) for number in range(32))


def most_code(bits: int) -> int:
    """Gives the largest code of so many bits, of as many below zero as above."""
    return 2 ** (bits - 1) - 1


def fitted_steps(
    weights: np.ndarray, steps: np.ndarray, inputs: np.ndarray, bits: int
) -> np.ndarray:
    """Finds the step of each row.

    Args:
      weights: [outputs, terms].
      steps: [outputs, 1], for rows of zeros.
      inputs: [rows, terms], what enters; [outputs, rows, terms] where each output has inputs of
        its own.
      bits: of the codes.

    Returns:
      float64 [outputs, 1], each of which float32 holds.
    """
    exact, most = weights.astype(np.float64), most_code(bits)
    variances = inputs.var(axis=-2, dtype=np.float64)
    # Inputs that never move ask for as little as there is.
    variances += np.maximum(variances.mean(axis=-1, keepdims=True) * 0.02, 1e-30)
    largest = np.abs(exact).max(axis=1, keepdims=True) / most
    best = np.where(largest > 0, largest, steps).astype(np.float32).astype(np.float64)
    least = np.full((len(exact), 1), np.inf)
    for share in _SHARES:
        tried = (np.where(largest > 0, largest, steps) * share).astype(np.float32)
        tried = tried.astype(np.float64)
        codes = np.clip(np.round(exact / tried), -most, most)
        errors = (variances * np.square(exact - tried * codes)).sum(axis=1, keepdims=True)
        best = np.where(errors < least, tried, best)
        least = np.minimum(errors, least)
    return best
