"""The Python selector on the table of test vectors, and on a real clock."""

import json

import pytest

from tests.selectors.vectors import vectors
from tools.bundle.selectors import model_selector as selector

_TABLE = vectors()


def manifest(name: str) -> selector.Manifest:
    return selector.read_manifest(json.dumps(_TABLE["manifests"][name]))


@pytest.mark.parametrize("case", _TABLE["cases"], ids=lambda case: case["name"])
def test_case(case):
    device = selector.Device(**case["device"])
    if "probe" not in case:
        choice = selector.select(manifest(case["manifest"]), device)
    else:
        clock = [0.0]

        def run(variant: selector.Variant) -> bool:
            # What is not allowed has no time here, and must not be run.
            milliseconds = case["probe"][variant.name]
            clock[0] += milliseconds or 0
            return milliseconds is not None

        choice, _ = selector.probe(
            manifest(case["manifest"]), device, run, case["probe_milliseconds"], lambda: clock[0]
        )
    assert (choice.variant, choice.reason) == (
        case["expect"]["variant"],
        case["expect"]["reason"],
    )


@pytest.mark.parametrize("text", _TABLE["refused"])
def test_refused(text):
    with pytest.raises(ValueError, match=r"."):
        selector.read_manifest(text)


def test_probe_tells_the_median_of_each_variant_but_its_first_run():
    runs: dict[str, int] = {}
    clock = [0.0]

    def run(variant: selector.Variant) -> bool:
        number = runs[variant.name] = runs.get(variant.name, 0) + 1
        clock[0] += {1: 5000, 3: 900}.get(number, 20)
        return True

    choice, fps = selector.probe(manifest("equal"), selector.Device(), run, 100, lambda: clock[0])
    assert choice == selector.Choice("b", "fastest")
    assert fps == {"a": 50, "b": 50}
    # The slow third run takes all the time; three are measured all the same.
    assert runs == {"a": 4, "b": 4}


def test_probe_on_a_real_clock():
    spent = {"a": 30_000, "b": 600_000}
    choice, fps = selector.probe(
        manifest("equal"), selector.Device(), lambda v: sum(range(spent[v.name])) > 0, 40
    )
    assert choice.variant == "a"
    assert fps["a"] > fps["b"] > 0
