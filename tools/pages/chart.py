"""Charts as SVG: nothing is loaded from elsewhere, and the same data give the same bytes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

# Distinct for people who see few colours as well (Okabe and Ito).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5a5a5a")
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 44
_TICKS = 5


@dataclass(frozen=True)
class Palette:
    """CSS colors of what is not data."""

    text: str
    quiet: str
    grid: str
    ground: str


# In a page, whose style may be dark; and in a file of its own.
PAGE = Palette("var(--text)", "var(--quiet)", "var(--line)", "var(--page)")
FILE = Palette("#1b1f24", "#5b6570", "#d5dae0", "#ffffff")


@dataclass(frozen=True)
class Mark:
    """One point of a chart.

    Attributes:
      x: figure to the right.
      y: figure upwards.
      label: written beside the mark, or "".
      tip: shown when the mouse rests on it.
      color: CSS color.
      ring: CSS color of a ring around it, and of its label; "" draws none.
      interval: lowest and highest figure upwards, drawn as an error bar; None draws none.
    """

    x: float
    y: float
    label: str = ""
    tip: str = ""
    color: str = COLORS[0]
    ring: str = ""
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Line:
    """A quiet line through points (x, y), dashed or not."""

    points: Sequence[tuple[float, float]]
    dashed: bool = True


@dataclass(frozen=True)
class Axis:
    """One direction of a chart.

    Attributes:
      name: of what is drawn, with its unit.
      ticks: figure and text of each, in rising order.
      least: figure at the beginning.
      most: figure at the end.
    """

    name: str
    ticks: Sequence[tuple[float, str]]
    least: float
    most: float

    def share(self, value: float) -> float:
        """Says where a figure lies, 0 at the beginning and 1 at the end."""
        return (value - self.least) / (self.most - self.least)


def axis_around(name: str, values: Sequence[float], whole: bool = False) -> Axis:
    """Makes an axis with round numbers around all values.

    Args:
      name: of what is drawn, with its unit.
      values: at least one.
      whole: whether only whole numbers are shown, as for what is counted.
    """
    least, most = min(values), max(values)
    # So that no mark lies on a corner.
    room = (abs(least) * 0.1 or 1.0) if least == most else (most - least) * 0.04
    least, most = least - room, most + room
    step = (most - least) / _TICKS
    power = 10.0 ** math.floor(math.log10(step))
    steps = [power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step]
    step = next((one for one in steps if one.is_integer()), 1.0) if whole else steps[0]
    numbers = range(math.floor(least / step), math.ceil(most / step) + 1)
    ticks = [number * step for number in numbers]
    written = [(tick, f"{tick:.0f}" if whole else short(tick)) for tick in ticks]
    return Axis(name, written, ticks[0], ticks[-1])


def short(value: float) -> str:
    """Writes a figure in few characters: 1.2k, 3.4M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (limit if unit != 'k' else 1e3):.4g}{unit}"
    return f"{value:.5g}"


class _Drawing:
    """Shapes in the order in which they are drawn."""

    def __init__(self, title: str, width: int, height: int, palette: Palette):
        self._palette = palette
        self._parts = [
            Markup(
                '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" '
                'height="{1}" font-family="sans-serif" font-size="11" role="img">'
            ).format(width, height),
            Markup("<title>{}</title>").format(title),
        ]
        self.shape("rect", width=width, height=height, fill=palette.ground)

    def shape(self, tag: str, content: str = "", **attributes: str | float) -> None:
        """Adds an element; `_` in a name stands for `-`, and text is escaped."""
        written = "".join(
            Markup(' {}="{}"').format(name.replace("_", "-"), _figure(value))
            for name, value in attributes.items()
        )
        self._parts.append(Markup("<{0}{1}>{2}</{0}>").format(tag, Markup(written), content))

    def text(self, x: float, y: float, content: str, **attributes: str | float) -> None:
        attributes = {"fill": self._palette.text, **attributes}
        self.shape("text", escape(content), x=x, y=y, **attributes)

    def svg(self) -> Markup:
        return Markup("\n").join([*self._parts, Markup("</svg>")])


def _figure(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Chart:
    """Points in two directions, and lines between some of them.

    Attributes:
      title: above the chart.
      across: the axis to the right.
      up: the axis upwards.
      marks: the points; the last ones cover the others.
      lines: below the points.
      width: in pixels.
      height: in pixels.
    """

    title: str
    across: Axis
    up: Axis
    marks: Sequence[Mark]
    lines: Sequence[Line] = ()
    width: int = 460
    height: int = 300

    def svg(self, palette: Palette = PAGE) -> Markup:
        """Draws it.

        Args:
          palette: FILE for an SVG file, PAGE for a part of a page.

        Returns:
          An `<svg>` element.
        """
        drawing = _Drawing(self.title, self.width, self.height, palette)
        drawing.text(_LEFT, 18, self.title, font_size=13, font_weight="bold")
        self._draw_axes(drawing, palette)
        for line in self.lines:
            points = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in line.points)
            dashes = {"stroke_dasharray": "5 3"} if line.dashed else {}
            stroke = palette.quiet if line.dashed else palette.grid
            drawing.shape(
                "polyline", points=points, fill="none", stroke=stroke, stroke_width=1.5, **dashes
            )
        for mark in self.marks:
            self._draw_mark(drawing, mark, palette)
        return drawing.svg()

    def _x(self, value: float) -> float:
        return _LEFT + self.across.share(value) * (self.width - _LEFT - _RIGHT)

    def _y(self, value: float) -> float:
        return self.height - _BOTTOM - self.up.share(value) * (self.height - _TOP - _BOTTOM)

    def _draw_axes(self, drawing: _Drawing, palette: Palette) -> None:
        bottom, right = self.height - _BOTTOM, self.width - _RIGHT
        quiet = {"fill": palette.quiet}
        for tick, text in self.across.ticks:
            x = self._x(tick)
            drawing.shape("line", x1=x, y1=_TOP, x2=x, y2=bottom, stroke=palette.grid)
            drawing.text(x, bottom + 15, text, text_anchor="middle", **quiet)
        for tick, text in self.up.ticks:
            y = self._y(tick)
            drawing.shape("line", x1=_LEFT, y1=y, x2=right, y2=y, stroke=palette.grid)
            drawing.text(_LEFT - 6, y + 4, text, text_anchor="end", **quiet)
        middle = (_LEFT + right) / 2
        drawing.text(middle, self.height - 10, self.across.name, text_anchor="middle", **quiet)
        turned = f"translate(14 {(_TOP + bottom) / 2:.0f}) rotate(-90)"
        drawing.text(0, 0, self.up.name, transform=turned, text_anchor="middle", **quiet)

    def _draw_mark(self, drawing: _Drawing, mark: Mark, palette: Palette) -> None:
        x, y = self._x(mark.x), self._y(mark.y)
        if mark.interval:
            low, high = map(self._y, mark.interval)
            _draw_interval(drawing, [(x, low), (x, high)], palette)
        if mark.ring:
            drawing.shape("circle", cx=x, cy=y, r=7, fill="none", stroke=mark.ring, stroke_width=2)
        tip = Markup("<title>{}</title>").format(mark.tip) if mark.tip else ""
        drawing.shape("circle", tip, cx=x, cy=y, r=4, fill=mark.color)
        if mark.label:
            # Towards the middle, so that no label leaves the chart.
            is_right = self.across.share(mark.x) > 0.5
            drawing.text(
                x + (-9 if is_right else 9),
                y - 9,
                mark.label,
                text_anchor="end" if is_right else "start",
                fill=mark.ring or palette.text,
            )


def _draw_interval(
    drawing: _Drawing, ends: Sequence[tuple[float, float]], palette: Palette
) -> None:
    """Draws an error bar between two points, which lie beside or above each other."""
    (x1, y1), (x2, y2) = ends
    across, up = (0, 4) if y1 == y2 else (4, 0)
    lines = [(x1, y1, x2, y2)]
    lines += [(x - across, y - up, x + across, y + up) for x, y in ends]
    for left, top, right, bottom in lines:
        drawing.shape(
            "line",
            x1=left,
            y1=top,
            x2=right,
            y2=bottom,
            stroke=palette.text,
            stroke_width=1.5,
        )


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
      name: at its left; a long one loses its end.
      length: 0 to 1, of the longest that there is room for.
      figure: at its right.
      color: CSS color.
      interval: lengths of the lowest and the highest value, drawn as an error bar.
    """

    name: str
    length: float
    figure: str
    color: str
    interval: tuple[float, float] | None = None


_BARS_WIDTH, _BARS_LEFT, _LONGEST_BAR = 640, 200, 330
# What there is room for, in characters.
_LONGEST_NAME, _LONGEST_TITLE = 28, 68


def _cut(text: str, most: int) -> str:
    """Shortens a text at its end to a number of characters."""
    return text if len(text) <= most else text[: most - 1] + "..."


def bars(title: str, groups: Mapping[str, Sequence[Bar]], palette: Palette = PAGE) -> Markup:
    """Draws bars from left to right.

    Args:
      title: above all.
      groups: heading to its bars.
      palette: FILE for an SVG file, PAGE for a part of a page.

    Returns:
      An `<svg>` element, 640 pixels wide.
    """
    height = 44 + sum(30 + 20 * len(group) for group in groups.values())
    drawing = _Drawing(title, _BARS_WIDTH, height, palette)
    drawing.text(12, 22, _cut(title, _LONGEST_TITLE), font_size=14, font_weight="bold")
    y = 40
    for heading, group in groups.items():
        drawing.text(12, y + 12, heading, font_size=12, font_weight="bold")
        y += 18
        for bar in group:
            length = bar.length * _LONGEST_BAR
            drawing.text(12, y + 13, _cut(bar.name, _LONGEST_NAME), font_size=12)
            drawing.shape("rect", x=_BARS_LEFT, y=y + 2, width=length, height=14, fill=bar.color)
            longest = length
            if bar.interval:
                ends = [(_BARS_LEFT + share * _LONGEST_BAR, y + 9.0) for share in bar.interval]
                _draw_interval(drawing, ends, palette)
                longest = max(length, bar.interval[1] * _LONGEST_BAR)
            drawing.text(_BARS_LEFT + 6 + longest, y + 13, bar.figure, font_size=12)
            y += 20
        y += 12
    return drawing.svg()
