"""Every gate on size and similarity, once; see tools/gate_definition.py.

Flags, verdicts, rules/gates.bzl and the table of docs/reference/gates.md are made from this.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tools.documents.metrics import GATED_METRICS, MODEL, OUTPUT, Metric
from tools.errors import InputError
from tools.gate_definition import COUNT, SWITCH, VERSION, GateDefinition, near

# What a gate is of, beside MODEL, and an output or task that has its metric.
SAMPLES = "samples"
CHANGE = "change"
JPEG = "jpeg"
# In place of a metric's name, for a gate of JPEG: those that are not named.
OTHERS = "*"


@dataclasses.dataclass(frozen=True)
class QualityGate(GateDefinition):
    """A gate on size or similarity.

    Attributes:
      metric: that it holds, a name in GATED_METRICS; "" where the threshold is of `of`.
      below_one: whether it holds 1 - metric.
      of: MODEL, SAMPLES (of each task), CHANGE: thresholds by metric, each of how much
        worse than the float model's own it may be; or JPEG: a threshold, or thresholds by
        metric, of how many times as much it may be worse as on JPEG images.
      unit: follows values where `metric` does not say it, with a space before it.
      reason: what a refusal says of a gate of the model: a format of {value}, {threshold},
        and {layer} or {operator}.
    """

    metric: str = ""
    below_one: bool = False
    of: str = ""
    unit: str = ""
    reason: str = ""

    @property
    def held(self) -> Metric | None:
        """The metric that it holds, where there is one."""
        return GATED_METRICS.get(self.metric)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The types of tasks that it is of; none for a gate of something else."""
        return self.held.tasks if self.held else ()

    @property
    def of_outputs(self) -> bool:
        """Whether it is of outputs."""
        return self.held is not None and OUTPUT in self.held.fields

    @property
    def by_name(self) -> bool:
        """Whether a threshold may be a dict by output or task."""
        return self.of_outputs or bool(self.tasks)

    @property
    def by_metric(self) -> bool:
        """Whether thresholds may be given by metric."""
        return self.of in (CHANGE, JPEG)

    def metrics(self) -> list[str]:
        """Names the metrics whose change a gate of CHANGE or JPEG can hold."""
        if self.of == JPEG:
            return [
                name
                for name, metric in GATED_METRICS.items()
                if metric.tasks and isinstance(metric.own_value, float) and not metric.is_worst
            ]
        percent = self.name.endswith("_percent")
        return [
            name
            for name, metric in GATED_METRICS.items()
            if metric.own_value is not None and not (percent and metric.own_value == 0)
        ]


def _share(name: str, about: str, metric: str) -> QualityGate:
    return QualityGate(name, about, least=0, most=1, metric=metric)


def _error(name: str, about: str, metric: str, default: float | None = None) -> QualityGate:
    return QualityGate(name, about, least=0, metric=metric, default=default)


def _tolerance(name: str, about: str, metric: str, default: float | None = None) -> QualityGate:
    return QualityGate(name, about, least=0, most=2, metric=metric, below_one=True, default=default)


_BOX = "as a share of the longer side of the box around the float model's points"
_CROP = "in pixels of the crop"
_INPUT = "in pixels of the input"

_DEFINITIONS = (
    _tolerance(
        "tolerance", "how far an output's mean cosine similarity may fall below 1", "cosine", 0.05
    ),
    _tolerance(
        "worst_tolerance", "how far the worst sample's similarity may fall below 1", "worst_cosine"
    ),
    _tolerance(
        "p5_tolerance",
        "how far the 5th percentile of the samples' similarity may fall below 1",
        "cosine_p5",
    ),
    _error(
        "max_scale_error",
        "relative difference of an output's root mean square over all samples from the float "
        "model's: 0.1 is 10%",
        "scale_error",
        0.2,
    ),
    QualityGate("min_sqnr_db", "signal-to-quantization-noise ratio in decibels", metric="sqnr_db"),
    _error("max_abs_error", "largest error, in the output's own unit", "max_abs_error"),
    _error("max_mean_abs_error", "mean error, in the output's own unit", "mean_abs_error"),
    QualityGate(
        "max_score_error",
        "mean difference of both models' best scores, after the sigmoid",
        least=0,
        most=1,
        metric="score_error",
    ),
    _error(
        "max_box_error_px",
        f"mean difference of the best box's sides, {_INPUT}",
        "box_error_px",
    ),
    _share("min_box_iou", "mean intersection over union of matched boxes", "box_iou"),
    _error(
        "max_keypoint_error_px",
        f"mean distance of matched boxes' keypoints, {_INPUT}",
        "keypoint_error_px",
    ),
    _error(
        "max_worst_keypoint_error_px",
        f"distance of the worst keypoint of all matched boxes, {_INPUT}",
        "worst_keypoint_error_px",
    ),
    _share(
        "min_precision",
        "share of the artifact's boxes, or presences, that the float model has too",
        "precision",
    ),
    _share(
        "min_recall",
        "share of the float model's boxes, or presences, that the artifact has too",
        "recall",
    ),
    _error("max_landmark_error", f"mean distance of points, {_BOX}", "landmark_error"),
    _error("max_landmark_error_px", f"mean distance of points, {_CROP}", "landmark_error_px"),
    _error(
        "max_worst_landmark_error",
        f"distance of the worst point of all samples, {_BOX}",
        "worst_landmark_error",
    ),
    _error(
        "max_worst_landmark_error_px",
        f"distance of the worst point of all samples, {_CROP}",
        "worst_landmark_error_px",
    ),
    _error("max_world_error_mm", "mean distance of points in space, in mm", "world_error_mm"),
    _error(
        "max_worst_world_error_mm",
        "distance of the worst point in space of all samples, in mm",
        "worst_world_error_mm",
    ),
    QualityGate(
        "max_presence_error",
        "mean difference of the probability of presence",
        least=0,
        most=1,
        metric="presence_error",
    ),
    _share("min_segmentation_iou", "mean intersection over union of masks", "segmentation_iou"),
    _share("min_soft_iou", "mean intersection over union of the masks' probabilities", "soft_iou"),
    _share(
        "min_top1_agreement",
        "share of samples in which the float model's class is first",
        "top1_agreement",
    ),
    _share(
        "min_top5_agreement",
        "share of samples in which the float model's class is among the first five",
        "top5_agreement",
    ),
    _share("min_accuracy", "share of samples with the class of their label", "accuracy"),
    QualityGate(
        "max_degradation",
        "by metric, how much worse than the float model's own it may be",
        least=0,
        of=CHANGE,
    ),
    QualityGate(
        "max_degradation_percent",
        "by metric, how many percent of the float model's own it may be worse",
        least=0,
        most=100,
        of=CHANGE,
        unit="%",
    ),
    QualityGate(
        "max_jpeg_ratio",
        "how many times as far from the float model's own a task's metrics may be as those of the "
        "float model on the test images saved as JPEG",
        least=0,
        of=JPEG,
    ),
    QualityGate(
        "min_positives",
        "in how many samples the float model must see something, for each task",
        COUNT,
        least=1,
        default=1,
        of=SAMPLES,
        unit=" images",
    ),
    QualityGate(
        "min_layer_correlation",
        "smallest correlation of a layer's values with the float model's",
        least=-1,
        most=1,
        default=0.5,
        of=MODEL,
        reason="layer {layer} has a correlation of {value} with the float model's, wanted "
        "{threshold}",
    ),
    QualityGate(
        "max_size_bytes",
        "size of the artifact",
        COUNT,
        least=1,
        of=MODEL,
        unit=" bytes",
        reason="{value}, allowed {threshold}",
    ),
    QualityGate(
        "min_size_reduction",
        "by what share the artifact is smaller than the float master: 0.7 is by 70%",
        least=0,
        most=1,
        of=MODEL,
        reason="{value} smaller than the float master, wanted {threshold}",
    ),
    QualityGate(
        "smaller_than_source",
        "whether the artifact must be smaller than the file that the float master was made from",
        SWITCH,
        of=MODEL,
        unit=" bytes",
        reason="{value}, wanted fewer than the model it was made from; at most {threshold}",
    ),
    QualityGate(
        "oldest_runtime",
        "version of TensorFlow Lite that has all operators of the artifact",
        VERSION,
        of=MODEL,
        reason="{operator} needs TensorFlow Lite {value}, wanted {threshold} or older",
    ),
)

QUALITY_GATES = {gate.name: gate for gate in _DEFINITIONS}

# What holds where nothing is said.
DEFAULTS = {gate.name: gate.default for gate in _DEFINITIONS if gate.default is not None}


def is_off(threshold: Any) -> bool:
    """Says whether a threshold switches its gate off: None or False."""
    return threshold is None or threshold is False


def check_settings(settings: Mapping[str, Any], where: str) -> None:
    """Refuses gates that there are not, and thresholds that mean nothing.

    Args:
      settings: thresholds by gate; those that switch a gate off are let through. Of gates
        of outputs and tasks they may be dicts by name, of CHANGE they are dicts by metric, of
        JPEG they may be.
      where: how messages name the settings.

    Raises:
      InputError: with the gate, what it was given, and what it takes.
    """
    for name, threshold in settings.items():
        if name not in QUALITY_GATES:
            raise InputError(
                "gate.unknown", f"{where}: no gate {name}; {near(name, QUALITY_GATES)}"
            )
        gate = QUALITY_GATES[name]
        _refuse_empty(threshold, f"{where}: {name}")
        if is_off(threshold):
            continue
        if not gate.by_metric or (gate.of == JPEG and not isinstance(threshold, Mapping)):
            _check_thresholds(gate, threshold, f"{where}: {name}")
            continue
        if not isinstance(threshold, Mapping):
            raise InputError(
                "gate.value",
                f"{where}: {name} = {threshold!r}; give a dict of thresholds by metric",
            )
        for metric, thresholds in threshold.items():
            _check_metric(gate, metric, where)
            _refuse_empty(thresholds, f"{where}: {name} of {metric}")
            if gate.of != JPEG or thresholds is not None:
                _check_thresholds(gate, thresholds, f"{where}: {name} of {metric}")


def _refuse_empty(threshold: Any, where: str) -> None:
    """Refuses an object of no thresholds, which would judge nothing and not say so."""
    if threshold == {}:
        raise InputError(
            "gate.value", f"{where} is empty; give a threshold, or null to switch the gate off"
        )


def _check_thresholds(gate: QualityGate, threshold: Any, where: str) -> None:
    by_name = gate.by_name or gate.by_metric
    if not (by_name and isinstance(threshold, Mapping)):
        gate.check(threshold, where)
        return
    for name, one in threshold.items():
        if one is not None:
            gate.check(one, f"{where} of {name}")


def _check_metric(gate: QualityGate, metric: str, where: str) -> None:
    if metric in gate.metrics() or (gate.of == JPEG and metric == OTHERS):
        return
    if metric not in GATED_METRICS:
        raise InputError(
            "gate.unknown",
            f"{where}: {gate.name}: no metric {metric}; {near(metric, gate.metrics())}",
        )
    if gate.of == JPEG:
        raise InputError(
            "gate.not_judged",
            f"{where}: {gate.name} of {metric}: it holds means of tasks that are perfect where "
            f"both models give the same: {', '.join(gate.metrics())}",
        )
    own = "0" if GATED_METRICS[metric].own_value == 0 else "infinite"
    raise InputError(
        "gate.not_judged",
        f"{where}: {gate.name} of {metric}: the float model's own {metric} is {own}; give an "
        "absolute threshold",
    )


def scope_of(gate: QualityGate) -> str:
    """Says in words what a gate is of, for docs."""
    if gate.tasks:
        return " or ".join(f"`{task}`" for task in gate.tasks)
    if gate.of_outputs:
        return "every output"
    return {CHANGE: "any metric", JPEG: "every task", MODEL: "the model", SAMPLES: "every task"}[
        gate.of
    ]
