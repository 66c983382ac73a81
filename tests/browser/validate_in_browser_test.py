"""validate_in_browser: an artifact's answers in the browser, held to the build's gates."""

import json

import fastjsonschema
import numpy as np
import pytest

import tools.validate_in_browser
import tools.validate_quantized_model
from tests.random_models import ModelBuilder, random_image, thin_out, tiny_model
from tests.tools.commands import run_command
from tools.documents.device_verdict import DeviceVerdict
from tools.documents.document import read_document
from tools.documents.schema import schema_of
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings

_SHAPE = (1, 16, 16, 3)
_SAMPLES = 5


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    """Float models, and what is quantized of them: right, and wrong in one way each."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "test").mkdir()
    for seed in range(_SAMPLES):
        np.save(folder / "test" / f"sample_{seed}.npy", random_image(_SHAPE, 100 + seed)[0])
    calibration = [{"image": random_image(_SHAPE, seed)} for seed in range(8)]
    master, _ = make_float_master(tiny_model())
    right = quantize(master, QuantizationSettings("int8"), calibration).model
    (folder / "float.tflite").write_bytes(master)
    (folder / "right.tflite").write_bytes(right)
    (folder / "mutant.tflite").write_bytes(_with_a_wrong_scale_of_a_bias(right))
    thin, _ = make_float_master(thin_out(tiny_model(channels=32), np.random.default_rng(0), 0.15))
    on_the_cpu = QuantizationSettings("dynamic", runs_on=("cpu",))
    (folder / "thin.tflite").write_bytes(thin)
    (folder / "sparse.tflite").write_bytes(quantize(thin, on_the_cpu, None).model)
    return folder


def _with_a_wrong_scale_of_a_bias(artifact):
    """Breaks the second convolution where its bias is read by its own scales.

    Kernels of a CPU take the scales of input and weights for it, whose products they are. The GPU
    delegate makes floats of it first, by the scales that the file has.
    """
    model = parse_model(artifact)
    graph = Topology(model)
    convolutions = [one for one in graph.subgraph.operators if graph.name(one) == "CONV_2D"]
    quantization = graph.tensor(convolutions[1].inputs[2]).quantization
    quantization.scale = 8 * np.asarray(quantization.scale, np.float32)
    return model_bytes(model)


def _validate(folder, artifact, *flags, command=tools.validate_in_browser, master="float"):
    return run_command(
        command,
        f"--float_model={master}.tflite",
        f"--quantized_model={artifact}.tflite",
        "--test_data=test/",
        *flags,
        where=folder,
        BUILD_WORKING_DIRECTORY=str(folder),
    )


def _verdict(path):
    fastjsonschema.compile(schema_of(DeviceVerdict))(json.loads(path.read_text()))
    return read_document(path, DeviceVerdict)


@pytest.mark.parametrize("accelerator", ["wasm", "gpu"])
def test_a_right_artifact_passes(folder, tmp_path, accelerator):
    path = tmp_path / "verdict.json"
    done = _validate(folder, "right", f"--accelerator={accelerator}", f"--output={path}")
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()[:4])
    assert said["taken"] == "whole"
    assert said["device"].startswith("browser: Chrom")
    assert f"on {_SAMPLES} of {_SAMPLES} test samples" in said["similarity"]
    verdict = _verdict(path)
    assert (verdict.passed, verdict.taken, verdict.fault) == (True, "whole", "")
    assert (verdict.name, verdict.test_samples) == ("right", _SAMPLES)
    assert verdict.similarity.outputs[0].cosine_mean > 0.99
    assert {gate.name for gate in verdict.gates} == {"tolerance", "max_scale_error"}
    if accelerator == "gpu":
        assert verdict.speed is None
        assert "swiftshader computes in place of a GPU" in said["speed"]
    else:
        assert verdict.speed.speedup > 0
        assert said["speed"].startswith(f"{verdict.speed.speedup:.2f} times the float model's")


def test_what_is_wrong_only_for_the_gpu_is_found_there_alone(folder, tmp_path):
    host = _validate(folder, "mutant", "--tolerance=0.01", command=tools.validate_quantized_model)
    assert host.returncode == 0, host.stderr
    wasm = _validate(folder, "mutant", "--tolerance=0.01", "--accelerator=wasm")
    assert wasm.returncode == 0, wasm.stderr
    path = tmp_path / "verdict.json"
    gpu = _validate(folder, "mutant", "--tolerance=0.01", "--accelerator=gpu", f"--output={path}")
    assert gpu.returncode == 1
    first, reason, where = gpu.stderr.splitlines()[:3]
    assert first.startswith("mutant on browser: refused, ")
    assert " of output " in reason
    assert str(path) in where or str(path) in gpu.stderr
    verdict = _verdict(path)
    assert (verdict.passed, verdict.taken) == (False, "whole")
    assert "tolerance" in {gate.name for gate in verdict.gates if not gate.passed}


@pytest.mark.parametrize("accelerator", ["wasm", "gpu"])
def test_sparse_weights_are_wrong_in_the_browser_and_found(folder, accelerator):
    host = _validate(
        folder,
        "sparse",
        "--tolerance=0.001",
        command=tools.validate_quantized_model,
        master="thin",
    )
    assert host.returncode == 0, host.stderr
    done = _validate(
        folder,
        "sparse",
        "--tolerance=0.001",
        f"--accelerator={accelerator}",
        master="thin",
    )
    assert done.returncode == 1
    assert "taken       in part; the rest runs on the CPU" in done.stdout
    # What stands in place of the weights is no number on some runs.
    beyond = "  tolerance of output scores: 1 - mean cosine" in done.stderr
    assert beyond or "no answers on browser: the output scores is NaN" in done.stderr


def test_what_the_delegate_refuses_fails_in_its_words(tmp_path):
    graph = ModelBuilder()
    rng = np.random.default_rng(0)
    weights = graph.constant(rng.standard_normal((63, 504), np.float32), "weights")
    bias = graph.constant(np.zeros(63, np.float32), "bias")
    head = graph.fully_connected(graph.input((1, 504)), weights, bias)
    master, _ = make_float_master(graph.finish(head))
    on_the_cpu = QuantizationSettings("weight_only_int8", runs_on=("cpu",))
    (tmp_path / "float.tflite").write_bytes(master)
    (tmp_path / "head.tflite").write_bytes(quantize(master, on_the_cpu, None).model)
    (tmp_path / "test").mkdir()
    np.save(tmp_path / "test" / "sample.npy", random_image((504,), 0))
    done = _validate(tmp_path, "head", "--accelerator=gpu", "--output=verdict.json")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("head: browser refuses it: ")
    assert "Shape mismatch" in line
    assert "taken       refused: " in done.stdout
    verdict = _verdict(tmp_path / "verdict.json")
    assert (verdict.passed, verdict.taken, verdict.gates) == (False, "refused", ())
    assert verdict.similarity is verdict.speed is None
    assert "Shape mismatch" in verdict.fault


def test_a_part_of_the_samples(folder, tmp_path):
    path = tmp_path / "verdict.json"
    done = _validate(folder, "right", "--most_samples=2", f"--output={path}")
    assert done.returncode == 0, done.stderr
    assert f"on 2 of {_SAMPLES} test samples" in done.stdout
    verdict = _verdict(path)
    assert (verdict.similarity.samples, verdict.test_samples) == (2, _SAMPLES)
    refused = _validate(folder, "right", "--most_samples=-1")
    assert refused.returncode == 2
    assert "--most_samples=-1: give a number from 0" in refused.stderr


def test_without_a_browser_nothing_is_written(folder, tmp_path):
    path = tmp_path / "verdict.json"
    done = _validate(folder, "right", "--chromium=no-such-browser", f"--output={path}")
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith("validate_in_browser: error: no browser no-such-browser")
    assert not path.exists()
