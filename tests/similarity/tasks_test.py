"""A model's tasks, as a BUILD file gives them."""

import pytest

from tools.errors import InputError
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
    ("tasks", "message"),
    [
        ({"type": "captions"}, "task type captions; there are classification, detection, land"),
        ([_LANDMARKS, {}], "task type None"),
        ([_LANDMARKS, _LANDMARKS], "two tasks are named landmarks"),
        (["landmarks"], "task type None"),
        ("landmarks", "not a task"),
        (3, "not a task"),
    ],
)
def test_what_is_no_task_is_refused(tasks, message):
    with pytest.raises(InputError, match=message):
        task_similarities(tasks, _SHAPES, "net")
