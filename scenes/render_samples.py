"""Command: makes the images that MediaPipe's models are calibrated and tested with.

Scenes with faces, hands and people are for detectors; crops of them, cut out as
MediaPipe's graphs do, for landmark models.
"""

import argparse
import dataclasses
import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from scenes import hand_scenes, person_scenes, portrait_scenes, rendered_scenes
from scenes.crops import (
    MIN_SCORE,
    eye_crops,
    face_crops,
    hand_crops,
    person_crops,
    scores,
    sees_iris,
    sees_person,
)
from scenes.float_models import KINDS, ModelOnPictures
from scenes.photographs import read_photograph
from tools.command_line import new_parser, output_folder, run, user_path, whole_file
from tools.errors import InputError

# No photograph is in both: a model that is tested has never seen anything of the test.
PHOTOGRAPHS = {
    "calibration": ("brick.png", "chelsea.png", "coffee.png", "grass.png"),
    "test": ("astronaut.png", "gravel.png", "rocket.jpg"),
}
# A man at a camera: for scenes with people, not behind faces and hands.
PEOPLE = {"calibration": (), "test": ("camera.png",)}
NEGATIVES = 0.2

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
      object: what is seen, and the images' name.
      scene: photographs, random generator and set to uint8 [height, width, 3].
      models: flag to which of KINDS it takes; "float_model" is what the images are for.
      empty: the same as `scene`, without the object; None for crops.
      cut: scene and models to crops; None for scenes.
      sees: outputs and model to whether it sees the object. The default is its score.
    """

    object: str
    scene: Callable[..., np.ndarray]
    models: Mapping[str, str]
    empty: Callable[..., np.ndarray] | None = None
    cut: Callable[..., list[np.ndarray]] | None = None
    sees: Callable[..., bool] = scores


def _face_scene(
    photographs, rng: np.random.Generator, chosen: str, larger: float = 1, far: bool = False
) -> np.ndarray:
    scenes = rendered_scenes if chosen == "calibration" else portrait_scenes
    return scenes.face_scene(photographs, rng, larger, far)


def _large_face_scene(photographs, rng: np.random.Generator, chosen: str) -> np.ndarray:
    return _face_scene(photographs, rng, chosen, larger=1.6)


def _far_face_scene(photographs, rng: np.random.Generator, chosen: str) -> np.ndarray:
    return _face_scene(photographs, rng, chosen, larger=1.5, far=True)


def _scene_without_face(photographs, rng: np.random.Generator, chosen: str) -> np.ndarray:
    scenes = rendered_scenes if chosen == "calibration" else portrait_scenes
    return scenes.empty_scene(photographs, rng)


SAMPLES = {
    "face_scenes": Samples("face", _face_scene, {"float_model": "face"}, empty=_scene_without_face),
    "far_face_scenes": Samples(
        "face", _far_face_scene, {"float_model": "face_full_range"}, empty=_scene_without_face
    ),
    "face_crops": Samples(
        "face",
        _face_scene,
        {"float_model": "face_landmark", "detector": "face"},
        cut=face_crops,
    ),
    "eye_crops": Samples(
        "eye",
        _large_face_scene,
        {"float_model": "iris_landmark", "detector": "face", "landmarks": "face_landmark"},
        cut=eye_crops,
        sees=sees_iris,
    ),
    "selfies": Samples(
        "selfie", _face_scene, {"float_model": "selfie_segmentation"}, sees=sees_person
    ),
    "hand_scenes": Samples(
        "hand", hand_scenes.hand_scene, {"float_model": "palm"}, empty=hand_scenes.empty_scene
    ),
    "hand_crops": Samples(
        "hand",
        hand_scenes.hand_scene,
        {"float_model": "hand_landmark", "detector": "palm"},
        cut=hand_crops,
    ),
    "person_scenes": Samples(
        "person",
        person_scenes.person_scene,
        {"float_model": "pose"},
        empty=person_scenes.empty_scene,
    ),
    "person_crops": Samples(
        "person",
        person_scenes.person_scene,
        {"float_model": "pose_landmark", "detector": "pose"},
        cut=person_crops,
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
    result.add_argument(
        "--landmarks", type=user_path, help="for eyes: the float model that finds them in a face"
    )
    result.add_argument("--output", required=True, type=output_folder, help="folder, new or empty")
    return result


def accepted(
    draw: Callable[[np.random.Generator], list[np.ndarray]],
    accepts: Callable[[list[np.ndarray]], list[bool]],
    count: int,
    seed: tuple[int, ...],
    wanted: str,
) -> tuple[list[np.ndarray], int]:
    """Draws images until enough of them are what the model takes them for.

    Args:
      draw: random generator to images, uint8 [height, width, 3]; none counts as one that
        is refused. Each call has a generator of its own, so that what is refused changes
        nothing else.
      accepts: for each image, whether it is kept.
      count: how many.
      seed: of the candidates.
      wanted: what the model must see, for messages.

    Returns:
      (images, how many were refused).

    Raises:
      InputError: when too many are refused.
    """
    kept: list[np.ndarray] = []
    refused = 0
    for start in range(0, _PATIENCE * count, _BATCH):
        numbers = range(start, min(start + _BATCH, _PATIENCE * count))
        drawn = [draw(np.random.default_rng([*seed, number])) for number in numbers]
        verdicts = iter(accepts([image for images in drawn for image in images]))
        for images in drawn:
            if len(kept) == count:
                return kept, refused
            refused += not images
            for image in images:
                if not next(verdicts):
                    refused += 1
                elif len(kept) < count:
                    kept.append(image)
    if len(kept) == count:
        return kept, refused
    raise InputError(
        "data.too_few",
        f"the float model accepts only {len(kept)} of {_PATIENCE * count} scenes {wanted}, and "
        f"{count} are needed; is it the right model?",
    )


def photographs_of(samples: str, chosen: str) -> tuple[str, ...]:
    """Names the photographs that images of a kind may be made from in a set."""
    people = PEOPLE[chosen] if SAMPLES[samples].object == "person" else ()
    return PHOTOGRAPHS[chosen] + people


def _photographs(samples: str, chosen: str, paths) -> dict[str, Image.Image]:
    """Reads the photographs; each must belong to the set."""
    allowed = photographs_of(samples, chosen)
    for path in paths:
        if path.name not in allowed:
            raise InputError(
                "flag.name",
                f"{path}: not a photograph of the {chosen} set of {samples}, which has "
                f"{', '.join(allowed)}; the two sets share none",
            )
    return {path.name: read_photograph(path) for path in paths}


def _need_portrait(chosen: str, samples: Samples, photographs) -> None:
    portrait = portrait_scenes.PORTRAIT
    if chosen == "test" and samples.object in ("face", "eye") and portrait not in photographs:
        raise InputError(
            "data.missing", f"the test set of faces needs {portrait}; add --photos=.../{portrait}"
        )


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _one(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def main(arguments: argparse.Namespace) -> int:
    if arguments.count < 2:
        raise InputError("flag.value", f"--count={arguments.count}: give at least 2")
    if arguments.seed < 0:
        raise InputError("flag.value", f"--seed={arguments.seed}: give 0 or more")
    if arguments.output.exists() and (
        not arguments.output.is_dir() or any(arguments.output.iterdir())
    ):
        raise InputError("file.taken", f"{arguments.output}: not an empty folder; give a new one")
    samples = SAMPLES[arguments.samples]
    models = {}
    for flag in ("float_model", "detector", "landmarks"):
        path = getattr(arguments, flag)
        if flag in samples.models and path is None:
            what = KINDS[samples.models[flag]].what
            raise InputError(
                "flag.missing", f"--samples={arguments.samples}: give --{flag}=FILE, {what}"
            )
        if flag not in samples.models and path is not None:
            raise InputError("flag.conflict", f"--samples={arguments.samples}: takes no --{flag}")
        if path is not None:
            models[flag] = ModelOnPictures(path, samples.models[flag])
    model = models["float_model"]
    photographs = _photographs(arguments.samples, arguments.set, arguments.photos)
    _need_portrait(arguments.set, samples, photographs)

    def draw(rng: np.random.Generator) -> list[np.ndarray]:
        scene = samples.scene(photographs, rng, arguments.set)
        return samples.cut(scene, models) if samples.cut else [scene]

    def fires(images: list[np.ndarray]) -> list[bool]:
        return [samples.sees(outputs, model) for outputs in model.outputs(images)]

    # The set is a part of the seed: the same number gives two sets unrelated scenes.
    base = (arguments.seed, sorted(PHOTOGRAPHS).index(arguments.set))
    without = max(round(arguments.count * NEGATIVES), 1) if samples.empty else 0
    seen, refused = accepted(
        draw, fires, arguments.count - without, (*base, 1), f"with {_one(samples.object)}"
    )
    said = f"{len(seen)} images with {_one(samples.object)} ({refused} candidates refused)"
    sets = [(samples.object, seen)]
    if samples.empty:
        empty, refused = accepted(
            lambda rng: [samples.empty(photographs, rng, arguments.set)],
            lambda images: [model.score(outputs) < MIN_SCORE for outputs in model.outputs(images)],
            without,
            (*base, 0),
            f"without {_one(samples.object)}",
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
