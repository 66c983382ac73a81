"""Command: prints what artifacts change beside what saving the test images as JPEG changes."""

import argparse
from collections.abc import Iterator

from tools.command_line import new_parser, run, user_path
from tools.documents.report import Report
from tools.errors import InputError

_EXAMPLES = """\
  bazel build //models:face_int8 //models:palm_full_int8
  bazel run //benchmarks:jpeg_table -- bazel-bin/models/*_int8.report.json
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "jpeg_table",
        "Prints, as a Markdown table, each mean of each task: of the float model on the "
        "test images saved as JPEG, of the artifact, and how many times as much that changes.",
        _EXAMPLES,
    )
    result.add_argument("reports", nargs="+", type=user_path, help="NAME.report.json")
    return result


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Makes the rows of one artifact, of what gates of JPEG can hold."""
    from tools.documents.metrics import GATED_METRICS
    from tools.similarity.gate_definitions import QUALITY_GATES

    for task in report.similarity.tasks:
        for name in QUALITY_GATES["max_jpeg_ratio"].metrics():
            metric = GATED_METRICS[name]
            field = metric.fields.get(task.type)
            if field is None or not task.jpeg:
                continue
            saved, found = task.jpeg[field], getattr(task, field)
            if saved is None or found is None:
                continue
            change, own = metric.distance(saved), metric.distance(found)
            ratio = f"{own / change:.2f}" if change and own is not None else "-"
            unit = metric.unit.strip() if metric.unit else ""
            what = f"{metric.label}, {unit}" if unit else metric.label
            yield report.name, task.name, what, f"{saved:.4g}", f"{found:.4g}", ratio


def main(arguments: argparse.Namespace) -> int:
    from tools.documents.document import read_document

    rows = [row for path in arguments.reports for row in _rows(read_document(path, Report))]
    if not rows:
        raise InputError(
            "data.missing",
            f"{arguments.reports[0]}: no task was compared on JPEG images; give reports of models "
            "with tasks, whose test data are images",
        )
    head = ("artifact", "task", "metric", "float on JPEG", "artifact", "times JPEG's change")
    for row in (head, ("---",) * len(head), *rows):
        print("| " + " | ".join(row) + " |")
    return 0


if __name__ == "__main__":
    run(parser(), main)
