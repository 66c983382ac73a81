"""The page of a model: size, latency and similarity of its versions, and where aliases point."""

import html
from collections.abc import Mapping, Sequence

from registry.catalog import Move, Version
from registry.charts import COLORS, Point, chart, short
from registry.formatting import date, number
from registry.html_page import Right, page, table
from registry.tables import lowest_cosine


def pareto_front(versions: Sequence[Version]) -> set[int]:
    """Finds the versions that no other one beats.

    One version beats another when it is nowhere worse in size, latency and
    lowest mean cosine, and better in one of them. Versions without all three
    figures do not take part.

    Args:
      versions: of one model.

    Returns:
      Their numbers.
    """
    figures = {}
    for version in versions:
        size = version.metrics.get("size_bytes")
        latency = version.metrics.get("latency_p50_ms")
        cosine = lowest_cosine(version.metrics)
        if None not in (size, latency, cosine):
            figures[version.number] = (size, latency, -cosine)
    return {
        candidate
        for candidate, own in figures.items()
        if not any(
            other != own and all(a <= b for a, b in zip(other, own, strict=True))
            for other in figures.values()
        )
    }


def dashboard(name: str, versions: Sequence[Version], moves: Sequence[Move]) -> str:
    """Makes the page of a model.

    Args:
      name: of the registered model.
      versions: the newest first.
      moves: of its aliases, the oldest first.

    Returns:
      HTML.
    """
    schemes = sorted({version.tags.get("scheme", "") for version in versions})
    colors = {scheme: COLORS[index % len(COLORS)] for index, scheme in enumerate(schemes)}
    front = pareto_front(versions)
    measured = [version for version in versions if version.number in front]
    charts = [
        _versions_chart(versions, colors, front, x, y)
        for x, y in (("size", "latency"), ("size", "cosine"), ("latency", "cosine"))
    ]
    charts += [_versions_chart(versions, colors, front, "version", y) for y in _FIGURES]
    legend = ", ".join(
        f'<span style="color:{color}">&#9679;</span> {html.escape(scheme or "no scheme")}'
        for scheme, color in colors.items()
    )
    best = ", ".join(version.reference for version in sorted(measured, key=lambda v: v.number))
    rows = [
        [
            version.reference,
            version.label,
            Right(number(version.metrics.get("size_bytes"))),
            Right(number(version.metrics.get("latency_p50_ms"))),
            Right(number(lowest_cosine(version.metrics))),
            "yes" if version.number in front else "",
            ", ".join(version.aliases),
            date(version.created_ms),
        ]
        for version in versions
    ]
    history = [
        [
            date(move.time_ms),
            move.alias,
            f"{name}@{move.before}" if move.before else "-",
            f"{name}@{move.after}",
            move.kind + (", forced" if move.forced else ""),
            move.who,
            move.reason,
        ]
        for move in reversed(moves)
    ]
    body = [
        f"<h1>{html.escape(name)}: the {len(versions)} newest versions</h1>",
        f"<p>{legend}. A ring marks what an alias points at; the dashed line joins the Pareto "
        "front: no other version is at least as small, as fast and as similar "
        f"({html.escape(best) or 'none was measured'}).</p>",
        '<div class="charts">',
        *(drawn for drawn in charts if drawn),
        "</div>",
        "<h2>Versions</h2>",
        table(
            ["version", "scheme", "bytes", "p50 ms", "lowest cosine", "front", "aliases", "made"],
            rows,
        ),
        "<h2>Aliases</h2>",
        table(["when (UTC)", "alias", "from", "to", "what", "who", "reason"], history)
        if history
        else "<p>No alias has moved.</p>",
    ]
    return page(name, body)


_FIGURES = {
    "size": ("size, bytes", lambda version: version.metrics.get("size_bytes")),
    "latency": ("latency p50, ms", lambda version: version.metrics.get("latency_p50_ms")),
    "cosine": ("lowest mean cosine", lambda version: lowest_cosine(version.metrics)),
}


def _versions_chart(
    versions: Sequence[Version], colors: Mapping[str, str], front: set[int], x: str, y: str
) -> str:
    y_name, y_of = _FIGURES[y]
    x_name, x_of = _FIGURES.get(x, ("version", lambda version: float(version.number)))
    points = []
    for version in versions:
        if x_of(version) is None or y_of(version) is None:
            continue
        points.append(
            Point(
                x_of(version),
                y_of(version),
                label=", ".join(version.aliases)
                or (f"@{version.number}" if x != "version" else ""),
                tip=f"{version.reference} ({version.label}): {x_name} {short(x_of(version))}, "
                f"{y_name} {short(y_of(version))}",
                color=colors[version.tags.get("scheme", "")],
                strong=bool(version.aliases),
            )
        )
    if not points:
        return ""
    ordered = sorted(versions, key=lambda version: (x_of(version) or 0, version.number))
    joined = [
        (x_of(version), y_of(version))
        for version in ordered
        if version.number in front or (x == "version" and y_of(version) is not None)
    ]
    title = f"{y_name.partition(',')[0]} against {x_name.partition(',')[0]}"
    return chart(title, x_name, y_name, points, [("#9a9a9a", joined)] if len(joined) > 1 else [])
