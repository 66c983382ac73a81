"""The documents that the tests register have the form that the tools write today."""

import json
from pathlib import Path

import pytest

from tests.registry.registration_files import written

# Not resolved: the file of runfiles stands beside what was built.
_MODELS = Path(__file__).absolute().parents[2] / "models"


def _form(value):
    """Gives names and types of a document; a list has the form of its first entry."""
    if isinstance(value, dict):
        return {key: _form(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_form(entry) for entry in value[:1]]
    return type(value)


@pytest.mark.parametrize("name", ["face_int8.report.json", "face_int8.verdict.json"])
def test_form(name):
    made = json.loads((_MODELS / name).read_text(encoding="utf-8"))
    kept = written(name)

    assert _form(made) == _form(kept)
