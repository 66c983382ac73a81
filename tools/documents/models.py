"""What several documents say of a model, a file or a data set."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from tools.documents.document import Limit

Sha256 = Annotated[str, Limit("pattern", "^[0-9a-f]{64}$")]
Count = Annotated[int, Limit("minimum", 0)]
AtLeastOne = Annotated[int, Limit("minimum", 1)]
# An error, a distance or a duration.
Amount = Annotated[float, Limit("minimum", 0)]
Share = Annotated[float, Limit("minimum", 0), Limit("maximum", 1)]
Correlation = Annotated[float, Limit("minimum", -1), Limit("maximum", 1)]
# Of a size: below 0 where something became larger.
Reduction = Annotated[float, Limit("maximum", 1)]
RuntimeVersion = Annotated[str, Limit("pattern", r"^[0-9]+\.[0-9]+(\.[0-9]+)?$")]


@dataclasses.dataclass(frozen=True)
class FileIdentity:
    """Which file it is.

    Attributes:
      bytes: size of the file.
      sha256: of the file, hexadecimal.
    """

    bytes: Count
    sha256: Sha256


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of a model.

    Attributes:
      dtype: such as "float32".
      name: in the signature.
      shape: with the batch.
    """

    dtype: str
    name: str
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class ModelDescription:
    """Which model it is, and what it is made of.

    Attributes:
      bytes: size of the file.
      inputs: of the model.
      ops: how many of each operator.
      outputs: of the model.
      sha256: of the file, hexadecimal.
    """

    bytes: Count
    inputs: tuple[Tensor, ...]
    ops: Mapping[str, int]
    outputs: tuple[Tensor, ...]
    sha256: Sha256


@dataclasses.dataclass(frozen=True)
class DataIdentity:
    """Which data set it is.

    Attributes:
      digest: SHA-256 over the samples as the model sees them.
      files: how many there are.
      samples: how many there are.
    """

    digest: str
    files: Count
    samples: Count


@dataclasses.dataclass(frozen=True)
class RecipeIdentity:
    """Which recipe it is.

    Attributes:
      entries: how many it has.
      sha256: of the recipe's text, hexadecimal.
    """

    entries: Count
    sha256: Sha256


@dataclasses.dataclass(frozen=True)
class Gain:
    """What a pass was worth.

    Attributes:
      after: of the metric, with the pass.
      before: of the metric, without it.
      metric: what was measured, with its unit.
    """

    after: float
    before: float
    metric: str


@dataclasses.dataclass(frozen=True)
class PassEntry:
    """What a pass did to the graph.

    Attributes:
      changed: how many places; `detail` says of what.
      detail: what was done, in words.
      gain: what it was worth; null where the pass does not measure that.
      name: of the pass.
    """

    changed: int
    detail: str
    gain: Gain | None
    name: str


@dataclasses.dataclass(frozen=True)
class SpeedEstimate:
    """What is known of an artifact's speed without measuring it.

    Attributes:
      delegated: operators that the runtime's delegate takes.
      outside: those that it leaves: how many of each, by name and types.
      partitions: pieces that it cuts the model into.
      time_by_float_avx2: how long the artifact takes by the float model's time, on x86-64 without
        instructions for int8; null where that cannot be estimated.
      time_by_float_vnni: the same with such instructions.
    """

    delegated: Count
    outside: Mapping[str, int]
    partitions: Count
    time_by_float_avx2: Amount | None
    time_by_float_vnni: Amount | None


@dataclasses.dataclass(frozen=True)
class FloatTensor:
    """An activation that is computed in float.

    Attributes:
      name: of the tensor.
      reason: why.
    """

    name: str
    reason: str
