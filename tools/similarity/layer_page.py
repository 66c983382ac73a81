"""The layer report for people: a text table, and one HTML page with a plot."""

from collections.abc import Sequence

from markupsafe import Markup

from tools.documents.layers import LayerError, LayerReport
from tools.pages.chart import Axis, Chart, Line, Mark
from tools.pages.page import Table, render
from tools.similarity.layers import CEILING_DB

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
_NUMBERS = ("#", "SQNR dB", "jump dB", "cosine", "correlation")
_LONGEST_LABEL = 40


def _number(value: float | None, digits: int, none: str = "-") -> str:
    # Adding zero turns -0.0 into 0.0.
    return none if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def _cells(layer: LayerError) -> tuple[str, ...]:
    exact = layer.sqnr_db is None and layer.cosine == 1
    return (
        str(layer.position),
        layer.operator,
        layer.name,
        layer.dtype.lower(),
        layer.weights.lower() or "-",
        _number(layer.sqnr_db, 1, "exact" if exact else "-"),
        _number(layer.jump_db, 1),
        _number(layer.cosine, 4),
        _number(layer.correlation, 4),
    )


def by_error(layers: Sequence[LayerError]) -> list[LayerError]:
    """Sorts layers by their SQNR, the smallest first; those without an error come last."""

    def key(layer: LayerError) -> tuple:
        none = layer.sqnr_db is None
        return (none and layer.cosine == 1, not none, layer.sqnr_db or 0, layer.position)

    return sorted(layers, key=key)


def jump_sentence(report: LayerReport) -> str:
    """Says where error jumps first."""
    name = report.first_jump
    if name is None:
        return f"No layer's SQNR falls by {report.jump_threshold_db:g} dB below its inputs'."
    layer = next(layer for layer in report.layers if layer.name == name)
    where = f"{name} ({layer.operator}, operator {layer.position})"
    return (
        f"Error jumps first at {where}: its SQNR is {_number(layer.sqnr_db, 1)} dB, "
        f"{layer.jump_db:.1f} dB below its worst input's."
    )


def text_table(report: LayerReport) -> str:
    """Writes the report as text.

    Args:
      report: from `layer_report_of`.

    Returns:
      Where error jumps first, and a table in the order of the graph; long names lose
      their beginning.
    """
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for layer in report.layers:
        cells = list(_cells(layer))
        cells[2] = cells[2] if len(cells[2]) <= 48 else "..." + cells[2][-45:]
        rows.append(tuple(cells))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [jump_sentence(report), compared_sentence(report), ""]
    for row in rows:
        cells = [
            cell.ljust(width) if column in (1, 2) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def compared_sentence(report: LayerReport) -> str:
    """Says what was compared with what."""
    against = (
        "the float graph as it was prepared for quantization"
        if report.compared_with == "prepared"
        else "the float master, channels brought to its scales by powers of two"
    )
    unmatched = len(report.unmatched)
    more = f"; {unmatched} tensors have no counterpart" if unmatched else ""
    tensors, samples = len(report.layers), report.samples
    return f"{tensors} tensors on {samples} samples, against {against}{more}."


def _chart(report: LayerReport) -> Markup:
    """Draws SQNR over the order of the graph, as SVG."""
    layers = report.layers
    values = [layer.sqnr_db for layer in layers if layer.sqnr_db is not None]
    low = min([0.0, *values])
    high = max([CEILING_DB, *(min(value, 2 * CEILING_DB) for value in values)])
    low, high = int(10 * (low // 10)), int(10 * -(-high // 10))
    step = max(1, -(-len(layers) // 16))
    numbers = range(0, len(layers), step)
    # A layer without an error lies at the top, and none lies above it.
    heights = [high if layer.sqnr_db is None else min(layer.sqnr_db, high) for layer in layers]
    chart = Chart(
        "SQNR of each tensor in the order of the graph; higher is better",
        Axis(
            "operator",
            [(n, str(layers[n].position)) for n in numbers],
            -0.5,
            max(len(layers), 1) - 0.5,
        ),
        Axis("SQNR, dB", [(n, str(n)) for n in range(low, high + 1, 10)], low, high),
        [_mark(report, number, height) for number, height in enumerate(heights)],
        [Line(list(enumerate(heights)), dashed=False)],
        width=1060,
        height=340,
    )
    return chart.svg()


def _mark(report: LayerReport, number: int, height: float) -> Mark:
    layer = report.layers[number]
    cells = _cells(layer)
    name = layer.name
    label = ""
    if name == report.first_jump:
        label = name if len(name) <= _LONGEST_LABEL else "..." + name[3 - _LONGEST_LABEL :]
    return Mark(
        number,
        height,
        label=label,
        tip=f"{name}\n{layer.operator}, {cells[3]}, weights {cells[4]}\n"
        f"SQNR {cells[5]} dB, jump {cells[6]} dB, cosine {cells[7]}",
        color="var(--float)" if layer.dtype.startswith("FLOAT") else "var(--integer)",
        ring="var(--bad)" if _jumps(report, layer) else "",
    )


def _jumps(report: LayerReport, layer: LayerError) -> bool:
    return layer.jump_db >= report.jump_threshold_db


def _table(report: LayerReport, layers: Sequence[LayerError]) -> Table:
    return Table(
        _COLUMNS,
        [_cells(layer) for layer in layers],
        numbers=_NUMBERS,
        names=("tensor",),
        marked={n: "jump" for n, layer in enumerate(layers) if _jumps(report, layer)},
    )


def page(report: LayerReport) -> str:
    """Writes the report as one HTML page that needs nothing else.

    Args:
      report: from `layer_report_of`.

    Returns:
      The page.
    """
    return render(
        "tools/similarity/layers.html",
        title=f"Layers of {report.name}",
        by_error=_table(report, by_error(report.layers)),
        chart=_chart(report),
        compared=compared_sentence(report),
        in_order=_table(report, report.layers),
        jump=jump_sentence(report),
        threshold=f"{report.jump_threshold_db:g}",
    )
