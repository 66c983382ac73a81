"""The summary: what quantize_model did, from which the report takes what only it knows."""

import dataclasses
from collections.abc import Mapping

from tools.documents.document import Document
from tools.documents.models import (
    DataIdentity,
    FileIdentity,
    FloatTensor,
    PassEntry,
    RecipeIdentity,
    SpeedEstimate,
)


@dataclasses.dataclass(frozen=True)
class Summary(Document):
    """What was done to a model.

    Attributes:
      artifact: the quantized model.
      calibration: null where no data was used.
      float_master: the float32 model that it was made from.
      float_tensors: activations that are computed in float.
      passes: what was done to the graph, in order.
      recipe: how it was quantized.
      scheme: of the quantization.
      tools: versions that the bytes depend on, by package.
      warnings: what the user should know.
      speed: without measuring it; missing where the float model cannot be run.
    """

    KIND = "rules_quantize.summary"
    MADE_BY = "quantize_model --summary_output="

    artifact: FileIdentity
    calibration: DataIdentity | None
    float_master: FileIdentity
    float_tensors: tuple[FloatTensor, ...]
    passes: tuple[PassEntry, ...]
    recipe: RecipeIdentity
    scheme: str
    tools: Mapping[str, str]
    warnings: tuple[str, ...]
    speed: SpeedEstimate | None = None


@dataclasses.dataclass(frozen=True)
class BundleSummary(Document):
    """What was done to the models of a .task bundle.

    Attributes:
      artifact: the bundle with the quantized models.
      members: the summary of each quantized model by its path.
      source: the bundle that was given.
    """

    KIND = "rules_quantize.bundle_summary"
    MADE_BY = "quantize_model --summary_output="

    artifact: FileIdentity
    members: Mapping[str, Summary]
    source: FileIdentity
