"""Models with outputs whose size depends on values are quantized, compared and judged."""

import dataclasses

import numpy as np
import pytest

from tests.extent import part_of
from tests.foreign.data_sized_kinds import DATA_SIZED
from tests.foreign.samples import Samples, samples_of
from tests.refused import refused
from tests.similarity.report_documents import report
from tools.graph.data_sized import data_sized
from tools.graph.flatbuffer import copied_model, model_bytes, model_to_read, text
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.similarity.comparison import compare_outputs
from tools.similarity.gates import Evidence, check_gates, failure_lines
from tools.similarity.layers import compare_layers
from tools.similarity.model_outputs import ModelOutputs

_SCHEMES = ("dynamic", "float16", "int16x8", "int8")


@pytest.mark.parametrize("name", DATA_SIZED)
def test_it_is_known_which_outputs_depend_on_values(name):
    graph = Topology(model_to_read(make_float_master(DATA_SIZED[name]())[0]))
    assert data_sized(graph) & graph.outputs
    # What the layers give before anything is counted has the size that is stated.
    assert not data_sized(graph) >= set(graph.producer)


@pytest.mark.parametrize(
    ("name", "scheme"), part_of([(name, scheme) for name in DATA_SIZED for scheme in _SCHEMES], 3)
)
def test_it_is_quantized_and_compared(name, scheme):
    master, _ = make_float_master(DATA_SIZED[name]())
    samples = samples_of(master)
    artifact = quantize(master, QuantizationSettings(scheme), samples).model
    models = [ModelOutputs(content, "model") for content in (master, artifact)]
    found = compare_outputs(*models, Samples(samples), None)
    shapes = [[[one.shape for one in model(sample)] for sample in samples] for model in models]
    for place, output in enumerate(found.outputs):
        pairs = zip(*shapes, strict=True)
        other = sum(ours[place] != theirs[place] for ours, theirs in pairs)
        assert output.other_shape_samples == (other or None)
        # A sample of another size has the likeness 0, and integers may be others.
        if "range" not in name and output.other_shape_samples is None and scheme == "float16":
            assert output.cosine_min > 0.99
        assert output.cosine_mean <= 1 - other / len(samples) + 1e-6
    layers = compare_layers(master, artifact, samples, "model")
    assert layers is None or layers.correlation_min is None or layers.correlation_min > 0.98


def _compared(name, task=None):
    """Compares a model with one that counts from another border."""
    models = []
    for threshold in (0.0, 0.5):
        content = model_to_read(make_float_master(DATA_SIZED[name]())[0])
        changed = copied_model(content)
        graph = Topology(changed)
        (greater,) = [o for o in graph.subgraph.operators if graph.name(o) == "GREATER"]
        border = changed.add_constant(np.array(threshold, np.float32))
        graph.tensor(greater.inputs[1]).buffer = border
        models.append(model_bytes(changed))
    outputs = [ModelOutputs(content, "model") for content in models]
    return compare_outputs(*outputs, Samples(samples_of(models[0])), task)


def test_the_refusal_says_that_sizes_differ():
    evidence = dataclasses.replace(
        Evidence.of(report()), similarity=dataclasses.replace(_compared("where"), layers=None)
    )
    verdict = check_gates(evidence, {"tolerance": 0.05}, "gates")
    (failed,) = verdict.failed()
    assert failed.other_shape_samples == 20
    line = failure_lines(verdict, "report.json")[1]
    assert "; its size is not the float model's in 20 samples, where nothing of it " in line


def test_a_task_of_an_output_whose_size_changes_is_refused_in_a_line():
    output = model_to_read(make_float_master(DATA_SIZED["fill"]())[0]).schema.signatureDefs[0]
    name = text(output.outputs[1].name)
    task = {"type": "classification", "scores": name, "logits": False}
    with refused("task.misfit", rf"output {name} has the shape \[\d, 3\] on test sample sample 0"):
        _compared("fill", task)


def test_nothing_can_be_read():
    master, _ = make_float_master(DATA_SIZED["top_of_a_given_number"]())
    model = ModelOutputs(master, "model")
    sample = dict(samples_of(master)[0], k=np.array(0, np.int32))
    assert [one.shape for one in model(sample)] == [(1, 0), (1, 0)]
