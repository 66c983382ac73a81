"""What devices say of an artifact's answers, in the registry: on a real SQLite store of MLflow."""

import json
from dataclasses import replace

import pytest

from registry import compare, lineage, list_versions, promote
from registry import register as register_command
from registry.dashboard import FILE_NAME
from registry.store import connect
from tests.refused import refused
from tests.registry.new_stores import new_store
from tests.registry.registration_files import (
    REFUSED,
    flags,
    write_device_verdict,
    write_files,
)
from tools.command_line import EXIT_GATE_FAILED

_POLICY = """\
[aliases.web]
required_devices = ["chrome", "chrome_gpu"]
tolerances = { cosine_mean = { min = 0.97 }, speedup = { min = 1.0 } }

[aliases.timed]
required_devices = { chrome_gpu = ["similarity", "speed"] }

[aliases.steady]
max_regression = { cosine_mean = 0.001 }
required_devices = ["chrome"]
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


@pytest.fixture(name="on_device")
def _on_device(command, tmp_path, name):
    """Registers what a browser says of an artifact; gives status and what was printed."""

    def on_device(artifact: bytes, device: str, accelerator: str = "wasm", **changes):
        folder = tmp_path / f"files_{len(list(tmp_path.iterdir()))}"
        files = replace(write_files(folder, artifact=artifact), latency=None)
        verdict = write_device_verdict(files, device, accelerator, **changes)
        given = [flag for flag in flags(files, name) if not flag.startswith("--latency")]
        return command(register_command, *given, f"--device_verdict={verdict}")

    return on_device


def test_a_measurement_beside_that_of_the_host(register, on_device, opened, name):
    first = register(b"one")
    status, printed = on_device(b"one", "chrome", cosine=0.975)

    assert status == 0
    assert printed.startswith(f"already registered as {name} version 1\n")
    assert "(new measurement)" in printed
    client = opened[1]
    run = next(
        run
        for run in client.search_runs([first.experiment_id])
        if run.data.tags.get("device") == "chrome"
    )
    assert run.data.tags["kind"] == "measurement"
    assert run.data.tags["device_taken"] == "whole"
    assert run.data.tags["measured"] == "similarity, speed"
    assert run.data.tags["device_program"] == "Chromium 156.0.8078.108"
    assert run.data.metrics["cosine_mean/regressors"] == 0.975
    assert run.data.metrics["speedup"] == 1.25
    assert run.data.metrics["latency_p50_ms"] == 4.0
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"device_verdict.json", "report.json", "overview.html"} <= names
    with open(client.download_artifacts(run.info.run_id, "overview.html")) as file:
        page = file.read()
    assert "on chrome, which takes it whole" in page
    assert "0.975" in page
    # The version's own figures stay the report's.
    assert client.get_run(first.run_id).data.metrics["cosine_mean/regressors"] == 0.99
    status, printed = on_device(b"one", "chrome", cosine=0.975)
    assert (status, "(new measurement)" in printed) == (0, False)


def test_an_artifact_that_is_new(on_device, opened, name):
    status, printed = on_device(b"one", "chrome")

    assert status == 0
    assert printed.startswith(f"registered {name} version 1 ")
    runs = opened[1].search_runs([opened[1].get_experiment_by_name(name).experiment_id])
    assert sorted(run.data.tags["kind"] for run in runs) == [
        "dashboard",
        "float master",
        "measurement",
        "registration",
    ]


def test_refused_there(register, on_device, opened, command, name):
    register(b"one")
    status, printed = on_device(b"one", "chrome_gpu", "gpu", **REFUSED)

    assert status == EXIT_GATE_FAILED
    assert "  failed   refused: Shape mismatch" in printed
    lines = command(list_versions, name)[1].splitlines()
    assert "on devices" in lines[0]
    assert "chrome_gpu refused" in lines[1]
    status, printed = command(promote, f"{name}@1", "--to=web")
    assert status == EXIT_GATE_FAILED
    assert "chrome: similarity and speed not measured; " in printed.splitlines()[-1]
    assert "chrome_gpu: failed: refused: Shape mismatch" in printed.splitlines()[-1]
    on_device(b"one", "chrome")
    on_device(b"one", "chrome_gpu", "gpu")
    assert command(promote, f"{name}@1", "--to=web")[0] == 0


def test_what_a_policy_requires(register, on_device, command, name):
    register(b"one")
    on_device(b"one", "chrome_gpu", "gpu")
    last = command(promote, f"{name}@1", "--to=web")[1].splitlines()[-1]
    assert last.startswith("refused: 2 of ")
    assert "(chrome: similarity and speed not measured; chrome: speedup not measured" in last
    # Nothing tells how fast a GPU is that a processor stands in for: only who asks misses it.
    assert "chrome_gpu" not in last
    last = command(promote, f"{name}@1", "--to=timed")[1].splitlines()[-1]
    assert "(chrome_gpu: speed not measured); timed stays at nothing" in last
    on_device(b"one", "chrome", cosine=0.96)
    last = command(promote, f"{name}@1", "--to=web")[1].splitlines()[-1]
    assert "(chrome: cosine_mean/regressors 0.96, asked for: at least 0.97)" in last
    on_device(b"one", "chrome")
    assert command(promote, f"{name}@1", "--to=web")[0] == 0


def test_a_regression_on_a_device_alone(register, on_device, command, name):
    for artifact, cosine in ((b"one", 0.99), (b"two", 0.98)):
        register(artifact)
        on_device(artifact, "chrome", cosine=cosine)
    assert command(promote, f"{name}@1", "--to=steady")[0] == 0
    status, printed = command(promote, f"{name}@2", "--to=steady")

    assert status == EXIT_GATE_FAILED
    assert "(chrome: cosine_mean/regressors 0.98, asked for: at most 0.001 of it below)" in printed


def test_shown(register, on_device, opened, command, name):
    register(b"one")
    register(b"two")
    on_device(b"one", "chrome", cosine=0.975)
    on_device(b"two", "chrome", cosine=0.97)
    on_device(b"two", "chrome_gpu", "gpu")

    lines = command(list_versions, name)[1].splitlines()
    assert "  chrome 0.97, chrome_gpu 0.98  " in lines[1]
    assert "  chrome 0.975 " in lines[2]
    (newest, _) = json.loads(command(list_versions, name, "--format=json")[1])["versions"]
    assert newest["devices"]["chrome"]["metrics"]["cosine_mean/regressors"] == 0.97
    printed = command(compare, f"{name}@1", f"{name}@2")[1]
    assert "measured on host, " in printed
    rows = [line.split("  ") for line in printed.splitlines() if line.startswith("chrome")]
    assert [[cell.strip() for cell in row if cell] for row in rows] == [
        ["chrome", "lowest cosine 0.975, gates passed", "lowest cosine 0.97, gates passed"],
        ["chrome_gpu", "-", "lowest cosine 0.98, gates passed"],
    ]
    printed = command(compare, f"{name}@1", f"{name}@2", "--device=chrome")[1]
    row = next(line for line in printed.splitlines() if line.startswith("cosine_mean/regressors"))
    assert row.split() == ["cosine_mean/regressors", "0.975", "0.97", "-0.5%", "worse"]
    assert "chrome_gpu: gates passed" in command(lineage, f"{name}@2")[1]
    client = opened[1]
    runs = client.search_runs(
        [client.get_experiment_by_name(name).experiment_id], "tags.kind = 'dashboard'"
    )
    with open(client.download_artifacts(runs[0].info.run_id, FILE_NAME)) as file:
        page = file.read()
    (model,) = client.search_registered_models(f"name = '{name}'")
    info = runs[0].info
    page_of_it = f"(#/experiments/{info.experiment_id}/runs/{info.run_id}/artifacts/{FILE_NAME})"
    assert model.description.count(page_of_it) == 1
    assert model.description.startswith("Quantized models of one deployable.")
    assert "Answers on devices" in page
    assert "<td>chrome_gpu</td>" in page


def test_of_another_artifact(register, command, tmp_path, name):
    files = write_files(tmp_path / "one", artifact=b"one")
    other = write_files(tmp_path / "two", artifact=b"two")
    verdict = write_device_verdict(other, "chrome")
    given = [flag for flag in flags(files, name) if not flag.startswith("--latency")]
    with refused("document.other", "measured another artifact"):
        command(register_command, *given, f"--device_verdict={verdict}")
    with refused("flag.conflict", "--device_verdict, --latency"):
        command(register_command, *flags(files, name), f"--device_verdict={verdict}")
