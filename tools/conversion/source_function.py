"""A float model as one TensorFlow function, whatever file it came from."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class SourceFunction:
    """What is converted.

    Attributes:
      call: takes {input name: tensor}, gives {output name: tensor}.
      inputs: (shape, TensorFlow dtype) by input name; a shape has None where the model
        takes any size.
      owner: the object that holds the variables, which must live as long as the function.
      kind: "SavedModel", "Keras 2" or "Keras 3".
      signature: its name in the file.
    """

    call: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    inputs: Mapping[str, tuple[tuple[int | None, ...], Any]]
    owner: Any
    kind: str
    signature: str
