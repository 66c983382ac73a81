"""What the gates find: each of many broken artifacts.

Of each of MediaPipe's models an artifact passes the gates that hold without being asked for,
and none of at least thirty mutants of it does: weights of a layer zeroed or their channels
permuted, an output doubled. Gates on a task find what damages that task.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.extent import WHOLE, part_of
from tests.model_files import model_path
from tests.similarity.mutants import layers, mutants, permuted, zeroed
from tests.similarity.report_documents import report_with
from tools.documents.report import LayerFigures
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.samples.loading import InputSpec, Preprocessing, load_samples
from tools.similarity.comparison import compare_outputs
from tools.similarity.gate_definitions import DEFAULTS
from tools.similarity.gates import Evidence, check_gates
from tools.similarity.layers import LayerComparison, best_reference, spread
from tools.similarity.model_outputs import ModelOutputs

_CALIBRATION = 16
_SAMPLES = 4
_BROKEN_WEIGHTS = 36

# Rendered samples in which the model sees something, by the model's file.
_DATA = {
    "face_detection_full_range_sparse": "face_test",
    "face_detection_short_range": "face_test",
    "face_landmark": "face_landmark_test",
    "hand_landmark_full": "hand_landmark_full_test",
    "hand_landmark_lite": "hand_landmark_full_test",
    "iris_landmark": "iris_landmark_test",
    "palm_detection_full": "palm_full_test",
    "palm_detection_lite": "palm_full_test",
    "pose_detection": "pose_test",
    "pose_landmark_full": "pose_landmark_full_test",
    "selfie_segmentation": "pose_test",
}
# What runs by default: a detector and a landmark model.
_SOME_MODELS = ("face_detection_short_range", "hand_landmark_lite")
# With 16 calibration samples these do not pass the default gates in int8.
_FLOAT16 = ("pose_detection", "pose_landmark_full", "selfie_segmentation")
# Their pixels are -1 to 1, those of the others 0 to 1.
_SIGNED = ("face_detection", "pose_detection")


def _folder(name: str) -> Path:
    """Finds a set of rendered samples of //models."""
    folder = os.environ.get("RULES_QUANTIZE_SAMPLES")
    if folder:
        return Path(folder, name)
    from runfiles import Runfiles

    return Path(Runfiles.Create().Rlocation(f"rules_quantize/models/{name}"))


def _samples(name: str, model: ModelOutputs):
    how = Preprocessing(127.5, 127.5) if name.startswith(_SIGNED) else Preprocessing(0.0, 255.0)
    inputs = [
        InputSpec(source, shape, np.dtype(np.float32))
        for source, shape in zip(model.inputs, model.input_shapes, strict=True)
    ]
    pictures = sorted(_folder(_DATA[name]).glob("*.png"))[:_CALIBRATION]
    return load_samples(pictures, inputs, how)


class _Few(list):
    """Some samples of a set, loaded, with their names."""

    def __init__(self, samples, count: int):
        super().__init__(samples[number] for number in spread(len(samples), count))
        self.names = [f"sample_{number}" for number in range(count)]


class _Remembered:
    """A float model that runs each sample once."""

    def __init__(self, content: bytes, where: str):
        self._model = ModelOutputs(content, where)
        self._known: dict[int, list[np.ndarray]] = {}

    def __getattr__(self, name):
        return getattr(self._model, name)

    def __call__(self, sample):
        if id(sample) not in self._known:
            self._known[id(sample)] = self._model(sample)
        return self._known[id(sample)]


def _layers(reference: bytes, artifact: bytes, samples: _Few) -> dict:
    comparison = LayerComparison(reference, artifact, ("float model", "artifact"))
    for sample in samples:
        comparison.add(sample)
    known = {name: c for name, c in comparison.correlations().items() if c is not None}
    worst = min(known, key=known.get)
    return LayerFigures(len(known), known[worst], len(samples), worst)


def _failed(gates=DEFAULTS, **similarity) -> set[str]:
    """Names the gates that fail on a report of these fields of its similarity alone."""
    known = {"layers": None, "outputs": (), "tasks": ()} | similarity
    verdict = check_gates(Evidence.of(report_with(**known)), gates)
    return {gate.name for gate in verdict.failed()}


@pytest.mark.parametrize("name", sorted(_DATA) if WHOLE else _SOME_MODELS)
def test_no_mutant_passes_the_default_gates(name):
    master, _ = make_float_master(model_path(name).read_bytes())
    model = _Remembered(master, name)
    calibration = _samples(name, model)
    samples = _Few(calibration, _SAMPLES)
    scheme = "float16" if name in _FLOAT16 else "int8"
    artifact = quantize(master, QuantizationSettings(scheme), calibration).model
    reference = best_reference(master, artifact, (name, f"mutant of {name}"))

    def failed(content: bytes) -> set[str]:
        # The layers tell most of them: outputs are compared where they do not.
        found = _failed(layers=_layers(reference, content, samples))
        if found:
            return found
        similarity = compare_outputs(model, ModelOutputs(content, "mutant"), samples, None)
        return _failed(outputs=similarity.outputs)

    assert failed(artifact) == set()
    survivors, count = [], 0
    for mutant in mutants(artifact, _BROKEN_WEIGHTS, seed=1):
        count += 1
        if not failed(mutant.model):
            survivors.append(mutant.what)
    assert survivors == []
    assert count >= 30


_TASKS = {
    "hand_landmark_lite": (
        {
            "count": 21,
            "crop_size": [224, 224],
            "points": "Identity",
            "presence": "Identity_1",
            "type": "landmarks",
            "world": "Identity_3",
        },
        {"max_landmark_error_px": 0.5, "max_presence_error": 0.05, "max_world_error_mm": 5},
        # By the output that is damaged; of the left or right hand (Identity_2) no gate knows.
        {
            "Identity": {"max_landmark_error_px"},
            "Identity_1": {"max_presence_error"},
            "Identity_2": set(),
            "Identity_3": {"max_world_error_mm"},
        },
    ),
    "selfie_segmentation": (
        {"mask": "activation_10", "type": "segmentation"},
        {"min_segmentation_iou": 0.9},
        {"activation_10": {"min_segmentation_iou"}},
    ),
}


@pytest.mark.parametrize("name", part_of(sorted(_TASKS), 2))
def test_gates_on_a_task_find_what_damages_it(name):
    task, gates, found_by_output = _TASKS[name]
    master, _ = make_float_master(model_path(name).read_bytes())
    model = _Remembered(master, name)
    samples = _Few(_samples(name, model), _SAMPLES)
    artifact = quantize(master, QuantizationSettings("float16"), None).model

    def failed(content: bytes) -> set[str]:
        similarity = compare_outputs(model, ModelOutputs(content, "mutant"), samples, task)
        return _failed(gates, tasks=similarity.tasks)

    assert failed(artifact) == set()
    for output, found in found_by_output.items():
        (mutant,) = [m for m in mutants(artifact, 0, 1) if m.what == f"output {output} doubled"]
        assert failed(mutant.model) == found, output
    generator = np.random.default_rng(1)
    positions = layers(parse_model(artifact))
    for position in (positions[0], positions[len(positions) // 2]):
        for broken in (zeroed(artifact, position), permuted(artifact, position, generator)):
            assert failed(broken) & set(gates), position
