"""Where the supported Pythons stand: in pyproject.toml, the rules, the locks and the guide."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from rules.private.lock_environments import supported_pythons

_PROJECT = tomllib.loads(Path("pyproject.toml").read_text())
_PYTHONS = supported_pythons(_PROJECT)
_PLATFORMS = {
    "linux x86_64": "Linux x86-64",
    "linux aarch64": "Linux arm64",
    "macos arm64": "macOS arm64",
}


def _wheels(name: str) -> dict[str, list[str]]:
    text = Path(f"rules/locks/{name}.lock").read_text()
    lines = re.findall(r"^# wheels on (.*): (.*)$", text, re.MULTILINE)
    return {platform: re.findall(r"3\.\d+", versions) for platform, versions in lines}


def test_the_rules_look_for_all_of_them():
    text = Path("rules/private/host_python.bzl").read_text()
    found = ast.literal_eval(re.search(r"^PYTHONS = (.*)$", text, re.MULTILINE)[1])
    assert found == _PYTHONS[::-1]


def test_ruff_holds_to_the_oldest():
    assert _PROJECT["tool"]["ruff"]["target-version"] == "py" + _PYTHONS[0].replace(".", "")


@pytest.mark.parametrize("name", sorted(_PROJECT["dependency-groups"]))
def test_each_lock_says_for_what_it_has_wheels(name):
    wheels = _wheels(name)
    assert list(wheels) == list(_PLATFORMS)
    assert all(set(versions) <= set(_PYTHONS) for versions in wheels.values())


@pytest.mark.parametrize("name", ["litert", "registry", "testing", "tuning"])
def test_the_usual_environments_run_on_all(name):
    assert _wheels(name) == dict.fromkeys(_PLATFORMS, _PYTHONS)


def test_one_version_of_a_package_for_all_pythons():
    """The same bytes under each Python: numpy and the quantizer must not depend on it."""
    for name in _PROJECT["dependency-groups"]:
        text = Path(f"rules/locks/{name}.lock").read_text()
        names = re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==", text, re.MULTILINE)
        assert len(names) > 5
        assert len(names) == len(set(names)), name


def _said(versions: list[str]) -> str:
    """Gives a cell of the guide's table."""
    if len(versions) > 2:
        return f"{versions[0]} to {versions[-1]}"
    return ", ".join(versions) or "none"


def test_the_guide_says_the_same():
    table = (
        Path("docs/how-to/set_up.md")
        .read_text()
        .partition("| environment |")[2]
        .partition("\n\n")[0]
    )
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in ("| environment |" + table).splitlines()
    ]
    assert head[1:] == list(_PLATFORMS.values())
    said = {name: row[1:] for row in rows for name in re.findall(r"`([a-z_]+)`", row[0])}
    assert said == {
        name: [_said(versions) for versions in _wheels(name).values()]
        for name in _PROJECT["dependency-groups"]
    }
