"""The tasks of a model: what its outputs mean, read from JSON and compared by their kind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tools.errors import InputError
from tools.similarity.classification import ClassificationSimilarity, read_classification_task
from tools.similarity.detection import DetectionSimilarity, read_detection_task
from tools.similarity.landmarks import LandmarkSimilarity, read_landmark_task
from tools.similarity.segmentation import SegmentationSimilarity, read_segmentation_task

TaskSimilarity = (
    ClassificationSimilarity | DetectionSimilarity | LandmarkSimilarity | SegmentationSimilarity
)

# Of each kind: what reads it, and what gathers its similarity.
_KINDS: dict[str, tuple[Callable[[Mapping[str, Any], str], Any], Callable[..., TaskSimilarity]]] = {
    "classification": (read_classification_task, ClassificationSimilarity),
    "detection": (read_detection_task, DetectionSimilarity),
    "landmarks": (read_landmark_task, LandmarkSimilarity),
    "segmentation": (read_segmentation_task, SegmentationSimilarity),
}


def task_similarities(
    tasks: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
    shapes: Mapping[str, tuple[int, ...]],
    where: str,
) -> list[TaskSimilarity]:
    """Makes what gathers each task's similarity.

    Args:
      tasks: from JSON: one task, a list of them, or None.
      shapes: of the float model's outputs, by name.
      where: how messages name the model.

    Returns:
      One for each task, in their order, with no samples yet.

    Raises:
      InputError: when a task is unknown, does not fit the model, or has another's name.
    """
    given = [] if tasks is None else [tasks] if isinstance(tasks, Mapping) else tasks
    if not isinstance(given, list | tuple):
        raise InputError("task.kind", f"{where}: not a task, nor a list of tasks; see detection()")
    result = []
    names: set[str] = set()
    for task in given:
        kind = task.get("type") if isinstance(task, Mapping) else None
        if kind not in _KINDS:
            raise InputError(
                "task.kind", f"{where}: task type {kind}; there are {', '.join(sorted(_KINDS))}"
            )
        read, similarity = _KINDS[kind]
        known = read(task, where)
        if known.name in names:
            raise InputError(
                "task.field", f"{where}: two tasks are named {known.name}; give them name = ..."
            )
        names.add(known.name)
        result.append(similarity(known, shapes, where))
    return result
