"""The page and the picture of one artifact, which its run holds beside the report."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from registry.charts import COLORS
from registry.formatting import number
from registry.html_page import Right, page, table
from registry.record import Record


def pages_of(record: Record) -> dict[str, str]:
    """Makes what the artifact viewer shows of a registration.

    Args:
      record: from `read_record`.

    Returns:
      Contents by file name.
    """

    def read(name: str) -> Mapping[str, Any]:
        path = record.files.get(name)
        return json.loads(path.read_text(encoding="utf-8")) if path else {}

    gates = [*(read("verdict.json").get("gates") or ()), *(read("latency.json").get("gates") or ())]
    return {
        "overview.html": overview(record, read("report.json"), gates),
        "overview.svg": overview_charts(record),
    }


def overview_charts(record: Record) -> str:
    """Draws an artifact beside its float master: size, latency and similarity.

    Args:
      record: from `read_record`.

    Returns:
      An SVG file.
    """
    metrics, master = record.metrics, record.float_metrics
    bars = [("size, bytes", master.get("size_bytes"), metrics.get("size_bytes"))]
    if "latency_p50_ms" in metrics:
        bars.append(
            ("latency p50, ms", master.get("latency_p50_ms"), metrics.get("latency_p50_ms"))
        )
    cosines = {
        key.partition("/")[2]: value
        for key, value in metrics.items()
        if key.startswith("cosine_mean/")
    }
    height = 40 + 62 * len(bars) + (30 + 24 * len(cosines) if cosines else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {height}" width="640" '
        f'height="{height}" font-family="sans-serif" font-size="12" role="img">',
        f'<rect width="640" height="{height}" fill="#fff"/>',
        f'<text x="12" y="22" font-size="14" font-weight="bold">{html.escape(record.name)} '
        f"{html.escape(record.version)} ({html.escape(record.scheme)}) and its float master</text>",
    ]
    y = 40
    for title, before, after in bars:
        most = max(value for value in (before, after, 1e-12) if value is not None)
        parts.append(f'<text x="12" y="{y + 12}" font-weight="bold">{title}</text>')
        for row, (who, value, color) in enumerate(
            (("float master", before, COLORS[6]), (record.scheme, after, COLORS[0]))
        ):
            parts += _bar(y + 18 + 18 * row, who, value, most, color)
        y += 62
    if cosines:
        parts.append(f'<text x="12" y="{y + 12}" font-weight="bold">mean cosine, by output</text>')
        for row, (output, value) in enumerate(cosines.items()):
            parts += _bar(y + 20 + 24 * row, output, value, 1.0, COLORS[2])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(y: int, name: str, value: float | None, most: float, color: str) -> list[str]:
    shown = name if len(name) <= 28 else name[:27] + "..."
    length = 0.0 if value is None else max(0.0, value / most) * 330
    return [
        f'<text x="12" y="{y + 11}">{html.escape(shown)}</text>',
        f'<rect x="200" y="{y}" width="{length:.1f}" height="14" fill="{color}"/>',
        f'<text x="{206 + length:.1f}" y="{y + 11}">{number(value)}</text>',
    ]


def overview(record: Record, report: Mapping[str, Any], gates: Sequence[Mapping[str, Any]]) -> str:
    """Makes the page of an artifact.

    Args:
      record: from `read_record`.
      report: the report that it was read from.
      gates: of the verdict and of the latency measurement.

    Returns:
      HTML.
    """
    failed = "" if not record.failures else ' class="failed"'
    outputs = [
        [
            output["name"],
            *(
                Right(number(output.get(key)))
                for key in ("cosine_mean", "cosine_min", "max_abs_error", "sqnr_db")
            ),
            str(output.get("worst_sample") or ""),
        ]
        for output in report["similarity"]["outputs"]
    ]
    rows = [
        [
            gate.get("name", ""),
            gate.get("output") or "",
            Right(number(_figure(gate.get("value")))),
            Right(number(_figure(gate.get("threshold")))),
            "passed" if gate.get("passed") else "FAILED",
        ]
        for gate in gates
    ]
    body = [
        f"<h1>{html.escape(record.name)} {html.escape(record.version)}</h1>",
        f"<p{failed}>Scheme {html.escape(record.scheme)}, gates {record.gates}"
        + (f": {html.escape('; '.join(record.failures))}" if record.failures else "")
        + f".</p><p><code>sha256 {record.artifact.sha256}</code></p>",
        overview_charts(record),
        "<h2>Outputs</h2>",
        table(
            ["output", "mean cosine", "lowest cosine", "largest error", "SQNR dB", "worst sample"],
            outputs,
        ),
    ]
    if rows:
        body += ["<h2>Gates</h2>", table(["gate", "output", "value", "threshold", ""], rows)]
    passes = [
        [
            str(entry.get("name", "")),
            Right(number(_figure(entry.get("changed")))),
            str(entry.get("detail", "")),
        ]
        for entry in report.get("passes") or ()
    ]
    if passes:
        body += ["<h2>Passes</h2>", table(["pass", "changed", ""], passes)]
    return page(record.name, body)


def _figure(value: Any) -> float | str | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return str(value)
