"""Command: draws what a float detector and its quantized artifact find in a photograph."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.command_line import new_parser, output_path, run, user_path, whole_file
from tools.errors import InputError
from tools.progress import progress_bar
from tools.samples.flags import add_input_flags, preprocessing_choice

if TYPE_CHECKING:
    from tools.similarity.detection import Detections

_EXAMPLES = """\
  demo --image=photo.jpg
  demo --image=hands.jpg --float_model=palm.tflite --quantized_model=palm_int8.tflite \\
      --task=palm.task.json --output=palm.png

Without models it shows MediaPipe's face detector and its int8 artifact, which are built for
it; draw_detections is the same program without them. The task says how outputs are decoded:
`bazel build --output_groups=task` writes the one of a float_model.
"""

# What is shown when nothing else is named, as the BUILD file gives it.
_FACE = {
    "float_model": "models/face.tflite",
    "quantized_model": "models/face_int8.tflite",
    "task": "models/face.task.json",
}
_ROUNDS = 15

# Pixels, and colours as they are named in CSS.
_PANEL_HEIGHT = 320
_MARGIN = 12
_TOP = _MARGIN + 30
_BACKGROUND, _TEXT, _FAINT, _BOX, _POINT = "#ffffff", "#1f2328", "#59636e", "#2da44e", "#ffd33d"


@dataclasses.dataclass(frozen=True)
class Shown:
    """One side of the picture.

    Attributes:
      title: "float32" or the artifact's name.
      size: of the file in bytes.
      fps: inferences a second, the median of the rounds.
      caption: the figures below it.
      detections: tools.similarity.detection.Detections, in pixels of the photograph.
    """

    title: str
    size: int
    fps: float
    caption: str
    detections: "Detections"

    def document(self) -> dict:
        """Gives what is shown as JSON: sizes in bytes, boxes as left, top, right, bottom."""
        found = self.detections
        return {
            "bytes": self.size,
            "caption": self.caption,
            "detections": [
                {"box": box.round(2).tolist(), "score": round(float(score), 4)}
                for box, score in zip(found.corners, found.scores, strict=True)
            ],
            "fps": self.fps,
            "title": self.title,
        }


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "demo",
        "Draws what a float detector and its quantized artifact find in a photograph, side by "
        "side, with the size and the speed of each on this machine.",
        _EXAMPLES,
    )
    result.add_argument("--image", required=True, type=user_path, help="a photograph")
    result.add_argument("--float_model", type=user_path, help="a float .tflite of a detector")
    result.add_argument("--quantized_model", type=user_path, help="the artifact")
    result.add_argument("--task", type=user_path, help="JSON: how the outputs are decoded")
    add_input_flags(result)
    result.add_argument(
        "--output",
        type=output_path,
        default=user_path("demo.png"),
        help="the picture, a .png (default: demo.png)",
    )
    result.add_argument("--report", type=output_path, help="JSON file for what the picture shows")
    result.add_argument("--threads", type=int, default=1, help="of the interpreter")
    return result


def _models(arguments: argparse.Namespace) -> None:
    """Takes the face detector where no model is named."""
    named = [name for name in _FACE if getattr(arguments, name) is not None]
    if not named:
        for name, file in _FACE.items():
            # Beside this file in runfiles, whatever this repository is called there.
            path = Path(__file__).parent.parent / file
            if not path.exists():
                raise InputError(
                    "flag.missing", "give --float_model=, --quantized_model= and --task="
                )
            setattr(arguments, name, path)
    elif len(named) < len(_FACE):
        missing = " and ".join(f"--{name}=" for name in _FACE if name not in named)
        raise InputError("flag.conflict", f"--{named[0]}= is of no use without {missing}")


def on_photograph(detections, size: tuple[int, int], input_size: tuple[int, int], resize: str):
    """Moves detections from the model's input to the photograph it was made of.

    Args:
      detections: tools.similarity.detection.Detections, in pixels of the input.
      size: (width, height) of the photograph.
      input_size: (width, height) of the input.
      resize: "letterbox", "center_crop" or "stretch", how the one became the other.

    Returns:
      The detections in pixels of the photograph.
    """
    import numpy as np

    outer, inner = np.array(size, float), np.array(input_size, float)
    scale = inner / outer
    if resize != "stretch":
        scale[:] = scale.min() if resize == "letterbox" else scale.max()
    border = (inner - outer * scale) / 2
    return dataclasses.replace(
        detections,
        corners=(detections.corners - np.tile(border, 2)) / np.tile(scale, 2),
        keypoints=(detections.keypoints - border) / scale,
    )


def _speeds(arguments: argparse.Namespace) -> tuple[float, float]:
    """Measures both models in turns; inferences a second."""
    import numpy as np

    from tools.latency.backend import Options
    from tools.latency.devices import open_backend

    bar = progress_bar()
    times = []
    models = (arguments.float_model, arguments.quantized_model)
    with open_backend("host", models, Options(threads=arguments.threads)) as host:
        for number in range(_ROUNDS):
            times.append([run.p50_ms for run in host.measure_round(number).runs])
            bar("measuring", number + 1, _ROUNDS)
    # The picture and the report say the same figure.
    own, other = (round(float(fps), 1) for fps in 1000 / np.nanmedian(times, axis=0))
    return own, other


def _captions(sizes: Sequence[int], speeds: Sequence[float]) -> list[str]:
    """Writes the figures of the float model, and those of the artifact beside them."""
    own, other = (
        (f"{size / 1000:,.0f} kB", f"{fps:,.0f} FPS")
        for size, fps in zip(sizes, speeds, strict=True)
    )
    smaller, faster = 1 - sizes[1] / sizes[0], speeds[1] / speeds[0]
    return ["   ".join(own), f"{other[0]} ({-smaller:+.0%})   {other[1]} ({faster:.2f}x)"]


def draw(photograph, sides: tuple[Shown, ...], footer: str):
    """Draws the picture.

    Args:
      photograph: PIL.Image of mode RGB.
      sides: what is shown of it, from left to right.
      footer: a line below.

    Returns:
      PIL.Image, the sides beside each other, each with its title and caption.
    """
    from PIL import Image, ImageDraw, ImageFont

    scale = _PANEL_HEIGHT / photograph.height
    width = max(round(photograph.width * scale), 1)
    panel = photograph.resize((width, _PANEL_HEIGHT), Image.Resampling.LANCZOS)
    large, small = ImageFont.load_default(18), ImageFont.load_default(14)
    # A caption needs its room below a narrow photograph.
    column = max(width, *(round(large.getlength(side.caption)) for side in sides))
    size = (
        len(sides) * column + (len(sides) + 1) * _MARGIN,
        _TOP + _PANEL_HEIGHT + 58,
    )
    picture = Image.new("RGB", size, _BACKGROUND)
    pen = ImageDraw.Draw(picture)
    for number, side in enumerate(sides):
        left = _MARGIN + number * (column + _MARGIN)
        shown = panel.copy()
        marks = ImageDraw.Draw(shown)
        found = side.detections
        for box, score in zip(found.corners * scale, found.scores, strict=True):
            marks.rectangle(box.round().tolist(), outline=_BOX, width=3)
            # Above the box, or in it where the picture ends.
            place = (box[0], max(box[1] - 18, 0))
            marks.rectangle((*place, place[0] + 33, place[1] + 18), fill=_BOX)
            marks.text((place[0] + 3, place[1]), f"{score:.2f}", fill=_BACKGROUND, font=small)
        for x, y in found.keypoints.reshape(-1, 2) * scale:
            marks.ellipse((x - 3, y - 3, x + 3, y + 3), fill=_POINT, outline=_TEXT)
        pen.text((left, _MARGIN), side.title, fill=_TEXT, font=large)
        picture.paste(shown, (left, _TOP))
        pen.text((left, _TOP + _PANEL_HEIGHT + 8), side.caption, fill=_TEXT, font=large)
    pen.text((_MARGIN, _TOP + _PANEL_HEIGHT + 34), footer, fill=_FAINT, font=small)
    return picture


def main(arguments: argparse.Namespace) -> int:
    from PIL import Image, ImageOps

    from tools.documents.json_file import read_json
    from tools.graph.flatbuffer import read_bytes
    from tools.graph.float_master import make_float_master
    from tools.latency.device import cpu_model
    from tools.samples.endings import IMAGE_ENDINGS
    from tools.samples.model_inputs import load_model_samples
    from tools.similarity.detection import (
        DetectionSimilarity,
        detections_of,
        read_detection_task,
    )
    from tools.similarity.model_outputs import ModelOutputs, paired

    _models(arguments)
    if arguments.image.suffix.lower() not in IMAGE_ENDINGS:
        raise InputError(
            "file.kind", f"{arguments.image}: not one of {', '.join(sorted(IMAGE_ENDINGS))}"
        )
    if arguments.output.suffix.lower() != ".png":
        raise InputError("file.kind", f"{arguments.output}: the picture is a .png")
    where = str(arguments.float_model)
    given = read_bytes(arguments.float_model)
    master, _ = make_float_master(given, where)
    artifact = read_bytes(arguments.quantized_model)
    document = read_json(arguments.task)
    if not isinstance(document, dict) or document.get("type") != "detection":
        raise InputError(
            "task.kind", f"{arguments.task}: not the task of a detector; see detection()"
        )
    task = read_detection_task(document, str(arguments.task))
    choice = preprocessing_choice(arguments)
    (sample,) = load_model_samples(master, where, [arguments.image], choice)
    models = (
        ModelOutputs(master, where),
        ModelOutputs(artifact, str(arguments.quantized_model)),
    )
    reference, quantized = models
    # Refuses a task that does not fit the model.
    DetectionSimilarity(task, dict(zip(reference.outputs, reference.shapes, strict=True)), where)
    names, order = paired(*models)
    ends = (
        reference(sample),
        [quantized({own: sample[name] for own, name in names.items()})[i] for i in order],
    )
    with Image.open(arguments.image) as file:
        photograph = ImageOps.exif_transpose(file).convert("RGB")
    speeds = _speeds(arguments)
    sizes = (len(master), len(artifact))
    sides = []
    for title, size, fps, caption, outputs in zip(
        (f"{arguments.float_model.stem}, float32", arguments.quantized_model.stem),
        sizes,
        speeds,
        _captions(sizes, speeds),
        ends,
        strict=True,
    ):
        by_name = dict(zip(reference.outputs, outputs, strict=True))
        found = detections_of(task, by_name[task.boxes], by_name[task.scores])
        resized = (photograph.size, task.input_size, arguments.input_resize)
        sides.append(Shown(title, size, fps, caption, on_photograph(found, *resized)))
    footer = f"{cpu_model()}, {arguments.threads} thread{'s' * (arguments.threads > 1)}, XNNPACK"
    with whole_file(arguments.output) as file:
        draw(photograph, tuple(sides), footer).save(file, "PNG", optimize=True)
    if arguments.report is not None:
        with whole_file(arguments.report, "w") as file:
            json.dump([side.document() for side in sides], file, indent=2)
            file.write("\n")
    for side in sides:
        print(f"{side.title}: {len(side.detections.scores)} found, {side.caption}")
    print(f"{arguments.output}: written")
    return 0


if __name__ == "__main__":
    run(parser(), main)
