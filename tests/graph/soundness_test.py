"""Sound graphs are let through; what is refused is in tests/tools/odd_models.py."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests.extent import count
from tests.model_files import REAL_MODELS, model_path
from tests.random_models import ModelBuilder, float_models
from tests.refused import refused
from tools.graph.flatbuffer import parse_model
from tools.graph.soundness import refuse_unmeasurable, refuse_unsound


@pytest.mark.parametrize("name", REAL_MODELS)
def test_real_models_are_sound(name):
    model = parse_model(model_path(name).read_bytes())
    refuse_unsound(model)
    refuse_unmeasurable(model)


@settings(max_examples=count(20, 60), deadline=None, derandomize=True)
@given(float_models())
def test_random_models_are_sound(content):
    model = parse_model(content)
    refuse_unsound(model)
    refuse_unmeasurable(model)


@settings(max_examples=count(20, 60), deadline=None, derandomize=True)
@given(float_models())
def test_random_models_turned_around_are_not(content):
    model = parse_model(content)
    (subgraph,) = model.schema.subgraphs
    subgraph.operators.reverse()
    with refused("model.damaged", r"reads tensor \S+ before anything computes it"):
        refuse_unsound(model)


def test_grouped_convolution_is_sound():
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 8))
    weights = graph.constant(np.ones((6, 3, 3, 4), np.float32))
    result = graph.conv(image, weights, graph.constant(np.ones(6, np.float32)))
    refuse_unsound(parse_model(graph.finish(result)))


def test_weights_that_are_computed_may_have_any_shape():
    graph = ModelBuilder()
    image, weights = graph.input((1, 4, 4, 8)), graph.input((6, 3, 3, 8), "weights")
    result = graph.conv(image, weights, graph.constant(np.ones(6, np.float32)))
    graph.subgraph.tensors[weights].shape = np.array([], np.int32)
    refuse_unsound(parse_model(graph.finish(result)))
