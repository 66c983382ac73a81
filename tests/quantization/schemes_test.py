import numpy as np
import pytest
from ai_edge_quantizer import quantizer

from tests.model_files import model_path
from tests.random_models import ModelBuilder
from tools.errors import InputError
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.schemes import SCHEMES, canonical_scheme, plan

_CANONICAL = ("int8", "dynamic", "float16", "weight_only_int8")


@pytest.fixture(scope="module")
def face() -> bytes:
    return make_float_master(model_path("face_detection_short_range").read_bytes())[0]


@pytest.mark.parametrize("name", ["int8", "Int8", "INT8", "FULL_INTEGER", "full_integer"])
def test_full_integer_is_int8(name):
    assert canonical_scheme(name) == "int8"


def test_every_scheme_in_either_case():
    names = {canonical_scheme(name) for name in SCHEMES}
    assert names == set(_CANONICAL)
    assert {canonical_scheme(name.lower()) for name in SCHEMES} == names


@pytest.mark.parametrize("name", ["", "INT4", "int 8", "FLOAT16 "])
def test_unknown_scheme_is_one_line(name):
    with pytest.raises(InputError) as raised:
        canonical_scheme(name)
    assert str(raised.value) == (
        f"no quantization type {name}; choose one of INT8, FULL_INTEGER, DYNAMIC, FLOAT16, "
        "WEIGHT_ONLY_INT8"
    )


@pytest.mark.parametrize("scheme", _CANONICAL)
def test_library_takes_the_recipe(scheme, face):
    planned = plan(Topology(parse_model(face)), scheme)
    library = quantizer.Quantizer(face)
    library.load_quantization_recipe(planned.recipe)
    loaded = library.get_quantization_recipe()
    assert [entry["regex"] for entry in loaded] == [entry["regex"] for entry in planned.recipe]
    # The library itself knows whether it needs ranges.
    assert library.need_calibration == planned.needs_calibration
    assert planned.needs_calibration == (scheme == "int8")


@pytest.mark.parametrize("scheme", _CANONICAL)
def test_the_same_plan_every_time(scheme, face):
    assert plan(Topology(parse_model(face)), scheme) == plan(Topology(parse_model(face)), scheme)


def test_int8_keeps_the_heads_float(face):
    kept = plan(Topology(parse_model(face)), "int8").kept_float
    assert len(kept) == 10
    assert kept["classificator_8"] == "output head: int8 weights, float arithmetic"
    assert kept["classificators"] == "output head"


@pytest.mark.parametrize(
    ("inputs", "outputs", "dynamic"), [(32, 64, True), (31, 64, False), (32, 63, False)]
)
def test_dynamic_takes_the_layers_that_are_large_enough(inputs, outputs, dynamic):
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, inputs))
    weights = graph.constant(np.ones((outputs, 1, 1, inputs), np.float32))
    layer = graph.conv(image, weights, graph.constant(np.ones(outputs, np.float32)))
    graph.subgraph.tensors[layer].name = "layer"
    planned = plan(Topology(parse_model(graph.finish(layer))), "dynamic")
    assert len(planned.recipe) == 1 + dynamic
    assert (planned.kept_float == {}) == dynamic
    if not dynamic:
        assert planned.kept_float["layer"] == (
            "weights only: too few channels for dynamic int8 to win"
        )


def test_dynamic_leaves_depthwise_layers_to_float(face):
    kept = plan(Topology(parse_model(face)), "dynamic").kept_float
    reasons = list(kept.values())
    assert reasons.count("weights only: the delegate has no dynamic kernel for it") == 16


@pytest.mark.parametrize("scheme", ["float16", "weight_only_int8"])
def test_weights_only_keeps_all_arithmetic_float(scheme, face):
    planned = plan(Topology(parse_model(face)), scheme)
    assert len(planned.recipe) == 1
    assert len(planned.kept_float) == 21 + 16
