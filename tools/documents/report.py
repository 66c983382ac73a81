"""The report: what an artifact is, and how it compares with its float master.

docs/reference/report.md says how the figures are computed.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

from tools.documents.document import Document, Limit
from tools.documents.models import (
    Amount,
    AtLeastOne,
    Correlation,
    Count,
    DataIdentity,
    FileIdentity,
    FloatTensor,
    ModelDescription,
    PassEntry,
    RecipeIdentity,
    Reduction,
    RuntimeVersion,
    Share,
    SpeedEstimate,
)
from tools.errors import InputError


@dataclasses.dataclass(frozen=True)
class ChannelGroupFigures:
    """How alike some channels of an output are, which are orders of magnitude from the others.

    Attributes:
      channels: their numbers, such as "4-83".
      cosine_mean: cosine similarity, the mean of the samples.
      cosine_min: of the worst sample.
      cosine_p5: 5th percentile of the samples.
      worst_sample: name of the sample with the smallest cosine similarity.
    """

    channels: str
    cosine_mean: Correlation
    cosine_min: Correlation
    cosine_p5: Correlation
    worst_sample: str


@dataclasses.dataclass(frozen=True)
class OutputFigures:
    """How alike an output is to the float model's, over the test samples.

    Attributes:
      cosine_mean: cosine similarity, the mean of the samples.
      cosine_min: of the worst sample.
      cosine_p5: 5th percentile of the samples.
      max_abs_error: in the output's unit.
      mean_abs_error: in the output's unit.
      name: of the output, in the signature.
      near_zero_samples: samples in which the float model gives nearly nothing.
      scale_error: relative difference of the output's root mean square from the float master's,
        0.1 is 10%; null where one of the models gives only zeros.
      shape: with the batch.
      sqnr_db: signal-to-quantization-noise ratio over all samples, dB; null where there is no
        error or no signal.
      worst_sample: name of the sample with the smallest cosine similarity.
      channel_groups: what is judged by itself; missing where all channels are of one order of
        magnitude.
      other_shape_samples: samples in which the output has another size than the float model's;
        missing where there are none.
    """

    cosine_mean: Correlation
    cosine_min: Correlation
    cosine_p5: Correlation
    max_abs_error: Amount
    mean_abs_error: Amount
    name: str
    near_zero_samples: Count
    scale_error: Amount | None
    shape: tuple[int, ...]
    sqnr_db: float | None
    worst_sample: str
    channel_groups: tuple[ChannelGroupFigures, ...] | None = None
    other_shape_samples: AtLeastOne | None = None


# Figures of a task that have a direction, of the float model on JPEG images.
JpegFigures = Mapping[str, float | None] | None


@dataclasses.dataclass(frozen=True)
class ClassificationFigures:
    """How often a classifier prefers the float model's classes.

    Attributes:
      accuracy: share of the samples whose class the artifact prefers; null where no labels
        are known.
      float_accuracy: the same of the float model.
      name: of the task.
      negatives: samples in which the float model's best score is below the task's.
      positives: the other samples.
      top1_agreement: share of the samples for which both models prefer the same class.
      top5_agreement: share for which the float model's class is among the artifact's five best.
      type: of the task.
      jpeg: the same figures of the float model on the test images saved as JPEG, by their names
        here; missing where the test data are no images.
    """

    accuracy: Share | None
    float_accuracy: Share | None
    name: str
    negatives: Count
    positives: Count
    top1_agreement: Share | None
    top5_agreement: Share | None
    type: Literal["classification"] = "classification"
    jpeg: JpegFigures = None


@dataclasses.dataclass(frozen=True)
class DetectionFigures:
    """How alike detections are to the float model's; null where no sample defines it.

    Attributes:
      artifact_boxes: how many the artifact finds in all samples.
      box_error_px_max: of the best box of each sample: the largest mean difference of left,
        top, right and bottom, in pixels of the input.
      box_error_px_mean: the mean over the samples.
      box_iou_mean: mean IoU of the matched boxes.
      box_iou_min: smallest IoU of the matched boxes.
      box_precision: share of the artifact's boxes that are matched.
      box_recall: share of the float model's boxes that are matched.
      float_boxes: how many the float model finds in all samples.
      keypoint_error_px_max: of one keypoint of a matched box: its distance from the float
        model's, in pixels of the input.
      keypoint_error_px_mean: the mean over all keypoints of matched boxes.
      matched_boxes: pairs of boxes with an IoU of 0.5 or more.
      name: of the task.
      negatives: samples in which the float model finds nothing.
      positives: samples in which the float model finds something.
      precision: of the samples in which the artifact finds something, the share in which the
        float model does.
      recall: of the samples in which the float model finds something, the share in which the
        artifact does.
      score_error_max: largest difference of the best scores, 0 to 1.
      score_error_mean: mean difference of the best scores.
      type: of the task.
      jpeg: the same figures of the float model on the test images saved as JPEG, by their names
        here; missing where the test data are no images.
    """

    artifact_boxes: Count
    box_error_px_max: Amount | None
    box_error_px_mean: Amount | None
    box_iou_mean: Share | None
    box_iou_min: Share | None
    box_precision: Share | None
    box_recall: Share | None
    float_boxes: Count
    keypoint_error_px_max: Amount | None
    keypoint_error_px_mean: Amount | None
    matched_boxes: Count
    name: str
    negatives: Count
    positives: Count
    precision: Share | None
    recall: Share | None
    score_error_max: Share | None
    score_error_mean: Share | None
    type: Literal["detection"] = "detection"
    jpeg: JpegFigures = None


@dataclasses.dataclass(frozen=True)
class LandmarkFigures:
    """How far landmarks are from the float model's; null where no sample or output defines it.

    Attributes:
      depth_error_px_mean: mean error of z, in pixels of the crop.
      landmark_error_max: of one point, as a share of the object's box.
      landmark_error_mean: over all points of the positive samples, as a share of the box.
      landmark_error_px_max: of one point, in pixels of the crop.
      landmark_error_px_mean: over all points of the positive samples, in pixels.
      name: of the task.
      negatives: samples in which the float model finds nothing.
      positives: samples in which the float model finds its object.
      precision: of the samples in which the artifact finds it, the share in which the float
        model does.
      presence_agreement: share of the samples in which both find it, or neither.
      presence_error_max: largest difference of the probabilities, 0 to 1.
      presence_error_mean: mean difference of the probabilities.
      recall: of the samples in which the float model finds it, the share in which the artifact
        does.
      world_error_mm_max: of one point in space, in millimetres.
      world_error_mm_mean: over all points of the positive samples, in millimetres.
      worst_sample: name of the sample with the largest mean error.
      type: of the task.
      jpeg: the same figures of the float model on the test images saved as JPEG, by their names
        here; missing where the test data are no images.
    """

    depth_error_px_mean: Amount | None
    landmark_error_max: Amount | None
    landmark_error_mean: Amount | None
    landmark_error_px_max: Amount | None
    landmark_error_px_mean: Amount | None
    name: str
    negatives: Count
    positives: Count
    precision: Share | None
    presence_agreement: Share | None
    presence_error_max: Share | None
    presence_error_mean: Share | None
    recall: Share | None
    world_error_mm_max: Amount | None
    world_error_mm_mean: Amount | None
    worst_sample: str | None
    type: Literal["landmarks"] = "landmarks"
    jpeg: JpegFigures = None


@dataclasses.dataclass(frozen=True)
class SegmentationFigures:
    """How alike masks are to the float model's; null where no sample defines it.

    Attributes:
      area_mean: mean share of the picture that the float model's mask covers.
      iou_mean: mean IoU of the masks.
      iou_min: of the worst sample.
      name: of the task.
      negatives: samples in which the float model's mask is empty, or finds no object.
      positives: samples in which the float model's mask covers something.
      soft_iou_mean: mean soft IoU of the masks' probabilities.
      soft_iou_min: of the worst sample.
      worst_sample: name of the sample with the smallest IoU.
      type: of the task.
      jpeg: the same figures of the float model on the test images saved as JPEG, by their names
        here; missing where the test data are no images.
    """

    area_mean: Share | None
    iou_mean: Share | None
    iou_min: Share | None
    name: str
    negatives: Count
    positives: Count
    soft_iou_mean: Share | None
    soft_iou_min: Share | None
    worst_sample: str | None
    type: Literal["segmentation"] = "segmentation"
    jpeg: JpegFigures = None


TaskFigures = ClassificationFigures | DetectionFigures | LandmarkFigures | SegmentationFigures


@dataclasses.dataclass(frozen=True)
class LayerFigures:
    """The layer least like the float model's.

    Attributes:
      compared: how many layers were compared.
      correlation_min: the smallest correlation, -1 to 1; null where none is defined.
      samples: how many were run.
      worst: name of that layer.
    """

    compared: Count
    correlation_min: Correlation | None
    samples: Count
    worst: str | None


@dataclasses.dataclass(frozen=True)
class Similarity:
    """How alike an artifact is to the float model.

    Attributes:
      layers: null where no tensor has a name of the float master's.
      outputs: of the model, in the order of its signature.
      samples: how many test samples there are.
      tasks: what the outputs mean, one entry for each task.
    """

    layers: LayerFigures | None
    outputs: Annotated[tuple[OutputFigures, ...], Limit("minItems", 1)]
    samples: AtLeastOne
    tasks: tuple[TaskFigures, ...]

    def __post_init__(self):
        for what, entries in (("outputs", self.outputs), ("tasks", self.tasks)):
            names = [entry.name for entry in entries]
            for name in names:
                if names.count(name) > 1:
                    raise InputError(
                        "document.field", f"similarity.{what} has the name {name} twice"
                    )


@dataclasses.dataclass(frozen=True)
class OperatorRuntime:
    """Since when TensorFlow Lite has an operator.

    Attributes:
      name: of the operator.
      runtime: the oldest TensorFlow release that has it.
      version: of the operator.
    """

    name: str
    runtime: RuntimeVersion
    version: int


@dataclasses.dataclass(frozen=True)
class MinRuntime:
    """The oldest TensorFlow Lite that has all of the artifact's operators.

    Attributes:
      operators: those that ask for most first.
      unknown: custom operators, and those that LiteRT's table does not know.
      version: a TensorFlow release; null where no operator asks for one.
    """

    operators: tuple[OperatorRuntime, ...]
    unknown: tuple[str, ...]
    version: RuntimeVersion | None


@dataclasses.dataclass(frozen=True)
class DataSets:
    """What the artifact was made and tested with.

    Attributes:
      calibration: null where none was used.
      test: what it was compared on.
    """

    calibration: DataIdentity | None
    test: DataIdentity


@dataclasses.dataclass(frozen=True)
class SizeReduction:
    """How much smaller an artifact is.

    Attributes:
      reduction: 1 - artifact bytes / float master bytes.
      reduction_vs_source: 1 - artifact bytes / source bytes; null where no source is known.
    """

    reduction: Reduction
    reduction_vs_source: Reduction | None


@dataclasses.dataclass(frozen=True)
class Report(Document):
    """What an artifact is, and how it compares.

    Attributes:
      artifact: the quantized model.
      data: what it was calibrated with and compared on.
      float_master: the float32 model that it was made from.
      float_tensors: activations that are computed in float.
      min_runtime: the TensorFlow Lite that it needs.
      name: of the artifact.
      passes: what was done to the graph, in order.
      recipe: how it was quantized; null where only the artifact is known.
      scheme: of the quantization.
      similarity: how alike it is to the float master.
      size: how much smaller it is.
      source: the file that the float master was made from; null where it is not known.
      tools: versions that the bytes depend on, by package.
      version: of the artifact, as its team counts.
      speed: without measuring it; missing where only the artifact is known.
    """

    KIND = "rules_quantize.report"
    MADE_BY = "validate_quantized_model --report="

    artifact: ModelDescription
    data: DataSets
    float_master: ModelDescription
    float_tensors: tuple[FloatTensor, ...]
    min_runtime: MinRuntime
    name: str
    passes: tuple[PassEntry, ...]
    recipe: RecipeIdentity | None
    scheme: str
    similarity: Similarity
    size: SizeReduction
    source: FileIdentity | None
    tools: Mapping[str, str]
    version: str
    speed: SpeedEstimate | None = None


@dataclasses.dataclass(frozen=True)
class BundleSize:
    """How much smaller a bundle is.

    Attributes:
      reduction_vs_source: 1 - its bytes / the bytes of the bundle that it was made from.
    """

    reduction_vs_source: Reduction


@dataclasses.dataclass(frozen=True)
class BundleReport(Document):
    """What a quantized .task bundle is, and how its models compare.

    Attributes:
      artifact: the bundle.
      kept: paths of the files that are the same bytes in both bundles.
      members: the report of each model by its path.
      name: of the bundle.
      other_files: paths of those that are no models and are not the same bytes.
      size: how much smaller it is.
      source: the bundle that it was made from.
      tools: versions that the bytes depend on, by package.
      version: of the bundle, as its team counts.
    """

    KIND = "rules_quantize.bundle_report"
    MADE_BY = "validate_quantized_model --report="

    artifact: FileIdentity
    kept: tuple[str, ...]
    members: Mapping[str, Report]
    name: str
    other_files: tuple[str, ...]
    size: BundleSize
    source: FileIdentity
    tools: Mapping[str, str]
    version: str
