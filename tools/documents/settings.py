"""The settings: how a model is quantized, as a file says it.

`tools.quantization.settings.QuantizationSettings` is what a program works with, and what says
which names there are.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tools.documents.document import Document


@dataclasses.dataclass(frozen=True)
class LayerScheme:
    """The scheme of some operators.

    Attributes:
      pattern: regular expression, searched in the names of an operator's outputs.
      scheme: of the operators that it is found in; "float" leaves them as they are.
    """

    pattern: str
    scheme: str


@dataclasses.dataclass(frozen=True)
class FixedRange:
    """The range of some activations.

    Attributes:
      max: upper end.
      min: lower end.
      pattern: regular expression, searched in the activations' names.
    """

    max: float
    min: float
    pattern: str


@dataclasses.dataclass(frozen=True)
class TensorEstimator:
    """How the range of some activations is found.

    Attributes:
      estimator: as of all activations.
      pattern: regular expression, searched in the activations' names.
    """

    estimator: str
    pattern: str


@dataclasses.dataclass(frozen=True)
class Ranges:
    """How the range of each activation is found.

    Attributes:
      estimator: of all activations; auto is extremes_percentile, or what is clearly better on
        calibration samples held out.
      percentile: of extremes_percentile: share (percent, 0 to 50) of the samples' extremes
        that ranges may leave outside, on either side.
      smoothing: of moving_average: the weight of what came before, 0 to 1.
      tensors: what is another for some activations; later ones go over earlier ones.
      value_percentile: of the estimator of that name: share (percent, 0 to 50) of the values
        that ranges may leave outside, on either side.
    """

    estimator: str = "auto"
    percentile: float = 5.0
    smoothing: float = 0.95
    tensors: tuple[FixedRange | TensorEstimator, ...] = ()
    value_percentile: float = 0.01


@dataclasses.dataclass(frozen=True)
class Weights:
    """How weights get their steps.

    Attributes:
      algorithm: of all weights.
    """

    algorithm: str = "min_max"


@dataclasses.dataclass(frozen=True)
class Settings(Document):
    """How to quantize.

    Attributes:
      scheme: of every operator that `layers` does not name.
      input_type: of the artifact's float inputs.
      layers: operators of other schemes; later entries go over earlier ones.
      output_type: of the artifact's float outputs.
      passes: name of a pass to those of its choices that are not the defaults.
      ranges: how activations get their ranges.
      recipe: of litert-quantizer, applied as it stands; the scheme is "recipe" then.
      runs_on: where the artifact runs: "cpu", "gpu" or both.
      weights: how weights get their steps.
    """

    KIND = "rules_quantize.settings"
    KNOWN_FIELDS_ONLY = True

    scheme: str
    input_type: str = "float32"
    layers: tuple[LayerScheme, ...] = ()
    output_type: str = "float32"
    passes: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    ranges: Ranges = Ranges()
    recipe: tuple[Any, ...] | None = None
    runs_on: tuple[str, ...] = ("cpu", "gpu")
    weights: Weights = Weights()
