import os

import numpy as np
import pytest
from hypothesis import assume, given, settings

from tests.extent import count
from tests.quantization.layer_correction_test import images, noise
from tests.quantization.layer_execution_test import random_samples
from tests.random_models import ModelBuilder, float_models, tiny_model
from tools.errors import InputError
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.quantization.weight_correction import correct_weights

_OFF = {"weight_correction": {"enabled": False}}
# Of a small model most weights would be in float16.
_ALL_ROUNDED = {"small_weights": {"enabled": False}, "weight_bits": {"enabled": False}}
_SCHEMES = ("dynamic", "dynamic_int4", "weight_only_int4", "weight_only_int8")


def _master() -> bytes:
    return make_float_master(tiny_model(channels=32))[0]


def _quantized(scheme: str, given: int, passes: dict | None = None, **more):
    master = _master()
    samples = images(parse_model(master), given) if given else None
    choices = QuantizationSettings(scheme, passes=_ALL_ROUNDED | (passes or {}), **more)
    return master, quantize(master, choices, samples)


def _entries(result) -> list[dict]:
    return [entry for entry in result.passes if entry["name"] == "weight_correction"]


@pytest.mark.parametrize("scheme", _SCHEMES)
def test_unseen_samples_are_nearer_the_float_model_and_bytes_are_as_many(scheme):
    master, plain = _quantized(scheme, 0)
    _, result = _quantized(scheme, 40)
    (entry,) = _entries(result)
    assert entry["changed"] > 0
    assert entry["gain"]["after"] >= entry["gain"]["before"] + 0.75
    unseen = images(parse_model(master), 60)[40:]
    assert noise(master, result.model, unseen) < noise(master, plain.model, unseen)
    # Biases that are no longer equal are written each.
    assert len(result.model) <= len(plain.model) + 512


@pytest.mark.parametrize("scheme", ["dynamic", "weight_only_int8", "float16"])
def test_without_data_or_turned_off_all_is_as_it_was(scheme):
    _, plain = _quantized(scheme, 0)
    _, off = _quantized(scheme, 40, _OFF)
    assert plain.model == off.model
    assert not _entries(plain)
    assert not _entries(off)


def test_float16_needs_no_correction():
    _, plain = _quantized("float16", 0)
    _, result = _quantized("float16", 40)
    assert result.model == plain.model
    assert not _entries(result)


def test_layers_of_rounded_weights_in_a_float16_model_are_corrected():
    _, result = _quantized("float16", 40, layers=((".", "weight_only_int4"),))
    (entry,) = _entries(result)
    assert entry["changed"] > 0


def test_layers_of_int8_leave_it_to_the_other_correction():
    _, result = _quantized("dynamic", 40, layers=(("scores", "int8"),))
    assert not _entries(result)
    assert "layer_correction" in [entry["name"] for entry in result.passes]


def test_the_same_gives_the_same_bytes_in_any_number_of_processes(monkeypatch):
    _, one = _quantized("dynamic", 40)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    _, other = _quantized("dynamic", 40)
    assert one.model == other.model
    assert _entries(one)[0]["changed"] > 0


@pytest.mark.parametrize(("choices", "given"), [({}, 15), ({"samples": 15}, 40)])
def test_few_samples_correct_nothing(choices, given):
    _, plain = _quantized("dynamic", 0)
    _, result = _quantized("dynamic", given, {"weight_correction": choices})
    (entry,) = _entries(result)
    assert entry["detail"] == "weights are left: 15 samples are too few to correct by"
    assert (entry["changed"], entry["gain"]) == (0, None)
    assert result.model == plain.model


def test_what_gains_nothing_is_not_kept():
    """Integer weights with a step of one lose nothing by rounding."""
    rng, graph = np.random.default_rng(0), ModelBuilder()
    source = graph.input((1, 8, 8, 8))
    for _ in range(2):
        weights = rng.integers(-127, 128, (64, 1, 1, graph.shape(source)[-1]))
        weights[:, :, :, 0] = 127
        bias = rng.normal(size=64).astype(np.float32)
        source = graph.conv(
            source, graph.constant(weights.astype(np.float32)), graph.constant(bias)
        )
    master, _ = make_float_master(graph.finish(source))
    samples = images(parse_model(master), 20)
    result = quantize(
        master, QuantizationSettings("weight_only_int8", passes=_ALL_ROUNDED), samples
    )
    (entry,) = _entries(result)
    assert entry["detail"] == "weights are as they were: no correction gained 0.75 dB"
    assert (
        result.model
        == quantize(
            master, QuantizationSettings("weight_only_int8", passes=_ALL_ROUNDED), None
        ).model
    )


def test_a_model_with_a_state_is_left():
    graph = ModelBuilder()
    total = graph.input((1, 64))
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    total = graph.fully_connected(
        total, graph.constant(weights), graph.constant(np.zeros(64, np.float32))
    )
    master, _ = make_float_master(graph.finish(total))
    model = parse_model(master)
    artifact = parse_model(
        quantize(master, QuantizationSettings("weight_only_int8", passes=_ALL_ROUNDED), None).model
    )
    for tensor in artifact.schema.subgraphs[0].tensors[-1:]:
        tensor.isVariable = True
    before = model_bytes(artifact)
    after, entry = correct_weights(model, artifact, random_samples(model, 20), 20)
    assert model_bytes(after) == before
    assert entry["detail"] == "weights are left: the model has several subgraphs or a state"


def test_zero_weights_stay_zero():
    rng, graph = np.random.default_rng(0), ModelBuilder()
    source = graph.input((1, 8, 8, 8))
    for _ in range(2):
        weights = rng.normal(size=(32, 3, 3, graph.shape(source)[-1]))
        weights[rng.random(weights.shape) < 0.6] = 0
        bias = rng.normal(size=32).astype(np.float32)
        source = graph.conv(
            source, graph.constant(weights.astype(np.float32)), graph.constant(bias), 1
        )
    master, _ = make_float_master(graph.finish(source))
    passes = _ALL_ROUNDED | {"sparse_weights": {"enabled": False}}
    choices = QuantizationSettings("weight_only_int8", passes=passes)
    result = quantize(master, choices, images(parse_model(master), 40))
    assert _entries(result)[0]["detail"].startswith("weights and biases of 2 layers")
    zeros = []
    for content in (master, result.model):
        model = parse_model(content)
        kernels = [
            model.constant(tensor)
            for tensor in model.schema.subgraphs[0].tensors
            if len(tensor.shape) == 4 and model.tensor_data(tensor) is not None
        ]
        zeros.append([kernel == 0 for kernel in kernels])
    for one, other in zip(*zeros, strict=True):
        assert other[one].all()


def test_shared_weights_stay_shared():
    rng, graph = np.random.default_rng(0), ModelBuilder()
    source = graph.input((1, 12, 12, 32))
    weights = graph.constant(rng.normal(0, 0.06, (32, 3, 3, 32)).astype(np.float32))
    bias = graph.constant(rng.normal(size=32).astype(np.float32))
    for _ in range(4):
        source = graph.conv(source, weights, bias)
    master, _ = make_float_master(graph.finish(source))
    samples = [{"image": rng.normal(size=(1, 12, 12, 32)).astype(np.float32)} for _ in range(20)]
    result = quantize(master, QuantizationSettings("weight_only_int8"), samples)
    # Four kernels would be as large as the master's one.
    assert len(result.model) < 0.6 * len(master)


@settings(max_examples=count(10, 60), deadline=None, derandomize=True)
@given(float_models())
def test_random_models_get_no_worse_where_it_is_judged(content):
    master, _ = make_float_master(content)
    model = parse_model(master)
    samples = random_samples(model, 16)
    passes = {name: {"enabled": False} for name in ("dead_channels", "relu_fusion")}
    try:
        result = quantize(
            master, QuantizationSettings("dynamic", passes=passes | _OFF | _ALL_ROUNDED), samples
        )
    except InputError:
        # Models of a few weights grow.
        assume(False)
    before = parse_model(result.model)
    after, entry = correct_weights(model, before, samples, 16)
    # Some have no layer that could be corrected.
    assume("gain" in entry)
    assert entry["gain"]["after"] >= entry["gain"]["before"]
    assert (entry["changed"] > 0) == (model_bytes(after) != model_bytes(before))
    assert len(Topology(after).subgraph.operators) == len(Topology(before).subgraph.operators)
