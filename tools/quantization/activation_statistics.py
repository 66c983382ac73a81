"""What activations did over a representative dataset, in a form that merges exactly.

One row of float32 for each sample holds the extremes (and means) of every channel, as
the model's instrumented copy gave them. Rows lie in a temporary file in the order of the
samples, and every statistic is computed from them block by block: memory does not grow
with the number of samples but by 8 bytes a tensor and sample, and no statistic depends on
how many processes or shards gathered the rows. Two sets of rows are merged by putting one
behind the other.
"""

import dataclasses
import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np

from tools.errors import InputError
from tools.graph.flatbuffer import TfliteModel, model_bytes, tensor_name
from tools.quantization.instrumentation import MEAN, Layout, plan_layout

# Samples that are looked at together. Sums over samples are made of sums over blocks, so
# another number gives other last bits.
_BLOCK = 64


@dataclasses.dataclass
class TensorStatistics:
    """What one tensor did over the samples.

    Attributes:
      lowest: float32 [samples], the smallest value in each sample; 0 where the operator
        clamps at zero.
      highest: float32 [samples], the largest.
      channel_magnitude: float64 [channels], the mean over samples of the largest
        magnitude in each channel (the last dimension).
      channel_lowest: float32 [channels], the smallest value in each channel in any sample;
        0 where the operator clamps at zero.
      channel_highest: float32 [channels], the largest.
      channel_mean: float64 [channels], the mean of each channel over all samples; None
        where it was not asked for.
    """

    lowest: np.ndarray
    highest: np.ndarray
    channel_magnitude: np.ndarray
    channel_lowest: np.ndarray
    channel_highest: np.ndarray
    channel_mean: np.ndarray | None = None


class Rows:
    """float32 [samples, width] in a temporary file, which is gone with the object."""

    def __init__(self, width: int, samples: int = 0):
        self.width, self.samples = width, samples
        # Its descriptor is what processes share that are forked later.
        self._file = tempfile.TemporaryFile(prefix="activation_statistics.")  # noqa: SIM115

    def write(self, number: int, row: np.ndarray) -> None:
        """Puts a sample's row where it belongs; from any process."""
        content = np.ascontiguousarray(row, np.float32).data.cast("B")
        place = number * self.width * 4
        while content:
            written = os.pwrite(self._file.fileno(), content, place)
            content, place = content[written:], place + written

    def blocks(self, size: int = _BLOCK) -> Iterator[np.ndarray]:
        """Reads all rows, `size` at a time, the last block being what is left."""
        for start in range(0, self.samples, size):
            count = min(size, self.samples - start)
            block = np.empty((count, self.width), np.float32)
            content, place = block.data.cast("B"), start * self.width * 4
            while content:
                read = os.preadv(self._file.fileno(), [content], place)
                if not read:
                    raise OSError("the temporary file of activation statistics was cut short")
                content, place = content[read:], place + read
            yield block

    def row(self, number: int) -> np.ndarray:
        """Reads a sample's row."""
        content = os.pread(self._file.fileno(), self.width * 4, number * self.width * 4)
        return np.frombuffer(content, np.float32)

    def append(self, block: np.ndarray) -> None:
        """Adds rows at the end."""
        for row in block:
            self.write(self.samples, row)
            self.samples += 1


class ActivationStatistics(Mapping[int, TensorStatistics]):
    """Tensor index to TensorStatistics, computed when first asked for.

    Attributes:
      layout: of the rows.
      rows: what the samples gave.
      tensors: indices, as the layout has them, of the tensors that are shown.
      means: of those, the ones whose channel means are.
    """

    def __init__(
        self,
        layout: Layout,
        rows: Rows,
        tensors: Sequence[int],
        means: Collection[int] = (),
        indices: Mapping[int, int] | None = None,
        scales: Mapping[int, np.ndarray] | None = None,
    ):
        """Puts rows into tensors.

        Args:
          layout: of the rows.
          rows: one for each sample.
          tensors: indices, as the layout has them, of the tensors to show.
          means: of those, the ones whose channel means are wanted.
          indices: the layout's index to the index under which a tensor is shown.
          scales: the layout's index to what each channel is divided by.
        """
        self.layout, self.rows = layout, rows
        self.tensors, self.means = list(tensors), frozenset(means)
        self._indices = dict(indices or {index: index for index in tensors})
        self._scales = dict(scales or {})
        self._shown: dict[int, TensorStatistics] | None = None

    @property
    def is_scaled(self) -> bool:
        """Whether these are statistics of a model that was scaled, and not as gathered."""
        return bool(self._scales) or any(old != new for old, new in self._indices.items())

    def _computed(self) -> dict[int, TensorStatistics]:
        if self._shown is None:
            self._shown = self._compute()
        return self._shown

    def __getitem__(self, index: int) -> TensorStatistics:
        return self._computed()[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self._computed())

    def __len__(self) -> int:
        return len(self.tensors)

    def _compute(self) -> dict[int, TensorStatistics]:
        samples = self.rows.samples
        found: dict[int, TensorStatistics] = {}
        for index in self.tensors:
            channels = self.layout.channels[index]
            found[index] = TensorStatistics(
                lowest=np.empty(samples, np.float32),
                highest=np.empty(samples, np.float32),
                channel_magnitude=np.zeros(channels),
                channel_lowest=np.full(channels, np.inf, np.float32),
                channel_highest=np.full(channels, -np.inf, np.float32),
                channel_mean=np.zeros(channels) if index in self.means else None,
            )
        start = 0
        for block in self.rows.blocks():
            stop = start + len(block)
            for index, entry in found.items():
                scale = self._scales.get(index)
                lows, highs = self.layout.extremes(block, index)
                if scale is not None:
                    lows, highs = lows / scale, highs / scale
                entry.lowest[start:stop] = lows.min(axis=1)
                entry.highest[start:stop] = highs.max(axis=1)
                np.minimum(entry.channel_lowest, lows.min(axis=0), out=entry.channel_lowest)
                np.maximum(entry.channel_highest, highs.max(axis=0), out=entry.channel_highest)
                magnitude = np.maximum(-lows, highs)
                entry.channel_magnitude += magnitude.sum(axis=0, dtype=np.float64) / samples
                if entry.channel_mean is not None:
                    means = block[:, self.layout.columns[MEAN][index]]
                    means = means if scale is None else means / scale
                    entry.channel_mean += means.sum(axis=0, dtype=np.float64) / samples
            start = stop
        return {self._indices[index]: entry for index, entry in found.items()}

    def of_samples(self, numbers: Sequence[int]) -> "ActivationStatistics":
        """Gives what gathering them over some of the samples would give, to the bit.

        Args:
          numbers: of the samples, in the order that the result has them in.

        Returns:
          Statistics of these alone.
        """
        rows = Rows(self.rows.width, len(numbers))
        for place, number in enumerate(numbers):
            rows.write(place, self.rows.row(number))
        return ActivationStatistics(
            self.layout, rows, self.tensors, self.means, self._indices, self._scales
        )

    def rescaled(
        self, model: TfliteModel, scales: Mapping[str, np.ndarray]
    ) -> "ActivationStatistics":
        """Gives the statistics of a model whose channels were scaled, without running it.

        They are what running it would give, to the bit, when the scales are powers of two
        and the scaled model computes the same but for them: every product and every sum
        is then the same number with another exponent, unless it leaves the range of
        float32.

        Args:
          model: the scaled model. Its tensors are known by their names.
          scales: tensor name to what each of its channels was divided by, float [channels];
            a tensor that is not there was not scaled.

        Returns:
          Statistics under the scaled model's tensor indices; tensors that it has no more
          are left out.
        """
        present = {
            tensor_name(tensor): index
            for index, tensor in enumerate(model.schema.subgraphs[0].tensors)
        }
        tensors, indices, divisors = [], {}, {}
        for index in self.tensors:
            name = self.layout.names[index]
            if name not in present:
                continue
            tensors.append(index)
            indices[index] = present[name]
            scale = np.asarray(scales.get(name, 1), np.float32)
            before = self._scales.get(index)
            scale = scale if before is None else scale * before
            if (scale != 1).any():
                divisors[index] = scale
        return ActivationStatistics(self.layout, self.rows, tensors, self.means, indices, divisors)


def merge_statistics(parts: Sequence[ActivationStatistics]) -> ActivationStatistics:
    """Joins statistics of the same model over several parts of a dataset.

    Args:
      parts: at least one, in the order of their samples; of the same tensors.

    Returns:
      What gathering them over all samples at once gives, to the bit.

    Raises:
      ValueError: when they are of different tensors, or of scaled ones.
    """
    first = parts[0]
    rows = Rows(first.layout.width)
    for part in parts:
        if part.layout != first.layout or part.tensors != first.tensors or part.is_scaled:
            raise ValueError("statistics of different tensors cannot be merged")
        for block in part.rows.blocks():
            rows.append(block)
    return ActivationStatistics(first.layout, rows, first.tensors, first.means)


_FORMAT = "rules_quantize.activation_statistics.2"


def write_statistics(
    statistics: ActivationStatistics,
    model: TfliteModel,
    samples: Sequence[str],
    file: BinaryIO,
) -> None:
    """Writes statistics as an .npz file of two arrays.

    "rows" is float32 [samples, columns], "header" a string of JSON: of which model, which
    samples, which tensors, and what stands in which columns. The same statistics give the
    same bytes.

    Args:
      statistics: as gathered, of this model; of no samples at all, where a part is empty.
      model: that they are of.
      samples: the digest of each sample, in the order of the rows.
      file: open for writing.

    Raises:
      ValueError: when the statistics are of scaled tensors, or of other samples.
    """
    if statistics.is_scaled:
        raise ValueError("only statistics as they were gathered can be written")
    if len(samples) != statistics.rows.samples:
        raise ValueError("there must be a digest for each sample")
    header = json.dumps(_header(statistics, model, samples), sort_keys=True)
    shape = (statistics.rows.samples, statistics.layout.width)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # A ZipInfo of its own carries no time.
        with archive.open(zipfile.ZipInfo("header.npy"), "w") as member:
            np.save(member, np.array(header))
        with archive.open(zipfile.ZipInfo("rows.npy"), "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "<f4", "fortran_order": False, "shape": shape}
            )
            for block in statistics.rows.blocks():
                member.write(block.astype("<f4", copy=False).tobytes())


def read_statistics(
    files: Sequence[tuple[str, BinaryIO]], model: TfliteModel, samples: Sequence[str]
) -> ActivationStatistics:
    """Reads what `write_statistics` wrote of the parts of a dataset, and joins it.

    Args:
      files: (how messages name it, open for reading), in any order.
      model: that they are of.
      samples: the digest of each sample of the whole dataset, in its order. Samples of the
        files that are not among them are left out.

    Returns:
      What gathering the statistics over all samples at once gives, to the bit.

    Raises:
      InputError: when a file is damaged, or of another model or other tensors, or when
        none has one of the samples.
    """
    parts, found = [], []
    for where, file in files:
        try:
            part, digests = _read_part(where, file, model)
        except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                "statistics.damaged",
                f"{where}: no file of activation statistics, or a damaged one; calibrate again",
            ) from None
        parts.append(part)
        found += digests
    if any(part.layout != parts[0].layout for part in parts):
        raise InputError(
            "statistics.other", f"{files[0][0]}: its tensors are not those of the other files"
        )
    # The model sees the same values in samples of one digest, so that they have one row.
    places = {digest: place for place, digest in enumerate(found)}
    missing = sum(digest not in places for digest in samples)
    if missing:
        raise InputError(
            "statistics.incomplete",
            f"{files[0][0]}: it and the files beside it lack {missing} of {len(samples)} "
            "calibration samples; calibrate again with all of them",
        )
    merged = merge_statistics(parts)
    rows = Rows(merged.layout.width, len(samples))
    for number, digest in enumerate(samples):
        rows.write(number, merged.rows.row(places[digest]))
    return ActivationStatistics(merged.layout, rows, merged.tensors, merged.means)


def _read_part(
    where: str, file: BinaryIO, model: TfliteModel
) -> tuple[ActivationStatistics, list[str]]:
    with zipfile.ZipFile(file) as archive:
        with archive.open("header.npy") as member:
            header = json.loads(str(np.lib.format.read_array(member, allow_pickle=False)))
        indices = {
            tensor_name(tensor): index
            for index, tensor in enumerate(model.schema.subgraphs[0].tensors)
        }
        if header["format"] != _FORMAT or header["model"] != _digest(model):
            raise InputError(
                "statistics.other", f"{where}: statistics of another model; calibrate again"
            )
        tensors, means = ([indices[name] for name in header[key]] for key in ("tensors", "means"))
        layout = plan_layout(model, tensors, means)
        rows = Rows(layout.width)
        result, samples = ActivationStatistics(layout, rows, tensors, means), header["samples"]
        if _header(result, model, samples) != header:
            raise InputError(
                "statistics.other", f"{where}: statistics of another version; calibrate again"
            )
        with archive.open("rows.npy") as member:
            np.lib.format.read_magic(member)
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
            if dtype != np.dtype("<f4") or shape != (len(samples), layout.width):
                raise ValueError
            for start in range(0, shape[0], _BLOCK):
                count = min(_BLOCK, shape[0] - start)
                content = member.read(count * layout.width * 4)
                rows.append(np.frombuffer(content, "<f4").reshape(count, layout.width))
    return result, samples


def _digest(model: TfliteModel) -> str:
    return hashlib.sha256(model_bytes(model)).hexdigest()


def _header(statistics: ActivationStatistics, model: TfliteModel, samples: Sequence[str]) -> dict:
    names = statistics.layout.names
    return {
        "columns": {
            statistic: {names[index]: [place.start, place.stop] for index, place in places.items()}
            for statistic, places in statistics.layout.columns.items()
        },
        "format": _FORMAT,
        "means": [names[index] for index in sorted(statistics.means)],
        "model": _digest(model),
        "samples": list(samples),
        "tensors": [names[index] for index in statistics.tensors],
    }
