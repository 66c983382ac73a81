import numpy as np
import pytest

from tests.quantization.layer_correction_test import images
from tests.random_models import ModelBuilder, tiny_model
from tools.graph.flatbuffer import copied_model, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.corrections import (
    Holders,
    Judges,
    gains_enough,
    mean_ratio,
    reason_to_leave,
    stored_weights,
)
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings


def test_every_fourth_sample_judges_and_no_more_are_used_than_asked_for():
    model = parse_model(make_float_master(tiny_model())[0])
    samples = images(model, 30)
    judges = Judges(model, samples, 20)
    assert (len(judges.learning), judges.count) == (15, 5)
    assert "on 5 other samples" in judges.metric
    # The first and the last are among them: they are spread evenly.
    assert judges.learning[0] is samples[0]
    assert not any(one is samples[4] for one in judges.learning)


def test_ratios_are_of_asinh():
    graph = ModelBuilder()
    source = graph.input((1, 2, 2, 3))
    weights, bias = np.zeros((1, 1, 1, 3), np.float32), np.array([3.0], np.float32)
    output = graph.conv(source, graph.constant(weights), graph.constant(bias))
    model = parse_model(make_float_master(graph.finish(output))[0])
    judges = Judges(model, images(model, 16), 16)
    changed = copied_model(model)
    topology = Topology(changed)
    (layer,) = topology.subgraph.operators
    topology.tensor(layer.inputs[2]).buffer = changed.add_constant(np.array([3.5], np.float32))
    (ratio,) = judges.ratios(topology)
    expected = 20 * np.log10(np.arcsinh(3) / (np.arcsinh(3.5) - np.arcsinh(3)))
    assert ratio == pytest.approx(expected, abs=1e-3)
    assert judges.ratios(Topology(model))[0] > 200


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ([10.0, 20.0], [11.0, 20.5], True),
        ([10.0, 20.0], [10.5, 20.5], False),
        # One output loses 4 dB.
        ([10.0, 20.0], [20.0, 16.0], False),
        # What it loses beyond 30 dB does not count, nor what another gains beyond 40.
        ([10.0, 38.0], [20.0, 31.0], True),
        ([41.0, 20.0], [60.0, 20.0], False),
        ([None, 20.0], [None, 21.0], True),
        ([None], [None], False),
    ],
)
def test_what_is_kept(before, after, kept):
    assert gains_enough(before, after) == kept


def test_outputs_without_a_ratio_have_no_part_in_the_mean():
    assert mean_ratio([None, 10.0, 50.0]) == 25.0
    assert mean_ratio([None]) == 0


def test_reasons_to_leave_a_model():
    graph = Topology(parse_model(make_float_master(tiny_model())[0]))
    assert reason_to_leave(graph, 16) == ""
    assert reason_to_leave(graph, 15) == "15 samples are too few to correct by"
    assert reason_to_leave(graph, 1 << 27) == "its activations are too large"
    builder = ModelBuilder()
    source = builder.input((1, 4))
    only = Topology(parse_model(builder.finish(builder.binary("ADD", source, source))))
    assert reason_to_leave(only, 16) == "the model has none"


def test_equal_weights_have_several_holders():
    rng, graph = np.random.default_rng(0), ModelBuilder()
    source = graph.input((1, 6, 6, 16))
    shared, own = (rng.normal(size=(16, 3, 3, 16)).astype(np.float32) for _ in range(2))
    for number, weights in enumerate((shared, own, shared)):
        bias = np.full(16, number, np.float32)
        source = graph.conv(source, graph.constant(weights), graph.constant(bias))
    master, _ = make_float_master(graph.finish(source))
    passes = {"small_weights": {"enabled": False}}
    settings = QuantizationSettings("weight_only_int8", passes=passes)
    topology = Topology(parse_model(quantize(master, settings, None).model))
    layers = [op for op in topology.subgraph.operators if topology.name(op) == "CONV_2D"]
    holders = Holders(topology)
    found = [stored_weights(topology, layer) for layer in layers]
    assert None not in found
    assert [holders.one_has(topology.tensor(index)) for index in found] == [False, True, False]
