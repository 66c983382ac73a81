"""A registered model, loaded and run by MLflow itself."""

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request

import mlflow
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from registry.record import read_record
from registry.recording import RegistrationWriter
from registry.store import connect, locked
from tests.model_files import model_path
from tests.registry.new_stores import new_store
from tests.registry.registration_files import write_files
from tests.registry.tracking_server import free_port, stop_server
from tools.documents.models import ModelDescription, Tensor


@pytest.fixture(name="path", scope="module")
def _path():
    return model_path("face_detection_short_range")


@pytest.fixture(name="registered", scope="module")
def _registered(path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    interpreter = Interpreter(str(path))
    content = path.read_bytes()

    def tensors(details):
        return tuple(
            Tensor(
                name=detail["name"],
                shape=tuple(detail["shape"].tolist()),
                dtype=np.dtype(detail["dtype"]).name,
            )
            for detail in details
        )

    model = ModelDescription(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        ops={},
        inputs=tensors(interpreter.get_input_details()),
        outputs=tensors(interpreter.get_output_details()),
    )
    tools = {"ai-edge-litert": "2.3.0"}
    files = write_files(
        folder / "files", artifact=content, report_changes={"artifact": model, "tools": tools}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        store = new_store(folder)
        with locked(store):
            client = connect(store)
            RegistrationWriter(store, client, {}).write(
                read_record(files, "face", "//models:face_int8")
            )
            client.set_registered_model_alias("face", "production", "1")
        yield store


@pytest.fixture(name="function", scope="module")
def _function(registered):
    return mlflow.pyfunc.load_model("models:/face@production")


def _expected(path, samples):
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    outputs = {detail["name"]: [] for detail in interpreter.get_output_details()}
    for sample in samples:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[np.newaxis])
        interpreter.invoke()
        for detail in interpreter.get_output_details():
            outputs[detail["name"]].append(interpreter.get_tensor(detail["index"]))
    return {name: np.concatenate(parts) for name, parts in outputs.items()}


@pytest.mark.parametrize("count", [1, 3])
def test_predict_is_what_the_interpreter_says(function, path, count):
    samples = np.random.default_rng(0).uniform(-1, 1, (count, 128, 128, 3)).astype(np.float32)
    predicted = function.predict(samples)

    expected = _expected(path, samples)
    assert set(predicted) == set(expected) == {"regressors", "classificators"}
    for name, value in expected.items():
        np.testing.assert_array_equal(predicted[name], value)


def test_wrong_input_is_refused(function):
    with pytest.raises(mlflow.MlflowException, match="does not match expected shape"):
        function.predict(np.zeros((1, 64, 64, 3), np.float32))


def test_what_is_written_down(function):
    metadata = function.metadata
    assert metadata.signature.inputs.inputs[0].shape == (-1, 128, 128, 3)
    assert metadata.signature.outputs.input_names() == ["regressors", "classificators"]
    assert metadata.flavors["tflite"]["inputs"][0] == {
        "name": "input",
        "shape": [1, 128, 128, 3],
        "dtype": "float32",
    }
    requirements = mlflow.artifacts.load_text("models:/face@production/requirements.txt")
    assert "ai-edge-litert==2.3.0" in requirements.splitlines()
    folder = mlflow.artifacts.download_artifacts("models:/face@production")
    example = metadata.load_input_example(folder)
    assert function.predict(example)["regressors"].shape == (1, 896, 16)


def test_mlflow_serves_it(registered, path, tmp_path):
    port = free_port()
    # MLflow starts it by name; an environment of this project has no scripts.
    uvicorn = tmp_path / "uvicorn"
    uvicorn.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m uvicorn "$@"\n')
    uvicorn.chmod(0o755)
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "models", "serve"),
                *("--model-uri=models:/face@production", "--env-manager=local"),
                *("--host=127.0.0.1", f"--port={port}", "--workers=1"),
            ],
            env={
                **os.environ,
                "MLFLOW_TRACKING_URI": registered.tracking_uri,
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
            },
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            start_new_session=True,
        )
    try:
        sample = np.full((1, 128, 128, 3), 0.5, np.float32)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps({"inputs": sample.tolist()}).encode(),
            {"Content-Type": "application/json"},
        )
        deadline = time.monotonic() + 600
        while True:
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    predictions = json.load(answer)["predictions"]
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.3)
    finally:
        stop_server(server)
    for name, value in _expected(path, sample).items():
        np.testing.assert_allclose(predictions[name], value, rtol=1e-6)
