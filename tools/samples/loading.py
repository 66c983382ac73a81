"""Calibration and test data: images and arrays as a model's inputs.

Samples are read when they are asked for, so that a set takes no more memory than one
file of it, and what is remembered of decoded images.
"""

import collections
import dataclasses
import hashlib
import io
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageOps

from tools.documents.known_samples import KnownSamples
from tools.errors import InputError
from tools.samples.endings import IMAGE_ENDINGS, SAMPLE_ENDINGS

# A sample is asked for several times (run, digested, searched in another set), and decoding
# an image takes longer than many a model. So many bytes of a set's pixels are remembered:
# 445 images of 224 x 224.
_REMEMBERED_BYTES = 1 << 26

# Of images that are saved again: what cameras and programs save photographs with.
JPEG_QUALITY = 90
# The longest side that an image of libjpeg may have, in pixels.
_LONGEST_JPEG_SIDE = 65500


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """One input of a model's signature.

    Attributes:
      name: the signature's.
      shape: with the batch dimension.
      dtype: numpy's.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How an image becomes an input: (pixel - mean) / std, pixels 0 to 255.

    Attributes:
      mean: in pixel units.
      std: in pixel units, not 0.
      resize: "letterbox" keeps the aspect ratio and fills up with black, as MediaPipe's
        ImageToTensorCalculator does with keep_aspect_ratio and BORDER_ZERO; "stretch"
        does not keep it; "center_crop" keeps it and cuts what stands out.
    """

    mean: float
    std: float
    resize: str = "letterbox"


def _resized(image: Image.Image, width: int, height: int, resize: str) -> Image.Image:
    if resize == "stretch":
        return image.resize((width, height), Image.Resampling.BILINEAR)
    if resize == "center_crop":
        return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    return ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR, color=0)


class _UnreadableImageError(InputError):
    """A file that has an image's ending and is none."""


def _open_image(path: Path) -> Image.Image:
    """Opens an image in the orientation in which it is shown, in 8 bits a channel."""
    try:
        with Image.open(path) as file:
            file.load()
            # In place, since a copy takes a tenth of the time that decoding does.
            ImageOps.exif_transpose(file, in_place=True)
            image = file
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # What Pillow itself raises has no number of the system's.
        if isinstance(error, OSError) and error.errno:
            said = f"{path}: cannot be read ({error.strerror})"
            if isinstance(error, FileNotFoundError):
                raise InputError("file.missing", said) from None
            raise InputError("file.access", said) from None
        raise _UnreadableImageError(
            "data.unreadable", f"{path}: not a readable image; remove it or save it again"
        ) from None
    if image.mode.startswith("I"):
        # Pillow clips 16 bits to 8; what is meant is their upper half.
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        # What is transparent shows no pixel's colour: it is black, as in a camera's frame.
        shown = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", shown.size, (0, 0, 0, 255)), shown)
    return image


def _saved_as_jpeg(image: Image.Image) -> Image.Image:
    """Gives what is left of an image that is saved as JPEG and opened again.

    Colours are stored at half the resolution (4:2:0), which is Pillow's default. An image that is
    longer than JPEG can hold stays as it is.
    """
    if max(image.size) > _LONGEST_JPEG_SIDE:
        return image
    file = io.BytesIO()
    shown = image if image.mode in ("L", "RGB") else image.convert("RGB")
    shown.save(file, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    saved = Image.open(file)
    saved.load()
    return saved


def _image_layout(spec: InputSpec) -> tuple[int, int, int, bool] | None:
    """Reads how an input takes an image.

    Args:
      spec: the input.

    Returns:
      (height, width, channels, whether channels come first), or None for an input that is no
      image of one or three channels.
    """
    if len(spec.shape) not in (3, 4) or spec.dtype.kind not in "fiu":
        return None
    first, second, last = spec.shape[-3:]
    if last in (1, 3):
        return first, second, last, False
    if first in (1, 3):
        return second, last, first, True
    return None


class _ImageFiles:
    """Files that are one sample: one, or as many as the model takes at once."""

    def __init__(
        self,
        files: Sequence[tuple[str, Path]],
        spec: InputSpec,
        how: Preprocessing,
        as_jpeg: bool = False,
    ):
        (first, _), (last, _) = files[0], files[-1]
        self._files, self._as_jpeg = files, as_jpeg
        self.names = (first if len(files) == 1 else f"{first}..{last}",)
        self.paths, self.spec, self.how = [path for _, path in files], spec, how
        self.bytes = math.prod(self.spec.shape)
        self.is_remembered = False
        self._pixels: np.ndarray | None = None

    def _read(self) -> np.ndarray:
        """uint8 in the input's shape."""
        layout = _image_layout(self.spec)
        assert layout is not None, "images are not read for other inputs"
        height, width, channels, channels_first = layout
        read = []
        for path in self.paths:
            image, mode = _open_image(path), "RGB" if channels == 3 else "L"
            if self._as_jpeg:
                image = _saved_as_jpeg(image)
            image = image if image.mode == mode else image.convert(mode)
            pixels = np.asarray(_resized(image, width, height, self.how.resize))
            pixels = pixels.reshape(height, width, channels)
            read.append(pixels.transpose(2, 0, 1) if channels_first else pixels)
        return np.stack(read).reshape(self.spec.shape)

    def saved_as_jpeg(self) -> "_ImageFiles":
        """Gives the same sample of images that were saved as JPEG."""
        return _ImageFiles(self._files, self.spec, self.how, as_jpeg=True)

    def load(self, _: int) -> dict[str, np.ndarray]:
        pixels = self._read() if self._pixels is None else self._pixels
        if self.is_remembered:
            self._pixels = pixels
        return {self.spec.name: _input_values(pixels, self.spec.dtype, self.how)}


def _input_values(pixels: np.ndarray, dtype: np.dtype, how: Preprocessing) -> np.ndarray:
    """Turns pixels into what an input takes.

    Args:
      pixels: uint8.
      dtype: the input's.
      how: mean and std, for an input of floats alone.

    Returns:
      The same shape in `dtype`: for integers the pixels' own values, as signed bytes from -128.
    """
    if dtype == np.int8:
        return (pixels.astype(np.int16) - 128).astype(np.int8)
    if dtype.kind in "iu":
        return pixels.astype(dtype)
    values = pixels.astype(np.float32) - np.float32(how.mean)
    values /= np.float32(how.std)
    return values.astype(dtype, copy=False)


def _image_sources(
    files: Sequence[tuple[str, Path]], inputs: Sequence[InputSpec], how: Preprocessing
) -> tuple[list[_ImageFiles], int]:
    """Makes samples of images, in their order.

    Returns:
      (the samples, how many images at the end are too few for another).

    Raises:
      InputError: when the model takes no image, or more at once than there are.
    """
    path = files[0][1]
    if len(inputs) != 1 or _image_layout(inputs[0]) is None:
        shapes = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in inputs)
        raise InputError(
            "data.shape",
            f"{path}: an image cannot be the input of this model ({shapes}); give .npz files "
            "with one array for each input",
        )
    at_once = inputs[0].shape[0] if len(inputs[0].shape) == 4 else 1
    if len(files) < at_once:
        raise InputError(
            "data.too_few",
            f"{path}: the input {inputs[0].name} takes {at_once} images at once, and there "
            f"{'is' if len(files) == 1 else 'are'} {len(files)}; give at least {at_once}",
        )
    whole = len(files) // at_once * at_once
    batches = [files[start : start + at_once] for start in range(0, whole, at_once)]
    return [_ImageFiles(batch, inputs[0], how) for batch in batches], len(files) - whole


class _ArrayFile:
    """A .npy or .npz file of one sample or many."""

    # The .npz file that was read last, and what is in it: its samples are mostly asked for
    # one after the other, and each time the whole file would be read again.
    _latest: tuple["_ArrayFile", dict[str, np.ndarray]] | None = None

    def __init__(self, path: Path, name: str, inputs: Sequence[InputSpec]):
        self.path, self.inputs = path, {spec.name: spec for spec in inputs}
        self.is_bare = path.suffix.lower() == ".npy"
        if not inputs:
            raise InputError("data.names", f"{path}: the model has no input that data is for")
        arrays = self._open()
        if self.is_bare and len(inputs) != 1:
            raise InputError(
                "data.names",
                f"{path}: the model has {len(inputs)} inputs; give a .npz file with one array "
                f"for each: {', '.join(self.inputs)}",
            )
        unknown = sorted(set(arrays) - set(self.inputs))
        missing = sorted(set(self.inputs) - set(arrays))
        if unknown or missing:
            raise InputError(
                "data.names",
                f"{path}: its arrays are {', '.join(sorted(arrays))}; the model's inputs are "
                f"{', '.join(sorted(self.inputs))}, name them so",
            )
        found = {key: self._samples_in(key, values) for key, values in arrays.items()}
        counts = {key: count for key, (count, _) in found.items()}
        self.rows_left = max(left for _, left in found.values())
        if len(set(counts.values())) != 1:
            raise InputError(
                "data.shape", f"{path}: its arrays hold different numbers of samples: {counts}"
            )
        self.count = next(iter(counts.values()))
        self.names = (name,) if self.count == 1 else tuple(f"{name}#{i}" for i in range(self.count))

    def _open(self) -> dict[str, np.ndarray]:
        unreadable = InputError(
            "data.unreadable",
            f"{self.path}: not a readable array file; save it again with numpy, without "
            "pickled objects",
        )
        try:
            content = np.load(self.path, mmap_mode="r" if self.is_bare else None)
            if self.is_bare != isinstance(content, np.ndarray):
                raise unreadable
            if self.is_bare:
                return {next(iter(self.inputs)): content}
            with content:
                return {key: content[key] for key in content.files}
        except Exception:
            # Numpy reads a header as Python; a damaged one raises whatever its tokenizer,
            # zipfile or zlib do.
            raise unreadable from None

    def _arrays(self) -> dict[str, np.ndarray]:
        if self.is_bare or self.count == 1:
            return self._open()
        latest = _ArrayFile._latest
        if latest is None or latest[0] is not self:
            _ArrayFile._latest = latest = (self, self._open())
            for values in latest[1].values():
                values.flags.writeable = False
        return latest[1]

    def _samples_in(self, key: str, values: np.ndarray) -> tuple[int, int]:
        """Counts an array's samples, and the rows at its end that are too few for another."""
        spec = self.inputs[key]
        if not isinstance(values, np.ndarray) or values.dtype.kind not in _kinds_for(spec.dtype):
            what = "text" if spec.dtype.kind in "OSU" else "numbers"
            raise InputError(
                "data.shape", f"{self.path}: the values for the input {key} are no {what}"
            )
        shape, rows = spec.shape, spec.shape[0] if spec.shape else 1
        if values.shape == shape or (rows == 1 and values.shape == shape[1:]):
            return 1, 0
        if values.shape and values.shape[0] and values.shape[1:] == shape:
            return values.shape[0], 0
        if values.shape and values.shape[1:] == shape[1:] and values.shape[0] >= rows > 0:
            return values.shape[0] // rows, values.shape[0] % rows
        raise InputError(
            "data.shape",
            f"{self.path}: shape {list(values.shape)} does not fit the input {key}, which takes "
            f"{list(shape)}, or any number of {list(shape[1:])}"
            + (f" from {rows} on" if rows > 1 else ""),
        )

    def _sample(self, values: np.ndarray, spec: InputSpec, number: int) -> np.ndarray:
        if values.size == math.prod(spec.shape):
            return values
        if values.shape[1:] == spec.shape:
            return values[number]
        rows = spec.shape[0]
        return values[number * rows : (number + 1) * rows]

    def load(self, number: int) -> dict[str, np.ndarray]:
        result = {}
        for key, values in self._arrays().items():
            spec = self.inputs[key]
            one = self._sample(values, spec, number)
            # What is too large becomes infinite, and is refused.
            with np.errstate(over="ignore"):
                sample = np.ascontiguousarray(one, dtype=spec.dtype).reshape(spec.shape)
            if np.issubdtype(spec.dtype, np.floating) and not np.isfinite(sample).all():
                raise InputError(
                    "data.value",
                    f"{self.path}: sample {self.names[number]} holds NaN or infinite values for "
                    f"the input {key}; remove it",
                )
            if spec.dtype.kind in "biu" and not np.array_equal(sample, one.reshape(spec.shape)):
                raise InputError(
                    "data.value",
                    f"{self.path}: sample {self.names[number]} holds values that {spec.dtype} "
                    f"cannot, which the input {key} takes",
                )
            result[key] = sample
        return result


def _kinds_for(dtype: np.dtype) -> str:
    """Gives the kinds of numpy arrays that an input can be made of."""
    return "OSU" if dtype.kind in "OSU" else "bfiu"


class NamedSamples(Protocol):
    """Samples in a fixed order; `names` has the name of each."""

    names: tuple[str, ...]

    def __len__(self) -> int:
        """Gives how many there are."""

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """Reads one after the other, arrays by input name."""


class SampleSet(Sequence[dict[str, np.ndarray]]):
    """Samples in a fixed order, read when asked for.

    Attributes:
      names: of each sample: its file's name, with #NUMBER in a file of many.
      files: how many files they come from.
      are_images: whether each is an image, and none an array.
      notes: a line for each thing that was given and is not used.
    """

    def __init__(self, sources: Sequence[_ImageFiles | _ArrayFile], notes: Sequence[str] = ()):
        self.are_images = all(isinstance(source, _ImageFiles) for source in sources)
        self.notes = tuple(notes)
        self._where = [(source, n) for source in sources for n in range(len(source.names))]
        self.names: tuple[str, ...] = tuple(source.names[n] for source, n in self._where)
        self._sources = sources
        self.files = sum(
            len(source.paths) if isinstance(source, _ImageFiles) else 1 for source in sources
        )
        self._digests: list[str] | None = None
        left = _REMEMBERED_BYTES
        for source in sources:
            if isinstance(source, _ImageFiles):
                left -= source.bytes
                source.is_remembered = left >= 0

    def __len__(self) -> int:
        return len(self._where)

    # A slice would read all its samples at once.
    def __getitem__(self, number: int) -> dict[str, np.ndarray]:  # type: ignore[override]
        """Reads a sample.

        Args:
          number: 0 to len - 1.

        Returns:
          Signature input name to array, in the input's shape with its batch.

        Raises:
          InputError: when its file cannot be used.
        """
        source, position = self._where[number]
        try:
            return source.load(position)
        except _UnreadableImageError as error:
            others = self._unreadable_images() - 1
            if others < 1:
                raise
            raise InputError(
                error.code,
                f"{error}; {others} other image{'s' if others > 1 else ''} of this set cannot be "
                "read either",
            ) from None

    def saved_as_jpeg(self) -> "SampleSet | None":
        """Gives the same images after each was saved as JPEG and opened again.

        An image is saved as large as its file has it, with JPEG_QUALITY, and becomes the model's
        input afterwards as the others do.

        Returns:
          A set of the same names; None where a sample is an array.
        """
        if not self.are_images:
            return None
        return SampleSet(
            [source.saved_as_jpeg() for source in self._sources if isinstance(source, _ImageFiles)]
        )

    def _unreadable_images(self) -> int:
        """Counts the images that cannot be decoded."""
        count = 0
        for source in self._sources:
            for path in source.paths if isinstance(source, _ImageFiles) else ():
                try:
                    _open_image(path)
                except InputError:
                    count += 1
        return count

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return (self[number] for number in range(len(self)))

    @property
    def sample_digests(self) -> list[str]:
        """SHA-256 of each sample as the model sees it."""
        if self._digests is None:
            self._digests = [_digest(sample) for sample in self]
        return self._digests

    @property
    def digest(self) -> str:
        """SHA-256 over the samples in order, as the model sees them."""
        return hashlib.sha256("".join(self.sample_digests).encode()).hexdigest()


def _digest(sample: dict[str, np.ndarray], mirrored: bool = False) -> str:
    digest = hashlib.sha256()
    for name in sorted(sample):
        values = sample[name]
        if mirrored and values.ndim == 4:
            channels_first = values.shape[1] in (1, 3) and values.shape[-1] not in (1, 3)
            values = values[..., ::-1] if channels_first else values[:, :, ::-1]
        digest.update(f"{name}{values.dtype.str}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _inside(folder: Path) -> list[Path]:
    """Lists the files of a folder to the bottom, those of linked folders too.

    What is hidden is passed over, as is a folder that links back to one it lies in.
    """
    found = []

    def walk(path: Path, above: frozenset[str]) -> None:
        real = os.path.realpath(path)
        if real in above:
            return
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(
                "file.access", f"{path}: this folder cannot be read ({error.strerror})"
            ) from None
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                walk(Path(entry.path), above | {real})
            else:
                found.append(Path(entry.path))

    walk(folder, frozenset())
    return found


def _counted_endings(files: Sequence[Path]) -> str:
    """Counts files by ending: "3 .heic, 1 .txt"."""
    counts = collections.Counter(file.suffix.lower() or "without an ending" for file in files)
    return ", ".join(f"{count} {ending}" for ending, count in sorted(counts.items()))


def _names_with_folders(files: Sequence[Path]) -> list[str]:
    """Names files by their paths below the folder that holds them all.

    Bazel's folder for what a build makes is left out, since its name says how it was built.
    """
    paths = [re.sub(r"(^|/)bazel-out/[^/]+/bin/", r"\1", file.as_posix()) for file in files]
    folder = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
    return [os.path.relpath(path, folder or None) for path in paths]


def _files(
    paths: Sequence[Path], named_by_folder: bool
) -> tuple[list[tuple[str, Path]], list[str]]:
    """Lists (name, file), sorted by name, so that the order is the same everywhere.

    Args:
      paths: files and folders.
      named_by_folder: as load_samples has it.

    Returns:
      (the files, a note for each folder with files that are no samples).
    """
    found: list[tuple[str, Path]] = []
    alone: list[Path] = []
    notes = []
    known = ", ".join(sorted(SAMPLE_ENDINGS))
    for path in paths:
        if path.is_dir():
            inside = _inside(path)
            usable = [file for file in inside if file.suffix.lower() in SAMPLE_ENDINGS]
            others = [file for file in inside if file.suffix.lower() not in SAMPLE_ENDINGS]
            if not usable:
                there = f"; it has {_counted_endings(others)}" if others else ""
                raise InputError(
                    "data.missing",
                    f"{path}: no images or arrays in this folder ({known}){there}; add some",
                )
            if others:
                notes.append(
                    f"{path}: {len(others)} of {len(inside)} files are not read "
                    f"({_counted_endings(others)}); samples are {known}"
                )
            found += [(file.relative_to(path).as_posix(), file) for file in usable]
        elif path.suffix.lower() in SAMPLE_ENDINGS:
            if not path.exists():
                raise InputError("file.missing", f"{path}: no such file")
            alone.append(path)
        elif not path.exists():
            raise InputError("file.missing", f"{path}: no such file or folder")
        else:
            raise InputError("file.kind", f"{path}: not one of {known}")
    names = _names_with_folders(alone) if named_by_folder else [path.name for path in alone]
    found += zip(names, alone, strict=True)
    return sorted(found, key=lambda entry: (entry[0], str(entry[1]))), notes


def load_samples(
    paths: Sequence[Path],
    inputs: Sequence[InputSpec],
    preprocessing: Preprocessing,
    named_by_folder: bool = False,
) -> SampleSet:
    """Finds the samples in files and folders.

    Args:
      paths: images, .npy or .npz files, or folders of them (searched to the bottom, linked
        folders too, hidden ones not). An array holds one sample, or many along its first
        dimension; arrays are taken as the model's own values, without preprocessing. Where a
        model takes N rows or images at once, so many that follow each other are a sample.
      inputs: the model's.
      preprocessing: for images.
      named_by_folder: whether files that are given by themselves have the folders in their names
        below which all of them lie, as files of a folder that is given have. Where a set is
        loaded in parts, names must not depend on the others: then it is False.

    Returns:
      The set, ordered by file name. Files are opened again when a sample is read.

    Raises:
      InputError: when a folder has no samples, or a file cannot be used.
    """
    if preprocessing.std == 0:
        raise InputError(
            "flag.value", "an input std of 0 divides by zero; give --input_std=127.5 or the like"
        )
    if not np.isfinite((preprocessing.mean, preprocessing.std)).all():
        raise InputError(
            "flag.value",
            f"an input mean of {preprocessing.mean} and std of {preprocessing.std}: give numbers",
        )
    files, notes = _files(paths, named_by_folder)
    images = [one for one in files if one[1].suffix.lower() in IMAGE_ENDINGS]
    named: list[tuple[str, str, _ImageFiles | _ArrayFile]] = []
    if images:
        batches, left = _image_sources(images, inputs, preprocessing)
        if left:
            notes.append(
                f"{images[-1][1]}: {left} of {len(images)} images are not used; the model takes "
                f"{inputs[0].shape[0]} at once"
            )
        named += [(batch.names[0], str(batch.paths[0]), batch) for batch in batches]
    for name, path in files:
        if path.suffix.lower() in IMAGE_ENDINGS:
            continue
        array = _ArrayFile(path, name, inputs)
        if array.rows_left:
            notes.append(
                f"{path}: {array.rows_left} rows at its end are not used; the model takes several "
                "at once"
            )
        named.append((name, str(path), array))
    if not named:
        raise InputError(
            "data.missing", "no calibration or test data; give images, .npy or .npz files"
        )
    named.sort(key=lambda entry: entry[:2])
    return SampleSet([source for _, _, source in named], notes)


def overlapping(first: SampleSet | KnownSamples, second: SampleSet) -> list[tuple[str, str]]:
    """Finds samples that two sets share, whatever their files are called.

    A sample counts as shared when the model sees the same values, or their mirror image.

    Args:
      first: a set.
      second: another.

    Returns:
      (name in first, name in second) for each, in the order of second.
    """
    known = dict(zip(first.sample_digests, first.names, strict=True))
    shared = []
    for number, digest in enumerate(second.sample_digests):
        name = known.get(digest) or known.get(_digest(second[number], mirrored=True))
        if name:
            shared.append((name, second.names[number]))
    return shared
