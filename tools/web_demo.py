"""Command: serves a page that shows what float models and their artifacts find in a photograph."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.command_line import bazel_command, new_parser, run
from tools.errors import InputError

_EXAMPLES = """\
  web_demo
  web_demo --port=8000 --show=hands

Open the address that it prints, in a browser on this machine, and end it with Ctrl-C. The page
needs no network: models, LiteRT.js and photographs come from here.
"""
# Beside this file in runfiles, whatever this repository is called there.
_ROOT = Path(__file__).parent.parent
# Bazel's modules put a prefix of their own before the repository's name.
_PHOTOGRAPHS = "*scikit_image_photographs"
_MINUS_ONE_TO_ONE, _ZERO_TO_ONE = (-1.0, 1.0), (0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class _Model:
    """A float model of //models, and its artifact.

    Attributes:
      name: of the float_model; its artifact is NAME_int8.
      pixels: what the model takes for pixels of 0 and 255.
      region: which of REGIONS in decoding.js it sees of a detection; "" for a detector.
      drawn: how many of its points are shown.
      visibility: which value of a point is the logit of its being seen; None where none is.
    """

    name: str
    pixels: tuple[float, float]
    region: str = ""
    drawn: int = 0
    visibility: int | None = None


@dataclasses.dataclass(frozen=True)
class _Show:
    """A section of the page.

    Attributes:
      title: above it.
      image: the photograph at the start; a pattern below the folder of all repositories.
      most: objects that are shown.
      detector: finds them.
      landmarker: finds the points of each, or None.
    """

    title: str
    image: str
    most: int
    detector: _Model
    landmarker: _Model | None = None


_SHOWS = {
    "face": _Show(
        "Face",
        f"{_PHOTOGRAPHS}/astronaut.png",
        10,
        _Model("face", _MINUS_ONE_TO_ONE),
    ),
    "hands": _Show(
        "Hands",
        f"{_ROOT.name}/models/palm_full_test/hand_0055.png",
        2,
        _Model("palm_full", _ZERO_TO_ONE),
        _Model("hand_landmark_full", _ZERO_TO_ONE, "palm", 21),
    ),
    "pose": _Show(
        "Pose",
        f"{_PHOTOGRAPHS}/astronaut.png",
        1,
        _Model("pose", _MINUS_ONE_TO_ONE),
        _Model("pose_landmark_full", _ZERO_TO_ONE, "pose", 33, 3),
    ),
}


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "web_demo",
        "Serves a page on this machine that shows what MediaPipe's models and their int8 artifacts "
        "find in a photograph, side by side, with the size and the speed of each in the browser.",
        _EXAMPLES,
    )
    result.add_argument(
        "--port", type=int, default=0, help="port to listen on (default: one that is free)"
    )
    result.add_argument(
        "--show",
        action="append",
        choices=tuple(_SHOWS),
        help="what is shown; may be given several times (default: all)",
    )
    return result


def _read(pattern: str) -> bytes:
    """Reads a file among the program's."""
    for path in sorted(_ROOT.parent.glob(pattern)):
        return path.read_bytes()
    raise InputError(
        "file.missing",
        f"{pattern}: not among this program's files, which its start by Bazel builds: "
        f"{bazel_command('run', '//tools:web_demo')}",
    )


def _file(name: str) -> bytes:
    """Reads a file that //models makes."""
    return _read(f"{_ROOT.name}/models/{name}")


def _task_document(name: str) -> dict[str, Any]:
    """Reads how the outputs of a model are decoded, as its float_model has it."""
    document = json.loads(_file(f"{name}.task.json"))
    # Pose landmarks have a mask as well.
    return document[0] if isinstance(document, list) else document


def _task(model: _Model) -> dict[str, Any]:
    """Gives how a model's outputs are decoded; anchors in pixels, for the page."""
    from tools.similarity.detection import read_detection_task

    task = _task_document(model.name)
    if model.region:
        return task
    anchors = read_detection_task(task, model.name).anchors.copy()
    anchors[:, :2] *= task["anchors"]["input_size"]
    size = task["anchors"]["input_size"]
    return {**task, "anchors": anchors.tolist(), "input_size": size}


def _stage(model: _Model) -> dict[str, Any]:
    return {
        "range": model.pixels,
        "region": model.region,
        "task": {**_task(model), "drawn": model.drawn, "visibility": model.visibility},
    }


def _sides(models: Sequence[tuple[str, _Model]], contents: dict[str, bytes]) -> list[dict]:
    """Describes the float models and their artifacts, and adds them to what is served."""
    sides = []
    for name, title, ending in (("float", "float32", ""), ("int8", "int8", "_int8")):
        files = {role: f"{model.name}{ending}.tflite" for role, model in models}
        contents.update({f"/models/{file}": _file(file) for file in files.values()})
        size = sum(len(contents[f"/models/{file}"]) for file in files.values())
        sides.append({"name": name, "title": title, "models": files, "bytes": size})
    return sides


def _contents(names: Sequence[str]) -> dict[str, bytes]:
    """Gathers what the page loads.

    Args:
      names: of the sections, in their order.

    Returns:
      Path to content.

    Raises:
      InputError: when a file is missing.
    """
    contents: dict[str, bytes] = {}
    shows = []
    for name in names:
        show = _SHOWS[name]
        image = f"{name}{Path(show.image).suffix}"
        contents[f"/images/{image}"] = _read(show.image)
        models = [("detector", show.detector)]
        if show.landmarker:
            models.append(("landmarker", show.landmarker))
        shows.append(
            {
                "name": name,
                "title": show.title,
                "image": image,
                "most": show.most,
                **{role: _stage(model) for role, model in models},
                "sides": _sides(models, contents),
            }
        )
    contents["/shows.json"] = json.dumps(shows).encode()
    return contents


def main(arguments: argparse.Namespace) -> int:
    from tools.browser.packages import packages_folder
    from tools.browser.static_server import StaticServer

    if not 0 <= arguments.port < 65536:
        raise InputError("server.address", f"--port={arguments.port}: give a number up to 65535")
    packages = packages_folder()
    contents = _contents(arguments.show or tuple(_SHOWS))
    try:
        server = StaticServer(packages, arguments.port)
    except OSError as error:
        raise InputError(
            "server.address",
            f"--port={arguments.port}: it cannot be used ({error.strerror}); give another",
        ) from None
    with server:
        server.contents.update(contents)
        print(f"http://127.0.0.1:{server.server_port}/demo_page.html", flush=True)
        print("Open it in a browser on this machine; Ctrl-C ends this.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    run(parser(), main)
