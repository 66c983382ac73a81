"""What the commands print: tables for people, and the same as JSON."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from registry.catalog import Measurement, Move, Version
from registry.change import judge_change
from registry.formatting import aligned, date, number
from registry.tags import MIN_RUNTIME_TAG
from tools.documents.promotion import Check

# Tags in which two versions are worth comparing.
_MASTER_TAG = "float_master_sha256"
_ORIGIN_TAGS = (
    "scheme",
    "version",
    "gates",
    "artifact_sha256",
    _MASTER_TAG,
    "source_sha256",
    "recipe_sha256",
    MIN_RUNTIME_TAG,
)


def alias_problem(alias: str) -> str | None:
    """Says why MLflow would refuse a name for an alias.

    Args:
      alias: the name.

    Returns:
      What is wrong with it, or None.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", alias):
        return "letters, digits, _ and - are wanted"
    if alias == "latest" or re.fullmatch(r"[vV]?\d+", alias):
        return "MLflow keeps latest, v1, v2 and so on for itself; take another name"
    return None


def as_json(kind: str, content: Mapping[str, Any]) -> str:
    """Writes a document, with its kind and schema_version.

    Args:
      kind: what it is, such as "comparison".
      content: the rest of it.
    """
    document = {"kind": f"rules_quantize.{kind}", "schema_version": 1, **content}
    return json.dumps(document, indent=2, sort_keys=True)


def lowest_cosine(metrics: Mapping[str, float]) -> float | None:
    """Finds the mean cosine of the output that is least like the float master's."""
    found = [value for key, value in metrics.items() if key.startswith("cosine_mean/")]
    return min(found, default=None)


def answers_on(measured: Measurement) -> str:
    """Says in a few words what a device said of an artifact's answers, such as "chrome 0.9913"."""
    if measured.taken == "refused":
        return f"{measured.device} refused"
    cosine = number(lowest_cosine(measured.metrics))
    failed = "" if measured.gates == "passed" else f" {measured.gates}"
    return f"{measured.device} {cosine}{failed}"


def version_table(versions: Sequence[Version], shown: Sequence[str] = ()) -> str:
    """Shows versions, one a line.

    Args:
      versions: of one model.
      shown: further columns: full names of metrics, or tags.
    """
    head = ("version", "scheme", "bytes", "lowest cosine", "p50 ms", *shown)
    judged = any(version.judged_on() for version in versions)
    rows = [(*head, *(["on devices"] if judged else []), "gates", "made", "aliases")]
    for version in versions:
        metrics = version.metrics
        rows.append(
            (
                version.reference,
                version.label,
                number(metrics.get("size_bytes")),
                number(lowest_cosine(metrics)),
                number(metrics.get("latency_p50_ms")),
                *(number(metrics.get(name, version.tags.get(name))) for name in shown),
                *([", ".join(map(answers_on, version.judged_on())) or "-"] if judged else []),
                version.tags.get("gates", "-"),
                date(version.created_ms),
                ", ".join(version.aliases),
            )
        )
    return aligned(rows, right=range(2, len(head)))


def version_json(version: Version) -> dict[str, Any]:
    """Gives a version as JSON can hold it."""
    return {
        "name": version.name,
        "version": version.number,
        "aliases": list(version.aliases),
        "created_ms": version.created_ms,
        "run_id": version.run_id,
        "tags": dict(version.tags),
        "metrics": dict(version.metrics),
        "devices": {measured.device: _device_json(measured) for measured in version.judged_on()},
    }


def _device_json(measured: Measurement) -> dict[str, Any]:
    return {
        "failure": measured.failure,
        "gates": measured.gates,
        "metrics": dict(measured.metrics),
        "run_id": measured.run_id,
        "taken": measured.taken,
    }


def model_table(newest: Sequence[Version], aliases: Mapping[str, Mapping[str, int]]) -> str:
    """Shows models by their newest versions, one a line."""
    rows = [("model", "newest", "scheme", "made", "aliases")]
    for version in newest:
        pointing = aliases[version.name]
        rows.append(
            (
                version.name,
                version.reference,
                version.label,
                date(version.created_ms),
                ", ".join(f"{alias} @{number}" for alias, number in pointing.items()),
            )
        )
    return aligned(rows)


def comparison(before: Version, after: Version, device: str) -> dict[str, Any]:
    """Compares two versions.

    Args:
      before: one of them.
      after: the other.
      device: whose latency is compared, or "" for none.

    Returns:
      A document for JSON: `metrics` with `before`, `after`, `change` (a share of
      `before`) and `judged` (what registry.change.judge_change says), the tags in `origin`,
      and in `devices` what each said of the answers there; null where it did not.
    """
    first, second = before.metrics_on(device), after.metrics_on(device)
    master = before.tags.get(_MASTER_TAG)
    of_one_master = master is not None and master == after.tags.get(_MASTER_TAG)
    metrics = {}
    for key in sorted({*first, *second}):
        old, new = first.get(key), second.get(key)
        change = (new - old) / abs(old) if old and new is not None else None
        judged = judge_change(key, first, second, of_one_master)
        metrics[key] = {"before": old, "after": new, "change": change, "judged": judged}
    return {
        "before": before.reference,
        "after": after.reference,
        "device": device or None,
        "devices": _compared_devices(before, after),
        "metrics": metrics,
        "origin": {
            tag: {"before": before.tags.get(tag), "after": after.tags.get(tag)}
            for tag in _ORIGIN_TAGS
            if tag in before.tags or tag in after.tags
        },
    }


def _compared_devices(before: Version, after: Version) -> dict[str, Any]:
    old, new = ({each.device: each for each in version.judged_on()} for version in (before, after))
    return {
        name: {
            side: _device_json(judged[name]) if name in judged else None
            for side, judged in (("before", old), ("after", new))
        }
        for name in sorted({*old, *new})
    }


def _compared_devices_table(document: Mapping[str, Any]) -> str:
    """Shows what devices said of the answers of both versions; "" where none did."""
    rows = [("answers on", document["before"], document["after"])]
    for name, sides in document["devices"].items():
        cells = []
        for judged in (sides["before"], sides["after"]):
            if judged is None:
                cells.append("-")
                continue
            cosine = f"lowest cosine {number(lowest_cosine(judged['metrics']))}, "
            taken = "refused, " if judged["taken"] == "refused" else cosine
            cells.append(f"{taken}gates {judged['gates']}")
        rows.append((name, *cells))
    return aligned(rows) + "\n\n" if len(rows) > 1 else ""


def comparison_table(document: Mapping[str, Any]) -> str:
    """Shows what `comparison` found."""
    rows = [("", document["before"], document["after"], "change", "")]
    for key, metric in document["metrics"].items():
        change = metric["change"]
        shown = f"{change:+.1%}" if change else ""
        values = number(metric["before"]), number(metric["after"])
        rows.append((key, *values, shown, metric["judged"] or ""))
    table = aligned(rows, right=(1, 2, 3))
    origin = [("", document["before"], document["after"], "")]
    for tag, values in document["origin"].items():
        old, new = (str(values[side] or "-")[:16] for side in ("before", "after"))
        origin.append((tag, old, new, "" if old == new else "differs"))
    device = document["device"]
    where = (
        f"measured on {device}, each in a session of its own: speedup is judged by its intervals, "
        "and latency and fps are not"
        if device
        else "no device has measured both"
    )
    return f"{table}\n\n{_compared_devices_table(document)}{aligned(origin)}\n\n{where}"


def check_table(
    checks: Sequence[Check], candidate: Version, holder: Version | None, alias: str
) -> str:
    """Shows how a version was judged for an alias."""
    held = holder.reference if holder else "nothing"
    rows = [("condition", "device", held, candidate.reference, "asked for", "")]
    for check in checks:
        rows.append(
            (
                check.what,
                check.device,
                number(check.holder),
                number(check.candidate),
                check.condition,
                "ok" if check.passed else "NOT MET",
            )
        )
    title = f"{candidate.reference} ({candidate.label}) for {alias}, which points at {held}"
    return f"{title}\n{aligned(rows, right=(2, 3))}"


def history_table(moves: Sequence[Move]) -> str:
    """Shows the moves of aliases, one a line."""
    rows = [("when (UTC)", "alias", "from", "to", "what", "who", "reason")]
    for move in moves:
        rows.append(
            (
                date(move.time_ms),
                move.alias,
                f"@{move.before}" if move.before else "-",
                f"@{move.after}",
                move.kind + (", forced" if move.forced else ""),
                move.who,
                move.reason,
            )
        )
    return aligned(rows)
