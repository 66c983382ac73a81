"""The schemas in docs are those of the classes, and real documents fit them."""

import dataclasses
import json
from pathlib import Path

import fastjsonschema
import pytest

from tests.similarity.report_documents import (
    CLASSIFICATION,
    DETECTION,
    LANDMARKS,
    SEGMENTATION,
    report_of,
)
from tools.documents.document import read_document
from tools.documents.json_file import json_text
from tools.documents.latency import Latency
from tools.documents.report import Report
from tools.documents.schema import DOCUMENTS, described_fields, schema_file, schema_of
from tools.documents.verdict import Verdict

# Not resolved: files of runfiles are links.
_ROOT = Path(__file__).absolute().parents[2]
_WRITTEN = _ROOT / "tests" / "registry" / "documents"


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_what_is_checked_in_is_of_the_class(kind):
    text = (_ROOT / "docs" / "schemas" / schema_file(kind)).read_text()
    assert text == json_text(schema_of(kind)), "run bazel run //tools/documents:write_schemas"


def test_every_document_has_a_kind_of_its_own():
    assert len({kind.KIND for kind in DOCUMENTS}) == len(DOCUMENTS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("face_int8.latency.json", Latency),
        ("face_int8.report.json", Report),
        ("face_int8.verdict.json", Verdict),
        ("iris_landmark_int8.report.json", Report),
        ("pose_landmark_full_int8.report.json", Report),
    ],
)
def test_what_tools_write_fits_the_schema_and_is_written_alike(name, kind):
    text = (_WRITTEN / name).read_text()

    # It knows draft 7; what the schema has of a later one is the name "$defs" alone.
    fastjsonschema.compile(schema_of(kind))(json.loads(text))
    assert read_document(_WRITTEN / name, kind).text() == text


def test_the_schema_refuses_what_the_reader_refuses():
    validate = fastjsonschema.compile(schema_of(Report))
    document = report_of(CLASSIFICATION, DETECTION, LANDMARKS, SEGMENTATION).to_json()
    validate(document)
    for field, value in (("kind", "other"), ("passes", {}), ("size", {}), ("source", 1)):
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            validate(document | {field: value})


def _parts(kind):
    """Finds the dataclasses that a document is made of, by their names in its schema."""
    return schema_of(kind).get("$defs", {})


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_field_is_described(kind):
    fields = {field.name for field in dataclasses.fields(kind)}
    assert described_fields(kind).keys() == fields
    for name, part in _parts(kind).items():
        described = {field for field, one in part["properties"].items() if "description" in one}
        assert described == part["properties"].keys() - {"kind", "schema_version"}, name
