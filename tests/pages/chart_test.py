import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.pages.chart import FILE, PAGE, Bar, Chart, Line, Mark, axis_around, bars, short

_FIGURES = st.floats(-1e12, 1e12)


def _chart(marks, lines=()):
    across, up = ([getattr(mark, name) for mark in marks] for name in ("x", "y"))
    return Chart("a < b", axis_around("x & y", across), axis_around("y", up), marks, lines)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(_FIGURES, _FIGURES), min_size=1, max_size=10))
def test_points_lie_inside_the_chart(figures):
    drawn = ElementTree.fromstring(_chart([Mark(x, y) for x, y in figures]).svg())

    width, height = float(drawn.get("width")), float(drawn.get("height"))
    circles = drawn.findall(".//{*}circle")
    assert len(circles) == len(figures)
    for circle in circles:
        assert 0 < float(circle.get("cx")) < width
        assert 0 < float(circle.get("cy")) < height


def test_what_a_mark_says_is_text():
    marks = [Mark(0, 0), Mark(1, 1, label="<1>", tip='"&"', ring="#123456")]
    drawn = ElementTree.fromstring(_chart(marks, [Line([(0, 0), (1, 1)])]).svg())
    texts = {text.text: text for text in drawn.findall(".//{*}text")}
    assert texts["<1>"].get("fill") == "#123456"
    # It is at the right, so its label goes to the left.
    assert texts["<1>"].get("text-anchor") == "end"
    assert [tip.text for tip in drawn.findall(".//{*}circle/{*}title")] == ['"&"']
    assert [ring.get("stroke") for ring in drawn.findall(".//{*}circle[@stroke]")] == ["#123456"]
    (line,) = drawn.findall(".//{*}polyline")
    assert len(line.get("points").split()) == 2


def test_a_file_of_its_own_has_colors_of_its_own():
    chart = _chart([Mark(0, 0)])
    assert "var(" in chart.svg(PAGE)
    assert "var(" not in chart.svg(FILE)


def test_bars():
    groups = {"size": [Bar("a" * 40, 1.0, "1<2", "#111111"), Bar("b", 0.5, "1", "#222222")]}
    drawn = ElementTree.fromstring(bars("title", groups, FILE))
    lengths = {bar.get("fill"): float(bar.get("width")) for bar in drawn.findall(".//{*}rect")}
    assert lengths["#222222"] == lengths["#111111"] / 2
    texts = [text.text for text in drawn.findall(".//{*}text")]
    assert texts == ["title", "size", "a" * 27 + "...", "1<2", "b", "1"]


def test_error_bars_are_in_the_chart():
    mark = Mark(1, 2.0, interval=(1.5, 3.0))
    across, up = axis_around("x", [1]), axis_around("y", [2.0, *mark.interval])
    drawn = ElementTree.fromstring(Chart("a", across, up, [mark]).svg(FILE))
    stem, low, high = drawn.findall(f".//{{*}}line[@stroke='{FILE.text}']")
    (circle,) = drawn.findall(".//{*}circle")
    ys = [float(stem.get(name)) for name in ("y2", "y1")]
    # Pixels count downwards.
    assert 0 < ys[0] < float(circle.get("cy")) < ys[1] < 300
    assert [float(cap.get("y1")) for cap in (high, low)] == ys
    assert stem.get("x1") == stem.get("x2") == circle.get("cx")


def test_error_bars_of_bars_have_their_figure_behind_them():
    bar = Bar("a", 0.5, "1.4 to 1.6", "#222222", (0.25, 1.0))
    drawn = ElementTree.fromstring(bars("title", {"speed": [bar]}, FILE))
    stem, *caps = drawn.findall(".//{*}line")
    (figure,) = (text for text in drawn.findall(".//{*}text") if text.text == bar.figure)
    assert (float(stem.get("x1")), float(stem.get("x2"))) == (200 + 330 / 4, 200 + 330)
    assert len(caps) == 2
    assert float(figure.get("x")) > float(stem.get("x2"))


def test_a_long_title_of_bars_is_cut():
    drawn = ElementTree.fromstring(bars("t" * 100, {}, FILE))
    assert drawn.find("{*}title").text == "t" * 100
    assert drawn.find(".//{*}text").text == "t" * 67 + "..."


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=10))
def test_whole_numbers_on_an_axis(values):
    axis = axis_around("version", values, whole=True)
    assert all(tick.is_integer() and text == str(int(tick)) for tick, text in axis.ticks)
    assert axis.least <= min(values) <= max(values) <= axis.most
    assert 2 <= len(axis.ticks) <= 8


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.98125, "0.98125"), (1234, "1234"), (12345, "12.35k"), (2.5e6, "2.5M")],
)
def test_short(value, text):
    assert short(value) == text
