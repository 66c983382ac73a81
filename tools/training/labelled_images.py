"""Labelled images: a folder of images for each class, or arrays with labels."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.errors import InputError
from tools.samples.endings import IMAGE_ENDINGS
from tools.samples.loading import InputSpec, Preprocessing, load_samples


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Images of a classifier.

    Attributes:
      images: [samples, height, width, channels], float32, preprocessed.
      labels: [samples], int64: class numbers.
      classes: names in the order of their numbers, empty where labels are numbers already.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


def _arrays(path: Path, shape: tuple[int, ...]) -> LabelledImages:
    try:
        with np.load(path) as content:
            images, labels = content["images"], content["labels"]
    except Exception:
        # Numpy raises whatever its tokenizer, zipfile or zlib do.
        raise InputError(
            "data.unreadable", f"{path}: not a readable .npz file with the arrays images and labels"
        ) from None
    if images.shape[1:] != shape or labels.shape != images.shape[:1] or not len(labels):
        raise InputError(
            "data.shape",
            f"{path}: images {list(images.shape)} and labels {list(labels.shape)}; the model takes "
            f"images {list(shape)}, and one label for each",
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            "data.label", f"{path}: labels are {labels.dtype}; give whole numbers from 0 on"
        )
    return LabelledImages(images.astype(np.float32), labels.astype(np.int64), ())


def read_labelled_images(
    path: Path, shape: Sequence[int], preprocessing: Preprocessing
) -> LabelledImages:
    """Reads a labelled data set.

    Args:
      path: a folder with a folder of images for each class, numbered in the order of their
        names; or an .npz file with `images` (the model's own values) and `labels`.
      shape: [height, width, channels] of the model's input.
      preprocessing: of image files.

    Returns:
      The whole set, in the order of file names.

    Raises:
      InputError: when there are no two classes, or a file cannot be used.
    """
    shape = tuple(shape)
    if path.suffix.lower() == ".npz":
        return _arrays(path, shape)
    if not path.is_dir():
        raise InputError(
            "file.kind", f"{path}: give a folder with a folder for each class, or an .npz file"
        )
    classes = tuple(
        sorted(
            folder.name
            for folder in path.iterdir()
            if folder.is_dir() and any(f.suffix.lower() in IMAGE_ENDINGS for f in folder.iterdir())
        )
    )
    if len(classes) < 2:
        raise InputError(
            "data.label",
            f"{path}: {len(classes)} folders with images in it; give one folder for each class",
        )
    spec = InputSpec("image", (1, *shape), np.dtype(np.float32))
    images, labels = [], []
    for number, name in enumerate(classes):
        samples = load_samples([path / name], [spec], preprocessing)
        images += [sample["image"][0] for sample in samples]
        labels += [number] * len(samples)
    return LabelledImages(np.stack(images), np.array(labels), classes)
