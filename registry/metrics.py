"""The metrics that the registry knows: in which direction each is better, and where it is measured.

A metric of the whole model is recorded as METRIC, one of an output as METRIC/OUTPUT, one of a
task as task/NAME/METRIC.
"""

from collections.abc import Iterable
from dataclasses import dataclass

LOWER = "lower"
HIGHER = "higher"

_TASK = "task"


@dataclass(frozen=True)
class Metric:
    """What is known of a metric.

    Attributes:
      better: LOWER or HIGHER; None where neither is better, such as a count of samples.
      on_device: whether a device has it, not the model.
    """

    better: str | None
    on_device: bool = False


MODEL_METRICS = {
    "float_tensors": Metric(LOWER),
    "fps": Metric(HIGHER, on_device=True),
    "latency_p50_ms": Metric(LOWER, on_device=True),
    "latency_p90_ms": Metric(LOWER, on_device=True),
    "layer_correlation_min": Metric(HIGHER),
    "size_bytes": Metric(LOWER),
    "size_reduction": Metric(HIGHER),
    "size_reduction_vs_source": Metric(HIGHER),
    "speedup": Metric(HIGHER, on_device=True),
    "speedup_high": Metric(HIGHER, on_device=True),
    "speedup_low": Metric(HIGHER, on_device=True),
}
# By their fields in the report (docs/report.md).
OUTPUT_METRICS = {
    "cosine_mean": Metric(HIGHER),
    "cosine_min": Metric(HIGHER),
    "cosine_p5": Metric(HIGHER),
    "max_abs_error": Metric(LOWER),
    "mean_abs_error": Metric(LOWER),
    "scale_error": Metric(LOWER),
    "sqnr_db": Metric(HIGHER),
}
TASK_METRICS = {
    "accuracy": Metric(HIGHER),
    "area_mean": Metric(None),
    "artifact_boxes": Metric(None),
    "box_error_px_max": Metric(LOWER),
    "box_error_px_mean": Metric(LOWER),
    "box_iou_mean": Metric(HIGHER),
    "box_iou_min": Metric(HIGHER),
    "box_precision": Metric(HIGHER),
    "box_recall": Metric(HIGHER),
    "depth_error_px_mean": Metric(LOWER),
    "float_accuracy": Metric(None),
    "float_boxes": Metric(None),
    "iou_mean": Metric(HIGHER),
    "iou_min": Metric(HIGHER),
    "keypoint_error_px_mean": Metric(LOWER),
    "landmark_error_max": Metric(LOWER),
    "landmark_error_mean": Metric(LOWER),
    "landmark_error_px_max": Metric(LOWER),
    "landmark_error_px_mean": Metric(LOWER),
    "matched_boxes": Metric(None),
    "negatives": Metric(None),
    "positives": Metric(None),
    "precision": Metric(HIGHER),
    "presence_agreement": Metric(HIGHER),
    "presence_error_max": Metric(LOWER),
    "presence_error_mean": Metric(LOWER),
    "recall": Metric(HIGHER),
    "score_error_max": Metric(LOWER),
    "score_error_mean": Metric(LOWER),
    "top1_agreement": Metric(HIGHER),
    "top5_agreement": Metric(HIGHER),
    "world_error_max": Metric(LOWER),
    "world_error_mean": Metric(LOWER),
}


def task_metric(task: str, metric: str) -> str:
    """Gives the full name of a task's metric.

    Args:
      task: the task's name, as MLflow allows it.
      metric: its field in the report.
    """
    return f"{_TASK}/{task}/{metric}"


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
