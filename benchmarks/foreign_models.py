"""Command: tries models that others made, and writes a table of what became of each.

The models are not part of this project: give a folder of .tflite files, and in it list.csv
with the columns source, path and file (where the file comes from, and its name in the
folder). Each is quantized by the command and by the library's own recipes from 16 random
samples, and what comes out is compared with the float model on 8 others. The table grows row
by row, and a row that is there is not made again.
"""

import argparse
import csv
from pathlib import Path
from typing import Any

from benchmarks.foreign_table import COLUMNS, markdown, read_rows
from benchmarks.foreign_trial import SCHEMES, foreign_model
from tools import quantize_model
from tools.command_line import new_parser, run, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = """\
  bazel run //benchmarks:foreign_models -- --folder=~/models --table=table.csv
  bazel run //benchmarks:foreign_models -- --folder=~/models --table=table.csv --time
  bazel run //benchmarks:foreign_models -- --table=table.csv --markdown=foreign_models.md
"""
# An operator's test says little of speed: what is timed takes so many bytes.
_TIMED_BYTES = 8000
_TIMED = frozenset(SCHEMES) - {"INT16X8", "stock static_wi8_ai16", "stock float_casting"}


def parser() -> argparse.ArgumentParser:
    result = new_parser("foreign_models", "Tries models that others made.", _EXAMPLES)
    result.add_argument("--folder", type=user_path, help="of .tflite files, and list.csv")
    result.add_argument("--table", required=True, type=user_path, help="CSV file; it is resumed")
    result.add_argument("--markdown", type=user_path, help="file for the table in words")
    result.add_argument("--only", default="*", help="pattern of the files' names")
    result.add_argument(
        "--scheme", action="append", choices=SCHEMES, help="this one only; may be given again"
    )
    result.add_argument("--again", action="store_true", help="make rows that are there anew")
    result.add_argument("--time", action="store_true", help="measure times too")
    result.add_argument(
        "--timeout", type=float, default=180, help="seconds of a step (default: %(default)s)"
    )
    return result


def _listed(folder: Path, only: str) -> list[tuple[str, str, Path]]:
    """Lists (source, path there, file) of a folder's models."""
    names = {}
    listing = folder / "list.csv"
    if listing.exists():
        with listing.open(newline="") as file:
            names = {row["file"]: (row["source"], row["path"]) for row in csv.DictReader(file)}
    paths = sorted(folder.rglob(f"{only}.tflite"))
    if not paths:
        raise InputError("flag.value", f"{folder}: no {only}.tflite in it")
    return [(*names.get(path.name, ("", str(path.relative_to(folder)))), path) for path in paths]


class _Table:
    """The rows, and their file."""

    def __init__(self, path: Path):
        self._path = path
        self.rows = {
            (row["source"], row["path"], row["scheme"]): row
            for row in (read_rows(path) if path.exists() else [])
        }

    def set(self, row: dict[str, Any]) -> None:
        """Adds or replaces a row, and writes the file."""
        self.rows[row["source"], row["path"], row["scheme"]] = row
        with whole_file(self._path, "w") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows[key] for key in sorted(self.rows))


def _said(row: dict[str, Any]) -> str:
    name = f"{row['source']} {row['path']}"[-60:]
    figures = f"{row.get('sqnr_db', ''):>7} {row.get('cosine', ''):>9}"
    sizes = f"{row['bytes_in']:>9} {row.get('bytes_out', ''):>9}"
    return (
        f"{name:60} {row['scheme']:30} {row['status']:12} {figures} {sizes} "
        f"{row['seconds']:6.2f} {row['detail'][:200]}"
    )


def _try(listed: tuple[str, str, Path], table: _Table, arguments: argparse.Namespace) -> None:
    """Makes the rows of one model that are wanted and are not there."""
    source, where, path = listed
    schemes = arguments.scheme or SCHEMES
    is_timed = arguments.time and path.stat().st_size >= _TIMED_BYTES
    there = {scheme: table.rows.get((source, where, scheme)) for scheme in schemes}
    untried = [s for s, row in there.items() if row is None or arguments.again]
    untimed = [
        scheme
        for scheme, row in there.items()
        if is_timed and scheme in _TIMED and not (row and row.get("time_by_float"))
    ]
    untimed = [s for s in untimed if s in untried or (there[s] or {}).get("status") == "ok"]
    wanted = [scheme for scheme in schemes if scheme in untried or scheme in untimed]
    if not wanted:
        return
    with foreign_model(path, arguments.timeout) as model:
        made = {}
        for scheme in wanted:
            row = {"source": source, "path": where, "scheme": scheme} | model.try_scheme(scheme)
            made[scheme] = row
            print(_said(row), flush=True)
            table.set(row)
        if is_timed:
            timed = [s for s in wanted if s in _TIMED and made[s]["status"] == "ok"]
            for scheme, ratio in (model.times(timed) if timed else {}).items():
                table.set(made[scheme] | {"time_by_float": ratio})


def _machine() -> str:
    """Names this processor, and what its speed with int8 depends on."""
    from tools.latency.device import cpu_model

    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return cpu_model()
    has = "has" if any("vnni" in flag for flag in flags) else "does not have"
    return f"{cpu_model()}, which {has} the VNNI instructions for int8"


def main(arguments: argparse.Namespace) -> int:
    table = _Table(arguments.table)
    if arguments.folder:
        for name in quantize_model.IMPORTS:
            __import__(name)
        for listed in _listed(arguments.folder, arguments.only):
            _try(listed, table, arguments)
    if arguments.markdown:
        with whole_file(arguments.markdown, "w") as file:
            file.write(markdown(list(table.rows.values()), _machine()))
    return 0


if __name__ == "__main__":
    run(parser(), main)
