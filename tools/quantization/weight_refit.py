"""Fits a quantized layer's weights to what enters it in the quantized model.

A layer gets inputs x' that the layers before it and their steps have changed from x.
Its weights are free to make up for that: with sums over the rows of calibration data,
means taken away, the weights W' that bring W' x' nearest to W x are those of

    W' (X'^T X' + lambda I) = W X^T X' + lambda W,

least squares with a ridge toward the trained W (Hoerl and Kennard 1970). The target is
the float layer's output on float inputs, as in GPTAQ (Li et al. 2025, "Efficient
Finetuning-Free Quantization for Asymmetric Calibration") and, for weights of real
numbers, in AdaRound (Nagel et al. 2020, eq. 25), but solved in one step. lambda is the
mean of the diagonal of X'^T X': directions in which the inputs hardly move stay as they
were trained, so that a few thousand rows do not fit noise.

A weight of zero stays zero, so that sparse weights stay sparse: rows with zeros are
solved each for itself, without them.

The fitted weights are rounded to the nearest of the layer's steps, which stay: rounding
to 8 bits costs far less here than what the activations' steps cost. The bias takes up
what is left in the mean (tools.quantization.bias_correction).
"""

import numpy as np

_RIDGE = 1.0
_ROWS_OF_A_TERM = 4


def _solved(product: np.ndarray, target: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Solves product w = target for each column of targets, zero where it is not free.

    Args:
      product: float64 [terms, terms], positive definite.
      target: float64 [terms, outputs].
      free: bool [outputs, terms].

    Returns:
      float64 [outputs, terms].
    """
    result = np.zeros(free.shape)
    whole = free.all(axis=1)
    if whole.any():
        result[whole] = np.linalg.solve(product, target[:, whole]).T
    for row in np.flatnonzero(~whole):
        places = np.flatnonzero(free[row])
        part = product[np.ix_(places, places)]
        result[row, places] = np.linalg.solve(part, target[places, row])
    return result


def refitted(weights: np.ndarray, inputs: np.ndarray, quantized_inputs: np.ndarray) -> np.ndarray:
    """Fits weights.

    Args:
      weights: float32 [outputs, terms], the float layer's.
      inputs: float32 [rows, terms], of the float layer; of a depthwise layer
        [outputs, rows, terms].
      quantized_inputs: the same places in the quantized model, in the same units.

    Returns:
      float64 [outputs, terms].
    """
    # In float64, the last bits of a sum decide about no rounding.
    trained = weights.astype(np.float64)
    given, found = inputs.astype(np.float64), quantized_inputs.astype(np.float64)
    given -= given.mean(axis=-2, keepdims=True)
    found -= found.mean(axis=-2, keepdims=True)
    turned = np.swapaxes(found, -1, -2)
    product = turned @ found
    terms = weights.shape[1]
    # Inputs that never move say nothing, and must leave something to divide by.
    ridge = np.trace(product, axis1=-2, axis2=-1) / terms * _RIDGE
    ridge *= max(1, _ROWS_OF_A_TERM * terms / inputs.shape[-2])
    ridge = np.maximum(ridge, np.finfo(np.float32).tiny)
    if inputs.ndim == 2:
        target = turned @ (given @ trained.T) + ridge * trained.T
        product[np.diag_indices(terms)] += ridge
        return _solved(product, target, trained != 0)
    target = turned @ (given @ trained[:, :, None]) + ridge[:, None, None] * trained[:, :, None]
    product += ridge[:, None, None] * np.eye(terms)
    rows = zip(product, target, trained != 0, strict=True)
    return np.stack([_solved(one, aim, free[None])[0] for one, aim, free in rows])


def rounded_codes(weights: np.ndarray, scales: np.ndarray, most: int) -> np.ndarray:
    """Rounds weights to their steps.

    Args:
      weights: [outputs, terms].
      scales: [outputs] or [1], the step of each row.
      most: the largest code.

    Returns:
      int8 [outputs, terms], -most to most.
    """
    codes = np.round(weights / np.asarray(scales, np.float64).reshape(-1, 1))
    return np.clip(codes, -most, most).astype(np.int8)
