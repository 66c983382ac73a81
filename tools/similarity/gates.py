"""Holds a report to thresholds.

A gate passes when its value does not pass its threshold: at most for tolerances, errors
and sizes, at least for reductions and SQNR. Every gate is judged, so that a failure shows
all that is wrong at once.
"""

from collections.abc import Mapping
from typing import Any

from tools.errors import InputError
from tools.report import SCHEMA_VERSION, VERDICT_KIND

NOT_REPRESENTATIVE = "the float model sees nothing in these images, similarity is meaningless"

_AT_LEAST = frozenset({"min_size_reduction", "min_sqnr_db", "representative_data"})
GATES = (
    "max_box_error_px",
    "max_score_error",
    "max_size",
    "min_size_reduction",
    "min_sqnr_db",
    "smaller_than_source",
    "tolerance",
    "worst_tolerance",
)
_MEANING = {
    "max_box_error_px": "mean box error {value:.3g} px, allowed {threshold:g} px",
    "max_score_error": "mean score error {value:.3g}, allowed {threshold:g}",
    "max_size": "{value:,} bytes, allowed {threshold:,}",
    "min_size_reduction": "{value:.1%} smaller than the float master, wanted {threshold:.1%}",
    "min_sqnr_db": "SQNR {value:.3g} dB, wanted {threshold:g} dB",
    "smaller_than_source": "{value:,} bytes, the model it was made from has {threshold:,}",
    "tolerance": "1 - mean cosine similarity is {value:.3g}, allowed {threshold:g}",
    "worst_tolerance": "1 - worst cosine similarity is {value:.3g}, allowed {threshold:g}",
}


def _gate(name: str, value, threshold, output: Mapping[str, Any] | None = None) -> dict:
    passed = value >= threshold if name in _AT_LEAST else value <= threshold
    result = {"name": name, "passed": bool(passed), "threshold": threshold, "value": value}
    if output:
        result["output"] = output["name"]
        if name in ("tolerance", "worst_tolerance"):
            result["worst_sample"] = output["worst_sample"]
    return result


def _by_output(name: str, setting, outputs: list[dict], where: str) -> list[tuple[dict, float]]:
    """Reads a threshold that is a number, or a dict by output with "*" for the others."""
    if not isinstance(setting, Mapping):
        return [(output, setting) for output in outputs]
    names = [output["name"] for output in outputs]
    unknown = sorted(set(setting) - set(names) - {"*"})
    if unknown:
        raise InputError(
            f"{where}: {name} names the output {unknown[0]}; the model's are {', '.join(names)}"
        )
    found = []
    for output in outputs:
        threshold = setting.get(output["name"], setting.get("*"))
        if threshold is not None:
            found.append((output, threshold))
    return found


def _check_threshold(name: str, value, where: str) -> None:
    for number in value.values() if isinstance(value, Mapping) else [value]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InputError(f"{where}: {name} = {number!r}; give a number")


def _task_gate(name: str, threshold: float, report: dict, where: str) -> dict | None:
    task = report["similarity"].get("task")
    key = {"max_score_error": "score_error_mean", "max_box_error_px": "box_error_px_mean"}[name]
    if not task or key not in task:
        raise InputError(
            f"{where}: {name} needs to know how outputs are decoded; give the float_model "
            "task = detection(...)"
        )
    # Without a single detection there is no box; representative_data fails then.
    return None if task[key] is None else _gate(name, task[key], threshold)


def _sqnr_gate(output: dict, threshold: float) -> dict:
    # No error at all is better than any ratio; noise where there is no signal is worse.
    value = output["sqnr_db"]
    if value is None:
        value = threshold if output["max_abs_error"] == 0 else threshold - 1000.0
    return _gate("min_sqnr_db", value, threshold, output)


def check_gates(report: dict, settings: Mapping[str, Any], where: str = "gates") -> dict:
    """Judges a report.

    Args:
      report: from `tools.report.read_report`.
      settings: thresholds by the names in GATES; None or False switches one off.
        tolerance, worst_tolerance and min_sqnr_db may be dicts by output.
      where: how messages name the settings.

    Returns:
      The verdict: {"kind", "schema_version", "name", "passed", "gates": [{"name",
      "value", "threshold", "passed", and where it applies "output", "worst_sample"}]}.

    Raises:
      InputError: when a gate is unknown, or cannot be judged for this model.
    """
    unknown = sorted(set(settings) - set(GATES))
    if unknown:
        raise InputError(f"{where}: no gate {unknown[0]}; there are {', '.join(GATES)}")
    outputs = report["similarity"]["outputs"]
    gates: list[dict] = []
    task = report["similarity"].get("task")
    if task:
        gates.append(_gate("representative_data", task["positives"], 1))
    for name in GATES:
        threshold = settings.get(name)
        if threshold is None or threshold is False:
            continue
        if name == "smaller_than_source":
            if not report["source"]:
                raise InputError(f"{where}: smaller_than_source, and the report names no source")
            # One byte less is smaller.
            gates.append(_gate(name, report["artifact"]["bytes"], report["source"]["bytes"] - 1))
            continue
        _check_threshold(name, threshold, where)
        if name == "max_size":
            gates.append(_gate(name, report["artifact"]["bytes"], threshold))
        elif name == "min_size_reduction":
            gates.append(_gate(name, report["size"]["reduction"], threshold))
        elif name in ("max_box_error_px", "max_score_error"):
            gate = _task_gate(name, threshold, report, where)
            gates += [gate] if gate else []
        else:
            for output, limit in _by_output(name, threshold, outputs, where):
                if name == "min_sqnr_db":
                    gates.append(_sqnr_gate(output, limit))
                    continue
                key = "cosine_mean" if name == "tolerance" else "cosine_min"
                gates.append(_gate(name, round(1 - output[key], 6), limit, output))
    return {
        "gates": gates,
        "kind": VERDICT_KIND,
        "name": report["name"],
        "passed": all(gate["passed"] for gate in gates),
        "schema_version": SCHEMA_VERSION,
    }


def _excess(gate: dict) -> float:
    """How many times beyond its threshold a failed gate is."""
    value, threshold = float(gate["value"]), float(gate["threshold"])
    if gate["name"] == "representative_data":
        return float("inf")
    if gate["name"] in _AT_LEAST:
        value, threshold = threshold, value
    return value / threshold if threshold > 0 else float("inf")


def failure_lines(verdict: dict, report_path: str) -> list[str]:
    """Says in three lines why an artifact is refused.

    Args:
      verdict: from `check_gates`, with a failed gate.
      report_path: where the report is.

    Returns:
      Three lines: what is refused, the worst gate with its value and threshold, and
      where to read more.
    """
    failed = [gate for gate in verdict["gates"] if not gate["passed"]]
    worst = max(failed, key=_excess)
    where = f" of output {worst['output']}" if worst.get("output") else ""
    if worst["name"] == "representative_data":
        reason = NOT_REPRESENTATIVE
    else:
        reason = _MEANING[worst["name"]].format(**worst)
        if worst.get("worst_sample"):
            reason += f" (worst sample {worst['worst_sample']})"
    others = f"{len(failed)} of {len(verdict['gates'])} gates failed"
    return [
        f"{verdict['name']}: refused, {others}; worst: {worst['name']}{where}",
        f"  {reason}",
        f"  all values: {report_path}",
    ]
