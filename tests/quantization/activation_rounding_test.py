"""A float model rounds its activations where its int8 artifact does, and nowhere else."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count
from tests.random_models import ModelBuilder, float_models, random_image, run_model, tiny_model
from tools.graph.flatbuffer import model_bytes, parse_model, tensor_name
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.activation_rounding import Step, steps_of, with_rounding
from tools.quantization.passes import CalibrationData
from tools.quantization.pipeline import prepare
from tools.quantization.recipe_application import written
from tools.quantization.settings import QuantizationSettings

_SHAPE = (1, 2, 2, 3)
_STEP = Step(0.25, 3, True)


def _on_grid(values: np.ndarray, step: Step) -> np.ndarray:
    codes = np.clip(np.round(values / step.scale) + step.zero_point, -128, 127)
    return (codes - step.zero_point) * step.scale


def _chain() -> bytes:
    graph = ModelBuilder()
    image = graph.input(_SHAPE)
    first = graph.operator("ABS", [image], _SHAPE, result="first")
    second = graph.operator("NEG", [first], _SHAPE, result="second")
    return graph.finish(second)


@pytest.mark.parametrize(
    ("floating", "changed"),
    [
        # Both in int8: what enters is rounded, and what each gives.
        ((), True),
        # The first gives the second its result rounded.
        ((0,), True),
        ((1,), True),
        ((0, 1), False),
    ],
)
def test_only_what_an_integer_operator_reads_or_writes_is_rounded(floating, changed):
    model = parse_model(_chain())
    (before,) = run_model(model_bytes(model))
    rounded = with_rounding(model, dict.fromkeys(range(3), _STEP), floating)
    (after,) = run_model(model_bytes(rounded))
    expected = _on_grid(before, _STEP) if changed else before
    # NEG changes which of two steps is the nearer one for what lies between them.
    np.testing.assert_allclose(after, expected, atol=_STEP.scale if changed else 0)
    assert (after != before).any() == changed
    if 1 not in floating:
        np.testing.assert_allclose(after, _on_grid(after, _STEP), atol=1e-6)


def test_one_reader_in_float_sees_what_is_not_rounded():
    graph = ModelBuilder()
    image = graph.input(_SHAPE)
    first = graph.operator("ABS", [image], _SHAPE)
    outputs = [graph.operator(name, [first], _SHAPE) for name in ("NEG", "SQUARE")]
    model = parse_model(graph.finish(*outputs))
    before = run_model(model_bytes(model))
    # ABS and NEG compute in float.
    after = run_model(model_bytes(with_rounding(model, {first: _STEP}, (0, 1))))
    np.testing.assert_array_equal(after[0], before[0])
    assert (after[1] != before[1]).any()


@settings(max_examples=count(20, 200), deadline=None, derandomize=True)
@given(float_models(), strategies.data())
def test_a_model_whose_operators_all_compute_in_float_stays_as_it_is(content, data):
    model = parse_model(make_float_master(content)[0])
    graph = Topology(model)
    tensors = sorted({*graph.producer, *graph.inputs})
    steps = dict.fromkeys(data.draw(strategies.lists(strategies.sampled_from(tensors))), _STEP)
    whole = range(len(graph.subgraph.operators))
    rounded = with_rounding(model, steps, whole)
    for one, other in zip(
        run_model(model_bytes(model)), run_model(model_bytes(rounded)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    # And whatever computes in int8, the model runs.
    part = frozenset(data.draw(strategies.lists(strategies.sampled_from(whole))))
    assert len(run_model(model_bytes(with_rounding(model, steps, part)))) == len(graph.outputs)


def test_steps_are_those_of_the_artifact():
    master = make_float_master(tiny_model())[0]
    samples = [{"image": random_image((1, 8, 8, 3), seed)} for seed in range(8)]
    name = next(iter(parse_model(master).schema.signatureDefs[0].inputs)).name
    name = name.decode() if isinstance(name, bytes) else name
    shape = Topology(parse_model(master)).tensor(0).shape
    samples = [{name: random_image(tuple(map(int, shape)), seed)} for seed in range(8)]
    prepared = prepare(master, QuantizationSettings("int8"), CalibrationData(samples))
    artifact, _ = written(prepared.model, prepared.recipe, prepared.ranges, True)
    steps, graph = steps_of(artifact), Topology(artifact)
    known = {tensor_name(tensor) for tensor in prepared.model.schema.subgraphs[0].tensors}
    assert steps
    assert set(steps) <= known
    entering = [
        tensor_name(graph.tensor(operator.inputs[0]))
        for operator in graph.subgraph.operators
        if graph.name(operator) == "QUANTIZE"
        and graph.tensor(operator.inputs[0]).type == schema.TensorType.FLOAT32
    ]
    assert entering
    assert not any(steps[one].by_operator for one in entering)
    assert any(step.by_operator for step in steps.values())
