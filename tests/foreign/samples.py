"""Samples for a model of any kind."""

from collections.abc import Sequence

import numpy as np

from tools.graph.flatbuffer import model_to_read
from tools.graph.made_up_inputs import MadeUpInputs
from tools.graph.runtime import input_specifications, signature_inputs

_SAMPLES = 20


def samples_of(master: bytes) -> list[dict[str, np.ndarray]]:
    """Makes inputs that the model can take: floats normally distributed."""
    model, random = model_to_read(master), np.random.default_rng(0)
    makers, places = MadeUpInputs(model), signature_inputs(model)
    result = []
    for _ in range(_SAMPLES):
        sample = {}
        for name, shape, dtype in input_specifications(master, "model"):
            if name == "mask":
                sample[name] = random.integers(0, 2, shape).astype(dtype)
            elif dtype.kind == "f":
                sample[name] = random.normal(0, 1, shape).astype(dtype)
            else:
                sample[name] = makers.values(places[name], shape, dtype, random)
        result.append(sample)
    return result


class Samples(Sequence):
    """Samples with names, as they are loaded from files."""

    def __init__(self, samples: Sequence[dict[str, np.ndarray]]):
        self._samples = samples
        self.names = [f"sample {number}" for number in range(len(samples))]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number):
        return self._samples[number]
