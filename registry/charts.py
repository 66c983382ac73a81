"""Charts as SVG text: nothing is loaded from elsewhere, and the same data give the same bytes."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 460
_HEIGHT = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 44
# Distinct for people who see few colours as well (Okabe and Ito).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5a5a5a")
_TICKS = 5


@dataclass(frozen=True)
class Point:
    """One mark of a chart.

    Attributes:
      x: figure to the right.
      y: figure upwards.
      label: written beside the mark, or "".
      tip: shown when the mouse rests on it.
      color: CSS color.
      strong: drawn larger, with a ring.
    """

    x: float
    y: float
    label: str = ""
    tip: str = ""
    color: str = COLORS[0]
    strong: bool = False


def chart(
    title: str,
    x_name: str,
    y_name: str,
    points: Sequence[Point],
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]] = (),
) -> str:
    """Draws points, and lines between some of them.

    Args:
      title: above the chart.
      x_name: what is to the right, with its unit.
      y_name: what is upwards, with its unit.
      points: at least one.
      lines: color and points (x, y) of each line.

    Returns:
      An `<svg>` element.
    """
    x_ticks = _ticks([point.x for point in points])
    y_ticks = _ticks([point.y for point in points])

    def across(x: float) -> float:
        share = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def up(y: float) -> float:
        share = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_HEIGHT}" '
        f'width="{WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="11" role="img">',
        f"<title>{_text(title)}</title>",
        f'<rect width="{WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="18" font-size="13" font-weight="bold">{_text(title)}</text>',
    ]
    bottom, right = _HEIGHT - _BOTTOM, WIDTH - _RIGHT
    for tick in x_ticks:
        x = f"{across(tick):.1f}"
        parts.append(f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{x}" y="{bottom + 15}" text-anchor="middle">{short(tick)}</text>')
    for tick in y_ticks:
        y = f"{up(tick):.1f}"
        parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{right}" y2="{y}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y}" dy="4" text-anchor="end">{short(tick)}</text>')
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{_HEIGHT - 10}" text-anchor="middle">{_text(x_name)}</text>'
    )
    parts.append(
        f'<text transform="translate(14 {(_TOP + bottom) / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle">{_text(y_name)}</text>'
    )
    for color, corners in lines:
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in corners)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5" '
            'stroke-dasharray="5 3"/>'
        )
    for point in points:
        x, y = across(point.x), up(point.y)
        radius = 6 if point.strong else 4
        ring = ' stroke="#000" stroke-width="1.5"' if point.strong else ""
        tip = f"<title>{_text(point.tip)}</title>" if point.tip else ""
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{point.color}" '
            f'fill-opacity="0.85"{ring}>{tip}</circle>'
        )
        if point.label:
            # Towards the middle, so that no label leaves the chart.
            anchor, shift = ("end", -9) if x > middle else ("start", 9)
            parts.append(
                f'<text x="{x + shift:.1f}" y="{y - 6:.1f}" text-anchor="{anchor}">'
                f"{_text(point.label)}</text>"
            )
    return "\n".join([*parts, "</svg>"])


def short(value: float) -> str:
    """Writes a figure in few characters: 1.2k, 3.4M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (limit if unit != 'k' else 1e3):.4g}{unit}"
    return f"{value:.5g}"


def _ticks(values: Sequence[float]) -> list[float]:
    """Finds round numbers around all values."""
    least, most = min(values), max(values)
    if least == most:
        room = abs(least) * 0.1 or 1.0
        least, most = least - room, most + room
    else:
        # So that no mark lies on a corner.
        room = (most - least) * 0.04
        least, most = least - room, most + room
    step = (most - least) / _TICKS
    power = 10.0 ** math.floor(math.log10(step))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step)
    first = math.floor(least / step)
    last = math.ceil(most / step)
    return [number * step for number in range(first, last + 1)]


def _text(text: str) -> str:
    return html.escape(text)
