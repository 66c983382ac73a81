"""This machine as a device, with real models."""

import statistics

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import tools.latency.host
from tests.random_models import ModelBuilder
from tests.refused import refused
from tools.latency.backend import Options, Round, turns
from tools.latency.device import usable_cpus
from tools.latency.devices import open_backend


def model(path, operators: int):
    graph = ModelBuilder()
    last = graph.input((1, 64, 64, 8))
    for _ in range(operators):
        last = graph.operator("LOG_SOFTMAX", [last], (1, 64, 64, 8))
    path.write_bytes(graph.finish(last))
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [model(folder / f"{count}.tflite", count) for count in (1, 4, 2)]


@pytest.fixture(scope="module")
def measured(models) -> tuple[list[Round], list[int], list[int]]:
    """Rounds, in which order models ran in them, and how often each time."""
    order, counts = [], []
    plain = tools.latency.host.timed

    def noted(invoke, count, threads):
        order.append(backend._invokes.index(invoke))
        counts.append(count)
        return plain(invoke, count, threads)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools.latency.host, "timed", noted)
        # A busy machine's rounds are measured again; that is tested by itself.
        patch.setattr(tools.latency.host, "_AGAIN_IN_ALL", 0)
        with open_backend("host", models, Options()) as backend:
            rounds = [backend.measure_round(number) for number in range(4)]
    return rounds, order, counts


def test_models_take_turns_in_an_order_that_alternates(measured):
    _, order, _ = measured
    assert order == [0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0]
    assert [list(turns(3, number)) for number in (0, 1, 2)] == [[0, 1, 2], [2, 1, 0], [0, 1, 2]]


def test_every_model_runs_equally_often(measured):
    rounds, _, counts = measured
    # 0.15 seconds of the slowest one; fewer where the machine is busy, never under 5.
    assert len(set(counts)) == 1
    assert 5 <= counts[0] <= 2000
    assert {run.runs for one in rounds for run in one.runs} == {counts[0]}


def test_runs_stand_in_the_order_of_the_models(measured):
    rounds, _, _ = measured
    once, fourfold, twice = (
        statistics.median(one.runs[which].p50_ms for one in rounds) for which in range(3)
    )
    assert once < twice < fourfold
    for run in (run for one in rounds for run in one.runs):
        assert run.p50_ms <= run.p90_ms <= run.p95_ms
        assert run.load_ms > 0


def test_only_while_it_measures_the_process_is_pinned(models):
    before = usable_cpus()
    with open_backend("host", models[:1], Options()) as backend:
        assert usable_cpus() == before[-1:]
        assert backend.describe()["pinned_cpus"] == before[-1:]
    assert usable_cpus() == before


def test_what_the_delegate_takes_is_known_before_a_round(models):
    with open_backend("host", models[:2], Options()) as backend:
        assert [use["fallback"] for use in backend.delegate_use()] == [
            {"LOG_SOFTMAX (float32)": 1}, {"LOG_SOFTMAX (float32)": 4},
        ]  # fmt: skip
        assert [len(found) for found in backend.operator_times()] == [1, 4]


def test_the_host_has_one_delegate(models):
    with refused("flag.value", "delegate gpu: "):
        open_backend("host", models, Options(delegate="gpu"))


def test_tokens_are_those_of_the_table(tmp_path):
    """A GATHER beyond its table ends the run; among three rows a number drawn blindly is one."""
    graph = ModelBuilder()
    tokens = graph.tensor((1, 64), "tokens", schema.TensorType.INT32)
    graph.subgraph.inputs.append(tokens)
    table = graph.constant(np.ones((3, 8), np.float32))
    last = graph.operator("GATHER", [table, tokens], (1, 64, 8), schema.GatherOptionsT())
    path = tmp_path / "tokens.tflite"
    path.write_bytes(graph.finish(last))
    with open_backend("host", [path], Options()) as backend:
        (run,) = backend.measure_round(0).runs
    assert run.p50_ms > 0
    assert run.first_inference_ms > 0


def test_a_model_that_fails_as_it_runs_is_refused(tmp_path):
    """The rows of a constant that are gathered are none of the table's."""
    graph = ModelBuilder()
    image = graph.input((4, 8))
    beyond = graph.constant(np.array([9], np.int32))
    last = graph.operator("GATHER", [image, beyond], (1, 8), schema.GatherOptionsT())
    path = tmp_path / "beyond.tflite"
    path.write_bytes(graph.finish(last))
    with refused("model.runtime", r"^\S+beyond\.tflite: "):
        open_backend("host", [path], Options())
