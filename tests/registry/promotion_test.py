"""promote, rollback, history, compare, list, fetch and lineage on a real SQLite store."""

import json
import re

import pytest

from registry import compare, fetch, history, lineage, list_versions, promote, rollback
from registry.store import connect
from tests.refused import refused
from tests.registry.new_stores import new_store
from tools.command_line import EXIT_GATE_FAILED

_POLICY = """\
[aliases.staging]

[aliases.production]
required_devices = ["host"]
max_size_bytes = 20
oldest_runtime = "2.14.0"

[aliases.production.tolerances]
cosine_mean = { min = 0.97 }
"task/detection/score_error_max" = { max = 0.1 }
layer_correlation_min = { min = 0.5 }

[aliases.production.max_regression]
speedup = 0.1
cosine_mean = 0.0

[models.phone.aliases.production]
required_devices = { host = ["similarity", "speed"], pixel7 = ["speed"] }
"""


@pytest.fixture(name="opened", scope="module")
def _opened(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "models").mkdir()
    (workspace / "models" / "promotion.toml").write_text(_POLICY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        patch.setenv("BUILD_WORKSPACE_DIRECTORY", str(workspace))
        store = new_store(workspace)
        yield store, connect(store), workspace


def _promoted(command, version, alias="production", *arguments):
    status, printed = command(promote, version, f"--to={alias}", *arguments)
    return status == 0, printed


def test_promoted_when_all_conditions_are_met(register, command, opened, name):
    register(b"one")
    moved, printed = _promoted(command, f"{name}@1")

    assert moved
    assert f"{name}@1 (int8 1.0.0) for production, which points at nothing" in printed
    assert f"moved production: nothing -> {name}@1" in printed
    assert "NOT MET" not in printed
    client = opened[1]
    assert str(client.get_model_version_by_alias(name, "production").version) == "1"
    _, printed = _promoted(command, f"{name}@production")
    assert f"production points at {name}@1 already" in printed
    _, printed = command(history, name)
    assert len(printed.splitlines()) == 2


@pytest.mark.parametrize(
    ("artifact", "changes", "condition"),
    [
        (b"a much larger artifact", {}, "at most 20"),
        (b"slow", {"p50_ms": 2.5}, "at most 0.1 of it below"),
        (b"unlike", {"cosine": 0.96}, "at least 0.97"),
        (b"less like", {"cosine": 0.975}, "at most 0 of it below"),
    ],
)
def test_refused(register, command, opened, name, artifact, changes, condition):
    register(b"one")
    assert _promoted(command, f"{name}@1")[0]
    register(artifact, **changes)
    moved, printed = _promoted(command, f"{name}@2")

    assert not moved
    unmet = [line for line in printed.splitlines() if "NOT MET" in line]
    assert any(condition in line for line in unmet), printed
    assert f"production stays at {name}@1" in printed
    assert str(opened[1].get_model_version_by_alias(name, "production").version) == "1"


def test_gates_must_have_passed_on_every_required_device(register, command, opened, name):
    phone = "phone"
    register(b"one", phone)
    moved, printed = _promoted(command, "phone@1")
    assert not moved
    assert "not measured" in printed

    register(b"one", phone, device="pixel7", p50_ms=9.0, latency_passed=False)
    moved, printed = _promoted(command, "phone@1")
    assert not moved
    assert "failed: min_fps: 111.111 against a threshold of 200" in printed

    register(b"one", phone, device="pixel7", p50_ms=3.0)
    moved, printed = _promoted(command, "phone@1")
    assert moved, printed


def test_a_later_failure_on_a_device_counts(register, command, name):
    register(b"one")
    register(b"one", p50_ms=9.0, latency_passed=False)

    assert not _promoted(command, f"{name}@1")[0]


def test_force_wants_a_reason_and_keeps_it(register, command, opened, name):
    register(b"a much larger artifact")
    with refused("flag.missing", "--force"):
        _promoted(command, f"{name}@1", "production", "--force= ")
    moved, printed = _promoted(command, f"{name}@1", "production", "--force=the old one crashes")

    assert moved
    assert "(forced, 1 of" in printed
    _, printed = command(history, f"{name}@production", "--format=json")
    (move,) = json.loads(printed)["moves"]
    assert (move["forced"], move["reason"]) == (True, "the old one crashes")
    run = opened[1].get_run(move["run_id"])
    assert run.data.tags["kind"] == "promotion"
    assert run.info.status == "FINISHED"
    kept = opened[1].download_artifacts(move["run_id"], "promotion.json")
    with open(kept) as file:
        checks = json.load(file)["checks"]
    assert [check["what"] for check in checks if not check["passed"]] == ["size_bytes"]


def test_dry_run_writes_nothing(register, command, opened, name):
    register(b"one")
    moved, printed = _promoted(command, f"{name}@1", "production", "--dry_run")

    assert moved
    assert f"would move production: nothing -> {name}@1; nothing is written" in printed
    assert opened[1].get_registered_model(name).aliases == {}
    assert command(history, name)[1] == f"no alias of {name} has moved\n"


def test_rollback_goes_back_one_promotion_each(register, command, opened, name):
    for artifact in (b"one", b"two", b"three"):
        register(artifact)
    for number in (1, 2, 3):
        assert _promoted(command, f"{name}@{number}", "staging")[0]

    def holder():
        return int(opened[1].get_model_version_by_alias(name, "staging").version)

    assert "would move" in command(rollback, f"{name}@staging", "--dry_run")[1]
    assert holder() == 3
    _, printed = command(rollback, f"{name}@staging", "--reason=crashes")
    assert f"moved staging: {name}@3 -> {name}@2" in printed
    assert holder() == 2
    command(rollback, f"{name}@staging")
    assert holder() == 1
    with refused("registry.alias", "the first that held it"):
        command(rollback, f"{name}@staging")
    lines = command(history, f"{name}@staging")[1].splitlines()
    assert [line.split()[2:6] for line in lines[1:]] == [
        ["staging", "-", "@1", "promotion"],
        ["staging", "@1", "@2", "promotion"],
        ["staging", "@2", "@3", "promotion"],
        ["staging", "@3", "@2", "rollback"],
        ["staging", "@2", "@1", "rollback"],
    ]
    assert lines[4].endswith("crashes")


def test_rollback_passes_over_what_was_deleted(register, command, opened, name):
    for artifact in (b"one", b"two", b"three", b"four"):
        register(artifact)
    for number in (1, 2, 3, 4):
        assert _promoted(command, f"{name}@{number}", "staging")[0]
    client = opened[1]
    client.delete_model_version(name, "3")
    _, printed = command(rollback, f"{name}@staging")
    assert f"passed over, because deleted: {name}@3\n" in printed
    assert f"moved staging: {name}@4 -> {name}@2" in printed
    lines = command(history, name)[1].splitlines()
    assert lines[-1] == "deleted since: @3"
    (document,) = [json.loads(command(history, name, "--format=json")[1])]
    assert document["deleted"] == [3]
    assert command(rollback, f"{name}@staging")[1].count("passed over") == 0
    assert int(client.get_model_version_by_alias(name, "staging").version) == 1
    # What holds the alias was deleted.
    assert _promoted(command, f"{name}@4", "staging")[0]
    client.delete_model_version(name, "4")
    _, printed = command(rollback, f"{name}@staging")
    assert f"moved staging: a deleted version -> {name}@1" in printed
    assert _promoted(command, f"{name}@2", "staging")[0]
    client.delete_model_version(name, "1")
    with refused("registry.alias", r"every version .* was deleted \(1\)"):
        command(rollback, f"{name}@staging")


def test_moved_by_hand_then_rolled_back(register, command, opened, name):
    for artifact in (b"one", b"two", b"three"):
        register(artifact)
    assert _promoted(command, f"{name}@1", "staging")[0]
    opened[1].set_registered_model_alias(name, "staging", "2")
    assert _promoted(command, f"{name}@3", "staging")[0]
    _, printed = command(rollback, f"{name}@staging")

    assert f"moved staging: {name}@3 -> {name}@2" in printed


@pytest.mark.parametrize("step", ["log_artifact", "set_registered_model_alias", "set_terminated"])
def test_killed_while_an_alias_moves(register, command, opened, name, step, monkeypatch):
    """What is in the history is what the alias shows, whenever the process died."""
    from mlflow import MlflowClient

    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    register(b"one")
    register(b"two")
    assert _promoted(command, f"{name}@1", "staging")[0]
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, step, die)
        # A process that is killed does not get to mark its run either.
        patch.setattr(MlflowClient, "set_terminated", die)
        with pytest.raises(Killed):
            _promoted(command, f"{name}@2", "staging")
    moved = step == "set_terminated"
    holder = opened[1].get_model_version_by_alias(name, "staging").version
    assert str(holder) == ("2" if moved else "1")
    assert len(command(history, name)[1].splitlines()) == (3 if moved else 2)
    register(b"three")
    assert _promoted(command, f"{name}@3", "staging")[0]
    assert len(command(history, name)[1].splitlines()) == (4 if moved else 3)
    command(rollback, f"{name}@staging")
    assert opened[1].get_model_version_by_alias(name, "staging").version == holder


@pytest.mark.parametrize("step", ["create_run", "set_registered_model_alias"])
def test_answer_that_gets_lost_while_an_alias_moves(
    register, command, opened, name, step, monkeypatch
):
    from mlflow import MlflowClient, MlflowException

    register(b"one")
    really = getattr(MlflowClient, step)
    lost = []

    def lose(*arguments, **given):
        answer = really(*arguments, **given)
        if not lost:
            lost.append(answer)
            raise MlflowException("Max retries exceeded with url: /")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, step, lose)
        assert _promoted(command, f"{name}@1", "staging")[0]
    assert len(lost) == 1
    (move,) = json.loads(command(history, name, "--format=json")[1])["moves"]
    assert (move["before"], move["after"]) == (None, 1)
    assert opened[1].get_run(move["run_id"]).info.status == "FINISHED"


def test_compare(register, command, name):
    register(b"one")
    register(b"another", p50_ms=1.0)
    status, printed = command(compare, f"{name}@1", f"{name}@2")

    assert status == 0
    rows = {line.split()[0]: line.split() for line in printed.splitlines() if line.strip()}
    assert rows["latency_p50_ms"] == ["latency_p50_ms", "2", "1", "-50.0%"]
    assert rows["speedup"] == ["speedup", "1.5", "3", "+100.0%", "better"]
    assert rows["size_bytes"] == ["size_bytes", "3", "7", "+133.3%", "worse"]
    assert rows["cosine_mean/regressors"] == ["cosine_mean/regressors", "0.99", "0.99"]
    row = rows["task/detection/score_error_max"]
    assert row == ["task/detection/score_error_max", "0.05706", "0.05706"]
    assert rows["min_runtime"] == ["min_runtime", "2.7.0", "2.7.0"]
    assert rows["artifact_sha256"][-1] == "differs"
    assert "measured on host, each in a session of its own" in printed
    document = json.loads(command(compare, f"{name}@1", f"{name}@2", "--format=json")[1])
    assert document["kind"] == "rules_quantize.comparison"
    assert document["metrics"]["speedup"] == {
        "before": 1.5,
        "after": 3.0,
        "change": 1.0,
        "judged": "better",
    }
    assert document["metrics"]["fps"]["judged"] is None


def test_compare_on_a_device(register, command, name):
    for artifact in (b"one", b"two"):
        register(artifact)
    register(b"one", device="pixel7", p50_ms=4.0)
    with refused("flag.name", r"--device=pixel7: .*: host"):
        command(compare, f"{name}@1", f"{name}@2", "--device=pixel7")
    register(b"two", device="pixel7", p50_ms=3.0)
    _, printed = command(compare, f"{name}@1", f"{name}@2", "--device=pixel7")

    row = next(line for line in printed.splitlines() if line.startswith("latency_p50_ms"))
    assert row.split() == ["latency_p50_ms", "4", "3", "-25.0%"]
    register(b"three")
    register(b"three", device="pixel7", p50_ms=3.1)
    _, printed = command(compare, f"{name}@2", f"{name}@3", "--device=pixel7")
    row = next(line for line in printed.splitlines() if line.startswith("speedup "))
    assert row.endswith("same within noise")


def test_list(register, command, name):
    for artifact in (b"one", b"two", b"three"):
        register(artifact)
    assert _promoted(command, f"{name}@2", "staging")[0]

    lines = command(list_versions, name)[1].splitlines()
    assert [line.split()[0] for line in lines] == ["version", f"{name}@3", f"{name}@2", f"{name}@1"]
    assert lines[2].endswith("  staging")
    assert len(command(list_versions, name, "--limit=1")[1].splitlines()) == 2
    models = command(list_versions)[1]
    row = next(line for line in models.splitlines() if line.startswith(f"{name} "))
    assert f"{name}@3" in row
    assert "staging @2" in row
    assert ".float" not in models
    found = json.loads(command(list_versions, name, "--format=json")[1])["versions"]
    assert [version["version"] for version in found] == [3, 2, 1]
    assert found[1]["aliases"] == ["staging"]
    assert found[0]["metrics"]["size_bytes"] == 5
    more = ("--metric=scale_error", "--metric=task/detection/recall", "--metric=min_runtime")
    lines = command(list_versions, name, *more)[1].splitlines()
    assert "  scale_error/classificators  scale_error/regressors  task/detection/" in lines[0]
    assert re.search(r"  0\.001432 +0\.001432 +1 +2\.7\.0  passed", lines[1])


def test_fetch(register, command, name, tmp_path):
    register(b"one")
    assert _promoted(command, f"{name}@1", "staging")[0]
    output = tmp_path / "app" / "face.tflite"
    with refused("file.no_folder", "--make_dirs"):
        command(fetch, f"{name}@staging", f"--output={output}")
    _, printed = command(fetch, f"{name}@staging", f"--output={output}", "--make_dirs")

    assert output.read_bytes() == b"one"
    assert printed.startswith(f"{output}: {name}@1 (int8 1.0.0), sha256 ")
    command(fetch, f"{name}@1", f"--output={tmp_path}/assets/")
    assert (tmp_path / "assets" / "face_int8.tflite").read_bytes() == b"one"


def test_fetch_of_a_file_that_was_changed(register, command, opened, name, tmp_path):
    recorded = register(b"one")
    _, client, _ = opened
    folder = client.get_run(recorded.run_id).info.artifact_uri.removeprefix("file://")
    with open(f"{folder}/model/face_int8.tflite", "wb") as file:
        file.write(b"another")
    output = tmp_path / "face.tflite"
    with refused("registry.changed"):
        command(fetch, f"{name}@1", f"--output={output}")
    assert not output.exists()


def test_lineage(register, command, name):
    register(b"one")
    register(b"one", device="pixel7", p50_ms=4.0)
    assert _promoted(command, f"{name}@1", "staging")[0]

    tree = command(lineage, f"{name}@1")[1]
    titles = [line.lstrip(" |`-") for line in tree.splitlines()]
    order = [
        next(number for number, title in enumerate(titles) if title.startswith(start))
        for start in (
            "source file, sha256 ",
            f"{name}.float@1: float",
            f"{name}@1: int8 1.0.0",
            "commit 000000000000",
            "calibration data 8d17",
            "host: gates passed",
            "pixel7: gates passed",
            "alias staging",
        )
    ]
    assert order == sorted(order)
    dot = command(lineage, f"{name}@staging", "--format=dot")[1]
    assert dot.startswith("digraph lineage {")
    assert "  source -> master;" in dot
    assert "  version -> alias0;" in dot
    assert dot.count("[label=") == 6
    mermaid = command(lineage, f"{name}@1", "--format=mermaid")[1]
    assert mermaid.startswith("flowchart TD\n")
    assert "  master --> version" in mermaid


@pytest.mark.parametrize(
    ("module", "arguments", "code", "says"),
    [
        (
            promote,
            ["nothing@1", "--to=production"],
            "registry.model",
            "nothing: not a registered model",
        ),
        (
            promote,
            ["face", "--to=production"],
            "registry.name",
            "MODEL@VERSION or MODEL@ALIAS is wanted",
        ),
        (promote, ["face@1", "--to=v2"], "registry.name", "MLflow keeps"),
        (promote, ["face@1", "--to=a.b"], "registry.name", "letters, digits"),
        (rollback, ["nothing@production"], "registry.model", "nothing: not a registered model"),
        (list_versions, ["nothing"], "registry.model", "nothing: not a registered model"),
        (list_versions, ["--limit=0"], "flag.value", "--limit=0"),
        (list_versions, ["face", "--metric=score"], "flag.name", "--metric=score: no such metric"),
        (list_versions, ["--metric=fps"], "flag.missing", "--metric: a model is wanted"),
        (history, ["nothing"], "registry.model", "nothing: not a registered model"),
    ],
)
def test_what_is_not_there(command, module, arguments, code, says):
    with refused(code, says):
        command(module, *arguments)


def test_what_a_model_does_not_have(register, command, name, tmp_path):
    register(b"one")
    with refused("registry.version", "no version 7"):
        command(compare, f"{name}@1", f"{name}@7")
    with refused("registry.alias", r"'production' \(it has: none yet\)"):
        command(compare, f"{name}@1", f"{name}@production")
    with refused("policy.alias", "'canary'"):
        _promoted(command, f"{name}@1", "canary")
    with refused("registry.alias", "nothing to roll back"):
        command(rollback, f"{name}@production")
    missing = f"--policy={tmp_path / 'none.toml'}"
    with refused("policy.missing", r"none\.toml"):
        _promoted(command, f"{name}@1", "production", missing)


def test_nothing_registered_yet(command, tmp_path, monkeypatch):
    monkeypatch.setenv("BUILD_WORKSPACE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    for module, *words in (
        (list_versions,),
        (promote, "face@1", "--to=production"),
        (rollback, "face@production"),
    ):
        with refused("store.empty"):
            command(module, *words)
        assert not (tmp_path / ".mlflow").exists()


def test_exit_status_of_a_refusal_is_that_of_a_failed_gate(register, command, name):
    register(b"a much larger artifact")
    status, _ = command(promote, f"{name}@1", "--to=production")

    assert status == EXIT_GATE_FAILED
