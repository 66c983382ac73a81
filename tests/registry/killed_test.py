"""Kills the register command at every step, then runs it again."""

import hashlib
import json
import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import ViewType

from tests.extent import WHOLE, part_of
from tests.registry.new_stores import new_store
from tests.registry.register_processes import Command, run_together
from tests.registry.registration_files import flags, write_files

_MOST_STEPS = 200
# Where only a part is tried.
_STEPS_FOR_ONE = 7


def _check_one_complete_version(workspace, files):
    """Looks at all that a user can see, and that the trash says why it is there."""
    client = mlflow.MlflowClient(f"sqlite:///{workspace}/.mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("face").experiment_id
    models = client.search_logged_models([experiment])
    assert len(models) == 2
    for name, path in (("face", files.model), ("face.float", files.float_model)):
        (version,) = client.search_model_versions(f"name = '{name}'")
        model = client.get_logged_model(version.source.removeprefix("models:/"))
        assert model.status == "READY"
        assert json.loads(model.tags["mlflow.modelVersions"]) == [
            {"name": name, "version": str(version.version)}
        ]
        kept = Path(model.artifact_location.removeprefix("file://"), "data", path.name)
        assert (
            hashlib.sha256(kept.read_bytes()).hexdigest()
            == version.tags["artifact_sha256"]
            == hashlib.sha256(path.read_bytes()).hexdigest()
        )
        assert "latency_p50_ms" in {metric.key for metric in model.metrics}
        run = client.get_run(version.run_id)
        assert run.info.status == "FINISHED"
        assert run.info.lifecycle_stage == "active"
        assert client.list_artifacts(version.run_id, "model")
    runs = client.search_runs([experiment])
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    kinds = sorted(run.data.tags["kind"] for run in runs)
    assert kinds == ["dashboard", "float master", "registration"]
    (page,) = [run for run in runs if run.data.tags["kind"] == "dashboard"]
    assert "face@1" in mlflow.artifacts.load_text(f"{page.info.artifact_uri}/dashboard.html")
    trash = client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)
    for run in trash:
        assert run.data.tags["retired"] == "its process ended before it did"
        assert run.info.status == "KILLED"
    return len(trash)


def test_killed_at_every_step_then_run_again(tmp_path):
    files = write_files(tmp_path / "files")
    retired = 0
    for step in part_of(range(1, _MOST_STEPS), _STEPS_FOR_ONE):
        workspace = tmp_path / str(step)
        new_store(workspace)
        environment = {"BUILD_WORKSPACE_DIRECTORY": str(workspace), "MLFLOW_TRACKING_URI": ""}
        ((status, printed),) = run_together(
            [Command(flags(files), environment, killed_at=step)], tmp_path
        )
        if status == 0:
            # There are fewer steps than that.
            break
        assert (status, printed) == (-9, "")
        ((status, printed),) = run_together([Command(flags(files), environment)], tmp_path)
        assert status == 0, f"after step {step}: {printed}"
        retired += _check_one_complete_version(workspace, files)
        shutil.rmtree(workspace)
    assert 20 < step < _MOST_STEPS - 1, step
    assert retired > (10 if WHOLE else 1)


@pytest.mark.parametrize("step", part_of([10, 1, 40], 3))
def test_killed_while_the_store_is_made(tmp_path, step):
    files = write_files(tmp_path / "files")
    environment = {"BUILD_WORKSPACE_DIRECTORY": str(tmp_path), "MLFLOW_TRACKING_URI": ""}
    ((status, _),) = run_together([Command(flags(files), environment, step)], tmp_path)
    assert status == -9
    assert not (tmp_path / ".mlflow" / "mlflow.db").exists()
    ((status, printed),) = run_together([Command(flags(files), environment)], tmp_path)

    assert status == 0, printed
    assert _check_one_complete_version(tmp_path, files) == 0
    assert sorted(path.name for path in (tmp_path / ".mlflow").iterdir()) == [
        *(".gitignore", "artifacts", "lock", "mlflow.db"),
    ]
