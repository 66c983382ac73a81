"""Reports to judge, made by hand so that every value is known."""

import dataclasses
from typing import Any

from tools.documents.models import (
    DataIdentity,
    FileIdentity,
    ModelDescription,
    RecipeIdentity,
)
from tools.documents.report import (
    ClassificationFigures,
    DataSets,
    DetectionFigures,
    LandmarkFigures,
    LayerFigures,
    MinRuntime,
    OperatorRuntime,
    OutputFigures,
    Report,
    SegmentationFigures,
    Similarity,
    SizeReduction,
    TaskFigures,
)

# Of every task each mean changes half as much on JPEG images as in the artifact.
DETECTION = DetectionFigures(
    artifact_boxes=3,
    box_error_px_max=2.0,
    box_error_px_mean=0.5,
    box_iou_mean=0.9,
    box_iou_min=0.8,
    box_precision=0.75,
    box_recall=0.6,
    float_boxes=4,
    keypoint_error_px_max=1.6,
    keypoint_error_px_mean=0.4,
    matched_boxes=3,
    name="detection",
    negatives=1,
    positives=2,
    precision=1.0,
    recall=1.0,
    score_error_max=0.1,
    score_error_mean=0.02,
    jpeg={
        "box_error_px_max": 1.0,
        "box_error_px_mean": 0.25,
        "box_iou_mean": 0.95,
        "box_iou_min": 0.9,
        "box_precision": 0.875,
        "box_recall": 0.8,
        "keypoint_error_px_max": 0.8,
        "keypoint_error_px_mean": 0.2,
        "precision": 1.0,
        "recall": 1.0,
        "score_error_max": 0.05,
        "score_error_mean": 0.01,
    },
)
LANDMARKS = LandmarkFigures(
    depth_error_px_mean=0.5,
    landmark_error_max=0.2,
    landmark_error_mean=0.02,
    landmark_error_px_max=9.0,
    landmark_error_px_mean=1.5,
    name="landmarks",
    negatives=1,
    positives=2,
    precision=0.9,
    presence_agreement=0.95,
    presence_error_max=0.3,
    presence_error_mean=0.04,
    recall=0.8,
    world_error_mm_max=20.0,
    world_error_mm_mean=5.0,
    worst_sample="hand_0002.png",
    jpeg={
        "depth_error_px_mean": 0.25,
        "landmark_error_max": 0.1,
        "landmark_error_mean": 0.01,
        "landmark_error_px_max": 4.5,
        "landmark_error_px_mean": 0.75,
        "precision": 0.95,
        "presence_agreement": 0.95,
        "presence_error_max": 0.15,
        "presence_error_mean": 0.02,
        "recall": 0.9,
        "world_error_mm_max": 10.0,
        "world_error_mm_mean": 2.5,
    },
)
SEGMENTATION = SegmentationFigures(
    area_mean=0.2,
    iou_mean=0.95,
    iou_min=0.7,
    name="segmentation",
    negatives=0,
    positives=3,
    soft_iou_mean=0.94,
    soft_iou_min=0.6,
    worst_sample="person_0001.png",
    jpeg={"iou_mean": 0.975, "iou_min": 0.85, "soft_iou_mean": 0.97, "soft_iou_min": 0.8},
)
CLASSIFICATION = ClassificationFigures(
    accuracy=0.76,
    float_accuracy=0.8,
    name="classification",
    negatives=0,
    positives=3,
    top1_agreement=0.9,
    top5_agreement=0.99,
    jpeg={"accuracy": 0.78, "top1_agreement": 0.95, "top5_agreement": 0.995},
)
BOXES = OutputFigures(
    cosine_mean=0.96,
    cosine_min=0.8,
    cosine_p5=0.9,
    max_abs_error=3.0,
    mean_abs_error=0.5,
    name="boxes",
    near_zero_samples=0,
    scale_error=0.05,
    shape=(1, 896, 16),
    sqnr_db=20.0,
    worst_sample="face_0003.png",
)
SCORES = OutputFigures(
    cosine_mean=0.99,
    cosine_min=0.97,
    cosine_p5=0.98,
    max_abs_error=1.0,
    mean_abs_error=0.1,
    name="scores",
    near_zero_samples=0,
    scale_error=0.01,
    shape=(1, 896, 1),
    sqnr_db=30.0,
    worst_sample="face_0001.png",
)
LAYERS = LayerFigures(compared=70, correlation_min=0.9, samples=3, worst="conv2d_5")
MIN_RUNTIME = MinRuntime((OperatorRuntime("CONV_2D", "1.14.0", 3),), (), "1.14.0")


def _model(size: int) -> ModelDescription:
    return ModelDescription(bytes=size, inputs=(), ops={"CONV_2D": 2}, outputs=(), sha256="a" * 64)


_REPORT = Report(
    artifact=_model(1000),
    data=DataSets(calibration=None, test=DataIdentity(digest="d" * 64, files=3, samples=3)),
    float_master=_model(4000),
    float_tensors=(),
    min_runtime=MIN_RUNTIME,
    name="face_int8",
    passes=(),
    recipe=RecipeIdentity(entries=1, sha256="b" * 64),
    scheme="int8",
    similarity=Similarity(layers=LAYERS, outputs=(BOXES, SCORES), samples=3, tasks=(DETECTION,)),
    size=SizeReduction(reduction=0.75, reduction_vs_source=0.5),
    source=FileIdentity(bytes=2000, sha256="c" * 64),
    tools={"numpy": "2.0"},
    version="1.0.0",
)


def report(**changes: Any) -> Report:
    """Makes a report; keyword arguments replace whole fields."""
    return dataclasses.replace(_REPORT, **changes)


def report_with(**changes: Any) -> Report:
    """Makes a report; keyword arguments replace fields of its similarity."""
    return report(similarity=dataclasses.replace(_REPORT.similarity, **changes))


def report_of(*tasks: TaskFigures) -> Report:
    """Makes a report of a model with these tasks."""
    return report_with(tasks=tasks)
