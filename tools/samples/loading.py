"""Calibration and test data: images and arrays as a model's inputs.

Samples are read when they are asked for, so that a set takes no more memory than one
file of it, and what is remembered of decoded images.
"""

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tools.errors import InputError
from tools.samples.endings import IMAGE_ENDINGS, SAMPLE_ENDINGS

# A sample is asked for several times (run, digested, searched in another set), and decoding
# an image takes longer than many a model. So many bytes of a set's pixels are remembered:
# 445 images of 224 x 224.
_REMEMBERED_BYTES = 1 << 26


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


def _open_image(path: Path) -> Image.Image:
    """Opens an image in the orientation in which it is shown, in 8 bits a channel."""
    try:
        with Image.open(path) as file:
            file.load()
            image = ImageOps.exif_transpose(file)
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ):
        raise InputError(f"{path}: not a readable image; remove it or save it again") from None
    if image.mode.startswith("I"):
        # Pillow clips 16 bits to 8; what is meant is their upper half.
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        # What is transparent shows no pixel's colour: it is black, as in a camera's frame.
        shown = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", shown.size, (0, 0, 0, 255)), shown)
    return image


class _ImageFile:
    """A file that is one sample."""

    def __init__(self, path: Path, name: str, inputs: Sequence[InputSpec], how: Preprocessing):
        self.path, self.names, self.how = path, (name,), how
        images = [
            spec
            for spec in inputs
            if len(spec.shape) == 4 and spec.shape[0] == 1 and spec.shape[-1] in (1, 3)
        ]
        if len(inputs) != 1 or not images:
            shapes = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in inputs)
            raise InputError(
                f"{path}: an image cannot be the input of this model ({shapes}); give .npz files "
                "with one array for each input"
            )
        self.spec = images[0]

        self.bytes = math.prod(self.spec.shape)
        self.is_remembered = False
        self._pixels: np.ndarray | None = None

    def _read(self) -> np.ndarray:
        _, height, width, channels = self.spec.shape
        image = _open_image(self.path).convert("RGB" if channels == 3 else "L")
        return np.asarray(_resized(image, width, height, self.how.resize))

    def load(self, _: int) -> dict[str, np.ndarray]:
        pixels = self._read() if self._pixels is None else self._pixels
        if self.is_remembered:
            self._pixels = pixels
        values = pixels.astype(np.float32) - np.float32(self.how.mean)
        values /= np.float32(self.how.std)
        return {self.spec.name: values.reshape(self.spec.shape)}


class _ArrayFile:
    """A .npy or .npz file of one sample or many."""

    # The .npz file that was read last, and what is in it: its samples are mostly asked for
    # one after the other, and each time the whole file would be read again.
    _latest: tuple["_ArrayFile", dict[str, np.ndarray]] | None = None

    def __init__(self, path: Path, name: str, inputs: Sequence[InputSpec]):
        self.path, self.inputs = path, {spec.name: spec for spec in inputs}
        self.is_bare = path.suffix.lower() == ".npy"
        arrays = self._open()
        if self.is_bare and len(inputs) != 1:
            raise InputError(
                f"{path}: the model has {len(inputs)} inputs; give a .npz file with one array "
                f"for each: {', '.join(self.inputs)}"
            )
        unknown = sorted(set(arrays) - set(self.inputs))
        missing = sorted(set(self.inputs) - set(arrays))
        if unknown or missing:
            raise InputError(
                f"{path}: its arrays are {', '.join(sorted(arrays))}; the model's inputs are "
                f"{', '.join(sorted(self.inputs))}, name them so"
            )
        counts = {key: self._samples_in(key, values) for key, values in arrays.items()}
        if len(set(counts.values())) != 1:
            raise InputError(f"{path}: its arrays hold different numbers of samples: {counts}")
        self.count = next(iter(counts.values()))
        self.names = (name,) if self.count == 1 else tuple(f"{name}#{i}" for i in range(self.count))

    def _open(self) -> dict[str, np.ndarray]:
        unreadable = InputError(
            f"{self.path}: not a readable array file; save it again with numpy, without "
            "pickled objects"
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

    def _samples_in(self, key: str, values: np.ndarray) -> int:
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "bfiu":
            raise InputError(f"{self.path}: the values for the input {key} are no numbers")
        shape = self.inputs[key].shape
        if values.shape in (shape, shape[1:]):
            return 1
        if values.shape[1:] in (shape, shape[1:]) and values.shape[0]:
            return values.shape[0]
        raise InputError(
            f"{self.path}: shape {list(values.shape)} does not fit the input {key}, which takes "
            f"{list(shape)}, or any number of {list(shape[1:])}"
        )

    def load(self, number: int) -> dict[str, np.ndarray]:
        result = {}
        for key, values in self._arrays().items():
            spec = self.inputs[key]
            one = values if self.count == 1 else values[number]
            # What is too large becomes infinite, and is refused.
            with np.errstate(over="ignore"):
                sample = np.ascontiguousarray(one, dtype=spec.dtype).reshape(spec.shape)
            if np.issubdtype(spec.dtype, np.floating) and not np.isfinite(sample).all():
                raise InputError(
                    f"{self.path}: sample {self.names[number]} holds NaN or infinite values for "
                    f"the input {key}; remove it"
                )
            result[key] = sample
        return result


class SampleSet(Sequence):
    """Samples in a fixed order, read when asked for.

    Attributes:
      names: of each sample: its file's name, with #NUMBER in a file of many.
      files: how many files they come from.
      are_images: whether each is an image, and none an array.
    """

    def __init__(self, sources: Sequence[_ImageFile | _ArrayFile]):
        self.are_images = all(isinstance(source, _ImageFile) for source in sources)
        self._where = [(source, n) for source in sources for n in range(len(source.names))]
        self.names: tuple[str, ...] = tuple(source.names[n] for source, n in self._where)
        self.files = len(sources)
        self._digests: list[str] | None = None
        left = _REMEMBERED_BYTES
        for source in sources:
            if isinstance(source, _ImageFile):
                left -= source.bytes
                source.is_remembered = left >= 0

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        """Reads a sample.

        Args:
          number: 0 to len - 1.

        Returns:
          Signature input name to array, in the input's shape with its batch.

        Raises:
          InputError: when its file cannot be used.
        """
        source, position = self._where[number]
        return source.load(position)

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
            values = values[:, :, ::-1]
        digest.update(f"{name}{values.dtype.str}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _files(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """Lists (name, file), sorted by name, so that the order is the same everywhere."""
    found = []
    for path in paths:
        if path.is_dir():
            inside = [
                file
                for file in sorted(path.rglob("*"))
                if file.is_file() and not any(p.startswith(".") for p in file.parts[-1:])
            ]
            usable = [f for f in inside if f.suffix.lower() in SAMPLE_ENDINGS]
            if not usable:
                raise InputError(
                    f"{path}: no images or arrays in this folder "
                    f"({', '.join(sorted(SAMPLE_ENDINGS))}); add some"
                )
            found += [(file.relative_to(path).as_posix(), file) for file in usable]
        elif path.suffix.lower() in SAMPLE_ENDINGS:
            if not path.exists():
                raise InputError(f"{path}: no such file")
            found.append((path.name, path))
        elif not path.exists():
            raise InputError(f"{path}: no such file or folder")
        else:
            raise InputError(f"{path}: not one of {', '.join(sorted(SAMPLE_ENDINGS))}")
    return sorted(found, key=lambda entry: (entry[0], str(entry[1])))


def load_samples(
    paths: Sequence[Path], inputs: Sequence[InputSpec], preprocessing: Preprocessing
) -> SampleSet:
    """Finds the samples in files and folders.

    Args:
      paths: images, .npy or .npz files, or folders of them (searched to the bottom).
        An array holds one sample, or many along its first dimension; arrays are taken
        as the model's own values, without preprocessing.
      inputs: the model's.
      preprocessing: for images.

    Returns:
      The set, ordered by file name. Files are opened again when a sample is read.

    Raises:
      InputError: when a folder has no samples, or a file cannot be used.
    """
    if preprocessing.std == 0:
        raise InputError("an input std of 0 divides by zero; give --input_std=127.5 or the like")
    if not np.isfinite((preprocessing.mean, preprocessing.std)).all():
        raise InputError(
            f"an input mean of {preprocessing.mean} and std of {preprocessing.std}: give numbers"
        )
    sources = []
    for name, path in _files(paths):
        if path.suffix.lower() in IMAGE_ENDINGS:
            sources.append(_ImageFile(path, name, inputs, preprocessing))
        else:
            sources.append(_ArrayFile(path, name, inputs))
    if not sources:
        raise InputError("no calibration or test data; give images, .npy or .npz files")
    return SampleSet(sources)


def overlapping(first: SampleSet, second: SampleSet) -> list[tuple[str, str]]:
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
