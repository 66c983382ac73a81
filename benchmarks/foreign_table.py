"""The table of foreign models: its file, and what it says in Markdown."""

import csv
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.foreign_trial import OURS, SAME_DB, STOCK

COLUMNS = (
    "source",
    "path",
    "scheme",
    "status",
    "sqnr_db",
    "cosine",
    "time_by_float",
    "bytes_in",
    "bytes_out",
    "seconds",
    "detail",
)
_NUMBERS = ("sqnr_db", "cosine", "time_by_float", "bytes_in", "bytes_out", "seconds")
_OK = ("ok", "ok, float does not run")
# Less is no difference that a user would notice, on random samples and a busy machine.
_DB, _TIME = 3.0, 0.1
_EACH = (
    'SQNR ("same" to the bit), size by the file that was given, and time by the float model (t). '
    "Without an SQNR, the float model does not run on the samples."
)
_Rows = Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads a table's file; what is empty in it is left out of a row."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {
            name: float(value) if name in _NUMBERS else value
            for name, value in row.items()
            if value != "" or name not in _NUMBERS
        }
        for row in rows
    ]


def _by_model(rows: Iterable[Mapping[str, Any]]) -> _Rows:
    models: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        models.setdefault((row["source"], row["path"]), {})[row["scheme"]] = row
    return models


def _tried(models: _Rows) -> list[str]:
    return [scheme for scheme in OURS if any(scheme in schemes for schemes in models.values())]


def _median(values: Sequence[float], form: str) -> str:
    return form.format(statistics.median(values)) if values else "-"


def _both(models: _Rows, scheme: str, field: str) -> dict[tuple[str, str], tuple[float, float]]:
    """Finds the models of which a scheme and its stock recipe both have a figure."""
    found = {}
    for model, schemes in models.items():
        pair = [schemes.get(name, {}) for name in (scheme, STOCK[scheme])]
        if all(row.get("status") == "ok" and field in row for row in pair):
            found[model] = (pair[0][field], pair[1][field])
    return found


def _sqnr_gains(models: _Rows, scheme: str) -> dict[tuple[str, str], float]:
    """What a scheme wins over stock in dB, where either loses anything at all."""
    gains = {}
    for model, (ours, stock) in _both(models, scheme, "sqnr_db").items():
        # Both have to quantize: what computes the same to the bit has no signal-to-noise ratio.
        if max(ours, stock) < SAME_DB:
            gains[model] = ours - stock
    return gains


def _statuses(models: _Rows) -> list[str]:
    lines = ["| scheme | ok | refused | faults | stock: ok | stock: fails |", "|" + " --- |" * 6]
    for scheme in _tried(models):
        counts = Counter(s[scheme]["status"] for s in models.values() if scheme in s)
        stock = Counter(s[STOCK[scheme]]["status"] for s in models.values() if STOCK[scheme] in s)
        ok = sum(counts[status] for status in _OK)
        faults = sum(counts.values()) - ok - counts["refused"]
        stock_ok = sum(stock[status] for status in _OK)
        lines.append(
            f"| {scheme} | {ok} | {counts['refused']} | {faults} | {stock_ok} | "
            f"{sum(stock.values()) - stock_ok} |"
        )
    return lines


def _medians(models: _Rows) -> list[str]:
    lines = [
        "| scheme | models | SQNR, ours | stock | difference | size by float, ours | stock | "
        "models timed | time by float, ours | stock |",
        "|" + " --- |" * 10,
    ]
    for scheme in _tried(models):
        gains = _sqnr_gains(models, scheme)
        levels = [_both(models, scheme, "sqnr_db")[model] for model in gains]
        sizes = {
            model: [count / models[model][scheme]["bytes_in"] for count in pair]
            for model, pair in _both(models, scheme, "bytes_out").items()
        }
        times = _both(models, scheme, "time_by_float")
        columns = [
            scheme,
            str(len(gains)),
            _median([ours for ours, _ in levels], "{:.1f} dB"),
            _median([stock for _, stock in levels], "{:.1f} dB"),
            _median(list(gains.values()), "{:+.1f} dB"),
            _median([ours for ours, _ in sizes.values()], "{:.2f}"),
            _median([stock for _, stock in sizes.values()], "{:.2f}"),
            str(len(times)),
            _median([ours for ours, _ in times.values()], "{:.2f}"),
            _median([stock for _, stock in times.values()], "{:.2f}"),
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return lines


def _named(models: Iterable[tuple[str, str]], tell: Callable[[tuple[str, str]], str]) -> list[str]:
    return [f"- `{source}` `{path}`: {tell((source, path))}" for source, path in models]


def _losses(models: _Rows) -> list[str]:
    lines = []
    for scheme in _tried(models):
        gains = _sqnr_gains(models, scheme)
        won = sum(gain > _DB for gain in gains.values())
        lost = sorted((m for m in gains if gains[m] < -_DB), key=lambda m: gains[m])
        times = {
            model: schemes[scheme]["time_by_float"]
            for model, schemes in models.items()
            if "time_by_float" in schemes.get(scheme, {})
        }
        slow = sorted((m for m in times if times[m] > 1 + _TIME), key=lambda m: -times[m])
        lines += [
            f"### {scheme}",
            "",
            f"Over {_DB:g} dB above the stock recipe: {won} of {len(gains)} models; over "
            f"{_DB:g} dB below it: {len(lost)}.",
            "",
            *_named(lost, lambda model: f"{gains[model]:+.1f} dB"),  # noqa: B023
            *([""] if lost else []),
        ]
        if times:
            lines += [
                f"Over {_TIME:.0%} slower than the float model: {len(slow)} of {len(times)} "
                "models timed.",
                "",
                *_named(slow, lambda model: f"{times[model]:.2f} times as long"),  # noqa: B023
                *([""] if slow else []),
            ]
    return lines


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["status"] not in _OK:
        return row["status"]
    if "sqnr_db" not in row:
        return f"{row['bytes_out'] / row['bytes_in']:.2f}"
    sqnr = "same" if row["sqnr_db"] >= SAME_DB else f"{row['sqnr_db']:.0f} dB"
    time = f", {row['time_by_float']:.2f}t" if "time_by_float" in row else ""
    return f"{sqnr}, {row['bytes_out'] / row['bytes_in']:.2f}{time}"


def _each(models: _Rows) -> list[str]:
    names = [*_tried(models), STOCK["INT8"]]
    lines = [f"| model | bytes | {' | '.join(names)} |", "|" + " --- |" * (len(names) + 2)]
    before = ""
    for (source, path), schemes in sorted(models.items()):
        if source != before:
            lines.append(f"| **{source}** |" + " |" * (len(names) + 1))
            before = source
        size = next(iter(schemes.values()))["bytes_in"]
        cells = " | ".join(_cell(schemes.get(name)) for name in names)
        lines.append(f"| {path} | {size:,.0f} | {cells} |")
    return lines


def _refusals(models: _Rows) -> list[str]:
    """Groups what was refused or failed by what was said of it."""
    said: dict[str, list[str]] = {}
    for (source, path), schemes in sorted(models.items()):
        for scheme in OURS:
            row = schemes.get(scheme, {})
            if row.get("status") in (None, *_OK):
                continue
            # The line begins with the file, which lies in a folder of whoever ran this.
            line = row["detail"].partition(".tflite: ")[2] or row["detail"]
            kept = line if row["status"] == "refused" else f"{row['status']}: {line}"
            said.setdefault(f"`{source}` `{path}`: {kept}", []).append(scheme)
    return [f"- {line[:300]} ({', '.join(schemes)})" for line, schemes in said.items()]


_HEAD = """\
# Foreign models

What becomes of float models that others made, in each scheme, beside litert-quantizer's own
recipes. The models are not part of this repository: they were fetched from the public sources
named below. This page is written by

    bazel run //benchmarks:foreign_models -- --folder=FOLDER --table=table.csv --time
    bazel run //benchmarks:foreign_models -- --table=table.csv --markdown=docs/lab/foreign_models.md

`--help` says what the folder holds. Each model is calibrated with 16 random samples (floats
normally distributed, integers that it can take) and compared with its float model on 8 others:
images and sound would show other figures. "SQNR" is the signal-to-noise ratio of the worst output;
"size" is against the file that was given, "time" against the float model, by medians of 5 rounds in
turns, one thread. The library's recipes get the same float master and samples, and keep float
inputs and outputs as this project's schemes do. A scheme was not tried on a model whose cell is
empty, and models under 8 kB are not timed.

The machine: {machine}.
It did much other work: a tenth more or less says nothing, and single times may be far off.
"""
# Decibels that int8 is to gain over the library's recipe in the median.
_WANTED_GAIN = 12.0
_FAULTS = frozenset({"traceback", "abort", "timeout", "does not run", "wrong type", "not finite"})


def _targets(models: _Rows) -> list[str]:
    """Says which aims are met, and by how much the others are missed."""
    rows = [s[scheme] for s in models.values() for scheme in OURS if scheme in s]
    faults = Counter(row["status"] for row in rows if row["status"] in _FAULTS)
    gains = _sqnr_gains(models, "INT8")
    below = [gain for gain in gains.values() if gain < -_DB]
    times = [s["DYNAMIC"].get("time_by_float", 0) for s in models.values() if "DYNAMIC" in s]
    slow = [time for time in times if time > 1 + _TIME]
    median = statistics.median(gains.values()) if gains else 0.0
    told = [
        (
            "no traceback, abort, hang, artifact that does not run or has other types",
            not faults,
            ", ".join(f"{count} of {status}" for status, count in sorted(faults.items())),
        ),
        (
            "every refusal is one line",
            not any(row["status"] == "bad refusal" for row in rows),
            "see below",
        ),
        (
            f"INT8 gains {_WANTED_GAIN:g} dB in the median over the library's recipe",
            median >= _WANTED_GAIN,
            f"it gains {median:.1f} dB",
        ),
        (
            f"INT8 is never more than {_DB:g} dB below it",
            not below,
            f"on {len(below)} of {len(gains)} models it is",
        ),
        (
            "DYNAMIC is never slower than float by more than a tenth",
            not slow,
            f"on {len(slow)} of {sum(time > 0 for time in times)} models it is",
        ),
    ]
    return [f"- {aim}: {'met' if met else f'missed, {how}'}" for aim, met, how in told]


def markdown(rows: Sequence[Mapping[str, Any]], machine: str) -> str:
    """Writes the table in words.

    Args:
      rows: of the table's file.
      machine: that times were measured on.

    Returns:
      A whole Markdown document.
    """
    models = _by_model(rows)
    sources = len({source for source, _ in models})
    parts = [
        [_HEAD.format(machine=machine)],
        [f"{len(models)} models of {sources} sources.", ""],
        ["## Aims", "", *_targets(models), ""],
        ["## What became of them", "", *_statuses(models), ""],
        ["## Medians", "", *_medians(models), ""],
        ["## Wins and losses", "", *_losses(models)],
        ["## What was refused", "", *_refusals(models), ""],
        ["## Each model", "", _EACH, "", *_each(models)],
    ]
    return "\n".join(line for part in parts for line in part) + "\n"
