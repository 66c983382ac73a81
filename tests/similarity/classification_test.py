"""Classes: agreement, accuracy, and labels that do not fit."""

import numpy as np
import pytest

from tests.refused import refused
from tools.similarity.classification import ClassificationSimilarity, read_classification_task

_TASK = {"scores": "scores", "type": "classification"}
_SHAPES = {"scores": (1, 8), "one": (1, 1)}


def _scores(*order):
    """Scores of which the classes given are the best, in their order."""
    scores = np.zeros((1, 8), np.float32)
    for place, number in enumerate(order):
        scores[0, number] = 10 - place
    return {"scores": scores}


def _similarity(**changes):
    task = read_classification_task(_TASK | changes, "net")
    return ClassificationSimilarity(task, _SHAPES, "net")


def test_agreement():
    similarity = _similarity()
    similarity.add(_scores(3), _scores(3))
    similarity.add(_scores(3), _scores(1, 2, 4, 5, 3))
    similarity.add(_scores(3), _scores(1, 2, 4, 5, 6, 3))
    similarity.add(_scores(3), _scores(1, 3))
    figures = similarity.figures()
    assert (figures.top1_agreement, figures.top5_agreement) == (0.25, 0.75)
    assert figures.accuracy is None
    assert (figures.positives, figures.negatives) == (4, 0)


def test_accuracy_by_label():
    similarity = _similarity(labels={"a": 3, "b": 1})
    similarity.add(_scores(3), _scores(3), "a")
    similarity.add(_scores(1), _scores(2), "b")
    figures = similarity.figures()
    assert (figures.float_accuracy, figures.accuracy) == (1.0, 0.5)
    with refused("data.label", r"c\.png"):
        similarity.add(_scores(1), _scores(1), "c.png")


def test_equal_scores_are_one_class_for_both_models():
    similarity = _similarity()
    similarity.add({"scores": np.ones((1, 8))}, {"scores": np.ones((1, 8))})
    assert similarity.figures().top1_agreement == 1.0


def test_a_float_model_that_is_not_sure():
    similarity = _similarity(min_score=11)
    similarity.add(_scores(3), _scores(3))
    assert similarity.figures().positives == 0


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"scores": "classes"}, "task.misfit", "no output classes for its classification task"),
        ({"scores": "one"}, "task.misfit", "output one has 1 value, not classes"),
        ({"labels": {"a": 8}}, "task.misfit", "the label of a is 8; output scores has 8 classes"),
        ({"labels": {"a": "cat"}}, "task.field", "not a classification task"),
        ({"labels": [1]}, "task.field", "not a classification task"),
        ({"scores": None}, "task.field", "not a classification task"),
    ],
)
def test_tasks_that_do_not_fit(changes, code, says):
    with refused(code, says):
        _similarity(**changes)


def test_accuracy_by_the_folder_that_a_sample_lies_in():
    similarity = _similarity(classes=["cat", "dog"])
    similarity.add(_scores(0), _scores(0), "cat/1.png")
    similarity.add(_scores(1), _scores(0), "dog/1.png")
    figures = similarity.figures()
    assert (figures.accuracy, figures.float_accuracy) == (0.5, 1.0)
    with refused("data.label", r"bird/1\.png"):
        similarity.add(_scores(1), _scores(0), "bird/1.png")
    with refused("task.misfit", "9 classes; .* 8"):
        _similarity(classes=list("abcdefghi"))
