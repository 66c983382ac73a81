import functools
import hashlib
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from litert_quantizer import qtyping, quantizer
from litert_quantizer.recipe_manager import RecipeManager

from tests.random_models import ModelBuilder, tiny_model
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization import recipes

_STATIC = functools.partial(recipes.static, 8, 8)
_WEIGHTS = functools.partial(recipes.weight_only, 8)
_DYNAMIC = functools.partial(recipes.dynamic, 8)
_ENTRIES = (
    _STATIC,
    functools.partial(recipes.static, 8, 4),
    functools.partial(recipes.static, 16, 8),
    _WEIGHTS,
    functools.partial(recipes.weight_only, 4),
    _DYNAMIC,
    functools.partial(recipes.dynamic, 2),
    recipes.float16,
    recipes.unquantized,
)


@pytest.mark.parametrize("entry", _ENTRIES)
def test_library_takes_each_entry(entry):
    library = quantizer.Quantizer(make_float_master(tiny_model())[0])
    library.load_quantization_recipe([entry("^scores;", "CONV_2D")])
    (loaded,) = library.get_quantization_recipe()
    assert loaded["regex"] == "^scores;"
    assert loaded["operation"] == qtyping.TFLOperationName.CONV_2D


@pytest.mark.parametrize(
    ("entry", "precision", "bits", "activations"),
    [
        (_STATIC, "INTEGER", 8, True),
        (functools.partial(recipes.static, 16, 8), "INTEGER", 8, True),
        (functools.partial(recipes.static, 8, 4), "INTEGER", 4, True),
        (_WEIGHTS, "FLOAT", 8, False),
        (functools.partial(recipes.weight_only, 4), "FLOAT", 4, False),
        (_DYNAMIC, "INTEGER", 8, False),
        (functools.partial(recipes.dynamic, 2), "INTEGER", 2, False),
        (recipes.float16, "FLOAT", 16, False),
    ],
)
def test_what_an_entry_asks_for(entry, precision, bits, activations):
    config = entry()["op_config"]
    assert config["compute_precision"] == precision
    assert config["weight_tensor_config"]["num_bits"] == bits
    assert config["weight_tensor_config"]["symmetric"]
    assert ("activation_tensor_config" in config) == activations
    # Changing one entry changes no other.
    config["weight_tensor_config"]["num_bits"] = 3
    assert entry()["op_config"]["weight_tensor_config"]["num_bits"] == bits


_NAMES = ["a", "a;b", "ab", "a.b", "aXb", "model/a[0]+b", "a|b", "(", "a b\\d"]


@pytest.mark.parametrize("name", _NAMES)
def test_exactly_finds_one_operator(name):
    graph = ModelBuilder()
    image = graph.input((1, 2, 2, 1))
    results = [graph.operator("RELU", [image], (1, 2, 2, 1), result=one) for one in _NAMES]
    topology = Topology(parse_model(graph.finish(*results)))
    operator = topology.subgraph.operators[_NAMES.index(name)]
    found = [
        other for other in _NAMES if re.search(recipes.exactly(topology, operator), other + ";")
    ]
    assert found == [name]


def test_text_is_json_and_the_same_for_the_same_recipe():
    recipe = [recipes.static(8, 8), recipes.unquantized(".*", "INPUT")]
    text = recipes.recipe_text(recipe)
    assert json.loads(text) == recipe
    assert text.endswith("]\n")
    turned = [dict(reversed(entry.items())) for entry in recipe]
    assert recipes.recipe_text(turned) == text
    assert recipes.recipe_sha256(recipe) == hashlib.sha256(text.encode()).hexdigest()
    assert recipes.recipe_sha256(recipe[::-1]) != recipes.recipe_sha256(recipe)


def test_text_runs_in_the_library():
    """What is written down makes the same model again."""
    master, _ = make_float_master(tiny_model(channels=64))
    recipe = [recipes.weight_only(8), recipes.unquantized("^scores;", "CONV_2D")]
    models = []
    for one in (recipe, json.loads(recipes.recipe_text(recipe))):
        library = quantizer.Quantizer(master)
        library.load_quantization_recipe(one)
        models.append(bytes(library.quantize().quantized_model))
    assert models[0] == models[1]
    tensors = parse_model(models[0]).schema.subgraphs[0].tensors
    kept = {t.name.decode() for t in tensors if t.type == 0}
    assert "head/weights" in kept
    assert "weights_1" not in kept
    assert np.count_nonzero([t.name == b"weights_1" for t in tensors]) == 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    strategies.lists(
        strategies.tuples(
            strategies.sampled_from(["a", "a;b", "b(", "a|b", "layer.1", "."]),
            strategies.sampled_from(["CONV_2D", "FULLY_CONNECTED"]),
            strategies.sampled_from([_STATIC, _WEIGHTS, recipes.unquantized]),
        ),
        max_size=12,
    )
)
def test_joined_entries_say_the_same_of_every_operator(entries):
    """As the library reads them, operator by operator."""
    recipe = [recipes.static(8, 8)]
    for name, operation, form in entries:
        recipe.append(form(regex=f"^{re.escape(name)};$", operation=operation))
    managers = []
    for one in (recipe, recipes.joined(recipe)):
        managers.append(RecipeManager())
        managers[-1].load_quantization_recipe(one)
    for name, *_ in entries:
        for operation in ("CONV_2D", "FULLY_CONNECTED", "ADD"):
            kind = qtyping.TFLOperationName(operation)
            for scope in (f"{name};", f"{name};more;"):
                expected, found = (m.get_quantization_configs(kind, scope) for m in managers)
                assert expected == found


def test_entries_of_many_operators_become_one():
    recipe = [recipes.weight_only(8)]
    recipe += [recipes.dynamic(8, f"^layer_{n};$", "CONV_2D") for n in range(3000)]
    first, second = recipes.joined(recipe)
    assert first == recipe[0]
    assert second == recipe[1] | {"regex": second["regex"]}
    assert re.search(second["regex"], "layer_2999;")
    assert not re.search(second["regex"], "layer_2999;b;")
