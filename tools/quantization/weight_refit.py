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

A weight of zero stays zero, so that sparse weights stay sparse: the equations of a row are
those of its other weights.

The fitted weights are rounded to the nearest of the layer's steps, which stay: rounding
to 8 bits costs far less here than what the activations' steps cost. The bias takes up
what is left in the mean (tools.quantization.bias_correction).
"""

import numpy as np

_RIDGE = 1.0
_ROWS_OF_A_TERM = 4
# Numbers that are worked on at once: as many as stay in a core's own cache, or nearly.
_CHUNK = 1 << 19


def _without_few(product: np.ndarray, target: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Solves as `_solved`, where most terms are free.

    With A the product, B its inverse, w = B t the solution without zeros and Z the places of
    the zeros, that with them is

        w - B_Z (B_ZZ)^-1 w_Z,

    so that one solution serves all outputs, and each has a small one of its own.
    """
    held = ~free
    columns = np.flatnonzero(held.any(axis=0))
    units = np.zeros((len(product), columns.size))
    units[columns, np.arange(columns.size)] = 1
    outputs = target.shape[1]
    both = np.linalg.solve(product, np.concatenate([target, units], axis=1))
    result, inverse = both[:, :outputs].T, both[:, outputs:]
    for row in np.flatnonzero(held.any(axis=1)):
        places = np.flatnonzero(held[row])
        response = inverse[:, np.searchsorted(columns, places)]
        result[row] -= response @ np.linalg.solve(response[places], result[row, places])
        result[row, places] = 0
    return result


def _of_few(product: np.ndarray, target: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Solves as `_solved`, each output by itself; those of equally many free terms together."""
    result = np.zeros(free.shape)
    counts = free.sum(axis=1)
    for count in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == count)
        step = max(1, _CHUNK // int(count) ** 2)
        for part in (rows[start : start + step] for start in range(0, rows.size, step)):
            places = np.nonzero(free[part])[1].reshape(part.size, count)
            products = product.take(places[:, :, None] * len(product) + places[:, None, :])
            targets = target[places, part[:, None]][:, :, None]
            result[part[:, None], places] = np.linalg.solve(products, targets)[:, :, 0]
    return result


def _solved(product: np.ndarray, target: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Solves product w = target for each column of targets, zero where it is not free.

    Args:
      product: float64 [terms, terms], positive definite.
      target: float64 [terms, outputs].
      free: bool [outputs, terms].

    Returns:
      float64 [outputs, terms].
    """
    result = np.empty(free.shape)
    # By itself an output takes (terms - zeros)^3 / 3 products, with the others about
    # terms^2 for each zero, most of which they share.
    most = (~free).sum(axis=1) * 8 <= free.shape[1]
    for rows, solve in ((most, _without_few), (~most, _of_few)):
        if rows.any():
            result[rows] = solve(product, target[:, rows], free[rows])
    return result


def _solved_each(products: np.ndarray, targets: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Solves products[i] w[i] = targets[i], zero where it is not free.

    Args:
      products: float64 [outputs, terms, terms], positive definite; changed.
      targets: float64 [outputs, terms].
      free: bool [outputs, terms].

    Returns:
      float64 [outputs, terms].
    """
    # A term that is not free becomes an equation of its own: w = 0.
    held = ~free
    products[held[:, :, None] | held[:, None, :]] = 0
    output, term = np.nonzero(held)
    products[output, term, term] = 1
    return np.linalg.solve(products, np.where(free, targets, 0)[:, :, None])[:, :, 0]


def _ridges(products: np.ndarray, rows: int) -> np.ndarray:
    """Gives lambda of each product, float64 [..., terms, terms] over so many rows."""
    terms = products.shape[-1]
    ridges = np.trace(products, axis1=-2, axis2=-1) / terms * _RIDGE
    ridges *= max(1, _ROWS_OF_A_TERM * terms / rows)
    # Inputs that never move say nothing, and must leave something to divide by.
    return np.maximum(ridges, np.finfo(np.float32).tiny)


def _refitted_together(
    trained: np.ndarray, inputs: np.ndarray, quantized_inputs: np.ndarray
) -> np.ndarray:
    """Fits the weights of outputs that see the same inputs; as `refitted`."""
    given, found = inputs.astype(np.float64), quantized_inputs.astype(np.float64)
    # With the mean taken away from one side of a product, the other's takes no part in it.
    found -= found.mean(axis=0)
    product = found.T @ found
    ridge = _ridges(product, len(inputs))
    rows, (outputs, terms) = len(inputs), trained.shape
    # The same product, from whichever side takes fewer steps.
    if 2 * rows * outputs < (rows + outputs) * terms:
        target = found.T @ (given @ trained.T)
    else:
        target = (found.T @ given) @ trained.T
    target += ridge * trained.T
    product[np.diag_indices(len(product))] += ridge
    return _solved(product, target, trained != 0)


def _refitted_each(
    trained: np.ndarray, inputs: np.ndarray, quantized_inputs: np.ndarray
) -> np.ndarray:
    """Fits the weights of outputs that see inputs of their own; as `refitted`."""

    outputs, terms = trained.shape
    rows, result = inputs.shape[1], np.empty(trained.shape)
    step = max(1, _CHUNK // (rows * terms))
    for start in range(0, outputs, step):
        part = slice(start, start + step)
        # A gathered output's values lie far apart. They are brought together before they are
        # turned: rows last, as sums over these are what takes the time.
        given, found = (
            np.ascontiguousarray(values[part].transpose(1, 2, 0))
            for values in (inputs, quantized_inputs)
        )
        found = np.ascontiguousarray(found.transpose(2, 1, 0), np.float64)
        found -= found.mean(axis=2, keepdims=True)
        weights = trained[part]
        aims = np.zeros((rows, len(weights)))
        for term in range(terms):
            aims += given[:, term] * weights[:, term]
        products = found @ np.swapaxes(found, 1, 2)
        ridges = _ridges(products, rows)[:, None]
        targets = (found @ aims.T[:, :, None])[:, :, 0] + ridges * weights
        products += ridges[:, :, None] * np.eye(terms)
        result[part] = _solved_each(products, targets, weights != 0)
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
    fit = _refitted_together if inputs.ndim == 2 else _refitted_each
    return fit(trained, inputs, quantized_inputs)


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
