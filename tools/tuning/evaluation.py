"""Makes candidates, compares them with the float model, and times them.

A search must not see the test data: whoever picks among hundreds of candidates by their
result on a data set has tuned to it. So the calibration data is split. Every fourth
sample is held out; ranges come from the others, and candidates are compared on what was
held out.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tools.documents.document import from_json, to_json
from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, model_bytes
from tools.quantization.activation_statistics import ActivationStatistics
from tools.quantization.calibration import gather_statistics
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings, settings_to_json
from tools.similarity.comparison import compare_outputs, needed_runtime
from tools.similarity.model_outputs import ModelOutputs
from tools.tuning.goal import Candidate, Goal, Made, judge
from tools.tuning.journal import Journal

HELD_OUT_EVERY = 4


class Part(Sequence):
    """Some samples of a set, held in memory.

    Attributes:
      names: of each sample.
      as_jpeg: the same samples, of images that were saved as JPEG; None where they are none, or
        were not asked for.
    """

    def __init__(self, samples, numbers: Sequence[int], with_jpeg: bool = False):
        """Reads the samples.

        Args:
          samples: a tools.samples.loading.SampleSet.
          numbers: which of them.
          with_jpeg: whether to read them as JPEG too.
        """
        saved = samples.saved_as_jpeg() if with_jpeg else None
        self.as_jpeg = Part(saved, numbers) if saved else None
        self.names = tuple(samples.names[number] for number in numbers)
        self._samples = [samples[number] for number in numbers]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number):
        return self._samples[number]


def split(samples, most: int, with_jpeg: bool = False) -> tuple[Part, Part]:
    """Splits calibration data into what makes ranges and what is held out.

    Args:
      samples: a tools.samples.loading.SampleSet of at least 8.
      most: how many samples to hold out at the most.
      with_jpeg: whether those held out are read as JPEG too, which tasks alone are compared on.

    Returns:
      (to calibrate with, held out).

    Raises:
      InputError: when there are too few.
    """
    if len(samples) < 2 * HELD_OUT_EVERY:
        raise InputError(
            "data.too_few",
            f"{len(samples)} calibration samples: a search holds out every fourth one and "
            f"needs at least {2 * HELD_OUT_EVERY}; give more",
        )
    held_out = list(range(HELD_OUT_EVERY - 1, len(samples), HELD_OUT_EVERY))
    rest = sorted(set(range(len(samples))) - set(held_out))
    step = -(-len(held_out) // most)
    return Part(samples, rest), Part(samples, held_out[::step], with_jpeg)


class _Remembered:
    """The float model's outputs on the held-out samples, and those as JPEG, computed once."""

    def __init__(self, reference: ModelOutputs, samples: Part):
        self.where, self.inputs, self.outputs = reference.where, reference.inputs, reference.outputs
        self.shapes, self.input_shapes = reference.shapes, reference.input_shapes
        known = [*samples, *(samples.as_jpeg or ())]
        self._known = {id(sample): reference(sample) for sample in known}

    def __call__(self, sample: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return self._known[id(sample)]


@dataclasses.dataclass(frozen=True)
class TunedModel:
    """A float model, and what its candidates are made and judged by.

    Attributes:
      master: a float master.
      calibration: samples for ranges.
      held_out: samples to compare on.
      task: how outputs are decoded.
      source_bytes: of the file that the master was made from.
      where: how messages name the model.
    """

    master: bytes
    calibration: Part
    held_out: Part
    task: Mapping[str, Any] | None = None
    source_bytes: int | None = None
    where: str = "model"


class Evaluator:
    """Makes and judges candidates of one model; what is in the journal is not made again.

    Attributes:
      made: how many artifacts this process made.
    """

    def __init__(
        self, model: TunedModel, goal: Goal, journal: Journal, latency: Callable[[bytes], dict]
    ):
        """Runs the float model on the held-out samples.

        Args:
          model: the float model.
          goal: what candidates are judged by.
          journal: of this model, data and code.
          latency: takes an artifact, and gives {"speedup", "low", "high", "fps", "missed"}
            against the float master on the device that is meant; missed names the gates of
            the goal that its speed was not shown to pass.
        """
        self.model, self.goal = model, goal
        self.made = 0
        self._journal, self._latency = journal, latency
        self._reference = _Remembered(ModelOutputs(model.master, model.where), model.held_out)
        self._statistics: dict[str, ActivationStatistics] = {}

    def _gather(self, model: TfliteModel, samples, *arguments, **keywords) -> ActivationStatistics:
        """Gathers statistics; candidates that share a graph share them."""
        key = hashlib.sha256(model_bytes(model)).hexdigest()
        # What is asked for beside the samples is part of the question.
        key += repr([a for a in arguments if not callable(a)])
        key += repr(sorted((k, v) for k, v in keywords.items() if not callable(v)))
        if key not in self._statistics:
            self._statistics[key] = gather_statistics(model, samples, *arguments, **keywords)
        return self._statistics[key]

    def artifact(self, settings: QuantizationSettings) -> bytes:
        """Quantizes.

        Raises:
          InputError: when the settings cannot be applied.
        """
        self.made += 1
        model = self.model
        return quantize(model.master, settings, model.calibration, gather=self._gather).model

    def evaluate(self, name: str, settings: QuantizationSettings) -> Candidate | None:
        """Makes a candidate and compares it with the float model.

        Args:
          name: what is special about it.
          settings: how to quantize.

        Returns:
          The candidate; None where these settings cannot be applied to this model, or
          its outputs are not finite.
        """
        document = settings_to_json(settings)
        known = self._journal.get(["candidate", document])
        if known is None:
            try:
                known = to_json(self._made(name, settings))
            except InputError as error:
                known = {"refused": str(error)}
            self._journal.put(["candidate", document], known)
        if "refused" in known:
            return None
        made = from_json(Made, known, "the journal")
        model = self.model
        strain, loss, missed = judge(self.goal, made, len(model.master), model.source_bytes)
        return Candidate(
            name=name,
            settings=document,
            bytes=made.bytes,
            sha256=made.sha256,
            similarity=made.similarity,
            strain=strain,
            loss=loss,
            missed=missed,
        )

    def _made(self, name: str, settings: QuantizationSettings) -> Made:
        content = self.artifact(settings)
        outputs = ModelOutputs(content, name)
        samples = self.model.held_out
        similarity = compare_outputs(
            self._reference, outputs, samples, self.model.task, as_jpeg=samples.as_jpeg
        )
        digest = hashlib.sha256(content).hexdigest()
        return Made(len(content), digest, similarity, needed_runtime(content, name))

    def measure(self, candidate: Candidate, settings: QuantizationSettings) -> None:
        """Times a candidate against the float master, and writes the figures into it."""
        # How long is measured, and what is missed, depends on the goal.
        key = ["latency", candidate.sha256, self.goal.min_speedup, self.goal.min_fps]
        result = self._journal.get(key)
        if result is None:
            result = self._latency(self.artifact(settings))
            self._journal.put(key, result)
        candidate.missed_speed = result["missed"]
        candidate.speedup, candidate.fps = result["speedup"], result["fps"]
        candidate.speedup_interval = (result["low"], result["high"])
