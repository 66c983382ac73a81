import pytest

from tests.random_models import random_image, run_model, tiny_model
from tests.refused import refused
from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization import recipes
from tools.quantization.given_recipe import plan_given
from tools.quantization.patterns import scope
from tools.quantization.pipeline import quantize
from tools.quantization.recipes import recipe_text
from tools.quantization.settings import QuantizationSettings

_SAMPLES = [{"image": random_image((1, 16, 16, 3), seed)} for seed in range(3)]


@pytest.fixture(scope="module")
def master() -> bytes:
    return make_float_master(tiny_model(channels=64))[0]


def _quantize(master: bytes, *recipe: dict):
    return quantize(master, QuantizationSettings("recipe", recipe=recipe), _SAMPLES, where="net")


@pytest.mark.parametrize(
    "scheme", ["int8", "dynamic", "int16x8", "weight_only_int4", "int4", "float16"]
)
def test_what_came_out_goes_in_again(scheme, master):
    """Our own recipe, given back, makes the same artifact."""
    first = quantize(master, QuantizationSettings(scheme), _SAMPLES)
    again = _quantize(master, *first.recipe)
    assert again.model == first.model
    assert recipe_text(again.recipe) == recipe_text(first.recipe)
    # Which weights are small, and which need more bits, is in the recipe already.
    found = {"small_weights", "weight_bits"}
    names = [entry["name"] for entry in first.passes if entry["name"] not in found]
    assert [entry["name"] for entry in again.passes] == names
    assert {one["name"] for one in again.float_tensors} == {
        one["name"] for one in first.float_tensors
    }


def test_inputs_and_outputs_are_as_the_recipe_says(master):
    artifact = _quantize(master, recipes.static(8, 8)).model
    described = describe(artifact)
    assert described["inputs"][0]["dtype"] == described["outputs"][0]["dtype"] == "int8"
    entries = (recipes.static(8, 8), recipes.unquantized(".*", "OUTPUT"))
    described = describe(_quantize(master, *entries).model)
    assert described["inputs"][0]["dtype"] == "int8"
    assert described["outputs"][0]["dtype"] == "float32"


def test_entry_of_no_quantize_needs_no_configuration(master):
    bare = {"algorithm_key": "no_quantize", "operation": "*", "regex": "^scores;"}
    result = _quantize(master, recipes.weight_only(8), bare)
    names = {one["name"]: one["reason"] for one in result.float_tensors}
    assert names["scores"] == "the recipe leaves it in float"
    assert set(names.values()) == {
        "the recipe leaves it in float", "the recipe gives it int8 weights, float arithmetic",
    }  # fmt: skip
    assert run_model(result.model)[0].shape == run_model(master)[0].shape


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            recipes.weight_only(8, "^score;"),
            "entry 1: ^score; matches none of 6 names; near it: ",
        ),
        (
            recipes.weight_only(8, ".*", "BATCH_MATMUL"),
            "entry 1: the model has no BATCH_MATMUL; ",
        ),
        (recipes.weight_only(8, ".*", "CONV_3D"), "entry 1: the library refuses it: "),
        (recipes.weight_only(3), "entry 1: the library writes none of the 6 operators that it "),
        (recipes.weight_only(3, ".*", "CONV_2D"), "entry 1: the library refuses it: "),
        (recipes.weight_only(8) | {"algorithm_key": "best"}, "entry 1: the library refuses it: Un"),
    ],
)
def test_entry_that_does_nothing_is_one_line(entry, message, master):
    with pytest.raises(InputError) as raised:
        _quantize(master, recipes.weight_only(8), entry)
    assert str(raised.value).startswith(f"net: recipe {message}")


def test_entries_for_inputs_and_outputs_match_their_names(master):
    graph = Topology(parse_model(master, "net"))
    planned = plan_given(graph, [recipes.static(8, 8), recipes.unquantized("scores", "OUTPUT")])
    assert planned.float_outputs
    assert planned.kept_float == {}
    with refused("settings.pattern", "entry 1: nosuch "):
        plan_given(graph, [recipes.static(8, 8), recipes.unquantized("nosuch", "INPUT")])
    assert "scores;" in {scope(graph, operator) for operator in graph.subgraph.operators}


def test_recipe_that_quantizes_activations_needs_data(master):
    settings = QuantizationSettings("recipe", recipe=(recipes.static(8, 8),))
    with refused("scheme.needs_data", "^net: recipe needs .*; give --calibration_data"):
        quantize(master, settings, None, where="net")
