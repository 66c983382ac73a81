import numpy as np
import pytest
from litert_quantizer import quantizer

from tests.model_files import model_path
from tests.random_models import random_image, run_model
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model, tensor_name, text
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.calibration import gather_statistics
from tools.quantization.compaction import compact
from tools.quantization.ranges import estimate_ranges
from tools.quantization.schemes import plan
from tools.quantization.settings import QuantizationSettings, RangeSettings

_MIN_MAX = RangeSettings("min_max")


@pytest.fixture(
    scope="module",
    params=[
        ("face_detection_short_range", "int8"),
        ("face_detection_short_range", "dynamic"),
        ("selfie_segmentation", "float16"),
        ("hand_landmark_lite", "weight_only_int8"),
    ],
    ids="-".join,
)
def quantized(request):
    """(master, what the library wrote) for a model and a scheme."""
    name, scheme = request.param
    master, _ = make_float_master(model_path(name).read_bytes())
    graph = Topology(parse_model(master))
    settings = QuantizationSettings(scheme)
    planned = plan(graph, settings)
    ranges = None
    if settings.needs_calibration:
        samples = [{"input": random_image((1, 128, 128, 3), seed)} for seed in range(2)]
        ranges = estimate_ranges(graph, gather_statistics(graph.model, samples), _MIN_MAX)
    library = quantizer.Quantizer(master)
    library.load_quantization_recipe(planned.recipe)
    return master, bytes(library.quantize(ranges).quantized_model)


def test_smaller_and_the_same_to_the_bit(quantized):
    master, written = quantized
    model = parse_model(written)
    original = parse_model(master)
    files = original.associated_files
    content, entry = compact(model, len(written), original)
    assert content == model_bytes(model)
    assert entry["gain"] == {
        "metric": "file, bytes",
        "before": len(written),
        "after": len(content),
    }
    assert entry["name"] == "compaction"
    assert entry["changed"] == len(written) - len(content) > 5000
    assert entry["detail"] == f"{entry['changed']} bytes of names and repeated vectors removed"
    assert parse_model(content).associated_files == files
    for seed in range(2):
        for one, other in zip(run_model(written, seed), run_model(content, seed), strict=True):
            np.testing.assert_array_equal(other, one)


def test_what_is_read_by_name_stays(quantized):
    master, written = quantized
    model = parse_model(written)
    before = describe(written)
    original = Topology(parse_model(master))
    compact(model, len(written), original.model)
    content = model_bytes(model)
    assert describe(content) == before
    graph = Topology(parse_model(content))
    known = {tensor_name(original.tensor(index)) for index in range(len(original.subgraph.tensors))}
    for index, tensor in enumerate(graph.subgraph.tensors):
        if index in graph.inputs | graph.outputs:
            assert tensor_name(tensor)
        elif tensor_name(tensor):
            assert not graph.is_constant(index)
            assert tensor_name(tensor) in known
    # The artifact's activations are found among the master's by name.
    names = {tensor_name(original.tensor(index)) for index in original.producer}
    found = {tensor_name(graph.tensor(index)) for index in graph.producer}
    assert len(names & found) >= 0.9 * len(names)


def test_metadata_stays(quantized):
    master, written = quantized
    model = parse_model(written)
    compact(model, len(written), parse_model(master))
    content = model_bytes(model)

    def metadata(of: bytes) -> dict[str, bytes]:
        read = parse_model(of).schema
        return {text(entry.name): bytes(read.buffers[entry.buffer].data) for entry in read.metadata}

    assert metadata(master).items() <= metadata(content).items()


def test_compact_twice_changes_nothing(quantized):
    master, written = quantized
    model = parse_model(written)
    compact(model, len(written), parse_model(master))
    content = model_bytes(model)
    again = parse_model(content)
    assert compact(again, len(content), parse_model(master))[1]["changed"] == 0
    assert model_bytes(again) == content
