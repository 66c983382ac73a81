"""A model's tasks, as a BUILD file gives them."""

import pytest

from tests.refused import refused
from tools.similarity.tasks import task_similarities

_SHAPES = {"points": (1, 9), "mask": (1, 8, 8, 1)}
_LANDMARKS = {"count": 3, "crop_size": [8, 8], "points": "points", "type": "landmarks"}
_SEGMENTATION = {"mask": "mask", "type": "segmentation"}


def test_none_one_and_several():
    assert task_similarities(None, _SHAPES, "net") == []
    assert len(task_similarities(_LANDMARKS, _SHAPES, "net")) == 1
    both = task_similarities([_LANDMARKS, _SEGMENTATION], _SHAPES, "net")
    assert [type(task).__name__ for task in both] == [
        "LandmarkSimilarity",
        "SegmentationSimilarity",
    ]


@pytest.mark.parametrize(
    ("tasks", "code", "says"),
    [
        (
            {"type": "captions"},
            "task.kind",
            "task type captions; there are classification, detection, land",
        ),
        ([_LANDMARKS, {}], "task.kind", "task type None"),
        ([_LANDMARKS, _LANDMARKS], "task.field", "two tasks are named landmarks"),
        (["landmarks"], "task.kind", "task type None"),
        ("landmarks", "task.kind", "not a task"),
        (3, "task.kind", "not a task"),
    ],
)
def test_what_is_no_task_is_refused(tasks, code, says):
    with refused(code, says):
        task_similarities(tasks, _SHAPES, "net")
