"""What the tests of both of MediaPipe's runtimes share."""

import dataclasses
import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image
from runfiles import Runfiles

from tests.e2e.mediapipe_runtime.agreement import Agreement
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.topology import Topology

FOLDER = "tests/e2e/mediapipe_runtime"
ASTRONAUT, GRAVEL = "astronaut.png", "gravel.png"
_PHOTOGRAPHS = (ASTRONAUT, "camera.png")


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is not as it should be, at about one and a half times what was measured.

    Attributes:
      other_counts: images with another number of objects.
      boxes_off: objects whose box has an IoU below 0.9.
      means_off: objects whose points are off by more than 3% of the box on average.
    """

    other_counts: int
    boxes_off: int
    means_off: int

    def hold(self, found: Agreement) -> bool:
        return (
            len(found.other_counts) <= self.other_counts
            and found.boxes_off <= self.boxes_off
            and found.means_off <= self.means_off
        )


def path_of(name: str, repository: str = "rules_quantize") -> Path:
    """Finds a file in the runfiles."""
    return Path(Runfiles.Create().Rlocation(f"{repository}/{name}"))


def photograph(name: str) -> Path:
    """Finds one of scikit-image's photographs."""
    return path_of(name, "scikit_image_photographs")


def images_of(samples: str) -> list[Path]:
    """Finds the images that a program is tried on.

    Args:
      samples: name of a test set of //models.

    Returns:
      Its images, which are rendered, and two photographs of people.
    """
    rendered = sorted(path_of(f"models/{samples}").glob("*.png"))
    return [*rendered, *map(photograph, _PHOTOGRAPHS)]


def saved_as_jpeg(images: Iterable[Path], folder: Path) -> list[Path]:
    """Saves images at quality 90, under the same names: the content tells the format."""
    saved = []
    for path in images:
        saved.append(folder / path.name)
        with Image.open(path) as image:
            image.convert("RGB").save(saved[-1], "JPEG", quality=90)
    return saved


def changed(found: Agreement) -> int:
    """Counts the objects that are lost, or whose points are off."""
    return found.objects - found.pairs + found.means_off


def with_int8_input(artifact: bytes) -> bytes:
    """Takes the conversion from float off the start of a model, as input_type = "int8" does."""
    model = parse_model(artifact)
    (subgraph,) = model.schema.subgraphs
    graph = Topology(model)
    (position,) = (
        number
        for number, operator in enumerate(subgraph.operators)
        if graph.name(operator) == "QUANTIZE" and operator.inputs[0] == subgraph.inputs[0]
    )
    operator = subgraph.operators.pop(position)
    subgraph.inputs = list(operator.outputs)
    for signature in model.schema.signatureDefs:
        signature.inputs[0].tensorIndex = int(operator.outputs[0])
    return model_bytes(model)


def printed(name: str, found: Agreement, least_images: int = 1) -> Agreement:
    """Prints an agreement, and refuses one over too few images to say anything."""
    print(f"{name}\n{found.table()}")
    assert found.images >= least_images
    return found


def check_images_without_an_object(program: str, flags: Sequence[str], report: Path) -> None:
    """Checks that a program refuses images in which nothing is seen, and takes others.

    Args:
      program: in FOLDER, which compares an artifact with MediaPipe's own model.
      flags: that name the face detector and its artifact.
      report: file for what the program finds; it does not exist.
    """

    def compare(name: str) -> subprocess.CompletedProcess:
        words = [path_of(f"{FOLDER}/{program}"), *flags, f"--json={report}", photograph(name)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    done = compare(GRAVEL)
    assert done.returncode == 2
    assert done.stderr == (
        f"{program}: error: MediaPipe's own model sees nothing in these images; give others\n"
    )
    assert not report.exists()
    done = compare(ASTRONAUT)
    assert done.returncode == 0, done.stderr
    assert "1 in 1 images, 1 paired" in done.stdout
    assert json.loads(report.read_text())["iou_min"] > 0.9
