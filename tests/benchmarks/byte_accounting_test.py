import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.byte_accounting import KINDS, bytes_by_kind
from tests.extent import count
from tests.model_files import REAL_MODELS, model_path
from tests.random_models import float_models, tiny_model
from tools.graph.flatbuffer import model_bytes, parse_model
from tools.graph.float_master import make_float_master
from tools.graph.topology import Topology
from tools.quantization.pipeline import quantize
from tools.quantization.settings import QuantizationSettings


@pytest.mark.parametrize("name", REAL_MODELS)
def test_real_models_add_up(name):
    model = parse_model(model_path(name).read_bytes())
    kinds = bytes_by_kind(model)
    assert tuple(kinds) == KINDS
    assert sum(kinds.values()) == len(model_bytes(model))
    assert min(kinds.values()) >= 0
    assert max(kinds, key=kinds.get) in ("weights", "other constants")
    assert (kinds["sparse indices"] > 0) == ("sparse" in name or name == "pose_detection")
    assert (kinds["associated files"] > 0) == bool(model.associated_files)


@settings(max_examples=count(15, 60), deadline=None, derandomize=True)
@given(float_models())
def test_random_models_add_up(content):
    model = parse_model(content)
    kinds = bytes_by_kind(model)
    assert sum(kinds.values()) == len(content)
    assert min(kinds.values()) >= 0


def test_every_kind_of_an_artifact():
    master, _ = make_float_master(tiny_model(channels=16))
    weights = sum(
        model.tensor_data(graph.tensor(operator.inputs[1])).size
        for model in [parse_model(master)]
        for graph in [Topology(model)]
        for operator in graph.subgraph.operators
        if graph.name(operator) == "CONV_2D"
    )
    samples = [{"image": np.random.default_rng(0).random((1, 16, 16, 3), np.float32)}]
    kinds = bytes_by_kind(
        parse_model(quantize(master, QuantizationSettings("int8"), samples).model)
    )
    # Four convolutions, the last of which computes in float.
    assert kinds["weights"] == weights + 4 * 4
    assert kinds["biases"] == 4 * (16 * 3 + 4) + 4 * 4
    assert kinds["scales of weights"] == 4 * (16 * 3 + 4) + 4 * 4
    assert kinds["scales of biases"] == 4 * 16 * 3 + 4 * 3
    # Sixteen, four, and the one of activations.
    assert kinds["zero points"] >= 8 * (16 + 4 + 1) + 4 * 3
    assert kinds["associated files"] == kinds["sparse indices"] == 0
