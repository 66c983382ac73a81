"""Quantizing makes what it made: the artifacts and reports whose digests golden.json holds."""

import json
from pathlib import Path

import pytest

from tests.golden.golden_digests import digests, exact, generated_cases, processor_kind
from tests.golden.real_case import face_case
from tools.quantization.scheme_names import SCHEMES

_GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))
_MODELS = ("tiny", "chain", "two_inputs", "face")


@pytest.fixture(name="cases", scope="module")
def _cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    return {case.name: case for case in (*generated_cases(folder), face_case())}


def test_every_scheme_of_every_model_has_digests():
    assert sorted(_GOLDEN["digests"]) == sorted(f"{m} {s}" for m in _MODELS for s in SCHEMES)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", _MODELS)
def test_the_same_bytes_are_made(name, scheme, cases, tmp_path):
    found = digests(cases[name], scheme, tmp_path)
    expected = _GOLDEN["digests"][f"{name} {scheme}"]
    if processor_kind() not in _GOLDEN["processors"]:
        # Ranges and metrics come from float arithmetic, whose last bits are another's here.
        found, expected = exact(found, scheme), exact(expected, scheme)
    assert found == expected, (
        "if bytes change on purpose, write them again: bazel run //tests/golden:record"
    )
