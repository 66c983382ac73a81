"""How alike a quantized model's outputs are to the float model's.

For a sample with float output f and artifact output q, both flattened:

* cosine similarity: f.q / (|f| |q|);
* signal-to-quantization-noise ratio over all samples: 10 log10(sum |f|^2 / sum |f - q|^2),
  in decibels;
* maximum and mean absolute error, in the output's own unit;
* error of the scale: with r = sqrt(sum |q|^2 / sum |f|^2) over all samples, max(r, 1 / r) - 1.
  Cosine similarity is blind to an output that is twice too large, and to any error of an
  output of one positive value.

Cosine similarity says nothing where f is nearly zero: a segmentation mask of a picture
with nobody in it points anywhere. Two vectors of length n that lie a distance d apart
have the cosine 1 - d^2 / (2 n^2); where |f| is below the floor, n is taken to be the
floor, so that the error is weighed against what the output normally amounts to. The
floor is 1% of the root mean square of |f| over the samples.

An output whose size depends on values (the boxes above a threshold) may have another size in
the artifact. Nothing says then which of its values belongs to which: the sample's cosine
similarity is 0, and all that either model gives is error.

Channels that are orders of magnitude smaller than others of the same output have cosine
similarities of their own (tools/similarity/channel_groups.py).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tools.documents.json_file import rounded, significant
from tools.documents.report import ChannelGroupFigures, OutputFigures
from tools.errors import InputError
from tools.similarity.channel_groups import channel_axis, in_words

NEAR_ZERO = 0.01


@dataclasses.dataclass
class _SampleErrors:
    """Sums over one sample's output, in float64."""

    name: str
    signal: float
    quantized: float
    product: float
    noise: float
    absolute: float
    largest: float
    other_shape: bool = False


def _cosines(
    sums: Sequence[tuple[float, float, float, float]], other_shapes: Sequence[bool]
) -> np.ndarray:
    """Computes cosine similarities.

    Args:
      sums: f.f, q.q, f.q and |f - q|^2 of each sample.
      other_shapes: of each sample, whether q has another shape than f.

    Returns:
      float64 [samples], in -1 to 1.
    """
    floor = NEAR_ZERO**2 * np.mean([signal for signal, *_ in sums])
    result = np.empty(len(sums))
    for number, (signal, quantized, product, noise) in enumerate(sums):
        if other_shapes[number]:
            result[number] = 0.0
        elif noise == 0:
            result[number] = 1.0
        elif floor == 0:
            # The float model gives nothing but zeros, and the artifact does not.
            result[number] = 0.0
        elif signal < floor:
            result[number] = 1 - noise / (2 * floor)
        elif quantized == 0:
            result[number] = 0.0
        else:
            result[number] = product / np.sqrt(signal * quantized)
    return np.clip(result, -1.0, 1.0)


class OutputSimilarity:
    """Gathers one output's similarity, sample by sample."""

    def __init__(self, name: str, shape: tuple[int, ...]):
        """Starts with no samples.

        Args:
          name: of the output, in the signature.
          shape: with the batch.
        """
        self.name, self.shape = name, shape
        self._samples: list[_SampleErrors] = []
        self._channels = channel_axis(shape)

    def add(self, sample: str, expected: np.ndarray, actual: np.ndarray) -> None:
        """Compares one sample.

        Args:
          sample: its name.
          expected: float32, the float model's output.
          actual: float32, the artifact's; of the same shape, unless that depends on values.

        Raises:
          InputError: when either holds NaN or infinity.
        """
        f = expected.astype(np.float64).ravel()
        q = actual.astype(np.float64).ravel()
        for values, whose in ((f, "float model's"), (q, "quantized model's")):
            if not np.isfinite(values).all():
                kind = "NaN" if np.isnan(values).any() else "infinite"
                raise InputError(
                    "model.value",
                    f"the {whose} output {self.name} is {kind} on test sample {sample}; check "
                    "the sample, and the input's mean and std",
                )
        other_shape = expected.shape != actual.shape
        difference = np.abs(np.concatenate([f, q]) if other_shape else f - q)
        self._samples.append(
            _SampleErrors(
                name=sample,
                signal=float(f @ f),
                quantized=float(q @ q),
                product=0.0 if other_shape else float(f @ q),
                noise=float(difference @ difference),
                absolute=float(difference.mean()) if difference.size else 0.0,
                largest=float(difference.max(initial=0.0)),
                other_shape=other_shape,
            )
        )
        if self._channels is None:
            return
        if self._channels.fits(expected) and self._channels.fits(actual):
            self._channels.add(f.reshape(expected.shape), q.reshape(actual.shape))
        else:
            self._channels = None

    def cosines(self) -> np.ndarray:
        """Gives the cosine similarity of each sample, float64 [samples], in -1 to 1."""
        return _cosines(
            [(one.signal, one.quantized, one.product, one.noise) for one in self._samples],
            [one.other_shape for one in self._samples],
        )

    def _channel_groups(self) -> tuple[ChannelGroupFigures, ...] | None:
        """Sums up the groups of channels, where there are several; else None."""
        if not self._channels:
            return None
        groups = self._channels.groups()
        if len(groups) < 2:
            return None
        figures = []
        for group in groups:
            cosines = _cosines(
                [
                    (
                        float(one.signal[group].sum()),
                        float(one.quantized[group].sum()),
                        float(one.product[group].sum()),
                        float(one.noise[group].sum()),
                    )
                    for one in self._channels.samples
                ],
                [one.other_shape for one in self._samples],
            )
            worst = int(cosines.argmin())
            figures.append(
                ChannelGroupFigures(
                    channels=in_words(group),
                    cosine_mean=significant(cosines.mean()),
                    cosine_min=significant(cosines[worst]),
                    cosine_p5=significant(np.percentile(cosines, 5)),
                    worst_sample=self._samples[worst].name,
                )
            )
        return tuple(figures)

    def _scale_error(self) -> float:
        """Gives max(r, 1 / r) - 1 of the ratio of lengths; infinite where one has none."""
        signal = sum(sample.signal for sample in self._samples)
        quantized = sum(sample.quantized for sample in self._samples)
        if signal == quantized:
            return 0.0
        if signal == 0 or quantized == 0:
            return float("inf")
        ratio = (quantized / signal) ** 0.5
        return max(ratio, 1 / ratio) - 1

    def figures(self) -> OutputFigures:
        """Sums up for a report.

        cosine_p5 is numpy's percentile, linear between samples. sqnr_db is None where there is
        no error at all, or no signal; scale_error where only one of the models gives nothing
        but zeros.
        """
        cosines = self.cosines()
        worst = int(cosines.argmin())
        signal = np.array([sample.signal for sample in self._samples])
        noise = sum(sample.noise for sample in self._samples)
        sqnr = 10 * np.log10(signal.sum() / noise) if noise and signal.sum() else np.nan
        return OutputFigures(
            cosine_mean=significant(cosines.mean()),
            cosine_min=significant(cosines[worst]),
            cosine_p5=significant(np.percentile(cosines, 5)),
            max_abs_error=significant(max(sample.largest for sample in self._samples)),
            mean_abs_error=significant(np.mean([sample.absolute for sample in self._samples])),
            name=self.name,
            near_zero_samples=int((signal < NEAR_ZERO**2 * signal.mean()).sum()),
            other_shape_samples=sum(sample.other_shape for sample in self._samples) or None,
            scale_error=rounded(self._scale_error()),
            shape=tuple(self.shape),
            sqnr_db=rounded(float(sqnr), 5),
            worst_sample=self._samples[worst].name,
            channel_groups=self._channel_groups(),
        )
