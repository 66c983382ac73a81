"""Holds a report to thresholds.

A gate holds a metric of the report to an absolute threshold: at most for errors and sizes, at
least for reductions, agreement and SQNR; the tolerances hold 1 - cosine. `max_degradation` and
`max_degradation_percent` hold the change of a metric against the float model's own value of
it. `max_jpeg_ratio` holds the change of a task's metrics to that of the float model on the test
images saved as JPEG. Every gate is judged, so that a failure shows all that is wrong at once.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from tools.documents.json_file import significant
from tools.documents.metrics import GATED_METRICS, MODEL, OUTPUT, Metric
from tools.documents.report import MinRuntime, OutputFigures, Report, Similarity, TaskFigures
from tools.documents.verdict import JudgedGate, Verdict
from tools.errors import InputError
from tools.gate_definition import COUNT, SWITCH
from tools.graph.runtime_version import version_key
from tools.similarity.gate_definitions import (
    CHANGE,
    DEFAULTS,
    JPEG,
    OTHERS,
    QUALITY_GATES,
    SAMPLES,
    check_settings,
    is_off,
)

NOT_REPRESENTATIVE = "the float model sees nothing in these images, similarity is meaningless"

# Of a verdict's values, which are JSON.
_LARGEST = 1e300

# How far beyond its threshold a value is put that no number says.
_BEYOND = 1000.0

# What an artifact has none of when it finds nothing where the float model finds something.
_NOTHING_FOUND = frozenset({"box_iou_mean", "box_precision", "precision"})

# Errors that an artifact has no number for when none of its boxes is the float model's.
_OF_MATCHED_BOXES = frozenset({"keypoint_error_px_max", "keypoint_error_px_mean"})

# Whose worst sample is the entry's `worst_sample`.
_WITH_A_SAMPLE = frozenset(
    {
        "cosine_mean",
        "cosine_min",
        "cosine_p5",
        "iou_mean",
        "landmark_error_mean",
        "landmark_error_px_mean",
    }
)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What gates judge of an artifact.

    Attributes:
      name: of the artifact.
      bytes: of the artifact.
      source_bytes: of the file that the float master was made from; None where it is not known.
      reduction: 1 - artifact bytes / master bytes.
      similarity: how alike it is to the float master.
      min_runtime: the TensorFlow Lite that it needs.
    """

    name: str
    bytes: int
    source_bytes: int | None
    reduction: float
    similarity: Similarity
    min_runtime: MinRuntime

    @classmethod
    def of(cls, report: Report) -> "Evidence":
        """Takes it from a report."""
        return cls(
            name=report.name,
            bytes=report.artifact.bytes,
            source_bytes=report.source.bytes if report.source else None,
            reduction=report.size.reduction,
            similarity=report.similarity,
            min_runtime=report.min_runtime,
        )


def _judged(name: str, value, threshold, at_least: bool, **more) -> JudgedGate:
    passed = value >= threshold if at_least else value <= threshold
    return JudgedGate(name, bool(passed), threshold, value, **more)


def _bounded(value: float) -> float:
    """Rounds to significant digits; what is beyond every number of JSON becomes the largest."""
    return significant(max(-_LARGEST, min(_LARGEST, value)))


def _by_name(name: str, setting, entries: tuple, what: str, where: str):
    """Reads a threshold that is a number, or a dict by output or task.

    Yields:
      (entry, threshold) for each output or task that has one. A task's own name goes before
      its type, and "*" stands for the others.
    """
    names = [entry.name for entry in entries]
    by_name = setting if isinstance(setting, Mapping) else {"*": setting}
    types = {entry.type for entry in entries if not isinstance(entry, OutputFigures)}
    unknown = sorted(set(by_name) - set(names) - types - {"*"})
    if unknown:
        raise InputError(
            "gate.unknown",
            f"{where}: {name} names the {what} {unknown[0]}; the model's are {', '.join(names)}",
        )
    for entry in entries:
        keys = [key for key in (entry.name, getattr(entry, "type", "*"), "*") if key in by_name]
        if keys and by_name[keys[0]] is not None:
            yield entry, by_name[keys[0]]


def _task_value(name: str, field: str, task: TaskFigures, where: str) -> float | None:
    """Reads a task's metric; None where the float model's silence leaves it undefined."""
    value = getattr(task, field)
    if value is not None or task.positives == 0:
        return value
    without_presence = task.type == "landmarks" and task.presence_error_mean is None
    if field in _NOTHING_FOUND and not without_presence:
        return 0.0
    if field in _OF_MATCHED_BOXES and task.type == "detection" and task.matched_boxes == 0:
        return _BEYOND
    raise InputError(
        "gate.not_judged",
        f"{where}: {name} needs {field}, which the {task.name} task of this model does not "
        "give; docs/reference/gates.md says what each gate needs",
    )


def _found(
    name: str, metric: Metric, setting, similarity: Similarity, where: str
) -> Iterator[tuple]:
    """Finds what a gate is about: (output or task, its value or None, threshold, its key)."""
    if OUTPUT in metric.fields:
        for output, threshold in _by_name(name, setting, similarity.outputs, "output", where):
            yield output, getattr(output, metric.fields[OUTPUT]), threshold, "output"
        return
    tasks = tuple(task for task in similarity.tasks if task.type in metric.fields)
    if not tasks:
        wanted = " or ".join(f"{kind}(...)" for kind in metric.tasks)
        raise InputError(
            "gate.not_judged",
            f"{where}: {name} needs to know how outputs are decoded; give the float_model "
            f"task = {wanted}",
        )
    for task, threshold in _by_name(name, setting, tasks, "task", where):
        yield task, _task_value(name, metric.fields[task.type], task, where), threshold, "task"


def _without_a_number(metric: Metric, output: OutputFigures, threshold: float) -> float:
    """Puts a value in place of an SQNR or scale that is no number.

    No error at all is better than any threshold; noise where there is no signal is worse.
    """
    if output.max_abs_error == 0:
        return threshold
    return threshold - _BEYOND if metric.higher_is_better else threshold + _BEYOND


def _about_entry(
    metric: Metric, entry: OutputFigures | TaskFigures, key: str
) -> dict[str, str | int]:
    """Names the output or task, the worst sample where it is of this metric, and other sizes."""
    about: dict[str, str | int] = {key: entry.name}
    if isinstance(entry, OutputFigures) and entry.other_shape_samples:
        about["other_shape_samples"] = entry.other_shape_samples
    worst = getattr(entry, "worst_sample", None)
    if not _WITH_A_SAMPLE.isdisjoint(metric.fields.values()) and worst:
        about["worst_sample"] = worst
    return about


def _absolute(name: str, setting, similarity: Similarity, where: str) -> list[JudgedGate]:
    """Judges a gate of a metric, or a tolerance of one."""
    gate = QUALITY_GATES[name]
    metric = GATED_METRICS[gate.metric]
    result = []
    for entry, value, threshold, key in _found(name, metric, setting, similarity, where):
        if value is None and key == "task":
            # Without a single detection there is no box; min_positives fails then.
            continue
        if value is None:
            value = _without_a_number(metric, entry, threshold)
        if gate.below_one:
            value = round(1 - value, 6)
        about = _about_entry(metric, entry, key)
        result.append(_judged(name, value, threshold, gate.at_least, **about))
        if gate.below_one:
            result += _channel_groups(name, entry, threshold)
    return result


def _channel_groups(name: str, output: OutputFigures, threshold: float) -> list[JudgedGate]:
    """Judges a tolerance for each group of an output's channels."""
    field = GATED_METRICS[QUALITY_GATES[name].metric].fields[OUTPUT]
    return [
        _judged(
            name,
            round(1 - getattr(group, field), 6),
            threshold,
            False,
            channels=group.channels,
            output=output.name,
            worst_sample=group.worst_sample,
        )
        for group in output.channel_groups or ()
    ]


def _degradation(name: str, setting, similarity: Similarity, where: str) -> list[JudgedGate]:
    """Judges how far metrics may be from the float model's own."""
    percent = name == "max_degradation_percent"
    result = []
    for metric_name, thresholds in sorted(setting.items()):
        metric, what = GATED_METRICS[metric_name], f"{name} of {metric_name}"
        for entry, value, threshold, key in _found(what, metric, thresholds, similarity, where):
            if value is None and key == "task":
                continue
            if value is None:
                value = _without_a_number(metric, entry, threshold)
            own = metric.own_value
            if isinstance(own, str):
                own = getattr(entry, own)
            change = own - value if metric.higher_is_better else value - own
            if percent:
                # A float model that is never right has nothing to lose.
                change = 100 * change / own if own else 0.0
            about = {"metric": metric_name, **_about_entry(metric, entry, key)}
            result.append(_judged(name, _bounded(change), threshold, False, **about))
    return result


def _jpeg_ratios(name: str, setting, similarity: Similarity, where: str) -> list[JudgedGate]:
    """Judges how far metrics of tasks are from perfect, against what saving as JPEG costs them."""
    if not similarity.tasks:
        raise InputError(
            "gate.not_judged",
            f"{where}: {name} needs to know how outputs are decoded; give the float_model a task",
        )
    if not any(task.jpeg for task in similarity.tasks):
        raise InputError(
            "gate.not_judged",
            f"{where}: {name} compares with the float model on test images saved as JPEG, and the "
            "test data are no images; leave the gate out",
        )
    by_metric = setting if isinstance(setting, Mapping) else {OTHERS: setting}
    if OTHERS in by_metric:
        # What it names is any task of the model, whichever metrics that has.
        list(_by_name(name, by_metric[OTHERS], similarity.tasks, "task", where))
    result = []
    for metric_name in QUALITY_GATES[name].metrics():
        metric, what = GATED_METRICS[metric_name], f"{name} of {metric_name}"
        thresholds = by_metric.get(metric_name, by_metric.get(OTHERS))
        if is_off(thresholds):
            continue
        judged = similarity
        if metric_name not in by_metric:
            having = tuple(task for task in similarity.tasks if _has(task, metric))
            if not having:
                continue
            judged = dataclasses.replace(similarity, tasks=having)
            if isinstance(thresholds, Mapping):
                known = {OTHERS, *(task.name for task in having), *(task.type for task in having)}
                thresholds = {key: one for key, one in thresholds.items() if key in known}
        for task, value, threshold, _ in _found(what, metric, thresholds, judged, where):
            change = None if value is None else metric.distance(value)
            if change is None:
                continue
            # No change is none, whatever JPEG's is.
            ratio = _bounded(change / _jpeg_change(what, metric, task, where)) if change else 0.0
            about = {"metric": metric_name, **_about_entry(metric, task, "task")}
            result.append(_judged(name, ratio, threshold, False, **about))
    return result


def _has(task: TaskFigures, metric: Metric) -> bool:
    """Whether a task measures a metric: it has a value for the artifact, or for JPEG."""
    field = metric.fields.get(task.type)
    if field is None or not task.jpeg:
        return False
    return getattr(task, field) is not None or task.jpeg[field] is not None


def _jpeg_change(what: str, metric: Metric, task: TaskFigures, where: str) -> float:
    """Says how far a task's metric is from perfect on JPEG images; above 0."""
    field = metric.fields[task.type]
    value = task.jpeg[field] if task.jpeg else None
    if value is None and field in _NOTHING_FOUND:
        value = 0.0
    change = None if value is None else metric.distance(value)
    if not change:
        reason = "leaves nothing to compare" if change is None else "does not change it"
        raise InputError(
            "gate.not_judged",
            f"{where}: {what} of the {task.name} task cannot be judged: saving the test images as "
            f"JPEG {reason}; give more test images, or None for this metric",
        )
    return change


def _oldest_runtime(wanted: Any, needed: MinRuntime, where: str) -> JudgedGate:
    """Judges whether a version of TensorFlow Lite has all operators of the artifact."""
    limit = version_key(wanted, f"{where}: oldest_runtime")
    if needed.unknown:
        raise InputError(
            "gate.not_judged",
            f"{where}: oldest_runtime cannot be judged: nobody says since when TensorFlow Lite has "
            f"{', '.join(needed.unknown)}; leave the gate out",
        )
    version = needed.version or "0.0.0"
    return JudgedGate(
        name="oldest_runtime",
        operator=needed.operators[0].name if needed.operators else "nothing",
        passed=version_key(version) <= limit,
        threshold=wanted,
        value=version,
    )


def _of_the_model(name: str, setting, evidence: Evidence, where: str) -> JudgedGate | None:
    """Judges a gate of the whole model; None where the model has nothing that it judges."""
    if name == "smaller_than_source":
        if not evidence.source_bytes:
            raise InputError(
                "gate.not_judged", f"{where}: smaller_than_source, and the report names no source"
            )
        # One byte less is smaller.
        return _judged(name, evidence.bytes, evidence.source_bytes - 1, False)
    if name == "oldest_runtime":
        return _oldest_runtime(setting, evidence.min_runtime, where)
    if name == "min_layer_correlation":
        layers = evidence.similarity.layers
        # An artifact from elsewhere may have none of the float model's names.
        if layers is None or layers.correlation_min is None:
            return None
        return _judged(name, layers.correlation_min, setting, True, layer=layers.worst)
    if name == "min_size_reduction":
        return _judged(name, evidence.reduction, setting, True)
    return _judged(name, evidence.bytes, setting, False)


def check_gates(evidence: Evidence, settings: Mapping[str, Any], where: str = "gates") -> Verdict:
    """Judges an artifact.

    Args:
      evidence: what is known of it: `Evidence.of(report)`.
      settings: thresholds by the names in QUALITY_GATES; None or False switches one
        off. What is about outputs or tasks may be a dict by their names, or by the tasks'
        types, in which "*" stands for the others. Those of CHANGE are dicts by the names in
        GATED_METRICS, and those of JPEG may be.
      where: how messages name the settings.

    Raises:
      InputError: when a gate is unknown, its threshold means nothing, or it cannot be
        judged for this model.
    """
    check_settings(settings, where)
    least = settings.get("min_positives") or DEFAULTS["min_positives"]
    similarity = evidence.similarity
    gates = [
        _judged("min_positives", task.positives, least, True, task=task.name)
        for task in similarity.tasks
    ]
    silent = ["min_positives"] if not gates else []
    for name, gate in sorted(QUALITY_GATES.items()):
        setting = settings.get(name)
        if is_off(setting) or name == "min_positives":
            continue
        found: list[JudgedGate] = []
        if gate.of == MODEL:
            judged = _of_the_model(name, setting, evidence, where)
            found = [judged] if judged else []
        elif gate.of == CHANGE:
            found = _degradation(name, setting, similarity, where)
        elif gate.of == JPEG:
            found = _jpeg_ratios(name, setting, similarity, where)
        else:
            found = _absolute(name, setting, similarity, where)
        gates += found
        silent += [] if found else [name]
    # Where the float model sees nothing, min_positives fails and says so.
    if all(gate.passed for gate in gates):
        _refuse_silent(silent, settings, where)
    return Verdict(tuple(gates), evidence.name, all(gate.passed for gate in gates))


def answers_alone(settings: Mapping[str, Any], share: float = 1) -> dict[str, Any]:
    """Leaves the gates out that are of an artifact's file and not of what it answers.

    Where the same file runs elsewhere, its size, operators and layers are as they were judged.

    Args:
      settings: as of `check_gates`.
      share: of the test samples that are looked at; `min_positives` falls with it.

    Returns:
      Settings for `check_gates`.
    """
    kept = {
        name: None if name in QUALITY_GATES and QUALITY_GATES[name].of == MODEL else setting
        for name, setting in settings.items()
    }
    least = kept.get("min_positives")
    if least and share < 1:
        kept["min_positives"] = max(1, int(least * share))
    return kept


def _refuse_silent(silent: list[str], settings: Mapping[str, Any], where: str) -> None:
    """Refuses gates that judged nothing; what holds by default may find nothing to judge."""
    for name in silent:
        setting = settings.get(name)
        if is_off(setting) or setting == DEFAULTS.get(name) or _all_off(setting):
            continue
        what = "the model's outputs have no task" if name == "min_positives" else "nothing to judge"
        if name == "min_layer_correlation":
            what = "no layer of the artifact can be compared with the float model's"
        raise InputError(
            "gate.not_judged", f"{where}: {name} judged nothing: {what}; leave the gate out"
        )


def _all_off(setting: Any) -> bool:
    """Says whether thresholds by name are all switched off."""
    if isinstance(setting, Mapping):
        return all(_all_off(one) for one in setting.values())
    return is_off(setting)


def _told_apart(value: float, threshold: float, form: str, digits: int) -> tuple[str, str]:
    """Writes both numbers with as many digits as it takes to tell them apart.

    Args:
      value: of a gate.
      threshold: of it.
      form: "g" or "%", as of a format.
      digits: with which to begin.
    """
    # Zero has a sign that means nothing here.
    value, threshold = value + 0.0, threshold + 0.0
    while (
        digits < 17
        and value != threshold
        and f"{value:.{digits}{form}}" == (f"{threshold:.{digits}{form}}")
    ):
        digits += 1
    shown = f"{threshold:g}" if form == "g" and digits <= 6 else f"{threshold:.{digits}{form}}"
    return f"{value:.{digits}{form}}", shown


def _in_words(gate: JudgedGate) -> tuple[str, str]:
    """Writes a gate's value and threshold, each with its unit."""
    value, threshold = gate.value, gate.threshold
    definition = QUALITY_GATES[gate.name]
    if isinstance(value, str) or isinstance(threshold, str):
        return str(value), str(threshold)
    if definition.kind in (COUNT, SWITCH):
        return f"{value:,}{definition.unit}", f"{threshold:,}{definition.unit}"
    if definition.name == "min_size_reduction":
        return _told_apart(value, threshold, "%", 1)
    unit = definition.unit
    metric = GATED_METRICS.get(gate.metric or definition.metric)
    if metric and not unit and not definition.below_one and definition.of != JPEG:
        unit = metric.unit
    value, threshold = _told_apart(value, threshold, "g", 3)
    return value + unit, threshold + unit


def _about(gate: JudgedGate) -> str:
    """Says which output, task or layer a gate is of; nothing where it is of the whole model."""
    for key in ("output", "task", "layer"):
        if getattr(gate, key):
            channels = f", channels {gate.channels}" if gate.channels else ""
            return f"{key} {getattr(gate, key)}{channels}"
    return ""


def _reason(gate: JudgedGate) -> str:
    """Says a failed gate's value and threshold."""
    definition = QUALITY_GATES[gate.name]
    value, threshold = _in_words(gate)
    if definition.of == SAMPLES:
        if gate.value == 0:
            return NOT_REPRESENTATIVE
        return f"the float model sees something in {value}, wanted {threshold}"
    if definition.of == MODEL:
        return definition.reason.format(
            layer=gate.layer, operator=gate.operator, threshold=threshold, value=value
        )
    metric = GATED_METRICS[gate.metric or definition.metric]
    label = f"{metric.label} "
    sizes = ""
    if gate.other_shape_samples:
        count = gate.other_shape_samples
        sizes = (
            f"; its size is not the float model's in {count} sample{'s' * (count > 1)}, where "
            "nothing of it counts as alike"
        )
    if definition.below_one:
        label = f"1 - {metric.label} is "
    elif definition.of == JPEG:
        return (
            f"{metric.label} changes {value} times as much as by saving the images as JPEG, "
            f"allowed {threshold}"
        )
    elif definition.of == CHANGE:
        label = f"{metric.label} is worse than the float model's by "
    return f"{label}{value}, {'wanted' if definition.at_least else 'allowed'} {threshold}{sizes}"


def failure_lines(verdict: Verdict, report_path: str, layers_command: str = "") -> list[str]:
    """Says why an artifact is refused.

    Args:
      verdict: from `check_gates`, with a failed gate.
      report_path: where the report is.
      layers_command: what writes the page of errors by layer; "" where there is no such command.

    Returns:
      What is refused; a line for each failed gate, the one that is furthest beyond its
      threshold first, with what it is of, value and threshold; and where to read more.
    """
    failed = verdict.failed()
    lines = [f"{verdict.name}: refused, {len(failed)} of {len(verdict.gates)} gates failed"]
    for gate in failed:
        # A reason of a layer names the layer itself.
        about = "" if gate.layer else _about(gate)
        sample = f" (worst sample {gate.worst_sample})" if gate.worst_sample else ""
        name = f"{gate.name} of {about}" if about else gate.name
        lines.append(f"  {name}: {_reason(gate)}{sample}")
    lines.append(f"  all values: {report_path}")
    if layers_command:
        lines.append(f"  error by layer: {layers_command}")
    return lines


def table_lines(verdict: Verdict) -> list[str]:
    """Says what every gate found, those of size and runtime too.

    Args:
      verdict: from `check_gates`.

    Returns:
      A line of headings, and one for each gate: its name, what it is of, the value, what
      is allowed, and whether it passed.
    """
    rows = [("gate", "of", "value", "limit", "passed")]
    for gate in verdict.gates:
        value, threshold = _in_words(gate)
        about = _about(gate)
        if gate.metric:
            about = f"{gate.metric} of {about}"
        limit = f"{'at least' if QUALITY_GATES[gate.name].at_least else 'at most'} {threshold}"
        rows.append((gate.name, about, value, limit, "yes" if gate.passed else "NO"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
