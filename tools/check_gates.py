"""Command: holds a report to its gates."""

import argparse
import sys

from tools.command_line import EXIT_GATE_FAILED, new_parser, output_path, run, user_path, whole_file
from tools.documents.report import Report
from tools.documents.verdict import Verdict

_EXAMPLES = """\
  check_gates --report=face_int8.report.json --gates=gates.json
  check_gates --report=face_int8.report.json --gates=gates.json --verdict=verdict.json

where gates.json is, for example, {"tolerance": 0.05, "max_size_bytes": 150000}.
"""

# What `main` imports when it runs.
IMPORTS = (
    "tools.documents.report",
    "tools.similarity.gate_flags",
    "tools.similarity.gates",
)


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "check_gates", "Holds the report of a quantized model to its gates.", _EXAMPLES
    )
    result.add_argument(
        "--report", required=True, type=user_path, help="from validate_quantized_model --report="
    )
    result.add_argument("--gates", required=True, type=user_path, help="JSON: thresholds by name")
    result.add_argument("--verdict", type=output_path, help="JSON file: each gate and its value")
    result.add_argument(
        "--refusal",
        type=output_path,
        help="text file: why the artifact is refused; empty when it is not. With it the exit "
        "status is 0 in both cases",
    )
    result.add_argument("--table", type=output_path, help="text file: a line for each gate")
    result.add_argument(
        "--layers_command",
        default="",
        metavar="COMMAND",
        help="what writes the page of errors by layer; a refusal names it",
    )
    return result


def _passed_line(report: Report, verdict: Verdict, path: str) -> str:
    """Says of an artifact that passed how small and how alike it is, and where to read more."""
    outputs = report.similarity.outputs
    worst = min(outputs, key=lambda output: output.cosine_mean, default=None)
    alike = f", worst similarity {worst.cosine_mean:.4f} ({worst.name})" if worst else ""
    return (
        f"{report.name}: passed all {len(verdict.gates)} gates; {report.artifact.bytes:,} bytes, "
        f"{report.size.reduction:.1%} smaller{alike}; report: {path}"
    )


def main(arguments: argparse.Namespace) -> int:
    from tools.documents.document import read_document, write_document
    from tools.similarity.gate_flags import read_gates
    from tools.similarity.gates import Evidence, check_gates, failure_lines, table_lines

    report = read_document(arguments.report, Report)
    settings = read_gates(arguments.gates)
    verdict = check_gates(Evidence.of(report), settings, str(arguments.gates))
    if arguments.verdict:
        write_document(arguments.verdict, verdict)
    if arguments.table:
        with whole_file(arguments.table, "w") as file:
            file.writelines(f"{line}\n" for line in table_lines(verdict))
    reason = ""
    if verdict.passed:
        # In a build Bazel shows it when the gates were judged, and not when nothing changed.
        print(_passed_line(report, verdict, str(arguments.report)))
    else:
        lines = failure_lines(verdict, str(arguments.report), arguments.layers_command)
        reason = "\n".join(lines) + "\n"
    if arguments.refusal:
        with whole_file(arguments.refusal, "w") as file:
            file.write(reason)
        return 0
    sys.stderr.write(reason)
    return EXIT_GATE_FAILED if reason else 0


if __name__ == "__main__":
    run(parser(), main, IMPORTS)
