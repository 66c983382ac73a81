"""Training with quantizers: the same bytes again, what is made, and what is refused."""

import hashlib
import json

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from models.shapes import classifier
from scenes.shapes import CLASSES, SIZE, shapes
from tests.tools.commands import refusal, run_command
from tools import train_quantized
from tools.graph.float_master import make_float_master

_MODEL = f"--model={classifier.__file__}:classifier"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders of a few pictures for each class: for training, and for the test."""
    folder = tmp_path_factory.mktemp("shapes")
    for name, count, seed in (("train", 128, 1), ("test", 32, 2)):
        for number, (image, label) in enumerate(zip(*shapes(count, seed), strict=True)):
            file = folder / name / CLASSES[label] / f"{number:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file)
    return folder


def _train(data, output):
    output.mkdir(exist_ok=True)
    done = run_command(
        train_quantized,
        _MODEL,
        "--float_epochs=1",
        "--epochs=1",
        f"--train_data={data}/train",
        f"--test_data={data}/test",
        f"--output_model={output}/int8.tflite",
        f"--twin_output={output}/twin.tflite",
        f"--float_output={output}/float.tflite",
        f"--summary={output}/summary.json",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {file.name: file.read_bytes() for file in sorted(output.iterdir())}


def test_the_classifier_fits_its_pictures():
    model = classifier.classifier()
    assert model.input_shape == (None, SIZE, SIZE, 3)
    assert model.output_shape == (None, len(CLASSES))


def test_the_same_data_give_the_same_models(data, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    files = _train(data, tmp_path / "first")
    again = _train(data, tmp_path / "second")
    assert {k: hashlib.sha256(v).hexdigest() for k, v in files.items()} == {
        k: hashlib.sha256(v).hexdigest() for k, v in again.items()
    }
    summary = json.loads(files["summary.json"])
    assert set(summary["accuracy"]) == {"float_model", "float_twin", "quantized"}
    assert (summary["samples"], summary["seed"]) == (128, 0)
    # Training moved the weights, and the twin is float: quantize_model takes it.
    assert files["twin.tflite"] != files["float.tflite"]
    make_float_master(files["twin.tflite"])

    # What computes in int8 is what was trained with: it follows its twin, of the same names.
    images = (shapes(16, 3)[0].astype(np.float32) - 127.5) / 127.5
    outputs = []
    for name in ("twin.tflite", "int8.tflite"):
        interpreter = Interpreter(model_content=files[name], num_threads=1)
        runner = interpreter.get_signature_runner("serving_default")
        assert list(runner.get_input_details()) == ["image"]
        outputs.append(np.stack([runner(image=image[None])["scores"][0] for image in images]))
    types = {d["dtype"] for d in interpreter.get_tensor_details()}
    assert np.int8 in types
    twin, quantized = (values.ravel() for values in outputs)
    assert twin @ quantized / np.linalg.norm(twin) / np.linalg.norm(quantized) > 0.9
    assert len(files["int8.tflite"]) < 0.6 * len(files["float.tflite"])


def test_what_cannot_be_trained_is_refused(data, tmp_path):
    train = f"--train_data={data}/train"
    output = f"--output_model={tmp_path}/int8.tflite"
    assert refusal(train_quantized, _MODEL, train).startswith("give --output_model or")
    said = refusal(train_quantized, "--model=net.tflite", train, output)
    assert said == "net.tflite: give a .keras or .h5 file, or FILE.py:FUNCTION"
    said = refusal(train_quantized, _MODEL, f"--train_data={data}/train/ring", output)
    assert said.endswith("0 folders with images in it; give one folder for each class")
    broken = tmp_path / "broken.py"
    broken.write_text("def build():\n    raise RuntimeError('no layers')\n")
    said = refusal(train_quantized, f"--model={broken}:build", train, output)
    assert said.endswith("build() builds no model: RuntimeError: no layers")
    labels = tmp_path / "labels.npz"
    np.savez(labels, images=np.zeros((2, 48, 48, 3), np.float32), labels=np.array([0, 8]))
    said = refusal(train_quantized, _MODEL, f"--train_data={labels}", output)
    assert said.endswith("labels go from 0 to 8; it has 8 classes")
    assert not (tmp_path / "int8.tflite").exists()
