"""What the pages say twice says the same: blocks to paste, tables of figures, the passes."""

import re
from pathlib import Path

from tests.documents.check_prose import complaints
from tests.e2e.workspaces import blocks_of
from tools.quantization.settings import PASSES

_README = Path("README.md")
_LAB = Path("docs/lab/size_and_speed.md")
_SETTINGS = Path("docs/reference/settings.md")
_SET_UP = Path("docs/how-to/set_up.md")


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_readme_is_a_page():
    assert len(_README.read_text().splitlines()) <= 100


def test_figures_of_the_readme_are_those_of_the_lab():
    lab = {row[0]: row for row in _rows(_LAB.read_text().partition("\n## The table\n")[2])}
    shown = [row for row in _rows(_README.read_text()) if re.search(r" \(\d+\)$", row[0])]
    assert len(shown) >= 7
    for row in shown:
        assert row == lab[row[0]][: len(row)]


def test_the_workspace_of_the_readme_is_part_of_the_one_that_is_tested():
    def block(page: Path) -> list[str]:
        # Less where the rules come from: a clone, or an archive.
        _, load, rest = blocks_of(page)["WORKSPACE"].partition('load("@rules_quantize')
        return [line for line in (load + rest).splitlines() if line and line[0] != "#"]

    assert block(_README) == block(_SET_UP)


def test_the_page_of_settings_has_every_pass_and_its_choices():
    table = _rows(_SETTINGS.read_text().partition("\n## Passes\n")[2])[2:]
    assert [row[0].strip("`") for row in table] == sorted(PASSES)
    for name, _, choices in table:
        told = dict(re.findall(r"`(\w+)` \(([^)]+)\)", choices))
        real = {key: value for key, value in PASSES[name.strip("`")].items() if key != "enabled"}
        assert told == {key: _text(value) for key, value in real.items()}, name


def _text(value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def test_hard_words_and_long_sentences_are_found():
    long = " ".join(["word"] * 33) + "."
    assert len(complaints(f"A short one. {long}\n")) == 1
    assert complaints("Its signature is made anew.\n") == [
        "anew: write again: Its signature is made anew."
    ]


def test_code_and_tables_are_no_sentences():
    words = " ".join(["word"] * 20)
    assert not complaints(f"| {words} | {words} |\n")
    assert not complaints(f"```\n{words} {words}\n```\n")
    assert not complaints(f"Run this:\n\n    {words} {words}\n\nThat is all.\n")
    assert not complaints(f"- {words}\n- {words}\n")
