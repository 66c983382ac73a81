import json
from pathlib import Path

import pytest

from tests.refused import refused
from tools.errors import InputError
from tools.quantization import recipes
from tools.quantization.settings import QuantizationSettings, settings_text
from tools.quantization.settings_file import parse_settings, read_settings

_RECIPE = [recipes.weight_only(8), recipes.unquantized("^scores;", "CONV_2D")]


def _file(folder: Path, text: str) -> Path:
    path = folder / "how"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "scheme", "layers"),
    [
        (
            'layer_params { layer_name: "attention" quantize: false }',
            None,
            (("attention", "float"),),
        ),
        (
            'quantization_type: INT8\nlayer_params { layer_name: "a.*" quantize: false }\n'
            "layer_params: {\n  layer_name: 'b\\d;$'  # weights of four bits\n"
            '  scheme: "WEIGHT_ONLY_INT4";\n}\n',
            "int8",
            (("a.*", "float"), ("b\\d;$", "weight_only_int4")),
        ),
        (
            'layer_params { layer_name: "say \\"x\\"", quantize: true, scheme: int16x8 }',
            None,
            (('say "x"', "int16x8"),),
        ),
        ('quantization_type: "FULL_INTEGER"', "int8", ()),
    ],
)
def test_text_form(text, scheme, layers):
    said = parse_settings(text, "how")
    assert (said.scheme, said.layers, said.settings) == (scheme, layers, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "how: it says nothing; give layer_params or a quantization_type"),
        ("# only a comment\n", "how: it says nothing; give layer_params or a quantization_type"),
        ("layer_params {", "how: line 1: end where word or } or ; or , was expected"),
        ("layer_params [", "how: line 1: '[' was not expected here"),
        ("\nlayer_params { layer_name }", "how: line 2: } where : was expected"),
        ("layer_params { quantize: false }", "how: line 1: layer_params without a layer_name"),
        (
            'layer_params { layer_name: "a" quantize: true }',
            'how: line 1: layer_params for a say nothing; give "quantize: false" or a scheme',
        ),
        (
            'layer_params { layer_name: "a" quantize: no }',
            "how: line 1: no where true or false was expected",
        ),
        (
            'layer_params { layer_name: "a" bits: 4 }',
            "how: line 1: no field bits; there are layer_name, quantize, scheme",
        ),
        (
            "layers: 4",
            "how: line 1: no field layers; there are quantization_type, layer_params",
        ),
        ("{", "how: not JSON (Expecting property name enclosed in double quotes: line 1 column 2"),
        ("[]", "how: a recipe without entries; it would quantize nothing"),
        ("[3]", "how: entry 0 is 3; give an object"),
        ('[{"regex": ".*"}]', "how: entry 0: algorithm_key is missing or no string"),
        (json.dumps([_RECIPE[0] | {"regex": "("}]), "how: entry 0: regex (: missing )"),
        (json.dumps([_RECIPE[0] | {"x": 1}]), "how: entry 0: unknown field x"),
        (json.dumps([_RECIPE[0] | {"op_config": 1}]), "how: entry 0: op_config is missing or no"),
        ("{}", 'how: kind is null, not "rules_quantize.settings"'),
    ],
)
def test_what_cannot_be_read_is_one_line(text, message):
    with pytest.raises(InputError) as raised:
        parse_settings(text, "how")
    assert str(raised.value).startswith(message)


def test_settings_and_recipes_are_read_whole(tmp_path):
    settings = QuantizationSettings(
        "int8", layers=(("a", "float"),), passes={"equalization": {"enabled": False}}
    )
    assert read_settings(_file(tmp_path, settings_text(settings)), None) == settings
    given = read_settings(_file(tmp_path, recipes.recipe_text(_RECIPE)), None)
    assert given == QuantizationSettings("recipe", recipe=tuple(_RECIPE))
    # A recipe among settings, which a pass is switched off for.
    among = QuantizationSettings("recipe", passes=settings.passes, recipe=tuple(_RECIPE))
    assert read_settings(_file(tmp_path, settings_text(among)), None) == among


def test_what_is_said_beside_a_file_goes_over_it(tmp_path):
    path = _file(tmp_path, settings_text(QuantizationSettings("int8", layers=(("a", "int4"),))))
    settings = read_settings(path, "INT8", (("b", "float"),), "uint8", None)
    assert settings.layers == (("a", "int4"), ("b", "float"))
    assert (settings.input_type, settings.output_type) == ("uint8", "float32")
    path = _file(tmp_path, 'layer_params { layer_name: "a" quantize: false }')
    settings = read_settings(path, "dynamic", (("b", "int8"),))
    assert settings == QuantizationSettings("dynamic", layers=(("a", "float"), ("b", "int8")))


@pytest.mark.parametrize(
    ("text", "scheme", "message"),
    [
        (None, None, "nothing says how to quantize; give --quantization_type"),
        (
            'layer_params { layer_name: "a" quantize: false }',
            None,
            "nothing says how to quantize; give --quantization_type",
        ),
        (
            "quantization_type: INT8",
            "dynamic",
            "{path}: its scheme is int8, not dynamic; give one of them",
        ),
        (
            json.dumps(_RECIPE),
            "int8",
            "{path}: its scheme is recipe, not int8; give one of them",
        ),
    ],
)
def test_one_scheme_and_no_more(text, scheme, message, tmp_path):
    path = None if text is None else _file(tmp_path, text)
    with pytest.raises(InputError) as raised:
        read_settings(path, scheme)
    assert str(raised.value) == message.format(path=path)


@pytest.mark.parametrize(
    ("layers", "ends"), [((("a", "float"),), {}), ((), {"input_type": "int8"})]
)
def test_a_recipe_says_all(layers, ends, tmp_path):
    path = _file(tmp_path, json.dumps(_RECIPE))
    with refused("settings.conflict", "^a recipe says itself "):
        read_settings(path, None, layers, **ends)


def test_bytes_are_no_settings(tmp_path):
    path = tmp_path / "how"
    path.write_bytes(b"\xff\xfe\x00")
    with refused("settings.syntax"):
        read_settings(path, "int8")
