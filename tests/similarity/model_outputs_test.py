"""Models are run on float samples whatever types their ends have."""

import numpy as np
import pytest

from tests.foreign.kinds import KINDS
from tests.foreign.samples import samples_of
from tests.model_files import model_path
from tests.refused import refused
from tests.scenes.photo_files import photo_path
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.runtime import quantize_values
from tools.samples.loading import InputSpec, Preprocessing, load_samples
from tools.similarity.model_outputs import ModelOutputs, paired


@pytest.fixture(name="master", scope="module")
def _master():
    return make_float_master(model_path("face_detection_short_range").read_bytes())[0]


@pytest.fixture(name="samples", scope="module")
def _samples():
    inputs = [InputSpec("input", (1, 128, 128, 3), np.dtype(np.float32))]
    paths = [photo_path("coffee.png"), photo_path("astronaut.png")]
    return list(load_samples(paths, inputs, Preprocessing(127.5, 127.5)))


def test_quantizes_as_the_runtime_does():
    values = np.array([-2.0, -1.0, 0.0, 0.26, 5.0], np.float32)
    assert quantize_values(values, 0.5, 10, np.int8).tolist() == [6, 8, 10, 11, 20]
    assert quantize_values(values * 1000, 0.5, 10, np.int8).tolist() == [-128, -128, 10, 127, 127]
    assert quantize_values(values, 0.5, 3, np.uint8).tolist() == [0, 1, 3, 4, 13]


def test_a_model_with_int8_ends_takes_and_gives_float(master, samples):
    from litert_quantizer import quantizer, recipe

    library = quantizer.Quantizer(master, recipe.static_wi8_ai8())
    ranges = library.calibrate({"serving_default": samples})
    content = bytes(library.quantize(ranges).quantized_model)
    assert describe(content)["inputs"][0]["dtype"] == "int8"
    artifact = ModelOutputs(content, "int8")
    reference = ModelOutputs(master, "face")
    names, order = paired(reference, artifact)
    found = artifact({theirs: samples[1][ours] for theirs, ours in names.items()})
    expected = reference(samples[1])
    for values, position in zip(expected, order, strict=True):
        f, q = values.ravel(), found[position].ravel()
        assert q.dtype == np.float32
        assert f @ q / np.linalg.norm(f) / np.linalg.norm(q) > 0.8


def test_ends_are_paired_by_name_in_any_order(master):
    model = parse_model(master)
    model.schema.subgraphs[0].outputs = model.schema.subgraphs[0].outputs[::-1]
    model.schema.signatureDefs[0].outputs.reverse()
    swapped = ModelOutputs(model_bytes(model), "swapped")
    reference = ModelOutputs(master, "face")
    assert swapped.outputs == reference.outputs[::-1]
    assert paired(reference, swapped)[1] == [1, 0]


def test_ends_with_other_names_are_paired_by_position(master):
    model = parse_model(master)
    for number, entry in enumerate(model.schema.signatureDefs[0].outputs):
        entry.name = f"StatefulPartitionedCall:{number}"
    model.schema.signatureDefs[0].inputs[0].name = "x"
    renamed = ModelOutputs(model_bytes(model), "renamed")
    assert paired(ModelOutputs(master, "face"), renamed) == ({"x": "input"}, [0, 1])


def test_another_model_is_refused(master):
    palm, _ = make_float_master(model_path("palm_detection_lite").read_bytes())
    with refused("model.other", r"palm: its inputs \[\[1, 192, 192, 3\]\]"):
        paired(ModelOutputs(master, "face"), ModelOutputs(palm, "palm"))


@pytest.mark.parametrize("name", ["resource", "svdf"])
def test_outputs_do_not_depend_on_what_ran_before(name):
    master, _ = make_float_master(KINDS[f"state_of_{name}"]())
    first, second = samples_of(master)[:2]
    outputs = ModelOutputs(master, "net")
    (expected,) = outputs(first)
    outputs(second)
    (again,) = outputs(first)
    assert np.array_equal(expected, again)
