"""Figures, times and columns as text."""

import time
from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lays rows out in columns.

    Args:
      rows: cells; all rows are of one length.
      right: numbers of the columns whose cells stand at the right.

    Returns:
      Lines, without spaces at their ends.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float | str | None) -> str:
    """Writes a figure: whole numbers in full, others with four digits that count."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:.4g}"


def date(time_ms: int) -> str:
    """Writes a time in UTC, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(time_ms / 1000))
