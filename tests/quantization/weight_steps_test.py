"""Steps of few bits serve the rows that they are for."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tools.graph.flatbuffer import TfliteModel, packed
from tools.quantization.weight_steps import fitted_steps, most_code


def _error(weights, steps, inputs, bits) -> np.ndarray:
    """Gives the squared error of each row, each weight's by the variance of what it meets."""
    most = most_code(bits)
    codes = np.clip(np.round(weights / steps), -most, most)
    return (inputs.var(axis=-2, dtype=np.float64) * np.square(weights - codes * steps)).sum(axis=1)


def _rows(seed: int, outputs: int, terms: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    weights = generator.standard_t(3, (outputs, terms)).astype(np.float32)
    spread = generator.uniform(0.1, 3, terms)
    return weights, (generator.normal(size=(200, terms)) * spread).astype(np.float32)


@settings(max_examples=count(20, 200), deadline=None)
@given(
    seed=strategies.integers(0, 2**16),
    outputs=strategies.integers(1, 6),
    terms=strategies.integers(1, 40),
    bits=strategies.sampled_from([2, 4]),
)
def test_no_row_is_served_worse_than_by_its_largest_weight(seed, outputs, terms, bits):
    weights, inputs = _rows(seed, outputs, terms)
    largest = np.abs(weights).max(axis=1, keepdims=True) / np.float64(most_code(bits))
    steps = fitted_steps(weights, np.ones((outputs, 1)), inputs, bits)
    assert steps.shape == (outputs, 1)
    assert (steps > 0).all()
    # Nothing is lost where the file stores them.
    assert (steps == steps.astype(np.float32)).all()
    before, after = (_error(weights, one, inputs, bits) for one in (largest, steps))
    slack = 0.05 * np.square(weights).sum(axis=1) * inputs.var(axis=0).mean()
    assert (after <= before + slack).all()
    assert (fitted_steps(weights, np.ones((outputs, 1)), inputs, bits) == steps).all()


@pytest.mark.parametrize(("bits", "ratio"), [(2, 0.75), (4, 0.9)])
def test_many_small_weights_outvote_the_largest(bits, ratio):
    weights, inputs = _rows(0, 64, 256)
    largest = np.abs(weights).max(axis=1, keepdims=True) / np.float64(most_code(bits))
    steps = fitted_steps(weights, np.ones((64, 1)), inputs, bits)
    errors = [_error(weights, one, inputs, bits).sum() for one in (largest, steps)]
    assert errors[1] < ratio * errors[0]


def test_inputs_of_each_output():
    weights, inputs = _rows(1, 3, 9)
    of_each = np.stack([inputs, inputs[:, ::-1], inputs * 0])
    steps = fitted_steps(weights, np.ones((3, 1)), of_each, 4)
    for row in range(3):
        alone = fitted_steps(weights[row : row + 1], np.ones((1, 1)), of_each[row], 4)
        assert alone == steps[row]


def test_a_row_of_zeros_keeps_its_step():
    _, inputs = _rows(2, 1, 8)
    steps = fitted_steps(np.zeros((2, 8), np.float32), np.full((2, 1), 0.25), inputs, 4)
    assert (steps == 0.25).all()


@settings(max_examples=count(20, 200), deadline=None)
@given(
    seed=strategies.integers(0, 2**16),
    shape=strategies.lists(strategies.integers(1, 7), min_size=1, max_size=4),
    kind=strategies.sampled_from([("INT2", 2), ("INT4", 4), ("INT8", 8)]),
)
def test_packed_codes_are_read_again(seed, shape, kind):
    name, bits = kind
    most = 2 ** (bits - 1)
    codes = np.random.default_rng(seed).integers(-most, most, shape).astype(np.int8)
    tensor, model = schema.TensorT(), TfliteModel(schema.ModelT(), [], "net")
    model.schema.buffers = [schema.BufferT()]
    tensor.type, tensor.shape = getattr(schema.TensorType, name), np.array(shape, np.int32)
    stored = packed(codes, bits)
    assert stored.size == -(-codes.size * bits // 8)
    tensor.buffer = model.add_constant(stored)
    assert (model.constant(tensor) == codes).all()
