"""Gives a quantized layer the bias that brings the means of its sums back.

Steps move not only each value but also the mean of a channel, and the layers behind
carry a moved mean on. With x and x' what enters a layer in the float and in the
quantized model and W' its quantized weights,

    b' = b + mean(W x) - mean(W' x')

(Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", section 4.2 and appendix D: the empirical correction). x' comes out of
layers that are corrected already: correcting one error in several layers would overdo it.
"""

import numpy as np


def corrected_bias(
    bias: np.ndarray,
    weights: np.ndarray,
    quantized_weights: np.ndarray,
    inputs: np.ndarray,
    quantized_inputs: np.ndarray,
) -> np.ndarray:
    """Computes b'.

    Args:
      bias: float32 [outputs], the float layer's.
      weights: [outputs, terms], the float layer's.
      quantized_weights: the same, as the quantized layer has them, in the same units.
      inputs: float32 [rows, terms], of the float layer; of a depthwise layer
        [outputs, rows, terms].
      quantized_inputs: the same places in the quantized model, in the same units.

    Returns:
      float64 [outputs].
    """
    before = inputs.mean(axis=-2, dtype=np.float64)
    after = quantized_inputs.mean(axis=-2, dtype=np.float64)
    moved = weights.astype(np.float64) * before - quantized_weights.astype(np.float64) * after
    return bias.astype(np.float64) + moved.sum(axis=1)
