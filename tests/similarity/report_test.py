"""Reports are read strictly, and written whole."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.similarity.report_documents import report
from tools.errors import InputError
from tools.report import json_text, read_report, rounded, write_json


def _write(folder, document):
    path = folder / "report.json"
    path.write_text(json.dumps(document))
    return path


def test_a_report_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "report.json"
    write_json(path, report())
    assert read_report(path) == report()
    assert path.read_text().endswith("}\n")


_REQUIRED = [
    ("kind",),
    ("schema_version",),
    ("name",),
    ("artifact",),
    ("artifact", "sha256"),
    ("float_master", "bytes"),
    ("similarity", "outputs"),
    ("similarity", "task"),
    ("size", "reduction"),
    ("recipe",),
    ("data", "test"),
]


@pytest.mark.parametrize("field", _REQUIRED, ids=".".join)
def test_a_missing_field_is_named(tmp_path, field):
    document = report()
    owner = document
    for name in field[:-1]:
        owner = owner[name]
    del owner[field[-1]]
    with pytest.raises(InputError) as error:
        read_report(_write(tmp_path, document))
    message = str(error.value)
    assert "\n" not in message
    named = {"kind": "not a report", "schema_version": "schema_version null"}
    assert named.get(field[0], ".".join(field)) in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "schema_version 2; this version of rules_quantize reads 1"),
        ({"kind": "rules_quantize.latency"}, "not a report"),
        ({"name": 3}, "name is 3"),
        ({"similarity": []}, "similarity is no object"),
        ({"size": {"reduction": True, "reduction_vs_source": None}}, "size.reduction is true"),
        ({"similarity": report()["similarity"] | {"outputs": {}}}, "similarity.outputs is no list"),
        ({"similarity": report()["similarity"] | {"outputs": [1]}}, r"similarity.outputs\[0\]"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_report(_write(tmp_path, report(**changes)))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 100000])
def test_what_is_no_json_is_refused(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_report(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


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
