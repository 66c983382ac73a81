"""Another way than the usual one is taken where it clearly wins, and nowhere else."""

import dataclasses
import os

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from tests.random_models import ModelBuilder, random_image, tiny_model
from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.runtime import signature_inputs
from tools.quantization.activation_statistics import ActivationStatistics
from tools.quantization.calibration import gather_statistics
from tools.quantization.choice import (
    Division,
    Way,
    choose,
    divisions,
    energies,
    is_open,
    least_gain,
    ratios,
)
from tools.quantization.pipeline import QuantizationResult, quantize
from tools.quantization.settings import (
    RANGE_ESTIMATORS,
    QuantizationSettings,
    RangeSettings,
    settings_from_json,
    settings_to_json,
)

_RELU = schema.ActivationFunctionType.RELU
_RELU6 = schema.ActivationFunctionType.RELU6
_INT8 = QuantizationSettings("int8")
_OFF = QuantizationSettings("int8", passes={"choice": {"enabled": False}})
_BRANCHES = 27
_WIDTH = 32
_USUAL = Way("extremes_percentile", True)
_MIN_MAX = Way("min_max", True)
_AS_SCALED = Way("extremes_percentile", False)


def _conv(builder: ModelBuilder, source: int, weights: np.ndarray, activation: int) -> int:
    bias = builder.constant(np.zeros(len(weights), np.float32))
    kernel = builder.constant(weights.astype(np.float32)[:, None, None, :])
    return builder.conv(source, kernel, bias, activation)


def _with_branches() -> bytes:
    """Makes a model of branches that see a channel each, and whose sum is what comes out.

    In each sample another channel is loud (`_loud_in_turn`): seldom enough that a percentile
    of the extremes leaves it outside in its branch, so that each sample is clipped in one.
    """
    builder = ModelBuilder()
    image = builder.input((1, 4, 4, _BRANCHES))
    total = None
    for channel in range(_BRANCHES):
        weights = np.zeros((2, _BRANCHES))
        weights[:, channel] = 1, 0.5
        branch = _conv(builder, image, weights, _RELU)
        total = branch if total is None else builder.binary("ADD", total, branch)
    head = _conv(builder, total, np.array([[1.0, 0.5], [0.5, 1.0]]), 0)
    return make_float_master(builder.finish(head))[0]


def _loud_in_turn(count: int = 64) -> list[dict[str, np.ndarray]]:
    rng, samples = np.random.default_rng(0), []
    for number in range(count):
        values = rng.uniform(0, 0.05, (1, 4, 4, _BRANCHES)).astype(np.float32)
        values[..., number % _BRANCHES] *= 100
        samples.append({"image": values})
    return samples


def _with_quiet_channel() -> bytes:
    """Makes a model with a channel under a RELU6 that equalization scales up.

    Where `_seldom_lit` lights it, it goes beyond the clip then.
    """
    builder = ModelBuilder()
    image = builder.input((1, 4, 4, 2))
    first = np.zeros((_WIDTH, 2))
    first[0, 1], first[1:, 0] = 1, np.linspace(0.5, 1, _WIDTH - 1)
    hidden = _conv(builder, image, first, _RELU6)
    hidden = _conv(builder, hidden, np.eye(_WIDTH) + 0.01, _RELU)
    last = np.full((2, _WIDTH), 0.01)
    last[:, 0] = 1, 0.5
    return make_float_master(builder.finish(_conv(builder, hidden, last, 0)))[0]


def _seldom_lit(count: int = 64) -> list[dict[str, np.ndarray]]:
    rng, samples = np.random.default_rng(1), []
    for number in range(count):
        values = rng.uniform(0, 5, (1, 4, 4, 2)).astype(np.float32)
        if number % 4 != 3:
            values[..., 1] *= 0.002
        samples.append({"image": values})
    return samples


def _ordinary(count: int = 64) -> tuple[bytes, list[dict[str, np.ndarray]]]:
    master = make_float_master(tiny_model())[0]
    model = parse_model(master)
    (name, index), *_ = signature_inputs(model).items()
    shape = tuple(int(size) for size in model.schema.subgraphs[0].tensors[index].shape)
    return master, [{name: random_image(shape, seed)} for seed in range(count)]


def _entry(result: QuantizationResult, name: str = "choice") -> dict | None:
    return next((entry for entry in result.passes if entry["name"] == name), None)


def test_min_max_is_chosen_where_percentiles_clip_in_every_sample():
    master, samples = _with_branches(), _loud_in_turn()
    result = quantize(master, _INT8, samples)
    entry = _entry(result)
    assert entry["changed"] == 1
    assert entry["detail"].startswith(f"{_MIN_MAX};")
    assert entry["gain"]["after"] > entry["gain"]["before"] + 10
    assert "16 samples held out" in entry["gain"]["metric"]
    assert _entry(result, "range_estimation")["detail"].endswith("min_max")
    named = QuantizationSettings("int8", ranges=RangeSettings("min_max"))
    assert result.model == quantize(master, named, samples).model


def test_channels_stay_as_they_are_where_scaling_them_clips():
    master, samples = _with_quiet_channel(), _seldom_lit()
    result = quantize(master, _INT8, samples)
    entry = _entry(result)
    assert entry["detail"].startswith(f"{_AS_SCALED};")
    assert entry["gain"]["after"] > entry["gain"]["before"] + 10
    assert _entry(result, "equalization") is None
    named = QuantizationSettings("int8", passes={"equalization": {"enabled": False}})
    assert result.model == quantize(master, named, samples).model


@pytest.mark.parametrize("count", [16, 64])
def test_nothing_is_changed_where_no_way_clearly_wins(count):
    master, samples = _ordinary(count)
    result = quantize(master, _INT8, samples)
    entry = _entry(result)
    assert entry["changed"] == 0
    assert entry["detail"].startswith(f"{_USUAL};")
    assert entry["gain"]["before"] == entry["gain"]["after"]
    assert result.model == quantize(master, _OFF, samples).model


@pytest.mark.parametrize(
    "settings",
    [
        _OFF,
        *(
            QuantizationSettings("int8", ranges=RangeSettings(estimator))
            for estimator in RANGE_ESTIMATORS
        ),
        QuantizationSettings("int8", ranges=RangeSettings(percentile=1)),
        QuantizationSettings("int8", passes={"equalization": {"enabled": True}}),
        QuantizationSettings("int8", passes={"equalization": {"through_relu6": False}}),
        QuantizationSettings("dynamic"),
        QuantizationSettings("weight_only_int8", input_type="int8"),
        QuantizationSettings("recipe", recipe=()),
    ],
)
def test_nothing_is_chosen_of_what_somebody_named(settings):
    assert not is_open(settings, 1000)


@pytest.mark.parametrize(
    "settings",
    [
        _INT8,
        QuantizationSettings("int16x8"),
        QuantizationSettings("int4", input_type="int8"),
        QuantizationSettings("mixed", layers=(("a", "float"),)),
        QuantizationSettings("dynamic", layers=(("a", "int8"),)),
        QuantizationSettings("int8", passes={"masks": {"enabled": False}}),
        QuantizationSettings("int8", ranges=RangeSettings(tensors=(("a", "mse"), ("b", 0, 1)))),
    ],
)
def test_all_that_quantizes_activations_is_chosen_for(settings):
    assert is_open(settings, 16)
    assert not is_open(settings, 15)


def test_named_estimators_are_kept_though_another_would_win():
    master, samples = _with_branches(), _loud_in_turn()
    settings = QuantizationSettings("int8", ranges=RangeSettings("extremes_percentile"))
    result = quantize(master, settings, samples)
    assert _entry(result) is None
    assert result.model == quantize(master, _OFF, samples).model


def test_settings_name_what_was_chosen():
    settings = _AS_SCALED.named_in(_INT8)
    assert settings.ranges.estimator == "extremes_percentile"
    assert not settings.enabled("equalization")
    assert settings_from_json(settings_to_json(settings)) == settings
    assert not is_open(settings, 1000)
    assert _USUAL.named_in(_INT8).enabled("equalization")


def test_the_same_bytes_come_out_twice_and_whatever_the_number_of_processes():
    master, samples = _with_branches(), _loud_in_turn()
    first = quantize(master, _INT8, samples)
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        alone = quantize(master, _INT8, samples)
    finally:
        os.sched_setaffinity(0, cores)
    again = quantize(master, _INT8, samples)
    assert first.model == again.model == alone.model
    assert first.passes == again.passes == alone.passes


def _statistics(count: int) -> tuple[TfliteModel, list, ActivationStatistics]:
    master, samples = _ordinary(count)
    model = parse_model(master)
    return model, samples, gather_statistics(model, samples)


@pytest.mark.parametrize(
    ("count", "quarters", "judges"), [(16, 4, 4), (35, 2, 8), (63, 2, 15), (64, 1, 16), (90, 1, 16)]
)
def test_samples_learn_or_judge(count, quarters, judges):
    _, samples, statistics = _statistics(count)
    parts = divisions(samples, statistics)
    assert len(parts) == quarters
    for quarter, part in enumerate(parts):
        learning = [id(sample) for sample in part.learning]
        judging = [id(sample) for sample in part.judges]
        assert len(judging) == len(set(judging)) <= 16
        assert not set(learning) & set(judging)
        held_out = [number for number in range(count) if number % 4 == 3 - quarter]
        assert learning == [id(samples[n]) for n in range(count) if n not in held_out]
        assert set(judging) <= {id(samples[n]) for n in held_out}
        assert len(part.statistics[0].lowest) == len(learning)
    assert len(parts[0].judges) == judges


def test_statistics_of_some_samples_are_those_of_running_them():
    model, samples, statistics = _statistics(20)
    numbers = [1, 2, 5, 8, 13, 19]
    found = statistics.of_samples(numbers)
    expected = gather_statistics(model, [samples[number] for number in numbers])
    for index, entry in expected.items():
        for field in dataclasses.fields(entry):
            one, other = (getattr(values, field.name) for values in (entry, found[index]))
            np.testing.assert_array_equal(one, other)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_ratios_are_those_of_signal_and_noise(samples, outputs, seed):
    rng = np.random.default_rng(seed)
    expected = rng.standard_normal((samples, outputs, 5))
    found = expected + rng.standard_normal(expected.shape) * 10 ** rng.uniform(-3, 0)
    sums = energies(list(expected), list(found))
    assert sums.shape == (samples, outputs, 2)
    for sample in range(samples):
        for output in range(outputs):
            y, other = expected[sample, output], found[sample, output]
            ratio = 10 * np.log10((y @ y) / ((y - other) @ (y - other)))
            assert ratios(sums[sample, output]) == pytest.approx(np.clip(ratio, 0, 120))


def test_ratios_end_where_nothing_is_left_or_lost():
    sums = np.array([[1, 0], [0, 0], [1, np.nan], [1, np.inf], [0, 1], [1, 2], [1, 1e-13]])
    np.testing.assert_array_equal(ratios(sums), [120, 120, 0, 0, 0, 0, 120])


def _choose(
    noises: dict[Way, float | None], equalizes: bool = True, scheme: str = "int8"
) -> tuple[Way, dict]:
    """Chooses among copies of a model whose outputs have noise added to them."""
    builder = ModelBuilder()
    image = builder.input((1, 1, 1, 1))
    bias = builder.constant(np.zeros(1, np.float32))
    builder.conv(image, builder.constant(np.ones((1, 1, 1, 1), np.float32)), bias)
    content = make_float_master(builder.finish(len(builder.subgraph.tensors) - 1))[0]
    model = parse_model(content)
    samples = [{"image": np.full((1, 1, 1, 1), 1, np.float32)} for _ in range(64)]
    parts = divisions(samples, gather_statistics(model, samples))

    def make(way: Way, _: Division) -> bytes:
        noise = noises.get(way)
        if noise is None:
            raise InputError("recipe.refused", "the recipe cannot be applied")
        changed = parse_model(content)
        (operator,) = changed.schema.subgraphs[0].operators
        tensor = changed.schema.subgraphs[0].tensors[int(operator.inputs[2])]
        tensor.buffer = changed.add_constant(np.array([noise], np.float32))
        return model_bytes(changed)

    return choose(model, parts, make, equalizes, least_gain(QuantizationSettings(scheme)))


def test_a_way_must_gain_three_decibels():
    tenth = {_USUAL: 0.1, _AS_SCALED: 0.1}
    assert _choose(tenth | {_MIN_MAX: 0.1})[0] == _USUAL
    assert _choose(tenth | {_MIN_MAX: 0.0712})[0] == _USUAL
    assert _choose(tenth | {_MIN_MAX: 0.0704})[0] == _MIN_MAX
    assert _choose(tenth | {_MIN_MAX: 0.01, _AS_SCALED: 0.001})[0] == _AS_SCALED


def test_with_16_bits_half_a_decibel_is_enough():
    tenth = {_USUAL: 0.1, _AS_SCALED: 0.1}
    assert _choose(tenth | {_MIN_MAX: 0.095}, scheme="int16x8")[0] == _USUAL
    assert _choose(tenth | {_MIN_MAX: 0.094}, scheme="int16x8")[0] == _MIN_MAX


def test_both_changes_are_tried_together_where_each_gains():
    both = Way("min_max", False)
    way, entry = _choose({_USUAL: 0.1, _MIN_MAX: 0.09, _AS_SCALED: 0.05, both: 0.01})
    assert way == both
    assert entry["gain"]["before"] == pytest.approx(20, abs=0.01)
    assert entry["gain"]["after"] == pytest.approx(40, abs=0.01)
    # The second change must gain as much again.
    assert _choose({_USUAL: 0.1, _MIN_MAX: 0.09, _AS_SCALED: 0.05, both: 0.04})[0] == _AS_SCALED
    assert _choose({_USUAL: 0.1, _MIN_MAX: 0.11, _AS_SCALED: 0.05, both: 0.01})[0] == _AS_SCALED


def test_channels_that_cannot_be_scaled_are_no_choice():
    noises = {_USUAL: 0.1, _MIN_MAX: 0.1, _AS_SCALED: 0.001}
    assert _choose(noises, equalizes=False)[0] == _USUAL


def test_what_cannot_be_made_does_not_win():
    assert _choose({_USUAL: 0.1, _MIN_MAX: None, _AS_SCALED: 0.01})[0] == _AS_SCALED
    way, entry = _choose({_USUAL: None, _MIN_MAX: 0.01, _AS_SCALED: 0.01})
    assert way == _USUAL
    assert entry["changed"] == 0
