"""Every kind of foreign model is quantized in every sort of scheme, and computes what it did."""

import numpy as np
import pytest

from tests.extent import part_of
from tests.foreign.kinds import KINDS
from tests.foreign.samples import samples_of
from tools.graph.flatbuffer import model_to_read
from tools.graph.float_master import make_float_master
from tools.graph.runtime import open_interpreter, signature_inputs
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

_LEAST_COSINE = {"dynamic": 0.999, "float16": 0.9999, "int8": 0.995, "int16x8": 0.998}


def outputs_of(content: bytes, sample: dict[str, np.ndarray]) -> list[np.ndarray]:
    interpreter = open_interpreter(content, "model")
    for name, index in signature_inputs(model_to_read(content)).items():
        interpreter.set_tensor(index, sample[name])
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    one, other = (values.astype(np.float64).reshape(-1) for values in (one, other))
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


@pytest.mark.parametrize(
    ("name", "scheme"),
    part_of([(name, scheme) for name in KINDS for scheme in sorted(_LEAST_COSINE)], 3),
)
def test_kind_is_quantized(name, scheme):
    master, _ = make_float_master(KINDS[name]())
    samples = samples_of(master)
    result = quantize(master, QuantizationSettings(scheme), samples[:-1])
    assert len(result.model) < 0.95 * len(master)
    pairs = [outputs_of(content, samples[-1]) for content in (master, result.model)]
    for expected, found in zip(*pairs, strict=True):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        if expected.dtype == np.float32:
            assert cosine(expected, found) >= _LEAST_COSINE[scheme]
