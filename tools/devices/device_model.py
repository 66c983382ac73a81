"""A model that runs on a device: what every kind of device does alike."""

import abc
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tools.documents.device_verdict import Device, DeviceSpeed
from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.runtime import open_interpreter, values_read, values_to_set

# How a speed is measured: rounds of both models, and how long each runs in one.
ROUNDS = 11
SECONDS_A_ROUND = 0.1


class ModelFailedError(InputError):
    """A model gives no answers on a device: it is refused, or its outputs are no numbers."""


class DeviceModel(abc.ABC):
    """A model that takes and gives float32, as `tools.similarity.model_outputs.RunModel`.

    Attributes:
      where: how messages name it.
      inputs: signature names, in the model's order.
      outputs: signature names, in the model's order.
      shapes: of the outputs.
      input_shapes: of the inputs.
      whole: whether the device's accelerator takes all operators.
      refusal: why the runtime does not take the model, in its own words; "" where it does.
      fault: why there are no answers: the refusal, or what is wrong with an output; "" where
        there are.
    """

    def __init__(self, content: bytes, where: str):
        """Reads what the model takes and gives.

        Args:
          content: a whole .tflite file.
          where: how messages name it.

        Raises:
          InputError: when it cannot be read.
        """
        self.where = where
        described = describe(content, where)
        self.inputs = [entry["name"] for entry in described["inputs"]]
        self.outputs = [entry["name"] for entry in described["outputs"]]
        self.input_shapes = [tuple(entry["shape"]) for entry in described["inputs"]]
        self.shapes = [tuple(entry["shape"]) for entry in described["outputs"]]
        interpreter = open_interpreter(content, where)
        self._input_details = interpreter.get_input_details()
        self._output_details = interpreter.get_output_details()
        self.whole = True
        self.refusal = self.fault = ""

    @abc.abstractmethod
    def describe_device(self, name: str) -> Device:
        """Says what the model ran on, which is called `name`, after it ran or was refused."""

    @abc.abstractmethod
    def __call__(self, sample: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Runs one sample.

        Args:
          sample: input name to float32 array of the input's shape.

        Returns:
          float32 arrays in the order of `outputs`.

        Raises:
          ModelFailedError: when the runtime refuses the model, now or as it was loaded, or when
            an output holds NaN or infinite values.
          InputError: when it gives other outputs than the model has.
          DeviceFailedError: when the device fails.
        """

    @abc.abstractmethod
    def measure(self, float_master: bytes, names: Mapping[str, str]) -> DeviceSpeed | None:
        """Measures the model and its float master in turns, on the sample that ran last.

        Args:
          float_master: a whole .tflite file.
          names: an input name of the model to the float master's.

        Returns:
          None where something computes in place of the device's own hardware.

        Raises:
          DeviceFailedError: when the device fails, or refuses the float master.
        """

    @abc.abstractmethod
    def announce(self, samples: Iterable[Mapping[str, np.ndarray]]) -> None:
        """Tells which samples will be run, in their order, to a device that takes many at once."""

    def _values_to_set(self, sample: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Brings a sample into the types of the model's inputs, in their order."""
        return {
            name: values_to_set(details, sample[name])
            for name, details in zip(self.inputs, self._input_details, strict=True)
        }

    def _refuse(self, runtime: str, reason: str) -> ModelFailedError:
        """Keeps that a runtime does not take the model, and gives the error that says so."""
        self.refusal = self.fault = reason
        self.whole = False
        return ModelFailedError(
            "model.runtime", f"{self.where}: {runtime} refuses the model: {reason}"
        )

    def _floats(self, given: Mapping[str, bytes], runtime: str) -> list[np.ndarray]:
        """Reads what a device gave as outputs.

        Args:
          given: output name to the bytes of its values, in the model's types.
          runtime: how messages name what gave them.

        Returns:
          float32 arrays in the order of `outputs`.

        Raises:
          ModelFailedError: when one has another size than the model says, or is no number.
          InputError: when one is not there.
        """
        found = []
        for name, details in zip(self.outputs, self._output_details, strict=True):
            if name not in given:
                raise InputError(
                    "model.runtime",
                    f"{self.where}: {runtime} gives no output {name}, but "
                    f"{', '.join(sorted(given))}",
                )
            values = np.frombuffer(given[name], details["dtype"])
            if values.size != np.prod(details["shape"]):
                self.fault = (
                    f"the output {name} has {values.size} values, and not the model's shape"
                )
            elif not np.isfinite(values).all():
                self.fault = f"the output {name} is NaN or infinite"
            if self.fault:
                raise ModelFailedError("model.value", f"{self.where}: {self.fault}")
            values = values_read(details, values.reshape(details["shape"]))
            found.append(values.astype(np.float32, copy=False))
        return found


def speed_of(artifact: Sequence[float], float_master: Sequence[float]) -> DeviceSpeed:
    """Sums up rounds in which a model and its float master took turns.

    Args:
      artifact: milliseconds of a run, the median of each round.
      float_master: likewise, of the same rounds.
    """
    ratios = (theirs / ours for ours, theirs in zip(artifact, float_master, strict=True))
    return DeviceSpeed(
        artifact_ms=round(statistics.median(artifact), 4),
        float_master_ms=round(statistics.median(float_master), 4),
        speedup=round(statistics.median(ratios), 4),
    )
