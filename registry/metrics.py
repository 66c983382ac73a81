"""The names by which metrics are recorded.

A metric of the whole model is recorded as METRIC, one of an output as METRIC/OUTPUT, one of a
task as task/NAME/METRIC, and that of the float model on test images saved as JPEG as
task/NAME/jpeg/METRIC.
"""

import dataclasses
from collections.abc import Iterable

from tools.documents.metrics import MODEL, OUTPUT, TASK_TYPES, Metric, by_field

_TASK = "task"
_JPEG = "jpeg"

MODEL_METRICS = by_field(MODEL)
# By their fields in the report (docs/reference/report.md).
OUTPUT_METRICS = by_field(OUTPUT)
TASK_METRICS = by_field(*TASK_TYPES)


def task_metric(task: str, metric: str) -> str:
    """Gives the full name of a task's metric.

    Args:
      task: the task's name, as MLflow allows it.
      metric: its field in the report.
    """
    return f"{_TASK}/{task}/{metric}"


def jpeg_metric(task: str, metric: str) -> str:
    """Gives the full name of a task's metric of the float model on JPEG images."""
    return task_metric(task, f"{_JPEG}/{metric}")


def definition(name: str) -> Metric | None:
    """Finds what is known of a metric.

    Args:
      name: a full name, or a short one that stands for every output or task.

    Returns:
      Its definition, or None for a name that the registry never records.
    """
    first, *more = name.split("/")
    if not more:
        return MODEL_METRICS.get(name) or OUTPUT_METRICS.get(name) or TASK_METRICS.get(name)
    if first == _TASK and len(more) == 3 and more[1] == _JPEG:
        # What it measures is the test images: of two versions neither is better for it.
        known = TASK_METRICS.get(more[2])
        return known and dataclasses.replace(known, better=None)
    if first == _TASK:
        return TASK_METRICS.get(more[1]) if len(more) == 2 else None
    return OUTPUT_METRICS.get(first) if len(more) == 1 else None


def is_on_device(name: str) -> bool:
    """Tells whether a metric is a device's, not the model's."""
    known = definition(name)
    return known is not None and known.on_device


def full_names(name: str, recorded: Iterable[str]) -> list[str]:
    """Finds the recorded metrics that a name stands for.

    Args:
      name: a full name, or a short one that stands for every output or task.
      recorded: full names.

    Returns:
      Full names in the order of `recorded`; the name itself where none is recorded.
    """
    if "/" in name:
        return [name]
    found = []
    for each in recorded:
        first, *more = each.split("/")
        of_output = more and first == name and name in OUTPUT_METRICS
        of_task = len(more) == 2 and first == _TASK and more[1] == name
        if each == name or of_output or of_task:
            found.append(each)
    return found or [name]
