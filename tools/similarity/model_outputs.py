"""Runs a model, float or quantized at its ends, on float samples."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.flatbuffer import model_to_read, with_other_outputs
from tools.graph.runtime import FreshInterpreter, read_tensor, values_read, values_to_set


class RunModel(Protocol):
    """A model whose outputs can be had: it is run, or was run before.

    Attributes:
      where: how messages name it.
      inputs: signature names, in the model's order.
      outputs: signature names, in the model's order.
      shapes: of the outputs.
      input_shapes: of the inputs.
    """

    where: str
    inputs: list[str]
    outputs: list[str]
    shapes: list[tuple[int, ...]]
    input_shapes: list[tuple[int, ...]]

    def __call__(self, sample: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Gives a sample's outputs, float32 arrays in the order of `outputs`."""


class ModelOutputs:
    """A model that takes and gives float32, whatever its own ends are.

    Attributes:
      where: how messages name it.
      inputs: signature names, in the model's order.
      outputs: signature names, in the model's order.
      shapes: of the outputs.
    """

    def __init__(self, content: bytes, where: str, also: Sequence[int] = ()):
        """Opens a model.

        Args:
          content: a whole .tflite file.
          where: how messages name it.
          also: indices of tensors between the operators, for `tensor`.

        Raises:
          InputError: when it cannot be read or run.
        """
        described = describe(content, where)
        self.where = where
        self.inputs = [entry["name"] for entry in described["inputs"]]
        self.outputs = [entry["name"] for entry in described["outputs"]]
        ends = len(self.outputs)
        if also:
            # So they are written although a delegate computes them; an interpreter that keeps
            # all tensors runs without one, and cannot run operators that only a delegate knows.
            (subgraph, *_) = model_to_read(content, where).schema.subgraphs
            own = [int(index) for index in subgraph.outputs]
            others = [index for index in dict.fromkeys(also) if index not in own]
            content = with_other_outputs(content, own + others, where)
        self._interpreter = FreshInterpreter(content, where)
        self._input_details = self._interpreter.current.get_input_details()
        details = self._interpreter.current.get_output_details()
        self._output_details = details[:ends]
        self._details = {entry["index"]: entry for entry in details}
        self.shapes = [tuple(int(n) for n in d["shape"]) for d in self._output_details]
        self.input_shapes = [tuple(int(n) for n in d["shape"]) for d in self._input_details]

    def __call__(self, sample: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Runs one sample, as the first that a model with a state sees.

        Args:
          sample: input name to float32 array of the input's shape.

        Returns:
          float32 arrays in the order of `outputs`.

        Raises:
          InputError: when the runtime fails.
        """
        interpreter = self._interpreter.begin()
        for name, details in zip(self.inputs, self._input_details, strict=True):
            values = values_to_set(details, sample[name])
            interpreter.set_tensor(details["index"], values)
        try:
            interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[:1]
            raise InputError(
                "model.runtime", f"{self.where}: the runtime failed: {''.join(reason)}"
            ) from None
        return [self._float(details) for details in self._output_details]

    def _float(self, details: dict) -> np.ndarray:
        """Reads a tensor's values as float32."""
        own = read_tensor(self._interpreter.current, details["index"])
        values = values_read(details, own)
        return values.astype(np.float32, copy=False)

    def tensor(self, index: int) -> np.ndarray:
        """Reads a tensor of the last sample that was run.

        Args:
          index: an output's, or one of `also`.

        Returns:
          float32 of the tensor's shape.
        """
        return self._float(self._details[index])


def _matched(
    names: list[str], shapes: list[tuple], other: list[str], other_shapes: list[tuple]
) -> list[int] | None:
    if sorted(names) == sorted(other):
        order = [other.index(name) for name in names]
    elif len(names) == len(other):
        order = list(range(len(names)))
    else:
        return None
    # A shape that is known once the model has run is compared then.
    pairs = zip(shapes, [other_shapes[i] for i in order], strict=True)
    return order if all(not ours or ours == theirs for ours, theirs in pairs) else None


def paired(reference: RunModel, artifact: RunModel) -> tuple[dict[str, str], list[int]]:
    """Finds which ends of two models belong together: by name, else by position.

    Args:
      reference: the float model.
      artifact: what was made from it.

    Returns:
      ({the artifact's input name: the reference's}, for each output of the reference the
      position of the artifact's).

    Raises:
      InputError: when their ends do not correspond.
    """
    inputs = _matched(
        reference.inputs, reference.input_shapes, artifact.inputs, artifact.input_shapes
    )
    outputs = _matched(reference.outputs, reference.shapes, artifact.outputs, artifact.shapes)
    for what, found, ours, theirs in (
        ("inputs", inputs, reference.input_shapes, artifact.input_shapes),
        ("outputs", outputs, reference.shapes, artifact.shapes),
    ):
        if found is None:
            raise InputError(
                "model.other",
                f"{artifact.where}: its {what} {[list(s) for s in theirs]} are not the float "
                f"model's {[list(s) for s in ours]}; give the model that it was made from",
            )
    assert inputs is not None
    assert outputs is not None
    names = {
        artifact.inputs[position]: name
        for name, position in zip(reference.inputs, inputs, strict=True)
    }
    return names, outputs
