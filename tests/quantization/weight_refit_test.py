import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.quantization.bias_correction import corrected_bias
from tools.quantization.weight_refit import refitted, rounded_codes


def _layer(seed: int, depthwise: bool, noise: float):
    """Makes weights, inputs, and inputs that an earlier layer's steps changed."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(4, 6)).astype(np.float32)
    shape = (4, 300, 6) if depthwise else (300, 6)
    inputs = rng.normal(1, 1, size=shape).astype(np.float32)
    changed = inputs * 0.8 + np.roll(inputs, 1, axis=-1) * 0.1
    changed += rng.normal(0.3, noise, size=shape)
    return weights, inputs, changed.astype(np.float32)


def _outputs(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if inputs.ndim == 3:
        return np.einsum("crt,ct->rc", inputs, weights)
    return inputs @ weights.T


@pytest.mark.parametrize("depthwise", [False, True])
def test_weights_stay_where_inputs_are_the_same(depthwise):
    weights, inputs, _ = _layer(1, depthwise, 0)
    np.testing.assert_allclose(refitted(weights, inputs, inputs), weights, rtol=1e-4)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.booleans(), st.floats(0, 1))
def test_fitted_weights_bring_outputs_nearer(seed, depthwise, noise):
    weights, inputs, changed = _layer(seed, depthwise, noise)
    fitted = refitted(weights, inputs, changed)
    expected = _outputs(inputs, weights)

    def error(values: np.ndarray) -> float:
        difference = _outputs(changed, values) - expected
        return float(np.square(difference - difference.mean(axis=0)).sum())

    assert error(fitted) < error(weights)


@pytest.mark.parametrize("depthwise", [False, True])
def test_zeros_stay_zero_and_the_rest_is_fitted_without_them(depthwise):
    weights, inputs, changed = _layer(2, depthwise, 0.1)
    weights[:, [1, 4]] = 0
    weights[0, :] = 0
    fitted = refitted(weights, inputs, changed)
    assert (fitted[weights == 0] == 0).all()
    kept = [0, 2, 3, 5]
    # The ridge is a mean over all terms, so it is not quite the smaller layer's.
    alone = refitted(weights[:, kept], inputs[..., kept], changed[..., kept])
    np.testing.assert_allclose(fitted[1:, kept], alone[1:], atol=0.05)


def test_inputs_that_never_move_leave_weights_as_they_are():
    weights, inputs, changed = _layer(3, False, 0)
    fitted = refitted(weights, np.zeros_like(inputs), np.zeros_like(changed))
    np.testing.assert_allclose(fitted, weights)


def test_few_rows_change_weights_less():
    """Two rows say little about six terms, three hundred say much."""
    weights, inputs, changed = _layer(4, False, 0)
    many = np.abs(refitted(weights, inputs, changed) - weights).mean()
    few = np.abs(refitted(weights, inputs[:2], changed[:2]) - weights).mean()
    assert few < many / 2


def test_codes_are_rounded_and_clipped():
    codes = rounded_codes(np.array([[0.24, -0.26, 9]]), np.array([0.5]), 7)
    assert codes.dtype == np.int8
    assert codes.tolist() == [[0, -1, 7]]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.booleans())
def test_a_corrected_bias_gives_the_float_layers_mean(seed, depthwise):
    weights, inputs, changed = _layer(seed, depthwise, 0.3)
    bias = np.float32([1, -2, 3, 0])
    stored = np.round(weights * 4) / 4
    corrected = corrected_bias(bias, weights, stored, inputs, changed)
    expected = (_outputs(inputs, weights) + bias).mean(axis=0)
    np.testing.assert_allclose(
        (_outputs(changed, stored) + corrected).mean(axis=0), expected, atol=1e-4
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    terms=st.integers(1, 24),
    outputs=st.integers(1, 12),
    zeros=st.floats(0, 1),
    depthwise=st.booleans(),
)
def test_each_output_solves_the_equations_of_its_own_weights(
    seed, terms, outputs, zeros, depthwise
):
    """Few zeros, many or all: they take different ways to the same solution."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(outputs, terms)).astype(np.float32)
    weights[rng.random(weights.shape) < zeros] = 0
    shape = (outputs, 120, terms) if depthwise else (120, terms)
    inputs = rng.normal(1, 1, size=shape).astype(np.float32)
    changed = (inputs * 0.9 + rng.normal(0, 0.1, size=shape)).astype(np.float32)
    fitted = refitted(weights, inputs, changed)
    for row in range(outputs):
        given, found = (
            (values[row] if depthwise else values).astype(np.float64)
            for values in (inputs, changed)
        )
        given, found = given - given.mean(axis=0), found - found.mean(axis=0)
        product = found.T @ found
        ridge = np.trace(product) / terms * max(1, 4 * terms / 120)
        target = found.T @ (given @ weights[row]) + ridge * weights[row]
        product += ridge * np.eye(terms)
        free = np.flatnonzero(weights[row])
        expected = np.zeros(terms)
        expected[free] = np.linalg.solve(product[np.ix_(free, free)], target[free])
        np.testing.assert_allclose(fitted[row], expected, rtol=1e-9, atol=1e-12)
