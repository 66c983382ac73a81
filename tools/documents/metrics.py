"""Every metric of the documents, once: its name, unit and direction, and where it is found.

Gates and the registry take what they know of metrics from here. docs/reference/report.md says
how each is computed.
"""

import dataclasses
from collections.abc import Mapping

HIGHER = "higher"
LOWER = "lower"

# What a metric is of: the whole model, each output, or a task of one of these types.
MODEL = "model"
OUTPUT = "output"
CLASSIFICATION = "classification"
DETECTION = "detection"
LANDMARKS = "landmarks"
SEGMENTATION = "segmentation"
TASK_TYPES = (CLASSIFICATION, DETECTION, LANDMARKS, SEGMENTATION)


@dataclasses.dataclass(frozen=True)
class Metric:
    """What is known of a metric.

    Attributes:
      label: what people read.
      fields: what it is of, MODEL, OUTPUT or some of TASK_TYPES, to its field there. Of a
        model the field is the registry's name.
      better: HIGHER or LOWER; None where neither is better, such as a count of boxes.
      name: what gates call it; None where no gate holds it.
      own_value: what the float model itself has: a number, or the field beside the metric's
        that holds it; None where it has none (the SQNR of a model against itself is
        infinite).
      unit: follows its values, with a space before it.
      is_worst: whether it is of one sample or point, the worst, and not over all.
      on_device: whether a device has it, not the model.
    """

    label: str
    fields: Mapping[str, str]
    better: str | None
    name: str | None = None
    own_value: float | str | None = None
    unit: str = ""
    is_worst: bool = False
    on_device: bool = False

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value is a better one."""
        return self.better == HIGHER

    @property
    def tasks(self) -> tuple[str, ...]:
        """The types of tasks that have it, sorted; none for a metric of outputs or the model."""
        return tuple(sorted(set(self.fields) & set(TASK_TYPES)))

    def distance(self, value: float) -> float | None:
        """Says how far a value is from that of a model which gives what the float model gives.

        Args:
          value: of the metric.

        Returns:
          0 or more; None where no such distance is known.
        """
        if not isinstance(self.own_value, float):
            return None
        return self.own_value - value if self.higher_is_better else value - self.own_value


def _model(label: str, field: str, better: str, unit: str = "", on_device: bool = False) -> Metric:
    return Metric(label, {MODEL: field}, better, unit=unit, on_device=on_device)


def _output(
    label: str, field: str, better: str, name: str, own_value: float | None = 0.0, unit: str = ""
) -> Metric:
    return Metric(label, {OUTPUT: field}, better, name, own_value, unit)


def _undirected(label: str, field: str, *tasks: str) -> Metric:
    return Metric(label, dict.fromkeys(tasks, field), None)


# The share of the object's box is what an error without a unit of length is in.
_BOX = " of the box"

METRICS = (
    _model("operators that compute in float", "float_tensors", LOWER),
    _model("frames a second", "fps", HIGHER, on_device=True),
    _model("median latency", "latency_p50_ms", LOWER, " ms", on_device=True),
    _model("90th percentile of latency", "latency_p90_ms", LOWER, " ms", on_device=True),
    _model("smallest correlation of a layer", "layer_correlation_min", HIGHER),
    _model("size", "size_bytes", LOWER, " bytes"),
    _model("share that it is smaller than the float master", "size_reduction", HIGHER),
    _model("share that it is smaller than the source", "size_reduction_vs_source", HIGHER),
    _model("speedup", "speedup", HIGHER, on_device=True),
    _model("upper bound of the speedup", "speedup_high", HIGHER, on_device=True),
    _model("lower bound of the speedup", "speedup_low", HIGHER, on_device=True),
    _output("mean cosine similarity", "cosine_mean", HIGHER, "cosine", 1.0),
    _output("worst cosine similarity", "cosine_min", HIGHER, "worst_cosine", 1.0),
    _output("5th percentile of cosine similarity", "cosine_p5", HIGHER, "cosine_p5", 1.0),
    _output("largest error", "max_abs_error", LOWER, "max_abs_error"),
    _output("mean error", "mean_abs_error", LOWER, "mean_abs_error"),
    _output("error of the output's scale", "scale_error", LOWER, "scale_error"),
    _output("SQNR", "sqnr_db", HIGHER, "sqnr_db", None, " dB"),
    _undirected("samples in which the float model sees something", "positives", *TASK_TYPES),
    _undirected("samples in which the float model sees nothing", "negatives", *TASK_TYPES),
    Metric(
        "precision", {DETECTION: "box_precision", LANDMARKS: "precision"}, HIGHER, "precision", 1.0
    ),
    Metric("recall", {DETECTION: "box_recall", LANDMARKS: "recall"}, HIGHER, "recall", 1.0),
    Metric("accuracy", {CLASSIFICATION: "accuracy"}, HIGHER, "accuracy", "float_accuracy"),
    _undirected("the float model's accuracy", "float_accuracy", CLASSIFICATION),
    Metric("top-1 agreement", {CLASSIFICATION: "top1_agreement"}, HIGHER, "top1_agreement", 1.0),
    Metric("top-5 agreement", {CLASSIFICATION: "top5_agreement"}, HIGHER, "top5_agreement", 1.0),
    _undirected("the artifact's boxes", "artifact_boxes", DETECTION),
    _undirected("the float model's boxes", "float_boxes", DETECTION),
    _undirected("boxes that both have", "matched_boxes", DETECTION),
    Metric("worst box error", {DETECTION: "box_error_px_max"}, LOWER, unit=" px"),
    Metric("mean box error", {DETECTION: "box_error_px_mean"}, LOWER, "box_error_px", 0.0, " px"),
    Metric("mean IoU of boxes", {DETECTION: "box_iou_mean"}, HIGHER, "box_iou", 1.0),
    Metric("worst IoU of boxes", {DETECTION: "box_iou_min"}, HIGHER),
    Metric(
        "mean keypoint error",
        {DETECTION: "keypoint_error_px_mean"},
        LOWER,
        "keypoint_error_px",
        0.0,
        " px",
    ),
    Metric(
        "worst keypoint error",
        {DETECTION: "keypoint_error_px_max"},
        LOWER,
        "worst_keypoint_error_px",
        0.0,
        " px",
        is_worst=True,
    ),
    Metric("precision of the samples", {DETECTION: "precision"}, HIGHER),
    Metric("recall of the samples", {DETECTION: "recall"}, HIGHER),
    Metric("worst score error", {DETECTION: "score_error_max"}, LOWER),
    Metric("mean score error", {DETECTION: "score_error_mean"}, LOWER, "score_error", 0.0),
    Metric("mean error of depth", {LANDMARKS: "depth_error_px_mean"}, LOWER, unit=" px"),
    Metric(
        "mean landmark error",
        {LANDMARKS: "landmark_error_mean"},
        LOWER,
        "landmark_error",
        0.0,
        _BOX,
    ),
    Metric(
        "mean landmark error",
        {LANDMARKS: "landmark_error_px_mean"},
        LOWER,
        "landmark_error_px",
        0.0,
        " px",
    ),
    Metric(
        "worst landmark error",
        {LANDMARKS: "landmark_error_max"},
        LOWER,
        "worst_landmark_error",
        0.0,
        _BOX,
        is_worst=True,
    ),
    Metric(
        "worst landmark error",
        {LANDMARKS: "landmark_error_px_max"},
        LOWER,
        "worst_landmark_error_px",
        0.0,
        " px",
        is_worst=True,
    ),
    Metric("agreement of presence", {LANDMARKS: "presence_agreement"}, HIGHER),
    Metric("worst presence error", {LANDMARKS: "presence_error_max"}, LOWER),
    Metric("mean presence error", {LANDMARKS: "presence_error_mean"}, LOWER, "presence_error", 0.0),
    Metric(
        "mean error of world landmarks",
        {LANDMARKS: "world_error_mm_mean"},
        LOWER,
        "world_error_mm",
        0.0,
        " mm",
    ),
    Metric(
        "worst error of world landmarks",
        {LANDMARKS: "world_error_mm_max"},
        LOWER,
        "worst_world_error_mm",
        0.0,
        " mm",
        is_worst=True,
    ),
    _undirected("mean area of the float model's mask", "area_mean", SEGMENTATION),
    Metric("mean IoU of masks", {SEGMENTATION: "iou_mean"}, HIGHER, "segmentation_iou", 1.0),
    Metric("worst IoU of masks", {SEGMENTATION: "iou_min"}, HIGHER),
    Metric("mean soft IoU of masks", {SEGMENTATION: "soft_iou_mean"}, HIGHER, "soft_iou", 1.0),
    Metric("worst soft IoU of masks", {SEGMENTATION: "soft_iou_min"}, HIGHER),
)

# Those that gates hold, by the names that gates call them.
GATED_METRICS = dict(sorted((metric.name, metric) for metric in METRICS if metric.name))


def by_field(*of: str) -> dict[str, Metric]:
    """Gives the metrics of outputs, of the model, or of some types of tasks.

    Args:
      of: MODEL, OUTPUT, or some of TASK_TYPES.

    Returns:
      Field to metric. A field that several types of tasks have is of one direction in all.
    """
    return {
        metric.fields[kind]: metric for metric in METRICS for kind in of if kind in metric.fields
    }
