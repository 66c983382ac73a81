import functools

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings, strategies

from tests.extent import count, part_of
from tests.model_files import model_path
from tests.random_models import float_models, random_image, run_model, thin_out, tiny_model
from tools.graph.description import describe
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.runtime import input_specifications, open_interpreter
from tools.graph.topology import Topology
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings
from tools.quantization.sparse_weights import store_weights_sparse

_SCHEMES = ["int8", "dynamic", "float16", "weight_only_int8"]


def _dense_artifact(master: bytes, scheme: str) -> bytes:
    choice = QuantizationSettings(scheme, runs_on=("cpu", "gpu"))
    specification = input_specifications(master, "model")
    samples = [
        {name: random_image(shape, seed) for name, shape, _ in specification} for seed in range(2)
    ]
    return quantize(master, choice, samples).model


@functools.cache
def _pose_detection(scheme: str) -> bytes:
    """Makes the dense artifact of a model whose own weights are stored sparse."""
    return _dense_artifact(make_float_master(model_path("pose_detection").read_bytes())[0], scheme)


def _delegates(content: bytes) -> int:
    operators = open_interpreter(content, "model")._get_ops_details()
    return sum(operator["op_name"] == "DELEGATE" for operator in operators)


@pytest.mark.parametrize("scheme", part_of(_SCHEMES, 2))
def test_a_sparse_original_stays_small(scheme):
    dense = _pose_detection(scheme)
    model = parse_model(dense)
    entry = store_weights_sparse(model)
    sparse = model_bytes(model)
    assert entry["gain"] == {
        "metric": "file, bytes",
        "before": len(dense),
        "after": len(sparse),
    }
    original = model_path("pose_detection").stat().st_size
    # Dynamic kernels read constants only: those weights stay dense.
    assert len(sparse) < (len(dense) if scheme == "dynamic" else original)
    assert entry["changed"] == describe(sparse)["ops"].get("DENSIFY", 0) > 0
    assert _delegates(sparse) == _delegates(dense) == 1
    for seed in range(2):
        for one, other in zip(run_model(dense, seed), run_model(sparse, seed), strict=True):
            np.testing.assert_array_equal(other, one)
    again = parse_model(sparse)
    assert store_weights_sparse(again)["changed"] == 0


@pytest.mark.parametrize("name", ["face_detection_short_range", "palm_detection_lite"])
def test_dense_models_stay_dense(name):
    master, _ = make_float_master(model_path(name).read_bytes())
    dense = _dense_artifact(master, "int8")
    model = parse_model(dense)
    assert store_weights_sparse(model) == {
        "changed": 0,
        "detail": "0 weight tensors stored by their values that are not zero",
        "gain": None,
        "name": "sparse_weights",
    }
    assert model_bytes(model) == dense


def test_what_runs_on_the_cpu_alone_is_stored_sparse():
    master, _ = make_float_master(model_path("pose_detection").read_bytes())
    on_the_cpu = QuantizationSettings("weight_only_int8", runs_on=("cpu",))
    sparse = quantize(master, on_the_cpu, None).model
    dense = quantize(master, QuantizationSettings("weight_only_int8"), None).model
    assert "DENSIFY" not in describe(dense)["ops"]
    assert describe(sparse)["ops"]["DENSIFY"] > 30
    assert len(sparse) < 0.65 * len(dense)


def _run_without_delegate(content: bytes) -> list[np.ndarray]:
    interpreter = open_interpreter(content, "model", keep_tensors=True)
    rng = np.random.default_rng(0)
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], rng.random(details["shape"], np.float32))
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


@settings(max_examples=count(8, 30), deadline=None, derandomize=True)
@given(
    float_models() | strategies.builds(tiny_model, strategies.integers(0, 9), strategies.just(48)),
    strategies.integers(0, 2**32 - 1),
    strategies.sampled_from(_SCHEMES),
    strategies.sampled_from([0.02, 0.2, 0.45]),
)
def test_random_models_compute_the_same_to_the_bit(content, seed, scheme, share):
    master, _ = make_float_master(thin_out(content, np.random.default_rng(seed), share))
    model = parse_model(master)
    # Int8 and float16 constants, without the quantizer's limits on what it takes.
    dense = _dense_artifact(master, scheme) if len(master) > 20000 else None
    if dense is None:
        assert store_weights_sparse(model)["changed"] == 0
        assert model_bytes(model) == master
        return
    model = parse_model(dense)
    changed = store_weights_sparse(model)["changed"]
    sparse = model_bytes(model)
    assert (changed > 0) == (len(sparse) < len(dense))
    for run in (run_model, _run_without_delegate):
        for one, other in zip(run(dense), run(sparse), strict=True):
            np.testing.assert_array_equal(other, one)


def test_float16_weights_come_back_in_a_master():
    model = parse_model(_pose_detection("float16"))
    dense, _ = make_float_master(model_bytes(model))
    assert store_weights_sparse(model)["changed"] > 30
    sparse, summary = make_float_master(model_bytes(model))
    assert summary["folded_densify"] > 30
    for one, other in zip(run_model(dense), run_model(sparse), strict=True):
        np.testing.assert_array_equal(other, one)


def test_the_dense_tensor_keeps_its_quantization():
    master, _ = make_float_master(thin_out(tiny_model(channels=48), np.random.default_rng(0), 0.2))
    model = parse_model(_dense_artifact(master, "int8"))
    assert store_weights_sparse(model)["changed"] == 3
    graph = Topology(model)
    for operator in graph.subgraph.operators:
        if graph.name(operator) == "DENSIFY":
            stored, dense = (graph.tensor(i) for i in (operator.inputs[0], operator.outputs[0]))
            assert stored.sparsity is not None
            assert dense.sparsity is None
            assert stored.type == dense.type == schema.TensorType.INT8
            np.testing.assert_array_equal(stored.quantization.scale, dense.quantization.scale)
