"""Command: makes the images that face models are calibrated and tested with."""

import argparse
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from models.scenes import portrait_scenes, rendered_scenes
from models.scenes.photographs import read_photograph
from tools.command_line import new_parser, run, user_path, whole_file
from tools.errors import InputError

# No photograph is in both: a model that is tested has never seen anything of the test.
PHOTOGRAPHS = {
    "calibration": ("brick.png", "chelsea.png", "coffee.png", "grass.png"),
    "test": ("astronaut.png", "gravel.png", "rocket.jpg"),
}
NEGATIVES = 0.2
MIN_SCORE = 0.5
SCORES = "classificators"

_SCENES = {"calibration": rendered_scenes, "test": portrait_scenes}
# Candidates for each image wanted, before it is clear that the model does not fire.
_PATIENCE = 3
_BATCH = 16
_EXAMPLES = """\
  render_faces --set=calibration --photos=coffee.png --photos=chelsea.png --photos=brick.png \\
      --photos=grass.png --count=200 --seed=1 --float_model=face.tflite --output=calibration/
  render_faces --set=test --photos=astronaut.png --photos=rocket.jpg --photos=gravel.png \\
      --count=80 --seed=2 --float_model=face.tflite --output=test/
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "render_faces",
        "Makes images with faces (face_0001.png) and without (none_0001.png), a fifth of them. "
        f"Keeps what the float model scores above {MIN_SCORE} and below it, respectively.",
        _EXAMPLES,
    )
    result.add_argument(
        "--set",
        required=True,
        choices=sorted(_SCENES),
        help="calibration: rendered people; test: a real portrait",
    )
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
        "--float_model",
        required=True,
        type=user_path,
        help=f"a face detector with a float input and an output {SCORES} of logits",
    )
    result.add_argument("--output", required=True, type=user_path, help="folder, new or empty")
    return result


class FaceScores:
    """Scores images with a face detector, preprocessed as calibration and tests do it.

    Args:
      path: of the float model.

    Raises:
      InputError: when it cannot be run, or has no output of scores.
    """

    def __init__(self, path: Path):
        from tools.graph.flatbuffer import read_bytes
        from tools.graph.input_normalization import normalization
        from tools.quantization.calibration import input_specifications, open_interpreter
        from tools.samples.loading import InputSpec, Preprocessing

        content = read_bytes(path)
        interpreter = open_interpreter(content, str(path))
        if not interpreter.get_signature_list():
            raise InputError(f"{path}: has no signature; make a float master of it first")
        self._runner = interpreter.get_signature_runner()
        if SCORES not in self._runner.get_output_details():
            raise InputError(f"{path}: has no output {SCORES}; give a face detector")
        self._inputs = [InputSpec(*entry) for entry in input_specifications(content, str(path))]
        self._how = Preprocessing(*(normalization(content) or (127.5, 127.5)), "letterbox")

    def __call__(self, images: list[bytes]) -> list[float]:
        """Scores PNG files: for each, the largest sigmoid of all anchors' logits."""
        from tools.samples.loading import load_samples

        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, f"{number:06d}.png") for number in range(len(images))]
            for path, content in zip(paths, images, strict=True):
                path.write_bytes(content)
            return [
                float(1 / (1 + np.exp(-np.clip(self._runner(**sample)[SCORES].max(), -80, 80))))
                for sample in load_samples(paths, self._inputs, self._how)
            ]


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def accepted(
    draw, wants_face: bool, count: int, seed: tuple[int, ...], score: FaceScores
) -> tuple[list[bytes], int]:
    """Draws scenes until enough of them are what the model takes them for.

    Args:
      draw: random generator to uint8 [height, width, 3]. Each candidate has a generator
        of its own, so that one that is refused changes no other.
      wants_face: whether scores must lie above MIN_SCORE, or below.
      count: how many.
      seed: of the candidates.
      score: PNG files to scores.

    Returns:
      (PNG files, how many candidates were refused).

    Raises:
      InputError: when the model refuses too many.
    """
    kept: list[bytes] = []
    refused = 0

    def candidates() -> Iterator[list[bytes]]:
        for start in range(0, _PATIENCE * count, _BATCH):
            numbers = range(start, min(start + _BATCH, _PATIENCE * count))
            yield [_png(draw(np.random.default_rng([*seed, number]))) for number in numbers]

    for batch in candidates():
        for content, value in zip(batch, score(batch), strict=True):
            if len(kept) == count:
                return kept, refused
            if (value > MIN_SCORE) if wants_face else (value < MIN_SCORE):
                kept.append(content)
            else:
                refused += 1
    if len(kept) == count:
        return kept, refused
    kind = "with" if wants_face else "without"
    raise InputError(
        f"the float model accepts only {len(kept)} of {_PATIENCE * count} images {kind} a face, "
        f"and {count} are needed; is it a face detector that takes RGB images?"
    )


def _photographs(chosen: str, paths: list[Path]) -> dict[str, Image.Image]:
    """Reads the photographs; each must belong to the set."""
    for path in paths:
        if path.name not in PHOTOGRAPHS[chosen]:
            raise InputError(
                f"{path}: not a photograph of the {chosen} set, which has "
                f"{', '.join(PHOTOGRAPHS[chosen])}; the two sets share none"
            )
    if chosen == "test" and portrait_scenes.PORTRAIT not in {path.name for path in paths}:
        raise InputError(
            f"the test set needs {portrait_scenes.PORTRAIT}; add --photos=.../"
            f"{portrait_scenes.PORTRAIT}"
        )
    return {path.name: read_photograph(path) for path in paths}


def main(arguments: argparse.Namespace) -> int:
    if arguments.count < 2:
        raise InputError(f"--count={arguments.count}: give at least 2, one of them without a face")
    if arguments.seed < 0:
        raise InputError(f"--seed={arguments.seed}: give 0 or more")
    if arguments.output.exists() and (
        not arguments.output.is_dir() or any(arguments.output.iterdir())
    ):
        raise InputError(f"{arguments.output}: not an empty folder; give a new one")
    photographs = _photographs(arguments.set, arguments.photos)
    score = FaceScores(arguments.float_model)
    scenes = _SCENES[arguments.set]
    without = max(round(arguments.count * NEGATIVES), 1)
    # The set is a part of the seed: the same number gives two sets unrelated scenes.
    base = (arguments.seed, sorted(_SCENES).index(arguments.set))
    faces, faces_refused = accepted(
        lambda rng: scenes.face_scene(photographs, rng),
        True, arguments.count - without, (*base, 1), score,
    )  # fmt: skip
    empty, empty_refused = accepted(
        lambda rng: scenes.empty_scene(photographs, rng), False, without, (*base, 0), score
    )
    for kind, images in (("face", faces), ("none", empty)):
        for number, content in enumerate(images, 1):
            with whole_file(arguments.output / f"{kind}_{number:04d}.png") as file:
                file.write(content)
    print(
        f"{len(faces)} images with a face ({faces_refused} candidates refused), "
        f"{len(empty)} without ({empty_refused} refused)"
    )
    return 0


if __name__ == "__main__":
    run(parser(), main)
