"""A whole search on a small model; only the clock is replaced, by a count of bytes."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from tests.random_models import thin_out, tiny_model
from tests.refused import refused
from tools.graph.flatbuffer import parse_model
from tools.graph.float_master import make_float_master
from tools.quantization.settings import QuantizationSettings, settings_from_json
from tools.samples.loading import InputSpec, Preprocessing, load_samples
from tools.tuning.evaluation import Evaluator, TunedModel, split
from tools.tuning.goal import Goal, chosen
from tools.tuning.journal import Journal
from tools.tuning.search import Search, front_of, weighted_operators


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "samples.npy"
    np.save(path, np.random.default_rng(0).normal(size=(16, 16, 16, 3)).astype(np.float32))
    spec = InputSpec("image", (1, 16, 16, 3), np.dtype(np.float32))
    return load_samples([path], [spec], Preprocessing(127.5, 127.5))


@pytest.fixture(scope="module")
def master() -> bytes:
    return make_float_master(tiny_model(channels=64))[0]


def by_bytes(content: bytes) -> dict:
    speedup = 1e5 / len(content)
    return {"fps": speedup, "high": speedup, "low": speedup, "missed": [], "speedup": speedup}


class _Told:
    def __init__(self):
        self.stages = []

    def __call__(self, stage: str, done: int, total: int, following: str) -> None:
        assert bool(following) == (done < total)
        if done == total:
            self.stages.append(stage)


def searched(master, samples, folder, goal=None, budget=60, stop=False, latency=by_bytes, **where):
    goal = goal or Goal({"tolerance": 0.05})
    calibration, held_out = split(samples, 4)
    journal = Journal(folder, {"samples": samples.digest})
    evaluator = Evaluator(TunedModel(master, calibration, held_out), goal, journal, latency)
    told = _Told()
    search = Search(evaluator, goal, budget, stop, told, **where)
    try:
        measured = search.run()
    finally:
        journal.close()
    return measured, evaluator, told


@pytest.fixture(scope="module")
def whole(master, samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("journal")
    return folder, *searched(master, samples, folder)


def test_calibration_and_comparison_share_no_sample(samples):
    calibration, held_out = split(samples, 2)
    assert len(calibration) == 12
    assert len(held_out) == 2
    assert not set(calibration.names) & set(held_out.names)


def test_candidates_are_held_to_what_jpeg_changes(master, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16, 16, 3), np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(images / f"{number:02}.png")
    spec = InputSpec("image", (1, 16, 16, 3), np.dtype(np.float32))
    parts = split(load_samples([images], [spec], Preprocessing(127.5, 127.5)), 4, with_jpeg=True)
    task = {"logits": True, "mask": "scores", "type": "segmentation"}
    journal = Journal(tmp_path, {"samples": "images"})
    # Of noise JPEG leaves little.
    goal = Goal({"max_jpeg_ratio": {"soft_iou": 0.005}})
    evaluator = Evaluator(TunedModel(master, *parts, task=task), goal, journal, by_bytes)
    good, bad = (
        evaluator.evaluate(scheme, QuantizationSettings(scheme)) for scheme in ("float16", "int2")
    )
    journal.close()
    saved = [one.similarity.tasks[0].jpeg for one in (good, bad)]
    assert saved[0] == saved[1]
    assert 0.5 < saved[0]["soft_iou_mean"] < 1
    assert good.missed == []
    assert "max_jpeg_ratio" in bad.missed


def test_too_few_samples_are_refused(samples):
    with refused("data.too_few", "^7 calibration samples: "):
        split(_First(samples, 7), 4)


class _First:
    def __init__(self, samples, count: int):
        self._samples, self.names, self._count = samples, samples.names[:count], count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number):
        return self._samples[number]


def test_operators_are_found_with_their_cost(master):
    operators = weighted_operators(master, "net")
    assert [operator.weights for operator in operators] == [1728, 36864, 36864, 256]
    assert [operator.multiplications // 256 for operator in operators] == [1728, 36864, 36864, 256]


def test_all_stages_run_and_candidates_differ(whole):
    _, measured, _, told = whole
    for stage in ("whole-model schemes", "int8", "range estimators", "passes", "sensitivity"):
        assert stage in told.stages
    assert len({candidate.sha256 for candidate in measured}) == len(measured)
    schemes = {candidate.settings["scheme"] for candidate in measured}
    assert schemes >= {"dynamic", "float16", "int8", "weight_only_int8"}


def test_mixed_recipes_and_few_bits_are_on_the_front(whole):
    _, measured, _, _ = whole
    front = front_of(measured)
    assert any(candidate.settings["layers"] for candidate in front)
    four_bits = [c for c in front if any("int4" in e["scheme"] for e in c.settings["layers"])]
    smallest = min(candidate.bytes for candidate in measured if not candidate.settings["layers"])
    assert min(c.bytes for c in four_bits) < smallest


def test_a_candidates_settings_make_that_candidate(whole, master, samples):
    _, measured, evaluator, _ = whole
    for candidate in front_of(measured)[:3]:
        content = evaluator.artifact(settings_from_json(candidate.settings))
        assert hashlib.sha256(content).hexdigest() == candidate.sha256
        assert len(content) == candidate.bytes


def test_a_second_search_makes_nothing_again(whole, master, samples):
    folder, measured, _, _ = whole
    again, evaluator, _ = searched(master, samples, folder)
    assert evaluator.made == 0
    assert [c.sha256 for c in again] == [c.sha256 for c in measured]


def test_an_interrupted_search_goes_on(master, samples, tmp_path, whole):
    class Interrupted(Exception):
        pass

    calls = []

    def interrupting(content: bytes) -> dict:
        calls.append(1)
        if len(calls) == 4:
            raise Interrupted
        return by_bytes(content)

    with pytest.raises(Interrupted):
        searched(master, samples, tmp_path, latency=interrupting)
    measured, evaluator, _ = searched(master, samples, tmp_path)
    _, uninterrupted, first, _ = whole
    assert [c.sha256 for c in measured] == [c.sha256 for c in uninterrupted]
    assert 0 < evaluator.made < first.made


def test_the_articles_flow_ends_with_the_first_stage_that_is_good_enough(master, samples, tmp_path):
    goal = Goal({"tolerance": 0.05})
    measured, _, told = searched(master, samples, tmp_path, goal, stop=True)
    assert told.stages == ["whole-model schemes", "timing"]
    assert chosen(goal, measured) is not None


def test_it_goes_on_while_the_goal_is_not_reached(master, samples, tmp_path):
    goal = Goal({"tolerance": 0.05}, min_speedup=1e9)
    measured, _, told = searched(
        master, samples, tmp_path, goal, budget=12, stop=True,
        latency=lambda content: by_bytes(content) | {"missed": ["min_speedup"]},
    )  # fmt: skip
    assert "sensitivity" in told.stages
    assert chosen(goal, measured) is None


@pytest.mark.parametrize("runs_on", [("cpu",), ("cpu", "gpu")])
def test_every_candidate_is_for_where_the_artifact_runs(samples, tmp_path, runs_on):
    thin = thin_out(tiny_model(channels=64), np.random.default_rng(0), 0.15)
    master = make_float_master(thin)[0]
    measured, evaluator, told = searched(master, samples, tmp_path, budget=40, runs_on=runs_on)
    assert "sensitivity" in told.stages
    assert {tuple(one.settings["runs_on"]) for one in measured} == {runs_on}
    # Only what runs on the CPU alone may have sparse weights.
    plain = next(one for one in measured if one.name == "dynamic")
    content = evaluator.artifact(settings_from_json(plain.settings))
    tensors = parse_model(content).schema.subgraphs[0].tensors
    assert any(tensor.sparsity for tensor in tensors) == (runs_on == ("cpu",))


def test_the_budget_holds(master, samples, tmp_path):
    measured, _, _ = searched(master, samples, tmp_path, budget=6)
    assert len(measured) <= 6


def test_no_candidate_is_larger_than_the_float_model(samples, tmp_path):
    small = make_float_master(tiny_model(channels=1))[0]
    measured, _, _ = searched(small, samples, tmp_path)
    assert all(candidate.bytes < len(small) for candidate in measured)
