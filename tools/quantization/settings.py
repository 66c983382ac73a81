"""Every choice that makes one quantized model differ from another, and its JSON form.

    {
      "kind": "rules_quantize.settings",
      "schema_version": 1,
      "scheme": "int8",
      "layers": [{"pattern": "attention", "scheme": "float"}],
      "input_type": "float32",
      "output_type": "float32",
      "ranges": {
        "estimator": "extremes_percentile",
        "percentile": 5,
        "tensors": [
          {"pattern": "^logits$", "min": -8, "max": 8},
          {"pattern": "^mask", "estimator": "mse"}
        ]
      },
      "runs_on": ["cpu", "gpu"],
      "weights": {"algorithm": "min_max"},
      "passes": {"equalization": {"enabled": false}}
    }

The estimator "auto", which is the default, is the usual one or what judging finds better
(tools.quantization.choice).

With the scheme "recipe", "recipe" holds one of litert-quantizer's, and stands in for
layers, weights and the types of inputs and outputs.

What a file leaves out has its default; what it holds and nobody knows is an error, so
that a misspelt choice never passes for one that was made.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from tools.documents.settings import (
    FixedRange,
    LayerScheme,
    Ranges,
    Settings,
    TensorEstimator,
    Weights,
)
from tools.errors import InputError
from tools.quantization.recipes import check_recipe, is_static
from tools.quantization.scheme_names import (
    FEW_BITS,
    STATIC,
    canonical_layer_scheme,
    canonical_scheme,
)

INPUT_OUTPUT_TYPES = ("float32", "int8", "uint8")
# The usual estimator, or what tools.quantization.choice finds better.
BY_JUDGING = "auto"
USUAL_ESTIMATOR = "extremes_percentile"
RUNS_ON = ("cpu", "gpu")
WEIGHT_ALGORITHMS = ("min_max", "mse", "octav", "gptq", "hadamard")
# See tools.quantization.range_estimators; the last three count every value.
RANGE_ESTIMATORS = (
    "extremes_percentile",
    "extremes_mean",
    "min_max",
    "moving_average",
    "value_percentile",
    "mse",
    "entropy",
)

# A pass's own choices and their defaults; a choice has the type of its default. A pass
# that is not enabled leaves no entry in the report.
PASSES: dict[str, dict[str, Any]] = {
    "addends": {"enabled": True},
    "bias_range": {"enabled": True},
    "choice": {"enabled": True},
    "constant_products": {"enabled": True},
    "convolution_products": {"enabled": True},
    "dead_channels": {"enabled": True},
    "equalization": {"enabled": True, "through_relu6": True},
    "float16_constants": {"enabled": True},
    "float_islands": {"enabled": True},
    "float_operators": {"enabled": True},
    "float_streams": {"enabled": True},
    "layer_correction": {"enabled": True, "fit_weights": True, "heads": True, "samples": 100},
    "masks": {"enabled": True},
    "narrow_convolutions": {"enabled": True},
    "output_heads": {"enabled": True},
    "pointwise": {"enabled": True},
    "relu_fusion": {"enabled": True},
    "small_weights": {"enabled": True, "heads_percent": 0.025, "percent": 0.25},
    "sparse_weights": {"enabled": True},
    "tables": {"enabled": True},
    "weight_bits": {
        "enabled": True,
        "int2_percent": 12.0,
        "least_cosine": 0.9,
        "least_sqnr_db": 16.0,
        "percent": 22.0,
    },
    "weight_correction": {"enabled": True, "samples": 100},
}


@dataclasses.dataclass(frozen=True)
class RangeSettings:
    """How the range of each activation is found.

    Attributes:
      estimator: one of RANGE_ESTIMATORS, or BY_JUDGING. The model's inputs have min_max in
        any case.
      percentile: of extremes_percentile: share (percent, 0 to 50) of the samples' extremes
        that ranges may leave outside, on either side.
      smoothing: of moving_average: the weight of what came before, 0 to 1.
      value_percentile: of the estimator of that name: share (percent, 0 to 50) of the
        values that ranges may leave outside, on either side.
      tensors: (pattern, low, high), or (pattern, estimator): the range, or the estimator, of
        each activation in whose name the pattern is found; later ones over earlier ones.
    """

    estimator: str = Ranges.estimator
    percentile: float = Ranges.percentile
    smoothing: float = Ranges.smoothing
    value_percentile: float = Ranges.value_percentile
    tensors: tuple[tuple[str, float, float] | tuple[str, str], ...] = ()

    @property
    def usual(self) -> str:
        """The estimator, one of RANGE_ESTIMATORS: USUAL_ESTIMATOR where nothing was chosen."""
        return USUAL_ESTIMATOR if self.estimator == BY_JUDGING else self.estimator

    def __post_init__(self):
        _one_of("range estimator", self.estimator, (BY_JUDGING, *RANGE_ESTIMATORS))
        for name in ("percentile", "value_percentile"):
            if not 0 <= getattr(self, name) <= 50:
                raise InputError(
                    "settings.value", f"{name} {getattr(self, name):g}: give 0 to 50 (percent)"
                )
        if not 0 <= self.smoothing <= 1:
            raise InputError("settings.value", f"smoothing {self.smoothing:g}: give 0 to 1")
        for pattern, *choice in self.tensors:
            _compile(pattern)
            if len(choice) == 1:
                _one_of(f"range estimator of {pattern}:", choice[0], RANGE_ESTIMATORS)
                continue
            low, high = choice
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise InputError(
                    "settings.value",
                    f"range of {pattern}: {low:g} to {high:g} is none; give finite numbers, "
                    "the smaller first",
                )


@dataclasses.dataclass(frozen=True)
class QuantizationSettings:
    """How to quantize.

    Attributes:
      scheme: of every operator that `layers` does not name; see
        tools.quantization.schemes. In either case of letters.
      layers: (pattern, scheme) pairs. A pattern is a regular expression, searched in
        the names of an operator's outputs, each followed by ";"; later pairs go over
        earlier ones. The scheme "float" leaves an operator as it is.
      input_type: of the artifact's float inputs, one of INPUT_OUTPUT_TYPES.
      output_type: of the artifact's float outputs, likewise.
      ranges: how activations get their ranges.
      runs_on: where the artifact runs, of RUNS_ON and in its order. With "gpu" it has only
        forms of operators that LiteRT's GPU delegate takes, where they are known.
      weight_algorithm: how weights get their steps, one of WEIGHT_ALGORITHMS.
      passes: pass name to the choices of that pass that are not its defaults (PASSES).
      recipe: of litert-quantizer, applied as it stands; the scheme is "recipe" then,
        and the recipe says what layers, inputs, outputs and weights would.
    """

    scheme: str
    layers: tuple[tuple[str, str], ...] = ()
    input_type: str = Settings.input_type
    output_type: str = Settings.output_type
    ranges: RangeSettings = dataclasses.field(default_factory=RangeSettings)
    weight_algorithm: str = Weights.algorithm
    passes: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    recipe: tuple[dict, ...] | None = None
    runs_on: tuple[str, ...] = Settings.runs_on

    def __post_init__(self):
        if self.recipe is None:
            object.__setattr__(self, "scheme", canonical_scheme(self.scheme))
        elif self.scheme != "recipe" or self.layers or self.weight_algorithm != "min_max":
            raise InputError(
                "settings.conflict",
                "a recipe says itself how each layer and its weights are quantized; "
                "leave scheme, layers and weight algorithm out",
            )
        elif {self.input_type, self.output_type} != {"float32"}:
            raise InputError(
                "settings.conflict",
                "a recipe says itself what inputs and outputs are, in entries for INPUT and "
                "OUTPUT; leave their types out",
            )
        _one_of("input type", self.input_type, INPUT_OUTPUT_TYPES)
        _one_of("output type", self.output_type, INPUT_OUTPUT_TYPES)
        for place in self.runs_on:
            _one_of("place to run on", place, RUNS_ON)
        if not self.runs_on:
            raise InputError("settings.value", f"runs_on is empty; give {' or '.join(RUNS_ON)}")
        places = tuple(place for place in RUNS_ON if place in self.runs_on)
        object.__setattr__(self, "runs_on", places)
        _one_of("weight algorithm", self.weight_algorithm, WEIGHT_ALGORITHMS)
        for pattern, _ in self.layers:
            _compile(pattern)
        layers = tuple((pattern, canonical_layer_scheme(name)) for pattern, name in self.layers)
        object.__setattr__(self, "layers", layers)
        if self.scheme == "mixed" and not layers:
            raise InputError(
                "settings.conflict",
                "scheme mixed is int8 with layers of other schemes; give layers",
            )
        for name, choices in self.passes.items():
            _one_of("pass", name, PASSES)
            for choice, value in choices.items():
                _one_of(f"choice of pass {name}", choice, PASSES[name])
                _same_type(f"passes.{name}.{choice}", value, PASSES[name][choice])

    @property
    def quantizes_activations(self) -> bool:
        """Whether some operator computes with activations whose ranges are known."""
        if self.recipe is not None:
            return any(is_static(entry) for entry in self.recipe)
        return bool(STATIC & {self.scheme, *(scheme for _, scheme in self.layers)})

    @property
    def needs_calibration(self) -> bool:
        """Whether ranges of activations, or of inputs and outputs, are needed."""
        ends = {self.input_type, self.output_type}
        entries = self.recipe or ()
        gptq = self.weight_algorithm == "gptq" or any(e["algorithm_key"] == "GPTQ" for e in entries)
        return self.quantizes_activations or ends != {"float32"} or gptq

    @property
    def corrects_weights(self) -> bool:
        """Whether calibration data can correct weights that are rounded for float arithmetic."""
        if self.recipe is None:
            schemes = {self.scheme, *(scheme for _, scheme in self.layers)}
            rounds = not schemes <= {"float", "float16"}
        else:
            forms = [entry.get("op_config") or {} for entry in self.recipe]
            weights = [form.get("weight_tensor_config") or {} for form in forms]
            rounds = any(one.get("dtype") == "INT" for one in weights)
        return rounds and not self.quantizes_activations and self.enabled("weight_correction")

    @property
    def uses_calibration(self) -> bool:
        """Whether calibration data can change the artifact."""
        chooses_bits = self.scheme in FEW_BITS and self.enabled("weight_bits")
        return self.needs_calibration or self.corrects_weights or chooses_bits

    def choices(self, name: str) -> dict[str, Any]:
        """Gives the choices of one pass, defaults included."""
        return PASSES[name] | dict(self.passes.get(name, {}))

    def enabled(self, name: str) -> bool:
        """Says whether a pass is to run."""
        return self.choices(name)["enabled"]


def _one_of(what: str, value: Any, known) -> None:
    if value not in known:
        raise InputError("settings.value", f"no {what} {value}; choose one of {', '.join(known)}")


def _same_type(where: str, value: Any, default: Any) -> None:
    number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
    if default is not None and type(value) is not type(default) and not number:
        raise InputError(
            "settings.value", f"{where} is {json.dumps(value)}; give {_TYPE_NAMES[type(default)]}"
        )


_TYPE_NAMES = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
}


def _compile(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise InputError(
            "settings.pattern", f"pattern {pattern}: no regular expression: {error}"
        ) from None


def document_of(settings: QuantizationSettings) -> Settings:
    """Gives the document that a file of the settings holds, defaults included."""
    ranges = settings.ranges
    return Settings(
        scheme=settings.scheme,
        input_type=settings.input_type,
        layers=tuple(LayerScheme(pattern, scheme) for pattern, scheme in settings.layers),
        output_type=settings.output_type,
        passes=settings.passes,
        ranges=Ranges(
            estimator=ranges.estimator,
            percentile=ranges.percentile,
            smoothing=ranges.smoothing,
            tensors=tuple(
                TensorEstimator(str(choice[0]), pattern)
                if len(choice) == 1
                else FixedRange(float(choice[1]), float(choice[0]), pattern)
                for pattern, *choice in ranges.tensors
            ),
            value_percentile=ranges.value_percentile,
        ),
        recipe=settings.recipe,
        runs_on=settings.runs_on,
        weights=Weights(settings.weight_algorithm),
    )


def settings_to_json(settings: QuantizationSettings) -> dict:
    """Gives the settings' whole JSON form: what `settings_from_json` reads to an equal object."""
    return document_of(settings).to_json()


def settings_text(settings: QuantizationSettings) -> str:
    """Writes settings as JSON, the same text for equal settings."""
    return document_of(settings).text()


def settings_from_json(value: Any, where: str = "settings") -> QuantizationSettings:
    """Reads settings.

    Args:
      value: a parsed JSON document.
      where: how messages name it.

    Returns:
      The settings.

    Raises:
      InputError: when it is of another kind or version, holds a field that is not
        known, or a value that cannot be.
    """
    document = Settings.from_json(value, where)
    if document.recipe is not None:
        check_recipe(list(document.recipe), f"{where}: recipe")
    ranges = document.ranges
    try:
        return QuantizationSettings(
            scheme=document.scheme,
            layers=tuple((layer.pattern, layer.scheme) for layer in document.layers),
            input_type=document.input_type,
            output_type=document.output_type,
            ranges=RangeSettings(
                estimator=ranges.estimator,
                percentile=float(ranges.percentile),
                smoothing=float(ranges.smoothing),
                value_percentile=float(ranges.value_percentile),
                tensors=tuple(
                    (one.pattern, one.estimator)
                    if isinstance(one, TensorEstimator)
                    else (one.pattern, float(one.min), float(one.max))
                    for one in ranges.tensors
                ),
            ),
            weight_algorithm=document.weights.algorithm,
            passes=document.passes,
            recipe=document.recipe or None,
            runs_on=document.runs_on,
        )
    except InputError as error:
        raise InputError(error.code, f"{where}: {error}") from None
