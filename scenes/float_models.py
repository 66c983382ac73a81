"""Runs MediaPipe's float models on pictures, and reads what they see.

Pictures go through the same preprocessing as in calibration and validation
(tools/samples/loading.py).
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tools.errors import InputError

_SSD = {
    "anchor_offset": 0.5,
    "aspect_ratios": [1.0],
    "fixed_anchor_size": True,
    "interpolated_scale_aspect_ratio": 1.0,
    "max_scale": 0.75,
    "min_scale": 0.1484375,
}


@dataclasses.dataclass(frozen=True)
class ModelKind:
    """How a model of MediaPipe's is fed and read.

    Attributes:
      what: how messages name it.
      size: of its square input, pixels.
      mean, std: of its preprocessing.
      score: output with the score of what it looks for; "" when it has none.
      is_logit: whether that is before the sigmoid.
      landmarks: output with boxes (detectors), landmarks or a mask.
      strides: of a detector's anchors; empty for a landmark model.
      interpolated: a detector's interpolated_scale_aspect_ratio.
    """

    what: str
    size: int
    mean: float
    std: float
    score: str
    is_logit: bool
    landmarks: str
    strides: tuple[int, ...] = ()
    interpolated: float = 1.0


KINDS = {
    "face": ModelKind(
        "a face detector", 128, 127.5, 127.5, "classificators", True, "regressors", (8, 16, 16, 16)
    ),
    "face_full_range": ModelKind(
        "a full-range face detector", 192, 127.5, 127.5, "Identity_1", True, "Identity", (4,), 0.0
    ),
    "palm": ModelKind(
        "a palm detector", 192, 0, 255, "Identity_1", True, "Identity", (8, 16, 16, 16)
    ),
    "pose": ModelKind(
        "a pose detector", 224, 127.5, 127.5, "Identity_1", True, "Identity", (8, 16, 32, 32, 32)
    ),
    "hand_landmark": ModelKind(
        "a hand landmark model", 224, 0, 255, "Identity_1", False, "Identity"
    ),
    "pose_landmark": ModelKind(
        "a pose landmark model", 256, 0, 255, "Identity_1", False, "Identity"
    ),
    "face_landmark": ModelKind(
        "a face landmark model", 192, 0, 255, "conv2d_31", True, "conv2d_21"
    ),
    "iris_landmark": ModelKind(
        "an iris landmark model", 64, 0, 255, "", False, "output_iris"
    ),
    "selfie_segmentation": ModelKind(
        "a segmentation model", 256, 0, 255, "", False, "activation_10"
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Detection:
    """A detector's best detection in a picture.

    Attributes:
      score: 0 to 1.
      box: float64 [4]: left, top, right, bottom, pixels of the picture.
      keypoints: float64 [n, 2], pixels of the picture.
    """

    score: float
    box: np.ndarray
    keypoints: np.ndarray


class ModelOnPictures:
    """A float model that pictures are shown to.

    Args:
      path: of the float model.
      kind: one of KINDS.

    Raises:
      InputError: when it cannot be run, or is not of this kind.
    """

    def __init__(self, path: Path, kind: str):
        from tools.graph.flatbuffer import read_bytes
        from tools.graph.runtime import input_specifications, open_interpreter
        from tools.samples.loading import InputSpec, Preprocessing
        from tools.similarity.detection import ssd_anchors

        self.kind = KINDS[kind]
        content = read_bytes(path)
        interpreter = open_interpreter(content, str(path))
        if not interpreter.get_signature_list():
            raise InputError(
                "model.not_master", f"{path}: has no signature; make a float master of it first"
            )
        self._runner = interpreter.get_signature_runner()
        shapes = {
            name: tuple(details["shape"])
            for name, details in self._runner.get_output_details().items()
        }
        self._inputs = [InputSpec(*entry) for entry in input_specifications(content, str(path))]
        for name in filter(None, (self.kind.score, self.kind.landmarks)):
            if name not in shapes:
                raise InputError(
                    "model.interface", f"{path}: has no output {name}; give {self.kind.what}"
                )
        wanted = (1, self.kind.size, self.kind.size, 3)
        if [spec.shape for spec in self._inputs] != [wanted]:
            raise InputError(
                "model.interface", f"{path}: its input is not {list(wanted)}; give {self.kind.what}"
            )
        self._how = Preprocessing(self.kind.mean, self.kind.std, "letterbox")
        if self.kind.strides:
            size = [self.kind.size, self.kind.size]
            options = _SSD | {"input_size": size, "strides": self.kind.strides}
            options["interpolated_scale_aspect_ratio"] = self.kind.interpolated
            self._anchors = ssd_anchors(options)
            if shapes[self.kind.score][1] != len(self._anchors):
                raise InputError(
                    "model.interface", f"{path}: has other anchors than {self.kind.what} has"
                )

    def outputs(self, pictures: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Runs the model on pictures, uint8 [height, width, 3]; gives outputs by name."""
        from tools.samples.loading import load_samples

        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, f"{number:06d}.bmp") for number in range(len(pictures))]
            for path, picture in zip(paths, pictures, strict=True):
                Image.fromarray(picture).save(path)
            return [
                self._runner(**sample) for sample in load_samples(paths, self._inputs, self._how)
            ]

    def score(self, outputs: dict[str, np.ndarray]) -> float:
        """Reads the score: of the best anchor, or of an object's presence."""
        value = float(outputs[self.kind.score].max())
        return float(1 / (1 + np.exp(-np.clip(value, -80, 80)))) if self.kind.is_logit else value

    def detect(self, picture: np.ndarray) -> Detection:
        """Finds a detector's best detection in a picture, uint8 [height, width, 3]."""
        (outputs,) = self.outputs([picture])
        best = int(outputs[self.kind.score].ravel().argmax())
        raw = outputs[self.kind.landmarks][0, best].astype(np.float64).reshape(-1, 2)
        anchor = self._anchors[best, :2] * self.kind.size
        size, points = raw[1], raw[2:] + anchor
        corners = np.stack([raw[0] + anchor - size / 2, raw[0] + anchor + size / 2])
        # Undo the letterbox.
        height, width, _ = picture.shape
        scale = max(height, width) / self.kind.size
        margin = (max(height, width) - np.array([width, height])) / 2
        return Detection(
            self.score(outputs), (corners * scale - margin).ravel(), points * scale - margin
        )

    def landmarks(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """Reads a landmark model's points: float64 [n, 2], relative to its input, 0 to 1.

        Pose landmarks come with five values each, all others with three.
        """
        values = outputs[self.kind.landmarks].astype(np.float64).ravel()
        return values.reshape(-1, 5 if values.size == 195 else 3)[:, :2] / self.kind.size
