"""The benchmark_model command, as it is typed."""

import json
import re
import subprocess

import tools.benchmark_model
from tests.random_models import ModelBuilder
from tests.tools.commands import run_command
from tools.command_line import EXIT_BAD_INPUT


def benchmark(*flags: str, **how) -> subprocess.CompletedProcess:
    rounds = [] if any(flag.startswith("--rounds=") for flag in flags) else ["--rounds=9"]
    return run_command(tools.benchmark_model, *rounds, *flags, **how)


def model(path, operators: int):
    graph = ModelBuilder()
    last = graph.input((1, 64, 64, 8))
    for number in range(operators):
        last = graph.operator(("RELU", "LOG_SOFTMAX")[number % 2], [last], (1, 64, 64, 8))
    path.write_bytes(graph.finish(last))
    return path


def test_one_model_against_another(tmp_path):
    fast, slow = model(tmp_path / "fast.tflite", 1), model(tmp_path / "slow.tflite", 8)
    output = tmp_path / "measured.json"
    done = benchmark(f"--model={fast}", f"--against={slow}", f"--output={output}", fresh=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    assert report["ratio"]["value"] > report["ratio"]["low"] > 1.5
    for side in ("model", "against"):
        for name in ("p50_ms", "p90_ms", "load_ms", "first_inference_ms", "memory_mb"):
            found = report[side][name]
            assert found["low"] <= found["value"] <= found["high"], name
    # Tensors of 128 KiB: the input, the output, and two between them.
    assert (report["model"]["arena_mb"], report["against"]["arena_mb"]) == (0.25, 0.5)
    assert report["model"]["operators"] is None
    assert report["against"]["delegate_use"]["fallback"] == {"LOG_SOFTMAX (float32)": 4}
    assert "times as fast as against" in done.stdout
    assert "slow.tflite: 4 partitions; the delegate leaves 4 x LOG_SOFTMAX" in done.stdout


def test_a_slower_model_is_warned_of_with_what_costs_more(tmp_path):
    fast, slow = model(tmp_path / "fast.tflite", 1), model(tmp_path / "slow.tflite", 8)
    done = benchmark(f"--model={slow}", f"--against={fast}")
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(
        r"warning: slow\.tflite takes \d+\.\d\d times as long as fast\.tflite; what costs more: "
        r"log_softmax \d+\.\d\d ms against 0\.00, outside the delegate(; .*)?; "
        "keep such operators in float",
        line,
    )
    done = benchmark(f"--model={fast}", f"--against={slow}")
    assert done.stderr == ""


def test_operators_that_cost_most(tmp_path):
    output = tmp_path / "measured.json"
    path = model(tmp_path / "slow.tflite", 8)
    done = benchmark(f"--model={path}", "--per_op", f"--output={output}")
    assert done.returncode == 0, done.stderr
    operators = json.loads(output.read_text())["model"]["operators"]
    assert [one["kind"] for one in operators] == ["Clamp (NC)", "LOG_SOFTMAX"] * 4
    lines = done.stdout[done.stdout.index("slow.tflite: 8 operators, ") :].splitlines()[1:]
    assert {line.split()[4] for line in lines[:4]} == {"LOG_SOFTMAX"}
    assert "in the delegate" in lines[-1]


def test_one_model(tmp_path):
    done = benchmark(f"--model={model(tmp_path / 'one.tflite', 1)}")
    assert done.returncode == 0, done.stderr
    assert "against" not in done.stdout
    assert "one.tflite" in done.stdout


def test_a_file_that_is_not_there(tmp_path):
    done = benchmark(f"--model={tmp_path}/none.tflite")
    assert done.returncode == EXIT_BAD_INPUT
    assert done.stderr == f"benchmark_model: error: {tmp_path}/none.tflite: " + (
        "No such file or directory\n"
    )
