"""The layer report: which layers of an artifact lose what, against the float model."""

import dataclasses
from typing import Literal

from tools.documents.document import Document
from tools.documents.models import Count, FileIdentity


@dataclasses.dataclass(frozen=True)
class LayerError:
    """How alike a layer's tensor is to the float model's.

    Attributes:
      correlation: Pearson's of each channel, averaged by variance, -1 to 1; null where the
        float values are constant.
      cosine: cosine similarity, -1 to 1.
      dtype: of the tensor, such as "INT8".
      jump_db: how far its SQNR falls below that of its worst input, both within 35 dB of 0.
      name: of the tensor.
      operator: that computes it.
      position: of the operator in the graph, from 0.
      rescaled_channels: channels that were brought to the float model's scale.
      shape: with the batch.
      sqnr_db: signal-to-quantization-noise ratio, dB; null where there is no error or no
        signal.
      weights: type of the operator's weights as the file stores them; "" without any.
    """

    correlation: float | None
    cosine: float
    dtype: str
    jump_db: float
    name: str
    operator: str
    position: Count
    rescaled_channels: Count
    shape: tuple[int, ...]
    sqnr_db: float | None
    weights: str


@dataclasses.dataclass(frozen=True)
class LayerReport(Document):
    """Which layers lose what.

    Attributes:
      artifact: the quantized model.
      compared_with: the float graph as it was prepared, or the float master.
      first_jump: name of the first layer whose jump_db reaches the threshold; null without one.
      jump_threshold_db: from which a fall counts.
      layers: in the order of the graph.
      name: of the artifact.
      samples: how many were run.
      unmatched: tensors that have no counterpart in the float graph, or a size that depends on
        values.
    """

    KIND = "rules_quantize.layers"
    MADE_BY = "layer_report --json="

    artifact: FileIdentity
    compared_with: Literal["prepared", "float_master"]
    first_jump: str | None
    jump_threshold_db: float
    layers: tuple[LayerError, ...]
    name: str
    samples: Count
    unmatched: tuple[str, ...]
