"""Reports are read strictly, and written whole."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.refused import refused
from tests.similarity.report_documents import (
    CLASSIFICATION,
    DETECTION,
    LANDMARKS,
    SEGMENTATION,
    report,
    report_of,
)
from tools.documents.document import read_document, write_document
from tools.documents.json_file import json_text, rounded, write_json
from tools.documents.report import Report

_MADE_BY = "; make the report again with validate_quantized_model --report="


def _read(folder, document):
    path = folder / "report.json"
    path.write_text(json.dumps(document))
    return read_document(path, Report)


_CODES = {"kind": "document.kind", "schema_version": "document.version"}


def _refusal(folder, document, code="document.field"):
    with refused(code) as error:
        _read(folder, document)
    message = str(error.value)
    assert message.startswith(f"{folder}/report.json: ")
    assert message.endswith(_MADE_BY)
    return message.removeprefix(f"{folder}/report.json: ").removesuffix(_MADE_BY)


def test_a_report_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "report.json"
    document = report_of(DETECTION, LANDMARKS, SEGMENTATION, CLASSIFICATION)
    write_document(path, document)
    assert read_document(path, Report) == document
    assert path.read_text() == json.dumps(document.to_json(), indent=2, sort_keys=True) + "\n"


def _without(document, *field):
    owner = document
    for name in field[:-1]:
        owner = owner[name]
    del owner[field[-1]]
    return document


@pytest.mark.parametrize(
    "field",
    [
        ("name",),
        ("artifact",),
        ("artifact", "sha256"),
        ("float_master", "bytes"),
        ("min_runtime",),
        ("similarity", "outputs"),
        ("similarity", "tasks"),
        ("size", "reduction"),
        ("recipe",),
        ("data", "test"),
    ],
    ids=".".join,
)
def test_a_missing_field_is_named(tmp_path, field):
    code = _CODES.get(field[0], "document.field")
    said = _refusal(tmp_path, _without(report().to_json(), *field), code)
    assert said == f"{'.'.join(field)} is missing"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("schema_version", 2, "schema_version is 2, not 1"),
        ("schema_version", True, "schema_version is true, not 1"),
        ("schema_version", 1.0, "schema_version is 1.0, not 1"),
        ("kind", "rules_quantize.x", 'kind is "rules_quantize.x", not "rules_quantize.report"'),
        ("kind", None, 'kind is null, not "rules_quantize.report"'),
        ("name", 3, "name is 3, not a text"),
        ("similarity", [], "similarity is [], not an object"),
        ("size.reduction", True, "size.reduction is true, not a number"),
        ("artifact.bytes", 1.5, "artifact.bytes is 1.5, not a whole number"),
        ("artifact.bytes", -1, "artifact.bytes is -1, not a number from 0"),
        ("artifact.sha256", "x", 'artifact.sha256 is "x", not a text that ^[0-9a-f]{64}$ matches'),
        ("similarity.outputs", {}, "similarity.outputs is {}, not a list"),
        ("similarity.outputs", [1], "similarity.outputs[0] is 1, not an object"),
        ("similarity.tasks", [{}], "similarity.tasks[0].type is missing"),
        ("source", "f" * 50, f'source is "{"f" * 36}..., not an object'),
        ("tools", {"numpy": 2}, "tools.numpy is 2, not a text"),
        (
            "similarity.tasks",
            [{"type": "pose"}],
            'similarity.tasks[0].type is "pose", not one of "classification", "detection", '
            '"landmarks", "segmentation"',
        ),
    ],
)
def test_a_wrong_value_is_named(tmp_path, path, value, said):
    document = report().to_json()
    owner = document
    *outer, name = path.split(".")
    for one in outer:
        owner = owner[one]
    owner[name] = value
    assert _refusal(tmp_path, document, _CODES.get(path, "document.field")) == said


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("similarity.outputs", []),
        ("similarity.outputs.0.cosine_mean", 5),
        ("similarity.outputs.0.cosine_min", -1.5),
        ("similarity.outputs.0.max_abs_error", -1),
        ("similarity.outputs.1.name", "boxes"),
        ("similarity.samples", 0),
        ("similarity.layers.correlation_min", 2),
        ("similarity.tasks.0.recall", 1.5),
        ("similarity.tasks.0.box_error_px_mean", -0.5),
        ("size.reduction", 1.5),
        ("min_runtime.version", "banana"),
        ("min_runtime.operators.0.runtime", "2"),
    ],
)
def test_a_figure_that_cannot_be_is_refused(tmp_path, path, value):
    document = json.loads(report().text())
    owner = document
    *outer, name = path.split(".")
    for one in outer:
        owner = owner[int(one) if one.isdigit() else one]
    owner[name] = value
    assert _refusal(tmp_path, document)


def test_two_tasks_of_one_name_are_refused(tmp_path):
    document = json.loads(report().text())
    document["similarity"]["tasks"] *= 2
    assert "detection" in _refusal(tmp_path, document)


def test_what_is_no_object_is_no_report(tmp_path):
    assert _refusal(tmp_path, [1], "document.kind") == "it is [1], not an object"


def test_a_field_of_a_later_release_is_passed_over(tmp_path):
    document = report().to_json()
    document["similarity"]["of_tomorrow"] = 1
    assert _read(tmp_path, document) == report()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        '{"a": 1}'.encode("utf-16"),
        b"[" * 100000,
        b"[" * 500 + b"]" * 500,
        b'{"a": NaN}',
        b"Infinity",
        b'{"a": 1e999}',
        b'{"a": -' + b"9" * 400 + b"}",
        b'{"a": ' + b"9" * 9000 + b"}",
        b'{"a": 9223372036854775808}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": "\\ud800"}',
        b'{"\\ud800": 1}',
    ],
)
def test_what_is_no_json_is_refused(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with refused("document.syntax") as error:
        read_document(path, Report)
    assert str(error.value).startswith(f"{path}: not JSON (")


def test_a_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / "report.json"
    path.write_bytes(b"\xef\xbb\xbf" + report().text().encode())
    assert read_document(path, Report) == report()


def test_nothing_is_written_when_a_number_is_none(tmp_path):
    path = tmp_path / "report.json"
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_rounded_values_are_json(value):
    result = rounded(value)
    json_text([result])
    if result is not None and abs(value) > 1e-300:
        assert result == pytest.approx(value, rel=1e-5)
