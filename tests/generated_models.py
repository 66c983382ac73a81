"""Float models of any size: as many megabytes and operators as asked for."""

import numpy as np

from tests.random_models import ModelBuilder


def chain(operators: int, weights: int) -> bytes:
    """Makes a chain of FULLY_CONNECTED, each followed by a RELU of its own.

    Args:
      operators: how many there are in all, an even number.
      weights: bytes of all weights together, about.

    Returns:
      A whole .tflite file; the same arguments give the same bytes.
    """
    rng = np.random.default_rng(0)
    layers = operators // 2
    channels = max(4, round((weights / 4 / layers) ** 0.5))
    graph = ModelBuilder()
    source = graph.input((1, channels))
    for number in range(layers):
        kernel = rng.standard_normal((channels, channels), np.float32)
        kernel /= np.float32(channels**0.5)
        kernel = graph.constant(kernel, f"layer_{number}/kernel")
        bias = graph.constant(np.zeros(channels, np.float32), f"layer_{number}/bias")
        source = graph.fully_connected(source, kernel, bias)
        source = graph.operator("RELU", [source], graph.shape(source), result=f"layer_{number}/out")
    return graph.finish(source)
