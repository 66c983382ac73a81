import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.documents.settings import Settings
from tools.errors import InputError
from tools.quantization.settings import (
    INPUT_OUTPUT_TYPES,
    PASSES,
    RANGE_ESTIMATORS,
    WEIGHT_ALGORITHMS,
    QuantizationSettings,
    RangeSettings,
    settings_from_json,
    settings_text,
    settings_to_json,
)

_SCHEMES = ("int8", "dynamic", "float16", "weight_only_int8")
_PATTERNS = st.text("ab;._", min_size=1, max_size=8)
_NUMBERS = st.floats(-1e6, 1e6, allow_nan=False, width=32)


@st.composite
def _settings(draw) -> QuantizationSettings:
    tensors = [
        (draw(_PATTERNS), *sorted(draw(st.lists(_NUMBERS, min_size=2, max_size=2, unique=True))))
        for _ in range(draw(st.integers(0, 2)))
    ]
    tensors += draw(st.lists(st.tuples(_PATTERNS, st.sampled_from(RANGE_ESTIMATORS)), max_size=2))
    layers = st.tuples(_PATTERNS, st.sampled_from(("float", *_SCHEMES)))
    passes = st.dictionaries(
        st.sampled_from(sorted(PASSES)), st.fixed_dictionaries({"enabled": st.booleans()})
    )
    return QuantizationSettings(
        scheme=draw(st.sampled_from(_SCHEMES)),
        layers=tuple(draw(st.lists(layers, max_size=3))),
        input_type=draw(st.sampled_from(INPUT_OUTPUT_TYPES)),
        output_type=draw(st.sampled_from(INPUT_OUTPUT_TYPES)),
        ranges=RangeSettings(
            estimator=draw(st.sampled_from(("auto", *RANGE_ESTIMATORS))),
            percentile=draw(st.floats(0, 50)),
            smoothing=draw(st.floats(0, 1)),
            value_percentile=draw(st.floats(0, 50)),
            tensors=tuple(tensors),
        ),
        weight_algorithm=draw(st.sampled_from(WEIGHT_ALGORITHMS)),
        passes=draw(passes),
    )


@settings(deadline=None, derandomize=True)
@given(_settings())
def test_what_is_written_is_read(settings):
    text = settings_text(settings)
    again = settings_from_json(json.loads(text))
    assert again == settings
    assert settings_text(again) == text


def test_the_least_file_has_the_defaults():
    document = {"kind": Settings.KIND, "schema_version": 1, "scheme": "INT8"}
    settings = settings_from_json(document)
    assert settings == QuantizationSettings("int8")
    assert all(settings.enabled(name) for name in PASSES)


def test_a_pass_has_its_defaults_and_what_is_chosen():
    settings = QuantizationSettings("int8", passes={"equalization": {"enabled": False}})
    assert not settings.enabled("equalization")
    assert settings.enabled("relu_fusion")
    assert settings.choices("equalization") == PASSES["equalization"] | {"enabled": False}


_LAYER = {"pattern": "a", "scheme": "float"}
_TENSOR = {"max": 1, "min": 0, "pattern": "a"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "x"}, 's.json: kind is "x", not "rules_quantize.settings"'),
        ({"schema_version": 2}, "s.json: schema_version is 2, not 1"),
        ({"schema_version": True}, "s.json: schema_version is true, not 1"),
        (
            {"colour": 1},
            "s.json: colour is an unknown field; there are scheme, input_type, layers, "
            "output_type, passes, ranges, recipe, runs_on, weights",
        ),
        ({"scheme": 8}, "s.json: scheme is 8, not a text"),
        ({"layers": {}}, "s.json: layers is {}, not a list"),
        ({"layers": ["a"]}, 's.json: layers[0] is "a", not an object'),
        ({"layers": [{"pattern": "a"}]}, "s.json: layers[0].scheme is missing"),
        (
            {"layers": [_LAYER | {"x": 1}]},
            "s.json: layers[0].x is an unknown field; there are pattern, scheme",
        ),
        (
            {"layers": [_LAYER | {"pattern": "("}]},
            "s.json: pattern (: no regular expression: missing ), unterminated subpattern at "
            "position 0",
        ),
        ({"input_type": "int4"}, "s.json: no input type int4; choose one of float32, int8, uint8"),
        ({"output_type": 8}, "s.json: output_type is 8, not a text"),
        (
            {"ranges": {"x": 1}},
            "s.json: ranges.x is an unknown field; there are estimator, percentile, smoothing, "
            "tensors, value_percentile",
        ),
        ({"ranges": {"percentile": 51}}, "s.json: percentile 51: give 0 to 50 (percent)"),
        ({"ranges": {"percentile": "a"}}, 's.json: ranges.percentile is "a", not a number'),
        (
            {"ranges": {"tensors": [_TENSOR | {"min": 1}]}},
            "s.json: range of a: 1 to 1 is none; give finite numbers, the smaller first",
        ),
        ({"ranges": {"smoothing": 1.5}}, "s.json: smoothing 1.5: give 0 to 1"),
        (
            {"ranges": {"value_percentile": -1}},
            "s.json: value_percentile -1: give 0 to 50 (percent)",
        ),
        (
            {"ranges": {"estimator": "best"}},
            "s.json: no range estimator best; choose one of auto, " + ", ".join(RANGE_ESTIMATORS),
        ),
        (
            {"ranges": {"tensors": [{"estimator": "best", "pattern": "a"}]}},
            "s.json: no range estimator of a: best; choose one of " + ", ".join(RANGE_ESTIMATORS),
        ),
        (
            {"ranges": {"tensors": [_TENSOR | {"estimator": "mse"}]}},
            "s.json: ranges.tensors[0].estimator is an unknown field; there are max, min, pattern",
        ),
        ({"ranges": {"tensors": [{"min": 1}]}}, "s.json: ranges.tensors[0].max is missing"),
        (
            {"weights": {"algorithm": "best"}},
            "s.json: no weight algorithm best; choose one of min_max, mse, octav, gptq, hadamard",
        ),
        ({"weights": {"bits": 4}}, "s.json: weights.bits is an unknown field; there are algorithm"),
        ({"runs_on": []}, "s.json: runs_on is empty; give cpu or gpu"),
        ({"runs_on": ["npu"]}, "s.json: no place to run on npu; choose one of cpu, gpu"),
        ({"passes": {"x": {}}}, "s.json: no pass x; choose one of " + ", ".join(PASSES)),
        (
            {"passes": {"relu_fusion": {"x": 1}}},
            "s.json: no choice of pass relu_fusion x; choose one of enabled",
        ),
        (
            {"passes": {"relu_fusion": {"enabled": 1}}},
            "s.json: passes.relu_fusion.enabled is 1; give true or false",
        ),
        ({"passes": {"relu_fusion": True}}, "s.json: passes.relu_fusion is true, not an object"),
    ],
)
def test_what_cannot_be_is_one_line(change, message):
    document = settings_to_json(QuantizationSettings("int8")) | change
    with pytest.raises(InputError) as raised:
        settings_from_json(document, "s.json")
    assert str(raised.value) == message


@pytest.mark.parametrize("document", [[], None, "int8"])
def test_what_is_no_object_is_refused(document):
    with pytest.raises(InputError, match=r"^settings: it is .*, not an object$"):
        settings_from_json(document)


def test_where_it_runs_has_one_order():
    settings = QuantizationSettings("int8", runs_on=("gpu", "cpu"))
    assert settings == QuantizationSettings("int8")
    assert settings_to_json(settings)["runs_on"] == ["cpu", "gpu"]
