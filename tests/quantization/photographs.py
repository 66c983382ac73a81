"""Where the tests find photographs to calibrate with and to compare on."""

import os
from pathlib import Path

CALIBRATION = ("brick.png", "chelsea.png", "coffee.png", "rocket.jpg")
# Shows a face.
TEST = "astronaut.png"


def photo_path(name: str) -> Path:
    """Finds one of scikit-image's photographs.

    Args:
      name: the file's name, such as "coffee.png".

    Returns:
      Its path.

    Raises:
      FileNotFoundError: when the test neither runs under Bazel with the photographs
        among its data nor has RULES_QUANTIZE_PHOTOS set to a folder of them.
    """
    folder = os.environ.get("RULES_QUANTIZE_PHOTOS")
    if folder:
        path = Path(folder, name)
    else:
        from runfiles import Runfiles

        runfiles = Runfiles.Create()
        path = Path(runfiles.Rlocation(f"scikit_image_photographs/{name}") or name)
    if not path.exists():
        raise FileNotFoundError(
            f"{name}: not among the test's data; outside Bazel set RULES_QUANTIZE_PHOTOS"
        )
    return path
