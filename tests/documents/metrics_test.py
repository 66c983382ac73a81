"""The table of metrics: one definition of each, the same wherever it is read."""

import dataclasses

import pytest

from tools.documents.metrics import (
    CLASSIFICATION,
    DETECTION,
    GATED_METRICS,
    LANDMARKS,
    METRICS,
    MODEL,
    OUTPUT,
    SEGMENTATION,
    TASK_TYPES,
    by_field,
)
from tools.documents.report import (
    ClassificationFigures,
    DetectionFigures,
    LandmarkFigures,
    OutputFigures,
    SegmentationFigures,
)


def test_a_field_has_one_definition_in_what_has_it():
    fields = [(kind, field) for metric in METRICS for kind, field in metric.fields.items()]

    assert len(set(fields)) == len(fields)
    assert {kind for kind, _ in fields} == {MODEL, OUTPUT, *TASK_TYPES}


def test_a_field_of_two_types_of_tasks_has_one_direction():
    of_all = by_field(*TASK_TYPES)

    for kind in TASK_TYPES:
        for field, metric in by_field(kind).items():
            assert of_all[field].better == metric.better, field
    # Of a detection it is of the best boxes, and no gate holds it.
    assert of_all["recall"].better == "higher"


def test_what_a_gate_holds_has_a_direction():
    assert all(metric.better for metric in GATED_METRICS.values())
    assert len(GATED_METRICS) == sum(metric.name is not None for metric in METRICS)


_FIGURES = {
    CLASSIFICATION: ClassificationFigures,
    DETECTION: DetectionFigures,
    LANDMARKS: LandmarkFigures,
    OUTPUT: OutputFigures,
    SEGMENTATION: SegmentationFigures,
}


@pytest.mark.parametrize("kind", _FIGURES)
def test_every_figure_of_a_report_is_a_metric(kind):
    words = {"channel_groups", "jpeg", "name", "shape", "type", "worst_sample"}
    fields = {field.name for field in dataclasses.fields(_FIGURES[kind])} - words
    # Of an output: how many samples its cosine says little of, and in how many it has another size.
    assert fields - {"near_zero_samples", "other_shape_samples"} == set(by_field(kind))


def test_a_distance_is_from_what_the_float_model_has_itself():
    assert GATED_METRICS["box_iou"].distance(0.75) == 0.25
    assert GATED_METRICS["world_error_mm"].distance(4.5) == 4.5
    assert GATED_METRICS["recall"].distance(1.0) == 0
    # The float model's accuracy is beside it, and its SQNR infinite.
    assert GATED_METRICS["accuracy"].distance(0.5) is None
    assert GATED_METRICS["sqnr_db"].distance(20.0) is None


def test_the_worst_of_a_metric_is_marked():
    worst = {metric.name for metric in METRICS if metric.is_worst}
    assert worst == {name for name in GATED_METRICS if name.startswith("worst_")} - {"worst_cosine"}


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_the_float_models_own_value_is_a_field_of_the_same_task(kind):
    known = by_field(kind)

    named = [one.own_value for one in known.values() if isinstance(one.own_value, str)]
    assert set(named) <= set(known)
    assert named == (["float_accuracy"] if kind == "classification" else [])
