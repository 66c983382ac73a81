"""The JSON documents that pass from one stage to the next: report, and verdict.

docs/report.md describes every field. A reader refuses a document whose schema_version it
does not know; a field may be added without a new version, none may change its meaning.
"""

import json
import math
from pathlib import Path
from typing import Any

from tools.command_line import whole_file
from tools.errors import InputError

REPORT_KIND = "rules_quantize.report"
BUNDLE_REPORT_KIND = "rules_quantize.bundle_report"
VERDICT_KIND = "rules_quantize.verdict"
SCHEMA_VERSION = 1

_NUMBER = (int, float)
_OPTIONAL_NUMBER = (int, float, type(None))
_OPTIONAL_OBJECT = (dict, type(None))

# What readers rely on: a field, and the types that it may have. A list of one table
# stands for any number of such objects.
_IDENTITY = {"bytes": int, "sha256": str}
_MODEL = {**_IDENTITY, "inputs": list, "ops": dict, "outputs": list}
_OUTPUT = {
    "cosine_mean": _NUMBER,
    "cosine_min": _NUMBER,
    "max_abs_error": _NUMBER,
    "mean_abs_error": _NUMBER,
    "name": str,
    "shape": list,
    "sqnr_db": _OPTIONAL_NUMBER,
    "worst_sample": str,
}
_REPORT = {
    "artifact": _MODEL,
    "data": {"calibration": _OPTIONAL_OBJECT, "test": dict},
    "float_master": _MODEL,
    "float_tensors": list,
    "name": str,
    "passes": list,
    "recipe": _OPTIONAL_OBJECT,
    "scheme": str,
    "similarity": {"outputs": [_OUTPUT], "samples": int, "task": _OPTIONAL_OBJECT},
    "size": {"reduction": _NUMBER, "reduction_vs_source": _OPTIONAL_NUMBER},
    "source": _OPTIONAL_OBJECT,
    "tools": dict,
    "version": str,
}


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
      InputError: when it is not JSON.
      OSError: when it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"{path}: not JSON ({reason})") from None


def json_text(document: Any) -> str:
    """Writes a document as text; the same document gives the same bytes.

    Raises:
      ValueError: when it holds a number that JSON cannot: NaN or infinity.
    """
    return json.dumps(document, allow_nan=False, indent=2, sort_keys=True) + "\n"


def write_json(path: Path, document: Any) -> None:
    """Writes a document whole, or not at all."""
    text = json_text(document)
    with whole_file(path, "w") as file:
        file.write(text)


def rounded(value: float, digits: int = 6) -> float | None:
    """Rounds to significant digits; what JSON cannot hold becomes null."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def _check(value: Any, expected: Any, field: str, path: Path) -> None:
    if isinstance(expected, dict):
        if not isinstance(value, dict):
            raise InputError(f"{path}: {field} is no object; make the report again")
        for name, inner in expected.items():
            where = f"{field}.{name}" if field else name
            if name not in value:
                raise InputError(f"{path}: {where} is missing; make the report again")
            _check(value[name], inner, where, path)
    elif isinstance(expected, list):
        if not isinstance(value, list):
            raise InputError(f"{path}: {field} is no list; make the report again")
        for number, entry in enumerate(value):
            _check(entry, expected[0], f"{field}[{number}]", path)
    elif not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise InputError(
            f"{path}: {field} is {json.dumps(value)[:40]}, of another type than it should be; "
            "make the report again"
        )


def check_kind(document: Any, kind: str, path: Path, made_by: str) -> None:
    """Refuses a document of another kind or of an unknown schema_version.

    Args:
      document: from `read_json`.
      kind: such as REPORT_KIND.
      path: how messages name it.
      made_by: what writes such documents.

    Raises:
      InputError: says which.
    """
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise InputError(f"{path}: not a {kind.split('.')[-1]}; {made_by} writes one")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version {json.dumps(document.get('schema_version'))}; this version of "
            f"rules_quantize reads {SCHEMA_VERSION}"
        )


def tasks_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Gives what a report says of its model's tasks, in their order.

    A report that was written before there were several has one at most.
    """
    similarity = report["similarity"]
    task = similarity["task"]
    return similarity.get("tasks", [task] if task else [])


def read_report(path: Path) -> dict[str, Any]:
    """Reads a report and checks that it has what its readers rely on.

    Args:
      path: a file that `validate_quantized_model --report=` wrote.

    Returns:
      The report (docs/report.md).

    Raises:
      InputError: when it is no report, of an unknown version, or lacks a field.
      OSError: when it cannot be read.
    """
    report = read_json(path)
    check_kind(report, REPORT_KIND, path, "validate_quantized_model --report=")
    _check(report, _REPORT, "", path)
    return report
