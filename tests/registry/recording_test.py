"""Recording into a real SQLite store."""

import dataclasses
import hashlib
import itertools
import json
from pathlib import Path

import mlflow
import pytest
from mlflow.models import Model

from registry.record import read_record
from registry.recording import RegistrationWriter
from registry.store import StoreUnavailable, connect, locked, with_retries
from tests.extent import WHOLE, part_of
from tests.registry.new_stores import new_store
from tests.registry.registration_files import write_files

_LINEAGE = {"git_state": "clean", "git_commit": "0" * 40}


@pytest.fixture(name="opened", scope="module")
def _opened(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        store = new_store(tmp_path_factory.mktemp("workspace"))
        with locked(store):
            yield store, connect(store)


@pytest.fixture(name="client")
def _client(opened):
    return opened[1]


@pytest.fixture(name="recorder")
def _recorder(opened):
    return RegistrationWriter(*opened, _LINEAGE)


@pytest.fixture(name="name")
def _name(request):
    """A registered model for each test, so that none sees another's."""
    return request.node.name.removeprefix("test_")


def _record(folder, name, **changes):
    return read_record(write_files(folder, **changes), name, "//models:face_int8")


def _runs(client, name):
    experiment = client.get_experiment_by_name(name)
    return client.search_runs([experiment.experiment_id])


def test_version_run_and_files(recorder, client, tmp_path, name):
    record = _record(tmp_path, name)
    recorded = recorder.write(record)

    assert recorded.created
    assert recorded.version == "1"
    version = client.get_model_version(name, "1")
    assert version.run_id == recorded.run_id
    assert version.status == "READY"
    assert version.tags["artifact_sha256"] == record.artifact.sha256
    assert version.tags["scheme"] == "int8"
    # MLflow shows them by their names: figures come first.
    first = sorted(version.tags)[:3]
    assert {tag: version.tags[tag] for tag in first} == {
        "Similarity": "lowest mean cosine 0.9800 (`classificators`)",
        "Size": "13 bytes, 75.0% smaller",
        "Speed": "1.50x as fast on host (2 ms), disturbed in 11 rounds",
    }
    model = client.get_logged_model(version.source.removeprefix("models:/"))
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": name, "version": "1"}]
    run = client.get_run(recorded.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == pytest.approx(dict(record.metrics))
    assert run.data.params == dict(record.params)
    assert run.data.tags.items() >= {**record.tags, **_LINEAGE}.items()
    assert [file.path for file in client.list_artifacts(recorded.run_id)] == [
        "latency.json",
        "model",
        "overview.html",
        "overview.svg",
        "recipe.json",
        "report.json",
        "verdict.json",
    ]
    fetched = client.download_artifacts(recorded.run_id, "model/face_int8.tflite", str(tmp_path))
    assert Path(fetched).read_bytes() == record.artifact.path.read_bytes()


def test_version_can_be_fetched_and_has_a_signature(recorder, tmp_path, name):
    record = _record(tmp_path, name)
    recorder.write(record)

    folder = mlflow.artifacts.download_artifacts(
        f"models:/{name}/1", dst_path=str(tmp_path / "out")
    )
    content = Path(folder, "data", "face_int8.tflite").read_bytes()
    assert hashlib.sha256(content).hexdigest() == record.artifact.sha256
    model = Model.load(folder)
    assert model.flavors["tflite"]["data"] == "data/face_int8.tflite"
    assert model.signature.inputs.inputs[0].shape == (-1, 128, 128, 3)
    assert model.signature.outputs.input_names() == ["regressors", "classificators"]


def test_float_master_is_the_parent(recorder, client, tmp_path, name):
    record = _record(tmp_path, name)
    recorded = recorder.write(record)

    assert recorded.parent == f"{name}.float/1"
    master = client.get_model_version(f"{name}.float", "1")
    assert master.tags["artifact_sha256"] == record.float_master.sha256
    assert master.tags["source_sha256"] == record.source_sha256
    version = client.get_model_version(name, "1")
    assert version.tags["parent_version"] == f"{name}.float/1"
    assert f"(#/models/{name}.float/versions/1)" in version.description
    inputs = client.get_run(recorded.run_id).inputs.model_inputs
    assert [given.model_id for given in inputs] == [master.source.removeprefix("models:/")]
    assert client.get_run(master.run_id).data.metrics["latency_p50_ms"] == 3.0


def test_two_artifacts_share_their_float_master(recorder, client, tmp_path, name):
    recorder.write(_record(tmp_path / "a", name))
    second = recorder.write(_record(tmp_path / "b", name, artifact=b"another int8 model"))

    assert second.created
    assert second.version == "2"
    assert second.parent == f"{name}.float/1"
    assert len(client.search_model_versions(f"name = '{name}.float'")) == 1


def test_models_are_searched_by_number(recorder, client, tmp_path, name):
    recorder.write(_record(tmp_path / "a", name, p50_ms=2.0))
    recorder.write(_record(tmp_path / "b", name, artifact=b"slow", p50_ms=10.0))

    experiment = client.get_experiment_by_name(name).experiment_id
    fast = client.search_logged_models(
        [experiment], "metrics.latency_p50_ms < 4 and params.scheme = 'int8'"
    )
    assert [model.tags["artifact_sha256"] for model in fast] == [
        hashlib.sha256(b"an int8 model").hexdigest()
    ]


def test_registered_twice_is_one_version(recorder, client, tmp_path, name):
    first = recorder.write(_record(tmp_path / "a", name))
    again = recorder.write(_record(tmp_path / "b", name))

    assert (again.version, again.created) == ("1", False)
    assert (again.run_id, again.run_created) == (first.run_id, False)
    assert len(client.search_model_versions(f"name = '{name}'")) == 1
    assert len(_runs(client, name)) == 2


def test_new_measurement_is_a_run_on_the_same_version(recorder, client, tmp_path, name):
    first = recorder.write(_record(tmp_path / "a", name, p50_ms=2.0))
    again = recorder.write(_record(tmp_path / "b", name, p50_ms=1.5))

    assert (again.version, again.created, again.run_created) == ("1", False, True)
    run = client.get_run(again.run_id)
    assert run.data.tags["kind"] == "measurement"
    assert run.data.tags["model_version"] == f"{name}/1"
    assert run.data.tags["mlflow.parentRunId"] == first.run_id
    assert run.data.metrics["latency_p50_ms"] == 1.5
    model_id = client.get_model_version(name, "1").source.removeprefix("models:/")
    measured = {
        (metric.run_id, metric.value)
        for metric in client.get_logged_model(model_id).metrics
        if metric.key == "latency_p50_ms"
    }
    assert measured == {(first.run_id, 2.0), (again.run_id, 1.5)}


def test_failed_gates_never_make_a_version(recorder, client, tmp_path, name):
    recorded = recorder.write(_record(tmp_path / "a", name, passed=False))
    again = recorder.write(_record(tmp_path / "b", name, passed=False))

    assert recorded.version is None
    assert (again.run_id, again.run_created) == (recorded.run_id, False)
    run = client.get_run(recorded.run_id)
    assert run.info.status == "FAILED"
    assert (
        run.data.tags["failure"] == "max_score_error of detection: 0.04 against a threshold of 0.02"
    )
    assert client.search_model_versions(f"name = '{name}'") == []
    assert client.search_model_versions(f"name = '{name}.float'") == []


def test_refused_later_keeps_the_version_that_passed(recorder, client, tmp_path, name):
    recorder.write(_record(tmp_path / "a", name))
    refused = recorder.write(_record(tmp_path / "b", name, p50_ms=9.0, latency_passed=False))

    assert refused.version is None
    assert client.get_run(refused.run_id).info.status == "FAILED"
    assert [int(v.version) for v in client.search_model_versions(f"name = '{name}'")] == [1]
    assert client.get_model_version(name, "1").tags["gates"] == "passed"


def test_passes_after_it_was_refused(recorder, tmp_path, name):
    recorder.write(_record(tmp_path / "a", name, passed=False))

    assert recorder.write(_record(tmp_path / "b", name)).version == "1"


def test_artifact_without_its_master_at_hand(recorder, client, tmp_path, name):
    files = dataclasses.replace(write_files(tmp_path), float_model=None, source_model=None)
    recorded = recorder.write(read_record(files, name, "//models:face_int8"))

    assert recorded.version == "1"
    assert recorded.parent is None
    version = client.get_model_version(name, "1")
    digest = hashlib.sha256(b"a float model" * 4).hexdigest()
    assert version.tags["digests"].startswith(f"float master {digest[:12]}, source ")
    assert "parent_version" not in version.tags


def test_version_of_another_machine_wins(recorder, client, tmp_path, name, monkeypatch):
    """A lock holds on one machine only: two may both find nothing, then register."""
    first = recorder.write(_record(tmp_path / "a", name, p50_ms=2.0))
    really = recorder._version_of
    unseen = [None]
    monkeypatch.setattr(
        recorder,
        "_version_of",
        lambda model, sha256: unseen.pop() if model == name and unseen else really(model, sha256),
    )

    late = recorder.write(_record(tmp_path / "b", name, p50_ms=1.5))

    assert not unseen
    assert (late.version, late.created) == ("1", False)
    assert [int(v.version) for v in client.search_model_versions(f"name = '{name}'")] == [1]
    assert client.get_run(late.run_id).data.tags["kind"] == "measurement"
    assert late.run_id != first.run_id


@pytest.mark.parametrize(
    "step",
    part_of(
        [
            "create_run",
            "log_artifacts",
            "create_logged_model",
            "log_model_artifacts",
            "finalize_logged_model",
            "log_outputs",
            "log_batch",
            "set_terminated",
            "create_registered_model",
            "create_model_version",
        ],
        3,
    ),
)
def test_cut_short_at_any_step_then_run_again(opened, tmp_path, name, step, monkeypatch):
    class Cut(Exception):
        pass

    store, client = opened
    record = _record(tmp_path, name)

    def cut(*_, **__):
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(client, step, cut)
        with pytest.raises(Cut):
            RegistrationWriter(store, client, _LINEAGE).write(record)
    assert client.search_model_versions(f'name = "{name}"') == []
    recorded = RegistrationWriter(store, client, _LINEAGE).write(record)

    assert (recorded.version, recorded.created) == ("1", True)
    assert client.get_run(recorded.run_id).info.status == "FINISHED"
    assert len(client.search_model_versions(f'name = "{name}"')) == 1
    assert len(client.search_model_versions(f'name = "{name}.float"')) == 1


class _Disturbed:
    """A client; at one of its calls another machine comes between, and the answer gets lost."""

    def __init__(self, client, step, another_machine):
        self._client = client
        self._another_machine = another_machine
        self._left = step
        self.is_disturbed = False

    def __getattr__(self, name):
        call = getattr(self._client, name)

        def disturbed(*arguments, **named):
            self._left -= 1
            if self._left:
                return call(*arguments, **named)
            self.is_disturbed = True
            self._another_machine()
            # What the other machine did may make it fail; otherwise nobody hears of it.
            call(*arguments, **named)
            raise StoreUnavailable("store.unavailable", "the answer got lost")

        return disturbed


def test_another_machine_comes_between_at_any_step(opened, client, tmp_path, name):
    """Each settles what both did, whatever of it was whose and however far it had come."""
    store, _ = opened
    mine = _record(tmp_path / "mine", name, p50_ms=2.0)
    for steps in itertools.count(1, 1 if WHOLE else 7):
        model = f"{name}_{steps}"
        one = dataclasses.replace(mine, registered_model=model)
        another = dataclasses.replace(one, digest=f"{one.digest} of another report")
        elsewhere = RegistrationWriter(store, client, _LINEAGE)
        elsewhere._writer = "another machine/1.1"
        disturbed = _Disturbed(client, steps, lambda other=elsewhere, it=another: other.write(it))
        recorder = RegistrationWriter(store, disturbed, _LINEAGE)
        with_retries(lambda who=recorder, it=one: who.write(it), 10)
        if not disturbed.is_disturbed:
            break

        (version,) = client.search_model_versions(f"name = '{model}'")
        (parent,) = client.search_model_versions(f"name = '{model}.float'")
        runs = _runs(client, model)
        models = client.search_logged_models([runs[0].info.experiment_id])
        sources = sorted(f"models:/{each.model_id}" for each in models)
        assert sources == sorted([version.source, parent.source]), steps
        assert {run.info.status for run in runs} == {"FINISHED"}, steps
        kinds = sorted(run.data.tags["kind"] for run in runs)
        assert kinds == ["float master", "measurement", "registration"], steps
    assert steps > 20
