"""The page and the picture of one artifact, which its run holds beside the report."""

from markupsafe import Markup

from registry.formatting import number
from registry.record import Record
from registry.tags import TAKEN_TAG
from tools.documents.metrics import by_field
from tools.documents.verdict import JudgedGate
from tools.pages.chart import COLORS, FILE, PAGE, Bar, Palette, bars
from tools.pages.page import Table, render


def pages_of(record: Record) -> dict[str, str]:
    """Makes what the artifact viewer shows of a registration.

    Args:
      record: from `read_record`.

    Returns:
      Contents by file name.
    """
    return {
        "overview.html": overview(record),
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
    speedup = record.metrics.get("speedup")
    if speedup is not None:
        bounds = [record.metrics.get(f"speedup_{end}", speedup) for end in ("low", "high")]
        most = max(1.0, speedup, *bounds)
        low, high = bounds
        said = f": {number(speedup)} ({number(low)} to {number(high)})" if low < high else ""
        groups["times as fast" + said] = [
            Bar("float master", 1 / most, "1", COLORS[6]),
            Bar(
                record.scheme,
                speedup / most,
                number(speedup),
                COLORS[0],
                (low / most, high / most) if low < high else None,
            ),
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


def overview(record: Record) -> str:
    """Makes the page of an artifact.

    Args:
      record: from `read_record`.

    Returns:
      HTML.
    """
    similarity = record.similarity
    outputs = Table(
        ["output", "mean cosine", "lowest cosine", "largest error", "SQNR dB", "worst sample"],
        [
            [
                output.name,
                number(output.cosine_mean),
                number(output.cosine_min),
                number(output.max_abs_error),
                number(output.sqnr_db),
                output.worst_sample,
            ]
            for output in (similarity.outputs if similarity else ())
        ],
        numbers=("mean cosine", "lowest cosine", "largest error", "SQNR dB"),
    )
    tasks = Table(
        ["task", "metric", "artifact", "float model on JPEG"],
        [
            [
                task.name,
                metric.label,
                number(getattr(task, field)),
                number((task.jpeg or {}).get(field)),
            ]
            for task in (similarity.tasks if similarity else ())
            for field, metric in sorted(by_field(task.type).items())
            if metric.better and getattr(task, field) is not None
        ],
        numbers=("artifact", "float model on JPEG"),
    )
    held = Table(
        ["gate", "of", "value", "threshold", ""],
        [
            [
                gate.name,
                gate.subject if isinstance(gate, JudgedGate) else "",
                number(gate.value),
                number(gate.threshold),
                "passed" if gate.passed else "FAILED",
            ]
            for gate in record.judged
        ],
        numbers=("value", "threshold"),
        marked={n: "bad" for n, gate in enumerate(record.judged) if not gate.passed},
    )
    passes = Table(
        ["pass", "changed", ""],
        [[entry.name, number(entry.changed), entry.detail] for entry in record.report.passes],
        numbers=("changed",),
    )
    return render(
        "registry/overview.html",
        title=f"{record.name} {record.version}",
        chart=overview_charts(record, PAGE),
        failures="; ".join(record.failures),
        gates=record.gates,
        device=record.tags.get("device", "") if record.registration else "",
        taken=record.tags.get(TAKEN_TAG, ""),
        scheme=record.scheme,
        sha256=record.artifact.sha256,
        tables={"Outputs": outputs, "Tasks": tasks, "Gates": held, "Passes": passes},
    )
