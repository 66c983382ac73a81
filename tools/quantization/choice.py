"""Chooses how ranges are estimated, and whether channels are equalized, by judging.

No way is best for all models. Leaving the rarest extremes outside keeps the steps of a
detector fine, and clips in every sample of a network of many branches; scaled channels share
a step better, unless one of them under a RELU6 goes further than calibration saw. So
candidates are made in other ways than the usual one: all their ranges come from the
extremes that calibration kept, and none costs a run of the float model over the samples.

A quarter of the samples takes no part in a candidate. It judges: the candidate is quantized,
without the passes that correct what the library wrote, and runs on it beside the float
model. Of each output, with y the float model's values and y' the candidate's,

    10 log10(sum y^2 / sum (y - y')^2)    in decibels

is its signal-to-noise ratio, over all judging samples or over one. The usual way stays
unless another one gains 3 decibels over all samples on the worst output, and loses none in the
mean over samples, where one loud sample counts no more than a quiet one. Less is chance:
on other samples it turns as often as not. Where a quarter has fewer than 16 samples, the
winner must win by the other quarters as well, each being held out in turn.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.errors import InputError
from tools.graph.child_process import in_child
from tools.graph.flatbuffer import TfliteModel, model_bytes
from tools.graph.runtime import (
    FreshInterpreter,
    read_tensor,
    signature_inputs,
    values_read,
    values_to_set,
)
from tools.graph.topology import Topology
from tools.quantization.activation_statistics import ActivationStatistics
from tools.quantization.calibration import evenly_spread
from tools.quantization.settings import (
    BY_JUDGING,
    USUAL_ESTIMATOR,
    QuantizationSettings,
    RangeSettings,
)

_QUARTERS = 4
# Fewer do not tell candidates apart; layers are not corrected by fewer either.
_LEAST_SAMPLES = 16
# So many tell enough of a candidate.
_JUDGES = 16
# Decibels that a candidate must gain on the usual way.
_LEAST_GAIN = 3.0
# Of 16 bits the steps are fine however wide a range is, so that gains are no matter of chance.
_LEAST_GAIN_16_BITS = 0.5
_MOST = 120.0


@dataclasses.dataclass(frozen=True)
class Way:
    """How a candidate is made.

    Attributes:
      estimator: of its ranges.
      equalized: whether its channels are scaled.
    """

    estimator: str
    equalized: bool

    def __str__(self) -> str:
        return f"{self.estimator} {'with' if self.equalized else 'without'} equalization"

    def named_in(self, settings: QuantizationSettings) -> QuantizationSettings:
        """Gives settings in which these choices stand."""
        equalization = {} if self.equalized else {"equalization": {"enabled": False}}
        return dataclasses.replace(
            settings,
            passes={**settings.passes, **equalization},
            ranges=dataclasses.replace(settings.ranges, estimator=self.estimator),
        )


class _Part(Sequence):
    """Some samples of a dataset, loaded when they are asked for."""

    def __init__(self, samples: Sequence, numbers: Sequence[int]):
        self._samples, self._numbers = samples, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place):
        return self._samples[self._numbers[place]]


@dataclasses.dataclass(frozen=True)
class Division:
    """Calibration data, divided.

    Attributes:
      learning: samples that candidates are made from.
      statistics: of these.
      judges: samples that candidates are compared on.
    """

    learning: Sequence[Mapping[str, np.ndarray]]
    statistics: ActivationStatistics
    judges: Sequence[Mapping[str, np.ndarray]]


def divisions(
    samples: Sequence[Mapping[str, np.ndarray]], statistics: ActivationStatistics
) -> list[Division]:
    """Holds out a quarter of the samples, or several quarters in turn.

    Args:
      samples: the representative dataset, at least 4.
      statistics: of all of it.

    Returns:
      A division for each quarter: the first holds out every fourth sample. There are as many
      as it takes to judge by 16 samples, and at most four; a quarter's judges are at most 16,
      spread evenly.
    """
    result = []
    for quarter in range(min(_QUARTERS, -(-_JUDGES // (len(samples) // _QUARTERS)))):
        held_out = range(_QUARTERS - 1 - quarter, len(samples), _QUARTERS)
        rest = [number for number in range(len(samples)) if number not in held_out]
        judges = evenly_spread(held_out, _JUDGES)
        part = statistics.of_samples(rest)
        result.append(Division(_Part(samples, rest), part, _Part(samples, judges)))
    return result


def is_open(settings: QuantizationSettings, samples: int) -> bool:
    """Says whether there is something to choose.

    Args:
      settings: how a model is quantized.
      samples: of its calibration data.

    Returns:
      Whether activations are quantized, and nobody named an estimator, a percentile or
      what equalization is to do, and there are samples enough to judge by.
    """
    return (
        settings.recipe is None
        and settings.quantizes_activations
        and settings.enabled("choice")
        and settings.ranges.estimator == BY_JUDGING
        and settings.ranges.percentile == RangeSettings.percentile
        and "equalization" not in settings.passes
        and samples >= _LEAST_SAMPLES
    )


def outputs_of(
    model: TfliteModel, content: bytes, samples: Sequence[Mapping[str, np.ndarray]]
) -> list[list[np.ndarray]]:
    """Runs a model, or an artifact of it.

    Args:
      model: the float model.
      content: what is run: a .tflite file with the model's inputs and outputs in its order.
      samples: each maps signature input names to arrays.

    Returns:
      For each sample the float outputs, float64.
    """
    graph = Topology(model)
    names = {index: name for name, index in signature_inputs(model).items()}
    opened = FreshInterpreter(content, model.where)
    inputs = [
        (names[int(index)], details)
        for index, details in zip(
            graph.subgraph.inputs, opened.current.get_input_details(), strict=True
        )
        if int(index) in names
    ]
    result = []
    for sample in samples:
        # As in calibration, each begins without what another left.
        interpreter = opened.begin()
        for name, details in inputs:
            interpreter.set_tensor(details["index"], values_to_set(details, sample[name]))
        interpreter.invoke()
        outputs = zip(graph.subgraph.outputs, interpreter.get_output_details(), strict=True)
        result.append(
            [
                values_read(details, read_tensor(interpreter, details["index"])).astype(np.float64)
                for index, details in outputs
                if graph.tensor(index).type == schema.TensorType.FLOAT32
            ]
        )
    return result


def energies(
    expected: Sequence[Sequence[np.ndarray]], found: Sequence[Sequence[np.ndarray]]
) -> np.ndarray:
    """Sums up signals and noises.

    Args:
      expected: for each sample, the outputs.
      found: the same, of another model.

    Returns:
      float64 [samples, outputs, 2]: the sums of y^2 and of (y - y')^2; of an output that has
      other sizes in both, all that either has is noise.
    """

    def noise(y: np.ndarray, other: np.ndarray) -> float:
        if y.shape != other.shape:
            return np.square(y).sum() + np.square(other).sum()
        return np.square(y - other).sum()

    pairs = [
        [(np.square(y).sum(), noise(y, other)) for y, other in zip(*both, strict=True)]
        for both in zip(expected, found, strict=True)
    ]
    return np.array(pairs, np.float64).reshape(len(pairs), -1, 2)


def ratios(sums: np.ndarray) -> np.ndarray:
    """Gives signal-to-noise ratios of what `energies` gives, in decibels, 0 to 120.

    Where an output is as good as right, or nothing is left of it, no one asks how much so.
    """
    signal, noise = sums[..., 0], np.nan_to_num(sums[..., 1], nan=np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.clip(10 * np.log10(signal / noise), 0, _MOST)
    return np.where(noise == 0, _MOST, found)


@dataclasses.dataclass(frozen=True)
class _Score:
    """How a candidate fares on judging samples.

    Attributes:
      sums: from `energies`, float64 [samples, outputs, 2].
    """

    sums: np.ndarray

    @property
    def worst(self) -> float:
        """The signal-to-noise ratio of the worst output over all samples."""
        return float(ratios(self.sums.sum(axis=0)).min())

    @property
    def mean(self) -> float:
        """The mean of all samples' and outputs' own signal-to-noise ratios."""
        return float(ratios(self.sums).mean())

    def beats(self, other: "_Score", least: float) -> bool:
        """Says whether it is better than another by so many decibels."""
        return self.worst >= other.worst + least and self.mean >= other.mean


class _Judge:
    """Makes candidates and compares them with the float model."""

    def __init__(
        self, model: TfliteModel, parts: list[Division], make: Callable[[Way, Division], bytes]
    ):
        self._model, self._content = model, model_bytes(model)
        self._parts, self._make = parts, make
        self._expected: dict[int, list[list[np.ndarray]]] = {}
        self._found: dict[tuple[Way, int], np.ndarray] = {}

    def score(self, way: Way, count: int) -> _Score:
        """Judges a candidate by so many divisions.

        Raises:
          InputError: when it cannot be made.
          ChildDiedError: when the runtime cannot run it.
          RuntimeError: likewise.
        """
        for number, part in enumerate(self._parts[:count]):
            if (way, number) in self._found:
                continue
            if number not in self._expected:
                self._expected[number] = outputs_of(self._model, self._content, part.judges)
            artifact = self._make(way, part)

            def work(_, number=number, artifact=artifact, judges=part.judges) -> np.ndarray:
                found = outputs_of(self._model, artifact, judges)
                return energies(self._expected[number], found)

            # What the runtime does not like can end the process. There is no time limit: what
            # is chosen may not depend on how busy a machine is.
            self._found[way, number] = in_child(work)
        return _Score(np.concatenate([self._found[way, number] for number in range(count)]))

    def tried(self, way: Way) -> _Score | None:
        """Judges by the first division; None where the candidate cannot be made or run."""
        try:
            return self.score(way, 1)
        except (InputError, RuntimeError):
            return None


def least_gain(settings: QuantizationSettings) -> float:
    """Says how many decibels a candidate must gain."""
    return _LEAST_GAIN_16_BITS if settings.scheme == "int16x8" else _LEAST_GAIN


def _best(
    judge: _Judge, usual: Way, equalizes: bool, least: float
) -> tuple[Way, dict[Way, _Score]]:
    """Judges candidates by the first division.

    Returns:
      The best, and the scores of all; none where there is nothing to compare with.
    """
    before = judge.tried(usual)
    if before is None or not before.sums.size:
        return usual, {}
    scores = {usual: before}
    changes = [Way("min_max", True)] + ([Way(usual.estimator, False)] if equalizes else [])
    for way in changes:
        score = judge.tried(way)
        if score is not None:
            scores[way] = score
    winners = [way for way in scores if scores[way].beats(before, least)]
    if not winners:
        return usual, scores
    best = max(winners, key=lambda way: scores[way].worst)
    # A change that loses by itself is not tried beside the other, and each must gain enough.
    both = Way("min_max", False)
    if equalizes and all(w in scores and scores[w].worst > before.worst for w in changes):
        score = judge.tried(both)
        if score is not None:
            scores[both] = score
            best = both if score.beats(scores[best], least) else best
    return best, scores


def choose(
    model: TfliteModel,
    parts: list[Division],
    make: Callable[[Way, Division], bytes],
    equalizes: bool,
    least: float = _LEAST_GAIN,
) -> tuple[Way, dict]:
    """Chooses how a model is quantized.

    Args:
      model: the float graph that was calibrated.
      parts: from `divisions`.
      make: makes a candidate from the samples that learn: a whole .tflite file with the
        model's inputs and outputs in its order.
      equalizes: whether equalization changes anything.
      least: decibels that another way than the usual one must gain.

    Returns:
      The way to quantize, and the report's entry.
    """
    judge, usual = _Judge(model, parts, make), Way(USUAL_ESTIMATOR, True)
    best, scores = _best(judge, usual, equalizes, least)
    if not scores:
        detail = f"{usual}: there is nothing to compare"
        return usual, {"changed": 0, "detail": detail, "name": "choice"}
    before, after, count = scores[usual], scores[best], 1
    if best != usual:
        count = len(parts)
        before, after = judge.score(usual, count), judge.score(best, count)
        if not after.beats(before, least):
            best, after = usual, before
    told = ", ".join(f"{way} {score.worst:.2f}" for way, score in scores.items())
    return best, {
        "changed": int(best != usual),
        "detail": f"{best}; of every fourth sample, in dB: {told}",
        "gain": {
            "metric": "signal-to-noise ratio of the worst output on "
            f"{sum(len(part.judges) for part in parts[:count])} samples held out, dB",
            "before": round(before.worst, 2),
            "after": round(after.worst, 2),
        },
        "name": "choice",
    }
