"""MediaPipe's short-range face detector, as //models quantizes it."""

from pathlib import Path

from tests.golden.golden_digests import Case


def face_case() -> Case:
    """Finds the float master and its samples among the program's data."""
    from runfiles import Runfiles

    runfiles = Runfiles.Create()
    model, calibration, test = (
        Path(runfiles.Rlocation(f"rules_quantize/models/{name}"))
        for name in ("face.tflite", "face_calibration", "face_test")
    )
    return Case("face", model, calibration, test, "^classificator")
