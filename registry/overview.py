"""The page and the picture of one artifact, which its run holds beside the report."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from registry.formatting import number
from registry.record import Record
from tools.pages.chart import COLORS, FILE, PAGE, Bar, Palette, bars
from tools.pages.page import Table, render


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
        "overview.svg": overview_charts(record, FILE) + "\n",
    }


def overview_charts(record: Record, palette: Palette) -> Markup:
    """Draws an artifact beside its float master: size, latency and similarity.

    Args:
      record: from `read_record`.
      palette: of the drawing.

    Returns:
      An `<svg>` element.
    """
    groups = {}
    for heading, key in (("size, bytes", "size_bytes"), ("latency p50, ms", "latency_p50_ms")):
        if key in record.metrics or key == "size_bytes":
            before, after = record.float_metrics.get(key), record.metrics.get(key)
            most = max(1e-12, before or 0.0, after or 0.0)
            groups[heading] = [
                Bar("float master", (before or 0.0) / most, number(before), COLORS[6]),
                Bar(record.scheme, (after or 0.0) / most, number(after), COLORS[0]),
            ]
    cosines = [
        Bar(key.partition("/")[2], max(0.0, value), number(value), COLORS[2])
        for key, value in record.metrics.items()
        if key.startswith("cosine_mean/")
    ]
    if cosines:
        groups["mean cosine, by output"] = cosines
    title = f"{record.name} {record.version} ({record.scheme}) and its float master"
    return bars(title, groups, palette)


def overview(record: Record, report: Mapping[str, Any], gates: Sequence[Mapping[str, Any]]) -> str:
    """Makes the page of an artifact.

    Args:
      record: from `read_record`.
      report: the report that it was read from.
      gates: of the verdict and of the latency measurement.

    Returns:
      HTML.
    """
    outputs = Table(
        ["output", "mean cosine", "lowest cosine", "largest error", "SQNR dB", "worst sample"],
        [
            [
                output["name"],
                *(
                    number(output.get(key))
                    for key in ("cosine_mean", "cosine_min", "max_abs_error", "sqnr_db")
                ),
                str(output.get("worst_sample") or ""),
            ]
            for output in report["similarity"]["outputs"]
        ],
        numbers=("mean cosine", "lowest cosine", "largest error", "SQNR dB"),
    )
    held = Table(
        ["gate", "output", "value", "threshold", ""],
        [
            [
                gate.get("name", ""),
                gate.get("output") or "",
                number(_figure(gate.get("value"))),
                number(_figure(gate.get("threshold"))),
                "passed" if gate.get("passed") else "FAILED",
            ]
            for gate in gates
        ],
        numbers=("value", "threshold"),
        marked={n: "bad" for n, gate in enumerate(gates) if not gate.get("passed")},
    )
    passes = Table(
        ["pass", "changed", ""],
        [
            [
                str(entry.get("name", "")),
                number(_figure(entry.get("changed"))),
                str(entry.get("detail", "")),
            ]
            for entry in report.get("passes") or ()
        ],
        numbers=("changed",),
    )
    return render(
        "registry/overview.html",
        title=f"{record.name} {record.version}",
        chart=overview_charts(record, PAGE),
        failures="; ".join(record.failures),
        gates=record.gates,
        scheme=record.scheme,
        sha256=record.artifact.sha256,
        tables={"Outputs": outputs, "Gates": held, "Passes": passes},
    )


def _figure(value: Any) -> float | str | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return str(value)
