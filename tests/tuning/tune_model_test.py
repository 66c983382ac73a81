"""The tune_model command, as it is typed, on a small model, timed for real."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.random_models import tiny_model
from tests.tools.commands import flags_of_printed, refusal, run_command
from tools import quantize_model, tune_model
from tools.command_line import EXIT_GATE_FAILED


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("given")
    (path / "net.tflite").write_bytes(tiny_model(channels=64))
    samples = np.random.default_rng(0).normal(size=(16, 16, 16, 3)).astype(np.float32)
    np.save(path / "samples.npy", samples)
    return path


_MILLISECOND = "echo count=9 first=1 curr=1 min=1 max=1 avg=1 std=1 p5=1000 median=1000 p95=1000"


@pytest.fixture(params=["command", pytest.param("host", marks=pytest.mark.nightly)])
def device(request, tmp_path):
    """The flag of a device. On a command's all models take a millisecond, which takes no time."""
    if request.param == "host":
        return "--device=host"
    script = tmp_path / "device.sh"
    script.write_text(_MILLISECOND)
    return f"--device=command:sh {script} {{model}}"


def flags(folder, output, *others: str, candidates: int = 12) -> list[str]:
    return [
        f"--float_model={folder / 'net.tflite'}",
        f"--calibration_data={folder / 'samples.npy'}",
        f"--settings_output={output / 'net.settings.json'}",
        f"--plots={output / 'plots'}",
        f"--journal={output / 'journal'}",
        f"--candidates={candidates}",
        *others,
    ]


@pytest.fixture(scope="module")
def tuned(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("out")
    done = run_command(tune_model, *flags(folder, output, "--stop_at_first"), fresh=True)
    assert done.returncode == 0, done.stderr
    return output, done


def test_it_writes_settings_that_quantize_model_takes(tuned, folder):
    output, _ = tuned
    front = json.loads((output / "plots" / "net.front.json").read_text())
    (picked,) = [entry for entry in front["candidates"] if entry["chosen"]]
    done = run_command(
        quantize_model,
        f"--input_model={folder / 'net.tflite'}",
        f"--output_model={output / 'net_q.tflite'}",
        f"--settings={output / 'net.settings.json'}",
        f"--calibration_data={folder / 'samples.npy'}",
    )
    assert done.returncode == 0, done.stderr
    assert (output / "net_q.tflite").stat().st_size == picked["bytes"]


def test_settings_say_where_the_artifact_runs(folder, tmp_path):
    script = tmp_path / "device.sh"
    script.write_text(_MILLISECOND)
    on = f"--device=command:sh {script} {{model}}"
    done = run_command(tune_model, *flags(folder, tmp_path, on, "--runs_on=cpu", "--stop_at_first"))
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "net.settings.json").read_text())["runs_on"] == ["cpu"]


def test_it_prints_the_front_and_draws_it(tuned):
    output, done = tuned
    assert "<- chosen" in done.stdout
    assert "on the front of" in done.stdout
    png = (output / "plots" / "net.front.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    page = (output / "plots" / "net.front.html").read_text()
    assert "<svg" in page
    assert 'class="chosen"' in page
    # A page that needs nothing else.
    assert "<script" not in page
    assert 'src="http' not in page


def test_it_ends_with_what_to_do_next(tuned, folder):
    output, done = tuned
    settings = output / "net.settings.json"
    *_, written, step, command = done.stdout.splitlines()
    assert written.startswith(f"{settings}: ")
    assert step == "next: review and commit it; it is applied by"
    applied = run_command(quantize_model, *flags_of_printed(command, "quantize_model"))
    assert applied.returncode == 0, applied.stderr
    assert (output / "net.tflite").exists()
    # A rule says which target it is for.
    again = run_command(
        tune_model, *flags(folder, output, "--stop_at_first", "--target=//models:net_auto")
    )
    assert again.stdout.splitlines()[-1] == (
        'next: review and commit it; with `scheme = "auto",` in //models:net_auto, '
        "`bazel build //models:net_auto` applies it"
    )


def test_it_goes_on_where_it_was(tuned, folder):
    output, first = tuned
    again = run_command(tune_model, *flags(folder, output, "--stop_at_first"))
    assert "going on from" in again.stderr
    assert again.stdout == first.stdout


def test_killed_it_goes_on_where_it_was(folder, tmp_path, device):
    if device != "--device=host":
        # It does not end before it is killed.
        (tmp_path / "device.sh").write_text("sleep 60")
    process = subprocess.Popen(
        [sys.executable, tune_model.__file__, *flags(folder, tmp_path, device)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
    )
    deadline = time.monotonic() + 120
    journals = []
    while time.monotonic() < deadline:
        journals = list((tmp_path / "journal").glob("*/journal.jsonl"))
        if journals and journals[0].read_bytes().count(b"\n") >= 2:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if device != "--device=host":
        (tmp_path / "device.sh").write_text(_MILLISECOND)
    known = journals[0].read_bytes().splitlines(keepends=True)
    assert not (tmp_path / "net.settings.json").exists()
    done = run_command(tune_model, *flags(folder, tmp_path, device, "--stop_at_first"))
    assert done.returncode == 0, done.stderr
    assert "going on from" in done.stderr
    assert journals[0].read_bytes().splitlines(keepends=True)[: len(known)] == known


def test_a_goal_out_of_reach_writes_the_front_and_no_settings(folder, tmp_path, device):
    given = flags(folder, tmp_path, device, "--min_speedup=1000", candidates=4)
    done = run_command(tune_model, *given)
    assert done.returncode == EXIT_GATE_FAILED
    (line,) = done.stderr.splitlines()
    assert "no candidate reaches the goal; nothing written" in line
    assert "misses min_speedup" in done.stdout
    assert not (tmp_path / "net.settings.json").exists()
    assert (tmp_path / "plots" / "net.front.json").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--device=moon", "no device moon"),
        ("--optimise=beauty", "nothing to optimise called beauty"),
        ("--samples=0", "--samples takes at least 1"),
        ("--runs_on=moon", "moon"),
    ],
)
def test_refusals(folder, tmp_path, flag, message):
    assert message in refusal(tune_model, *flags(folder, tmp_path, flag))


def test_gates_must_be_an_object(folder, tmp_path):
    (tmp_path / "gates.json").write_text("[]")
    line = refusal(tune_model, *flags(folder, tmp_path, f"--gates={tmp_path / 'gates.json'}"))
    assert line.endswith("not an object of thresholds by name")
