"""The layer report for people: a text table, and one HTML page with a plot."""

import html
from collections.abc import Sequence

from tools.similarity.layers import CEILING_DB

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Layers of {name}</title>
<style>
:root {{ color-scheme: light dark; --text: #1b1f24; --quiet: #5b6570; --line: #d5dae0;
  --page: #ffffff; --integer: #1f6feb; --float: #2da44e; --jump: #cf222e; }}
@media (prefers-color-scheme: dark) {{ :root {{ --text: #e6edf3; --quiet: #9aa5b1;
  --line: #39424c; --page: #14181d; --integer: #6cb0ff; --float: #56d364; --jump: #ff7b72; }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; margin: 0 0 .25rem; }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }}
p {{ margin: .25rem 0 .75rem; }} .quiet {{ color: var(--quiet); }}
svg {{ width: 100%; height: auto; display: block; }}
svg text {{ fill: var(--quiet); font-size: 11px; }}
.grid {{ stroke: var(--line); }} .path {{ stroke: var(--line); fill: none; stroke-width: 1.5; }}
.integer {{ fill: var(--integer); }} .float {{ fill: var(--float); }}
.jump {{ stroke: var(--jump); fill: none; stroke-width: 2; }}
svg .jump-text {{ fill: var(--jump); }}
circle:hover {{ stroke: var(--text); stroke-width: 2; }}
.key {{ display: inline-block; width: .7em; height: .7em; border-radius: 50%;
  margin: 0 .35em 0 1em; }}
.table {{ overflow-x: auto; }} table {{ border-collapse: collapse; width: 100%; font-size: 13px; }}
th, td {{ text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }}
th {{ color: var(--quiet); font-weight: 600; }}
th:nth-child(2), td:nth-child(2), th:nth-child(3), td:nth-child(3) {{ text-align: left; }}
td:nth-child(3) {{ overflow-wrap: anywhere; }} tr.is-jump td {{ color: var(--jump); }}
</style>
</head>
<body>
<h1>Layers of {name}</h1>
<p class="quiet">{compared}</p>
<p>{jump}</p>
{plot}
<p class="quiet"><span class="key" style="background:var(--integer);margin-left:0"></span>integer
values<span class="key" style="background:var(--float)"></span>float values<span class="key"
style="background:none;border:2px solid var(--jump)"></span>error jumps by {threshold:g} dB or more
against the worst input</p>
<h2>By error, the largest first</h2>
{by_error}
<h2>In the order of the graph</h2>
{in_order}
</body>
</html>
"""

_COLUMNS = (
    "#",
    "operator",
    "tensor",
    "type",
    "weights",
    "SQNR dB",
    "jump dB",
    "cosine",
    "correlation",
)
_WIDTH, _HEIGHT = 1060.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 14.0, 26.0, 34.0


def _number(value: float | None, digits: int, none: str = "-") -> str:
    # Adding zero turns -0.0 into 0.0.
    return none if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def _cells(layer: dict) -> tuple[str, ...]:
    exact = layer["sqnr_db"] is None and layer["cosine"] == 1
    return (
        str(layer["position"]),
        layer["operator"],
        layer["name"],
        layer["dtype"].lower(),
        layer["weights"].lower() or "-",
        _number(layer["sqnr_db"], 1, "exact" if exact else "-"),
        _number(layer["jump_db"], 1),
        _number(layer["cosine"], 4),
        _number(layer["correlation"], 4),
    )


def by_error(layers: Sequence[dict]) -> list[dict]:
    """Sorts layers by their SQNR, the smallest first; those without an error come last."""

    def key(layer: dict) -> tuple:
        none = layer["sqnr_db"] is None
        return (none and layer["cosine"] == 1, not none, layer["sqnr_db"] or 0, layer["position"])

    return sorted(layers, key=key)


def jump_sentence(document: dict) -> str:
    """Says where error jumps first."""
    name = document["first_jump"]
    if name is None:
        return f"No layer's SQNR falls by {document['jump_threshold_db']:g} dB below its inputs'."
    layer = next(layer for layer in document["layers"] if layer["name"] == name)
    where = f"{name} ({layer['operator']}, operator {layer['position']})"
    return (
        f"Error jumps first at {where}: its SQNR is {_number(layer['sqnr_db'], 1)} dB, "
        f"{layer['jump_db']:.1f} dB below its worst input's."
    )


def text_table(document: dict) -> str:
    """Writes the report as text.

    Args:
      document: from `layer_document`.

    Returns:
      Where error jumps first, and a table in the order of the graph; long names lose
      their beginning.
    """
    rows = [_COLUMNS]
    for layer in document["layers"]:
        cells = list(_cells(layer))
        cells[2] = cells[2] if len(cells[2]) <= 48 else "..." + cells[2][-45:]
        rows.append(tuple(cells))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [jump_sentence(document), compared_sentence(document), ""]
    for row in rows:
        cells = [
            cell.ljust(width) if column in (1, 2) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def compared_sentence(document: dict) -> str:
    """Says what was compared with what."""
    against = (
        "the float graph as it was prepared for quantization"
        if document["compared_with"] == "prepared"
        else "the float master, channels brought to its scales by powers of two"
    )
    unmatched = len(document["unmatched"])
    more = f"; {unmatched} tensors have no counterpart" if unmatched else ""
    tensors, samples = len(document["layers"]), document["samples"]
    return f"{tensors} tensors on {samples} samples, against {against}{more}."


def _plot(document: dict) -> str:
    """Draws SQNR over the order of the graph, as SVG."""
    layers = document["layers"]
    values = [layer["sqnr_db"] for layer in layers if layer["sqnr_db"] is not None]
    low = min([0.0, *values])
    high = max([CEILING_DB, *(min(value, 2 * CEILING_DB) for value in values)])
    low, high = 10 * (low // 10), 10 * -(-high // 10)
    inner = _WIDTH - _LEFT - _RIGHT

    def x(number: int) -> float:
        return _LEFT + inner * (number + 0.5) / max(len(layers), 1)

    def y(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-label="SQNR of each tensor in the order of the graph">',
        f'<text x="{_LEFT:g}" y="14">SQNR in dB; higher is better</text>',
    ]
    for value in range(int(low), int(high) + 1, 10):
        parts.append(
            f'<line class="grid" x1="{_LEFT:g}" x2="{_WIDTH - _RIGHT:g}" y1="{y(value):.1f}" '
            f'y2="{y(value):.1f}"/><text x="{_LEFT - 8:g}" y="{y(value) + 4:.1f}" '
            f'text-anchor="end">{value}</text>'
        )
    step = max(1, -(-len(layers) // 16))
    for number in range(0, len(layers), step):
        parts.append(
            f'<text x="{x(number):.1f}" y="{_HEIGHT - 19:g}" text-anchor="middle">'
            f"{layers[number]['position']}</text>"
        )
    middle = f'x="{_LEFT + inner / 2:.1f}" y="{_HEIGHT - 4:g}" text-anchor="middle"'
    parts.append(f"<text {middle}>operator</text>")
    heights = [high if layer["sqnr_db"] is None else layer["sqnr_db"] for layer in layers]
    line = " ".join(f"{x(number):.1f},{y(value):.1f}" for number, value in enumerate(heights))
    parts.append(f'<polyline class="path" points="{line}"/>')
    for number, (layer, value) in enumerate(zip(layers, heights, strict=True)):
        kind = "float" if layer["dtype"].startswith("FLOAT") else "integer"
        cells = _cells(layer)
        title = html.escape(
            f"{layer['name']}\n{layer['operator']}, {cells[3]}, weights {cells[4]}\n"
            f"SQNR {cells[5]} dB, jump {cells[6]} dB, cosine {cells[7]}"
        )
        at = f'cx="{x(number):.1f}" cy="{y(value):.1f}"'
        if layer["jump_db"] >= document["jump_threshold_db"]:
            parts.append(f'<circle class="jump" {at} r="7"/>')
        parts.append(f'<circle class="{kind}" {at} r="4"><title>{title}</title></circle>')
        if layer["name"] == document["first_jump"]:
            anchor = "start" if number < len(layers) / 2 else "end"
            label = layer["name"] if len(layer["name"]) <= 40 else "..." + layer["name"][-37:]
            parts.append(
                f'<text class="jump-text" x="{x(number) + (10 if anchor == "start" else -10):.1f}" '
                f'y="{y(value) - 10:.1f}" text-anchor="{anchor}">{html.escape(label)}</text>'
            )
    return "\n".join([*parts, "</svg>"])


def _table(document: dict, layers: Sequence[dict]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in _COLUMNS)
    rows = []
    for layer in layers:
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(layer))
        jumps = layer["jump_db"] >= document["jump_threshold_db"]
        rows.append(f'<tr class="is-jump">{cells}</tr>' if jumps else f"<tr>{cells}</tr>")
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>\n' + (
        "\n".join(rows) + "\n</tbody></table></div>"
    )


def page(document: dict) -> str:
    """Writes the report as one HTML page that needs nothing else.

    Args:
      document: from `layer_document`.

    Returns:
      The page.
    """
    return _PAGE.format(
        by_error=_table(document, by_error(document["layers"])),
        compared=html.escape(compared_sentence(document)),
        in_order=_table(document, document["layers"]),
        jump=html.escape(jump_sentence(document)),
        name=html.escape(document["name"]),
        plot=_plot(document),
        threshold=document["jump_threshold_db"],
    )
