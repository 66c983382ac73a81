"""Runs a .tflite file as an MLflow Python function.

MLflow keeps this file in the `code` folder of each model and imports it from
there, so a model loads where nothing of this project is installed. It needs
numpy and ai-edge-litert.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


class TfliteFunction:
    """A .tflite model with the interface that `mlflow.pyfunc` expects."""

    def __init__(self, path: Path):
        """Loads the model.

        Args:
          path: the .tflite file.

        Raises:
          ImportError: ai-edge-litert is not installed.
        """
        # Here, not above: a model can be listed, fetched and inspected without it.
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()

    def predict(
        self, data: np.ndarray | Mapping[str, np.ndarray], params: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """Runs the model.

        Args:
          data: one array for a model of one input; an array for each input's
            name otherwise. An array of N times the input's first dimension is
            run in N parts, whose outputs are joined along their first one.
          params: not used; MLflow gives it.

        Returns:
          An array for each output's name.

        Raises:
          ValueError: an input is missing, or of another shape.
        """
        given = self._given(data)
        count = self._parts(given)
        parts = [self._invoke([array[number] for array in given]) for number in range(count)]
        return {
            output["name"]: np.concatenate([part[number] for part in parts])
            if count > 1
            else parts[0][number]
            for number, output in enumerate(self._outputs)
        }

    def _given(self, data) -> list[np.ndarray]:
        """Gives each input's arrays, in parts: shape (N, *the tensor's own)."""
        if not isinstance(data, Mapping):
            if len(self._inputs) != 1:
                names = ", ".join(detail["name"] for detail in self._inputs)
                raise ValueError(f"the model has several inputs; give a dict of {names}")
            data = {self._inputs[0]["name"]: data}
        found = []
        for detail in self._inputs:
            name, shape = detail["name"], tuple(int(size) for size in detail["shape"])
            if name not in data:
                raise ValueError(f"input {name!r} is missing")
            array = np.asarray(data[name], dtype=detail["dtype"])
            rest = array.shape[1:] == shape[1:] and array.ndim == len(shape)
            if array.shape != shape and not (
                rest and array.shape[0] and not array.shape[0] % shape[0]
            ):
                raise ValueError(f"input {name!r} has shape {array.shape}; {shape} is wanted")
            found.append(array.reshape(-1, *shape))
        return found

    def _parts(self, given: list[np.ndarray]) -> int:
        counts = {len(array) for array in given}
        if len(counts) != 1:
            raise ValueError(f"the inputs are of different numbers of samples: {sorted(counts)}")
        return counts.pop()

    def _invoke(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        for detail, array in zip(self._inputs, arrays, strict=True):
            self._interpreter.set_tensor(detail["index"], array)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(detail["index"]) for detail in self._outputs]


def _load_pyfunc(path: str) -> TfliteFunction:
    """What `mlflow.pyfunc.load_model` calls, with the path of the model's data."""
    return TfliteFunction(Path(path))
