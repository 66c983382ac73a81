"""The page of a model: size, latency and similarity of its versions, and where aliases point."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from registry.catalog import Move, Version
from registry.formatting import date, number
from registry.tables import lowest_cosine
from tools.pages.chart import COLORS, Chart, Line, Mark, axis_around, short
from tools.pages.page import Table, render


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
        if size is not None and latency is not None and cosine is not None:
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
    charts = [
        _versions_chart(versions, colors, front, x, y)
        for x, y in (("size", "latency"), ("size", "cosine"), ("latency", "cosine"))
    ]
    charts += [_versions_chart(versions, colors, front, "version", y) for y in _FIGURES]
    measured = [version for version in versions if version.number in front]
    return render(
        "registry/dashboard.html",
        title=f"{name}: the {len(versions)} newest versions",
        best=", ".join(v.reference for v in sorted(measured, key=lambda v: v.number)),
        charts=[chart for chart in charts if chart],
        devices=_devices_table(versions),
        colors={scheme or "no scheme": color for scheme, color in colors.items()},
        moves=_moves_table(name, moves) if moves else None,
        versions=_versions_table(versions, front),
    )


def _versions_table(versions: Sequence[Version], front: set[int]) -> Table:
    return Table(
        ["version", "scheme", "bytes", "p50 ms", "lowest cosine", "front", "aliases", "made"],
        [
            [
                version.reference,
                version.label,
                number(version.metrics.get("size_bytes")),
                number(version.metrics.get("latency_p50_ms")),
                number(lowest_cosine(version.metrics)),
                "yes" if version.number in front else "",
                ", ".join(version.aliases),
                date(version.created_ms),
            ]
            for version in versions
        ],
        numbers=("bytes", "p50 ms", "lowest cosine"),
    )


def _devices_table(versions: Sequence[Version]) -> Table:
    """Says what devices said of the answers of each version."""
    judged = [(version, measured) for version in versions for measured in version.judged_on()]
    return Table(
        ["version", "device", "taken", "lowest cosine", "p50 ms", "speedup", "gates"],
        [
            [
                version.reference,
                measured.device,
                measured.taken,
                number(lowest_cosine(measured.metrics)),
                number(measured.metrics.get("latency_p50_ms")),
                number(measured.metrics.get("speedup")),
                measured.gates + (f": {measured.failure}" if measured.failure else ""),
            ]
            for version, measured in judged
        ],
        numbers=("lowest cosine", "p50 ms", "speedup"),
        marked={n: "bad" for n, (_, each) in enumerate(judged) if each.gates == "failed"},
    )


def _moves_table(name: str, moves: Sequence[Move]) -> Table:
    return Table(
        ["when (UTC)", "alias", "from", "to", "what", "who", "reason"],
        [
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
        ],
    )


_FIGURES = {
    "size": ("size, bytes", lambda version: version.metrics.get("size_bytes")),
    "latency": ("latency p50, ms", lambda version: version.metrics.get("latency_p50_ms")),
    "speedup": ("times as fast as float", lambda version: version.metrics.get("speedup")),
    "cosine": ("lowest mean cosine", lambda version: lowest_cosine(version.metrics)),
}


def _interval(version: Version, figure: str) -> tuple[float, float] | None:
    """Gives the interval of a figure, where one is recorded."""
    low, high = (version.metrics.get(f"{figure}_{end}") for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


def _versions_chart(
    versions: Sequence[Version], colors: Mapping[str, str], front: set[int], x: str, y: str
) -> Markup | None:
    """Draws one figure of the versions against another, or None where none has both."""
    y_name, y_of = _FIGURES[y]
    x_name, x_of = _FIGURES.get(x, ("version", lambda version: float(version.number)))
    drawn = [v for v in versions if x_of(v) is not None and y_of(v) is not None]
    if not drawn:
        return None
    marks = [
        Mark(
            x_of(version),
            y_of(version),
            label=", ".join(version.aliases) or (f"@{version.number}" if x != "version" else ""),
            tip=f"{version.reference} ({version.label}): {x_name} {short(x_of(version))}, "
            f"{y_name} {short(y_of(version))}",
            color=colors[version.tags.get("scheme", "")],
            ring="var(--text)" if version.aliases else "",
            interval=_interval(version, y),
        )
        for version in drawn
    ]
    joined = [
        (x_of(version), y_of(version))
        for version in sorted(drawn, key=lambda version: (x_of(version), version.number))
        if version.number in front or x == "version"
    ]
    chart = Chart(
        f"{y_name.partition(',')[0]} against {x_name.partition(',')[0]}",
        axis_around(x_name, [mark.x for mark in marks], whole=x == "version"),
        axis_around(y_name, [y for mark in marks for y in (mark.y, *(mark.interval or ()))]),
        marks,
        [Line(joined)] if len(joined) > 1 else [],
    )
    return chart.svg()
