import re

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from litert_quantizer import quantizer

from tests.model_files import model_path
from tests.random_models import ModelBuilder
from tests.refused import refused
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.patterns import EarlierScopes
from tools.quantization.relu_fusion import fuse_relus
from tools.quantization.scheme_names import (
    LAYER_SCHEMES,
    SCHEMES,
    canonical_layer_scheme,
    canonical_scheme,
)
from tools.quantization.schemes import plan
from tools.quantization.settings import QuantizationSettings

_CANONICAL = ("int8", "dynamic", "float16", "weight_only_int8")


@pytest.fixture(scope="module")
def face() -> bytes:
    return make_float_master(model_path("face_detection_short_range").read_bytes())[0]


@pytest.mark.parametrize("name", ["int8", "Int8", "INT8", "FULL_INTEGER", "full_integer"])
def test_full_integer_is_int8(name):
    assert canonical_scheme(name) == "int8"


def test_every_scheme_in_either_case():
    names = {canonical_scheme(name) for name in SCHEMES}
    assert names == {name.lower() for name in SCHEMES} - {"full_integer"}
    assert {canonical_scheme(name.lower()) for name in SCHEMES} == names
    # What a whole model may be, a layer may be, and "float" besides.
    assert set(LAYER_SCHEMES) == names - {"mixed"} | {"float"}
    assert [canonical_layer_scheme(name.upper()) for name in LAYER_SCHEMES] == list(LAYER_SCHEMES)


@pytest.mark.parametrize("name", ["", "INT3", "int 8", "FLOAT16 ", "FLOAT"])
def test_unknown_scheme_is_one_line(name):
    with refused("scheme.unknown") as raised:
        canonical_scheme(name)
    assert str(raised.value) == (
        f"no quantization type {name}; choose one of INT8, FULL_INTEGER, DYNAMIC, FLOAT16, "
        "WEIGHT_ONLY_INT8, WEIGHT_ONLY_INT4, MIXED, INT16X8, INT4, DYNAMIC_INT4, INT2, "
        "BLOCKWISE_INT4_32, BLOCKWISE_INT4_64, BLOCKWISE_INT4_128, BLOCKWISE_INT4_256"
    )


def _plan(content: bytes, scheme: str, *layers: tuple[str, str], **choices):
    settings = QuantizationSettings(scheme, layers=layers, **choices)
    return plan(Topology(parse_model(content, "net")), settings)


_ALL_ROUNDED = {"small_weights": {"enabled": False}}
_STATIC = ("int4", "int8", "int16x8")


@pytest.mark.parametrize("scheme", [*_CANONICAL, "int4", "int16x8", "weight_only_int4"])
def test_library_takes_the_recipe(scheme, face):
    planned = _plan(face, scheme)
    library = quantizer.Quantizer(face)
    library.load_quantization_recipe(planned.recipe)
    loaded = library.get_quantization_recipe()
    assert [entry["regex"] for entry in loaded] == [entry["regex"] for entry in planned.recipe]
    # The library itself knows whether it needs ranges.
    assert library.need_calibration == (scheme in _STATIC)


@pytest.mark.parametrize("scheme", _CANONICAL)
def test_the_same_plan_every_time(scheme, face):
    assert _plan(face, scheme) == _plan(face, scheme)


def test_int8_keeps_the_heads_float(face):
    kept = _plan(face, "int8").kept_float
    assert len(kept) == 10
    assert kept["classificator_8"] == "output head: int8 weights, float arithmetic"
    assert kept["classificators"] == "output head"


@pytest.mark.parametrize(
    ("inputs", "outputs", "dynamic"), [(64, 128, True), (8, 128, False), (128, 16, False)]
)
def test_dynamic_takes_the_layers_in_which_it_wins(inputs, outputs, dynamic):
    graph = ModelBuilder()
    image = graph.input((1, 32, 32, inputs))
    weights = graph.constant(np.ones((outputs, 1, 1, inputs), np.float32))
    layer = graph.conv(image, weights, graph.constant(np.ones(outputs, np.float32)))
    graph.subgraph.tensors[layer].name = "layer"
    planned = _plan(graph.finish(layer), "dynamic")
    assert len(planned.recipe) == 1 + dynamic
    assert (planned.kept_float == {}) == dynamic
    if not dynamic:
        assert planned.kept_float["layer"] == ("weights only: dynamic int8 is not estimated to win")


def test_dynamic_leaves_depthwise_layers_to_float(face):
    kept = _plan(face, "dynamic", passes=_ALL_ROUNDED).kept_float
    reasons = list(kept.values())
    assert reasons.count("weights only: the delegate has no dynamic kernel for it") == 16


def test_four_bits_where_an_operator_has_them(face):
    for scheme, bits in (("weight_only_int4", 4), ("dynamic_int4", 4), ("int4", 4)):
        passes = _ALL_ROUNDED | {"output_heads": {"enabled": False}}
        planned = _plan(face, scheme, passes=passes)
        kinds = {entry["operation"] for entry in planned.recipe if _bits(entry) == bits}
        assert kinds == {"CONV_2D"}
        assert sum(_bits(entry) == bits for entry in planned.recipe) == 21
        assert _bits(planned.recipe[0]) == 8


def _bits(entry: dict) -> int | None:
    return entry["op_config"].get("weight_tensor_config", {}).get("num_bits")


@pytest.mark.parametrize("scheme", ["int2", "blockwise_int4_32"])
def test_scheme_that_fits_no_operator_is_one_line(scheme, face):
    with refused("scheme.fits_none", rf"^net: {scheme} .*; CONV_2"):
        _plan(face, scheme)


def _fully_connected(inputs: int = 96) -> bytes:
    """Two layers, "first" and "last"."""
    graph = ModelBuilder()
    rows = graph.input((1, inputs), "rows")
    for name in ("first", "last"):
        size = graph.shape(rows)[-1]
        weights = graph.constant(np.ones((64, size), np.float32))
        bias = graph.constant(np.zeros(64, np.float32))
        options = schema.FullyConnectedOptionsT()
        inputs_ = [rows, weights, bias]
        rows = graph.operator("FULLY_CONNECTED", inputs_, (1, 64), options, result=name)
    return graph.finish(rows)


def test_blocks_must_divide_the_inputs():
    planned = _plan(_fully_connected(96), "blockwise_int4_64")
    assert [entry["regex"] for entry in planned.recipe] == [".*", "^last;$"]
    assert planned.kept_float == {"first": "weights only: its 96 inputs are no multiple of 64"}
    with refused("scheme.fits_none") as raised:
        _plan(_fully_connected(96), "blockwise_int4_128")
    assert str(raised.value) == (
        "net: blockwise_int4_128 fits no operator of this model; FULLY_CONNECTED first: its 96 "
        "inputs are no multiple of 128"
    )


def test_layers_go_over_the_scheme_and_later_ones_over_earlier():
    layers = (("first|last", "weight_only_int4"), ("^last;$", "float"))
    planned = _plan(_fully_connected(), "int8", *layers)
    forms = {entry["regex"]: (entry["algorithm_key"], _bits(entry)) for entry in planned.recipe}
    assert forms["^first;$"] == ("min_max_uniform_quantize", 4)
    assert forms["^last;$"] == ("no_quantize", None)
    assert planned.matched == (2, 1)
    assert planned.kept_float == {
        "first": "layers give it weight_only_int4: int4 weights, float arithmetic",
        "last": "layers give it float: float",
    }


def test_layers_go_over_the_output_heads():
    assert _plan(_fully_connected(), "int8").kept_float.keys() == {"last"}
    planned = _plan(_fully_connected(), "int8", ("last", "int8"))
    assert planned.kept_float == {}
    assert [entry["regex"] for entry in planned.recipe] == [".*"] * 3


def test_dynamic_layers_are_taken_at_their_word(face):
    planned = _plan(face, "dynamic", ("^conv2d_2;$", "dynamic"))
    assert "conv2d_2" not in planned.kept_float
    assert "conv2d_2" in _plan(face, "dynamic").kept_float


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("frist", "; near it: first"),
        ("^LAST;$", "; near it: last"),
        ("attention.*", "; one of them is first"),
    ],
)
def test_pattern_that_matches_nothing_is_one_line(pattern, told):
    with refused("settings.pattern") as raised:
        _plan(_fully_connected(), "int8", (pattern, "float"))
    assert str(raised.value) == f"net: layers: {pattern} matches none of 2 names{told}"


def test_layer_that_cannot_be_so_is_one_line(face):
    with refused("scheme.fits_none") as raised:
        _plan(face, "int8", ("depthwise", "weight_only_int4"))
    assert re.fullmatch(
        r"net: layers: weight_only_int4 fits none of the 16 operators that depthwise matches; "
        r"DEPTHWISE_CONV_2D depthwise_conv2d: the library has no such form of it",
        str(raised.value),
    )


def test_layers_find_the_names_from_before_fusing(face):
    model = parse_model(face, "face")
    before = EarlierScopes(Topology(model))
    fuse_relus(model)
    settings = QuantizationSettings("int8", layers=(("^conv2d;$", "float"),))
    assert plan(Topology(model), settings, before).kept_float["activation"] == (
        "layers give it float: float"
    )
    with refused("settings.pattern"):
        plan(Topology(model), settings)


@pytest.mark.parametrize("algorithm", ["mse", "octav"])
def test_weight_algorithm_is_for_operators_with_weights(algorithm, face):
    recipe = _plan(face, "int8", weight_algorithm=algorithm).recipe
    chosen = [entry for entry in recipe if entry["algorithm_key"].lower() == algorithm]
    assert {entry["operation"] for entry in chosen} == {"CONV_2D", "DEPTHWISE_CONV_2D"}
    assert recipe[0]["algorithm_key"] == "min_max_uniform_quantize"


def test_weight_algorithm_that_fits_nothing_is_one_line(face):
    with refused("scheme.fits_none", "^net: weight algorithm gptq "):
        _plan(face, "int8", weight_algorithm="gptq")


@pytest.mark.parametrize("scheme", ["float16", "weight_only_int8"])
def test_weights_only_keeps_all_arithmetic_float(scheme, face):
    planned = _plan(face, scheme, passes=_ALL_ROUNDED)
    assert len(planned.recipe) == 1
    assert len(planned.kept_float) == 21 + 16
