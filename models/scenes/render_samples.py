"""Command: makes images with hands: scenes for detectors, crops for landmark models."""

import argparse
import dataclasses
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from models.scenes import hand_scenes
from models.scenes.float_models import KINDS, ModelOnPictures
from models.scenes.photographs import read_photograph
from models.scenes.regions import Region, crop, palm_region
from tools.command_line import new_parser, run, user_path, whole_file
from tools.errors import InputError

# No photograph is in both: a model that is tested has never seen anything of the test.
PHOTOGRAPHS = {
    "calibration": ("brick.png", "chelsea.png", "coffee.png", "grass.png"),
    "test": ("astronaut.png", "gravel.png", "rocket.jpg"),
}
NEGATIVES = 0.2
MIN_SCORE = 0.5

# Candidates for each image wanted, before it is clear that the model does not fire.
_PATIENCE = 3
_BATCH = 16
_EXAMPLES = """\
  render_samples --samples=hand_scenes --set=calibration --photos=brick.png \\
      --photos=chelsea.png --photos=coffee.png --photos=grass.png --count=200 --seed=1 \\
      --float_model=palm.tflite --output=calibration/
  render_samples --samples=hand_crops --set=test --photos=astronaut.png --photos=gravel.png \\
      --photos=rocket.jpg --count=80 --seed=2 --detector=palm.tflite \\
      --float_model=hand_landmark.tflite --output=test/
"""


@dataclasses.dataclass(frozen=True)
class Samples:
    """A kind of images.

    Attributes:
      scene: photographs, random generator and set to uint8 [height, width, 3].
      empty: the same for scenes without the object; None for crops.
      object: what is seen, and the images' name.
      model: which of KINDS the images are for.
      detector: which of KINDS finds the region for a crop; None for scenes.
      region: from a detection's box and keypoints.
    """

    scene: Callable
    empty: Callable | None
    object: str
    model: str
    detector: str | None = None
    region: Callable[..., Region] | None = None


SAMPLES = {
    "hand_scenes": Samples(hand_scenes.hand_scene, hand_scenes.empty_scene, "hand", "palm"),
    "hand_crops": Samples(
        hand_scenes.hand_scene, None, "hand", "hand_landmark", "palm", palm_region
    ),
}


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "render_samples",
        "Makes scenes with an object (hand_0001.png) and without (none_0001.png), a fifth of "
        "them, or crops as MediaPipe makes them for landmark models. Keeps what the float model "
        f"scores above {MIN_SCORE} and below it, respectively.",
        _EXAMPLES,
    )
    result.add_argument("--samples", required=True, choices=sorted(SAMPLES), help="what to make")
    result.add_argument("--set", required=True, choices=sorted(PHOTOGRAPHS), help="what for")
    result.add_argument(
        "--photos",
        required=True,
        action="append",
        type=user_path,
        help="a photograph of this set, by its name in scikit-image; may be given several times",
    )
    result.add_argument("--count", required=True, type=int, help="how many images, at least 2")
    result.add_argument("--seed", type=int, default=0, help="of all chance (default: %(default)s)")
    result.add_argument(
        "--float_model", required=True, type=user_path, help="that the images are for"
    )
    result.add_argument(
        "--detector", type=user_path, help="for crops: the float model that finds what to cut out"
    )
    result.add_argument("--output", required=True, type=user_path, help="folder, new or empty")
    return result


def accepted(
    draw: Callable[[np.random.Generator], np.ndarray | None],
    accepts: Callable[[list[np.ndarray]], list[bool]],
    count: int,
    seed: tuple[int, ...],
    wanted: str,
) -> tuple[list[np.ndarray], int]:
    """Draws images until enough of them are what the model takes them for.

    Args:
      draw: random generator to uint8 [height, width, 3], or None for nothing. Each
        candidate has a generator of its own, so that one that is refused changes no other.
      accepts: for each image, whether it is kept.
      count: how many.
      seed: of the candidates.
      wanted: what the model must see, for messages.

    Returns:
      (images, how many candidates were refused).

    Raises:
      InputError: when too many are refused.
    """
    kept: list[np.ndarray] = []
    refused = 0
    for start in range(0, _PATIENCE * count, _BATCH):
        numbers = range(start, min(start + _BATCH, _PATIENCE * count))
        drawn = [draw(np.random.default_rng([*seed, number])) for number in numbers]
        verdicts = iter(accepts([image for image in drawn if image is not None]))
        for image in drawn:
            if len(kept) == count:
                return kept, refused
            if image is not None and next(verdicts):
                kept.append(image)
            else:
                refused += 1
    if len(kept) == count:
        return kept, refused
    raise InputError(
        f"the float model accepts only {len(kept)} of {_PATIENCE * count} images {wanted}, and "
        f"{count} are needed; is it the right model?"
    )


def _photographs(chosen: str, paths) -> dict[str, Image.Image]:
    """Reads the photographs; each must belong to the set."""
    for path in paths:
        if path.name not in PHOTOGRAPHS[chosen]:
            raise InputError(
                f"{path}: not a photograph of the {chosen} set, which has "
                f"{', '.join(PHOTOGRAPHS[chosen])}; the two sets share none"
            )
    return {path.name: read_photograph(path) for path in paths}


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def main(arguments: argparse.Namespace) -> int:
    if arguments.count < 2:
        raise InputError(f"--count={arguments.count}: give at least 2")
    if arguments.seed < 0:
        raise InputError(f"--seed={arguments.seed}: give 0 or more")
    if arguments.output.exists() and (
        not arguments.output.is_dir() or any(arguments.output.iterdir())
    ):
        raise InputError(f"{arguments.output}: not an empty folder; give a new one")
    samples = SAMPLES[arguments.samples]
    if (samples.detector is None) != (arguments.detector is None):
        raise InputError(
            f"--samples={arguments.samples}: give --detector={samples.detector}.tflite, "
            f"{KINDS[samples.detector].what}"
            if samples.detector
            else f"--samples={arguments.samples}: takes no --detector"
        )
    photographs = _photographs(arguments.set, arguments.photos)
    model = ModelOnPictures(arguments.float_model, samples.model)
    detector = ModelOnPictures(arguments.detector, samples.detector) if samples.detector else None

    def draw(rng: np.random.Generator) -> np.ndarray | None:
        scene = samples.scene(photographs, rng, arguments.set)
        if detector is None:
            return scene
        found = detector.detect(scene)
        if found.score <= MIN_SCORE:
            return None
        return crop(scene, samples.region(found.box, found.keypoints), model.kind.size)

    def fires(images: list[np.ndarray]) -> list[bool]:
        return [model.score(outputs) > MIN_SCORE for outputs in model.outputs(images)]

    # The set is a part of the seed: the same number gives two sets unrelated scenes.
    base = (arguments.seed, sorted(PHOTOGRAPHS).index(arguments.set))
    without = max(round(arguments.count * NEGATIVES), 1) if samples.empty else 0
    seen, refused = accepted(
        draw, fires, arguments.count - without, (*base, 1), f"with a {samples.object}"
    )
    said = f"{len(seen)} images with a {samples.object} ({refused} candidates refused)"
    sets = [(samples.object, seen)]
    if samples.empty:
        empty, refused = accepted(
            lambda rng: samples.empty(photographs, rng, arguments.set),
            lambda images: [model.score(outputs) < MIN_SCORE for outputs in model.outputs(images)],
            without,
            (*base, 0),
            f"without a {samples.object}",
        )
        sets.append(("none", empty))
        said += f", {len(empty)} without ({refused} refused)"
    for kind, images in sets:
        for number, image in enumerate(images, 1):
            with whole_file(arguments.output / f"{kind}_{number:04d}.png") as file:
                file.write(_png(image))
    print(said)
    return 0


if __name__ == "__main__":
    run(parser(), main)
