"""Draws the candidates of a search: size against speed, coloured by similarity."""

import io
from pathlib import Path

from markupsafe import Markup

from tools.command_line import whole_file
from tools.pages.page import Table, render
from tools.tuning.goal import Candidate, Goal, missed_by


def _figure(
    front: list[Candidate],
    others: list[Candidate],
    chosen: Candidate | None,
    master_bytes: int,
    title: str,
):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    cosines = [c.cosine for c in front + others]
    low, high = min(cosines), max(cosines)
    colors = {"cmap": "viridis", "vmin": low, "vmax": high if high > low else low + 1e-6}

    def place(candidates: list[Candidate]):
        smaller = [100 * (1 - c.bytes / master_bytes) for c in candidates]
        return smaller, [c.speedup for c in candidates], [c.cosine for c in candidates]

    if others:
        x, y, cosine = place(others)
        axes.scatter(x, y, c=cosine, s=24, alpha=0.5, linewidths=0, **colors)
    x, y, cosine = place(front)
    drawn = axes.scatter(x, y, c=cosine, s=70, edgecolors="black", linewidths=0.8, **colors)
    if chosen:
        axes.scatter(
            [100 * (1 - chosen.bytes / master_bytes)],
            [chosen.speedup],
            s=220,
            facecolors="none",
            edgecolors="crimson",
            linewidths=2,
            label=f"chosen: {chosen.name}",
        )
        axes.legend(loc="best")
    axes.axhline(1, color="gray", linewidth=0.8, linestyle="--")
    axes.set_xlabel("percent smaller than the float master")
    axes.set_ylabel("times as fast as the float master")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    figure.colorbar(drawn, label="mean cosine similarity of the worst output")
    return figure


def _row(candidate: Candidate, goal: Goal, master_bytes: int) -> list[str]:
    missed = missed_by(goal, candidate)
    assert candidate.speedup_interval is not None, "what is on the page was measured"
    low, high = candidate.speedup_interval
    return [
        candidate.name,
        f"{candidate.bytes:,}",
        f"{1 - candidate.bytes / master_bytes:.1%}",
        f"{candidate.speedup:.2f}",
        f"{low:.2f} to {high:.2f}",
        f"{candidate.cosine:.4f}",
        "misses " + ", ".join(missed) if missed else "reached",
    ]


def write_plots(
    directory: Path,
    name: str,
    front: list[Candidate],
    others: list[Candidate],
    chosen: Candidate | None,
    goal: Goal,
    master_bytes: int,
    device: str,
) -> list[Path]:
    """Writes NAME.front.png and NAME.front.html, a page that needs nothing else.

    Args:
      directory: where.
      name: of the model.
      front: the Pareto front, measured.
      others: other measured candidates.
      chosen: of the front, or None.
      goal: what was wanted.
      master_bytes: of the float master.
      device: where speed was measured.

    Returns:
      The files.
    """
    title = f"{name}: size, speed and similarity"
    figure = _figure(front, others, chosen, master_bytes, title)
    png, page = directory / f"{name}.front.png", directory / f"{name}.front.html"
    with whole_file(png) as file:
        figure.savefig(file, format="png", dpi=120)
    svg = io.StringIO()
    figure.savefig(svg, format="svg")
    drawing = svg.getvalue()
    heads = ["candidate", "bytes", "smaller", "speed", "95% interval", "worst output's cosine"]
    table = Table(
        [*heads, "goal"],
        [_row(candidate, goal, master_bytes) for candidate in front],
        numbers=heads[1:],
        marked={number: "chosen" for number, c in enumerate(front) if c is chosen},
    )
    text = render(
        "tools/tuning/candidates.html",
        title=title,
        # What comes before is for a file of its own.
        chart=Markup(drawing[drawing.index("<svg") :]),
        device=device,
        front=len(front),
        master_bytes=f"{master_bytes:,}",
        measured=len(front) + len(others),
        table=table,
    )
    with whole_file(page, "w") as file:
        file.write(text)
    return [png, page]
