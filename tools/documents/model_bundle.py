"""The manifest of a model bundle, by which an app chooses, and the figures that go into it."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

from tools.documents.document import Document, Limit
from tools.documents.models import Count, Sha256, Tensor

Name = Annotated[str, Limit("pattern", "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Fps = Annotated[float, Limit("exclusiveMinimum", 0)]
_Word = Annotated[str, Limit("minLength", 1)]
_RuntimeVersion = Annotated[str, Limit("pattern", r"^([0-9]+\.[0-9]+(\.[0-9]+)?)?$")]


@dataclasses.dataclass(frozen=True)
class Requirements:
    """What a device must have for a variant.

    Attributes:
      abis: the device's must be one of them; empty is any.
      api_level: the least that it runs on.
      delegates: one of them must be on the device; empty is any.
      min_runtime: the oldest TensorFlow Lite that has its operators; "" is any.
      ram_mb: MiB of the device, at least.
    """

    abis: tuple[_Word, ...]
    api_level: Count
    delegates: tuple[_Word, ...]
    min_runtime: _RuntimeVersion
    ram_mb: Count


@dataclasses.dataclass(frozen=True)
class BundledModel:
    """A variant of a bundle.

    Attributes:
      bytes: size of the file.
      file: in the bundle.
      fps: frames a second by class of device, as somebody measured them.
      inputs: of the model.
      name: of the variant.
      outputs: of the model.
      requires: what a device must have.
      scheme: how it was quantized; "" where nobody says.
      sha256: of the file, hexadecimal.
      version: of the artifact, as its team counts; "" where nobody says.
    """

    bytes: Annotated[int, Limit("minimum", 1)]
    file: Annotated[str, Limit("pattern", r"^[^/]+\.tflite$")]
    fps: Mapping[Name, Fps]
    inputs: tuple[Tensor, ...]
    name: Name
    outputs: tuple[Tensor, ...]
    requires: Requirements
    scheme: str
    sha256: Sha256
    version: str


@dataclasses.dataclass(frozen=True)
class Policy:
    """How an app chooses among the variants that its device may run.

    Attributes:
      choose: the first of the order that reaches min_fps (else the fastest), or the fastest.
      fallback: variant where no speed is known.
      min_fps: frames a second that are fast enough.
      order: every variant, the best first.
    """

    choose: Literal["first_fast_enough", "fastest"]
    fallback: Name
    min_fps: Annotated[float, Limit("minimum", 0)]
    order: Annotated[tuple[Name, ...], Limit("minItems", 1), Limit("uniqueItems", True)]


@dataclasses.dataclass(frozen=True)
class Manifest(Document):
    """What a model bundle holds.

    Attributes:
      name: of the bundle.
      policy: how an app chooses.
      variants: the best first, as they were given.
      version: of the bundle, as its team counts.
    """

    KIND = "rules_quantize.model_bundle"
    MADE_BY = "make_model_bundle --manifest_output="
    KNOWN_FIELDS_ONLY = True

    name: Name
    policy: Policy
    variants: Annotated[tuple[BundledModel, ...], Limit("minItems", 1)]
    version: Name


@dataclasses.dataclass(frozen=True)
class MeasuredFigure:
    """How fast a variant is on a class of devices.

    Attributes:
      device_class: name of the class.
      fps: frames a second.
      sha256: of the file that was measured, hexadecimal.
      variant: that was measured.
    """

    device_class: Name
    fps: Fps
    sha256: Sha256
    variant: str


@dataclasses.dataclass(frozen=True)
class MeasuredFps(Document):
    """How fast variants are, as somebody measured it.

    Attributes:
      figures: one for each variant and class of devices.
    """

    KIND = "rules_quantize.measured_fps"
    KNOWN_FIELDS_ONLY = True

    figures: tuple[MeasuredFigure, ...]
