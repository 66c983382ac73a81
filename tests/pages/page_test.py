import re

import jinja2
import pytest

from tools.pages import page
from tools.pages.page import Table, render

_TEMPLATE = """\
{% extends "tools/pages/base.html" %}
{% from "tools/pages/parts.html" import draw_table %}
{% block body %}{{ draw_table(table) }}{% endblock %}
"""


@pytest.fixture(name="template")
def _template(monkeypatch):
    """A page of this test's own beside those of the project."""
    own = page._environment().overlay(
        loader=jinja2.ChoiceLoader(
            [jinja2.DictLoader({"own.html": _TEMPLATE}), page._environment().loader]
        )
    )
    monkeypatch.setattr(page, "_environment", lambda: own)
    return "own.html"


def test_cells_are_text_at_their_side(template):
    table = Table(
        ["name", "<n>"],
        [["a", "1"], ["<b>", "2"]],
        numbers=("<n>",),
        names=("name",),
        marked={1: "bad"},
    )
    text = render(template, title="a & b", table=table)
    assert "<title>a &amp; b</title>" in text
    assert "<h1>a &amp; b</h1>" in text
    assert re.findall(r"<t[dh][ >].*?</t[dh]>|<tr.*?>", text) == [
        "<tr>",
        '<th class="name">name</th>',
        '<th class="number">&lt;n&gt;</th>',
        "<tr>",
        '<td class="name">a</td>',
        '<td class="number">1</td>',
        '<tr class="bad">',
        '<td class="name">&lt;b&gt;</td>',
        '<td class="number">2</td>',
    ]
    # The style is a part of the page.
    assert "border-collapse" in text
    assert "url(" not in text


def test_a_value_that_is_not_given_is_no_empty_text(template):
    with pytest.raises(jinja2.UndefinedError, match="table"):
        render(template, title="a")
