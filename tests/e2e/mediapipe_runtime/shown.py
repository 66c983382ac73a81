"""What a user sees of the objects that MediaPipe finds in images, written as JSON."""

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def placed(landmarks: Iterable[Any], size: np.ndarray) -> np.ndarray:
    """Gives landmarks in pixels.

    Args:
      landmarks: with x and y as parts of the image's width and height.
      size: the image's width and height.

    Returns:
      float64 of shape [landmarks, 2], x and y.
    """
    return np.array([[point.x, point.y] for point in landmarks]) * size


def shown(points: np.ndarray, size: np.ndarray, visible: Any = True, box: Any = None) -> dict:
    """Says what a user sees of an object: a detector's box, and points.

    MediaPipe's drawing_utils draws no point outside the picture, and none whose visibility
    is below 0.5.

    Args:
      points: in pixels, of shape [points, 2].
      size: the image's width and height.
      visible: bool of shape [points], or True.
      box: left, top, right and bottom in pixels, where a detector gives one.

    Returns:
      The object, as `agreement` takes it.
    """
    drawn = ((points >= 0) & (points <= size)).all(axis=1) & visible
    return {"box": box, "points": points.tolist(), "drawn": drawn.tolist()}


def shown_person(landmarks: Iterable[Any], size: np.ndarray) -> dict:
    """Says what a user sees of a person, whose landmarks have a visibility."""
    visible = np.array([point.visibility for point in landmarks]) >= 0.5
    return shown(placed(landmarks, size), size, visible)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that `write_shown` needs."""
    parser.add_argument("--output", required=True, type=Path, help="JSON: what each image shows")
    parser.add_argument("images", nargs="+", type=Path)


def write_shown(
    arguments: argparse.Namespace,
    detect: Callable[[np.ndarray], Any],
    read: Callable[[Any, np.ndarray], list[dict]],
) -> None:
    """Runs a solution or task on images, each by itself, and writes what they show.

    Args:
      arguments: of `add_flags`.
      detect: takes uint8 RGB pixels of shape [height, width, 3], and gives MediaPipe's result.
      read: takes a result and the image's size, and gives the objects in it.
    """
    seen = {}
    for path in arguments.images:
        with Image.open(path) as file:
            pixels = np.asarray(file.convert("RGB"))
        seen[path.name] = read(detect(pixels), np.array(pixels.shape[1::-1]))
    arguments.output.write_text(json.dumps(seen, indent=1), encoding="utf-8")
