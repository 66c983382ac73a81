"""The measure_latency command, as it is typed."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

import tools.measure_latency
from tests.model_files import model_path
from tests.random_models import ModelBuilder
from tests.tools.commands import run_command, with_instead
from tools.command_line import EXIT_BAD_INPUT, EXIT_GATE_FAILED, EXIT_INCONCLUSIVE
from tools.graph.float_master import make_float_master
from tools.latency.device import usable_cpus


def measure(*flags: str, **how) -> subprocess.CompletedProcess:
    # Where a Bazel test keeps reports; one test says a place of its own.
    how = {"TEST_UNDECLARED_OUTPUTS_DIR": ""} | how
    return run_command(tools.measure_latency, *flags, **how)


def refusal(*flags: str) -> str:
    done = measure(*flags)
    assert done.returncode == EXIT_BAD_INPUT, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


@pytest.fixture(scope="module")
def face(tmp_path_factory) -> Path:
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    path = tmp_path_factory.mktemp("model") / "face.tflite"
    path.write_bytes(master)
    return path


@pytest.fixture(scope="module")
def flags(face) -> list[str]:
    return [f"--float_model={face}", f"--quantized_model={face}", "--rounds=9"]


@pytest.fixture(scope="module")
def against_itself(flags, tmp_path_factory):
    """(what the command said, its report) for a model against itself."""
    output = tmp_path_factory.mktemp("report") / "latency.json"
    gates = ["--min_fps=0.001", "--min_speedup=0.01"]
    done = measure(*flags, f"--output={output}", *gates, fresh=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout, json.loads(output.read_text())


def test_a_model_is_as_fast_as_itself(against_itself):
    _, report = against_itself
    assert report["speedup_low"] <= report["speedup"] <= report["speedup_high"]
    # Wide enough for a machine on which everything else runs too.
    assert report["speedup_high"] > 0.5
    assert report["speedup_low"] < 2
    assert 0.5 < report["speedup"] < 2


def test_report(against_itself, face):
    _, report = against_itself
    assert set(report) == {
        "artifact", "delegate_use", "device", "disturbed_rounds", "float_master", "gates",
        "invokes_per_round", "kind", "passed", "rounds", "schema_version", "speedup",
        "speedup_high", "speedup_low", "verdict", "wrong_verdicts_at_most",
    }  # fmt: skip
    assert report["kind"] == "rules_quantize.latency"
    assert report["schema_version"] == 1
    assert report["rounds"] == 9
    assert report["invokes_per_round"] >= 5
    assert report["passed"] is True
    assert report["verdict"] == "PASS"
    for model in ("artifact", "float_master"):
        speed = report[model]
        assert set(speed) == {
            "arena_mb", "first_inference_ms", "fps", "load_ms", "memory_mb", "p50_ms", "p90_ms",
            "p95_ms", "sha256",
        }  # fmt: skip
        # 128 x 128 x 3 and 64 x 64 x 24 floats at the least, both at a time.
        assert 0.5 < speed["arena_mb"] < speed["memory_mb"]
        assert 0 < speed["load_ms"] < 10000
        assert speed["first_inference_ms"] > 0.05
        # Its weights and arena; less than the whole interpreter takes.
        assert 0.1 < speed["memory_mb"] < 200
        assert speed["sha256"] == hashlib.sha256(face.read_bytes()).hexdigest()
        assert 0.05 < speed["p50_ms"] <= speed["p90_ms"] <= speed["p95_ms"] < 1000
        assert speed["fps"] == pytest.approx(1000 / speed["p50_ms"], rel=0.01)
    device = report["device"]
    assert set(device) == {"backend", "cores", "cpu", "name", "pinned_cpus", "runtime", "threads"}
    assert device["threads"] == 1
    assert device["name"] == "host"


def test_gates_in_the_report(against_itself):
    _, report = against_itself
    fps, speedup = report["gates"]
    assert (fps["name"], fps["threshold"], fps["passed"]) == ("min_fps", 0.001, True)
    assert (speedup["name"], speedup["threshold"], speedup["passed"]) == ("min_speedup", 0.01, True)
    assert fps["low"] <= fps["value"] <= fps["high"]
    assert speedup["low"] <= report["speedup_low"] <= speedup["value"] == report["speedup"]
    assert report["speedup"] <= report["speedup_high"] <= speedup["high"]
    assert fps["verdict"] == speedup["verdict"] == "PASS"


def test_what_a_person_reads(against_itself):
    said, report = against_itself
    lines = said.splitlines()
    assert lines[0].startswith(report["device"]["cpu"] + ", 1 thread(s), 9 rounds of ")
    assert lines[2].split()[:2] == ["float", "master"]
    assert lines[3].split()[0] == "artifact"
    assert lines[4].startswith(f"speedup {report['speedup']:.3f} (95% interval ")
    assert [line.split(":")[0] for line in lines[-2:]] == ["passed", "passed"]


def test_gate_that_cannot_be_reached_fails_and_keeps_the_report(flags, tmp_path):
    output = tmp_path / "latency.json"
    gates = ["--min_fps=1e9", "--min_speedup=0.01", "--max_p90_ms=1e-6"]
    gates += ["--max_load_ms=1e6", "--max_memory_mb=1e6"]
    done = measure(*flags, f"--output={output}", *gates)
    assert done.returncode == EXIT_GATE_FAILED
    assert done.stderr == ""
    report = json.loads(output.read_text())
    assert report["passed"] is False
    assert {gate["name"]: gate["passed"] for gate in report["gates"]} == {
        "min_fps": False, "min_speedup": True, "max_p90_ms": False, "max_load_ms": True,
        "max_memory_mb": True,
    }  # fmt: skip
    assert report["verdict"] == "FAIL"
    assert [line.split(", ")[0] for line in done.stdout.splitlines()[-5:]] == [
        "FAILED: min_fps 1e+09",
        "passed: min_speedup 0.01",
        "FAILED: max_p90_ms 1e-06",
        "passed: max_load_ms 1e+06",
        "passed: max_memory_mb 1e+06",
    ]
    assert "FAILED: min_fps 1e+09, measured " in done.stdout


# A device on which every second round takes twice as long.
_UNSTEADY = """\
n=$(cat "$0.count" 2>/dev/null || echo 0)
echo $((n + 1)) >"$0.count"
t=$((1000 + 1000 * (n / 2 % 2)))
echo "count=9 first=$t curr=$t min=$t max=$t avg=$t std=1 p5=$t median=$t p95=$t"
"""


def test_undecided_is_neither_passed_nor_failed(flags, tmp_path):
    script = tmp_path / "unsteady.sh"
    script.write_text(_UNSTEADY)
    output = tmp_path / "latency.json"
    device = f"--device=command:sh {script} {{model}}"
    flags = [*flags, device, "--min_fps=750", "--most_rounds=12", f"--output={output}"]
    done = measure(*flags)
    assert done.returncode == EXIT_INCONCLUSIVE, done.stdout + done.stderr
    assert "INCONCLUSIVE: min_fps 750, measured " in done.stdout
    assert "measure on a quieter device" in done.stdout
    assert "FAILED" not in done.stdout
    report = json.loads(output.read_text())
    assert (report["passed"], report["verdict"]) == (False, "INCONCLUSIVE")
    done = measure(*flags, "--allow_inconclusive")
    assert done.returncode == 0, done.stdout
    assert "INCONCLUSIVE: min_fps 750, measured " in done.stdout
    report = json.loads(output.read_text())
    assert (report["passed"], report["verdict"]) == (True, "INCONCLUSIVE")


def test_operators_that_fall_back_are_named_and_gated(tmp_path):
    """XNNPACK has no LOG_SOFTMAX."""
    graph = ModelBuilder()
    image = graph.input((1, 8))
    first = graph.operator("RELU", [image], (1, 8))
    middle = graph.operator("LOG_SOFTMAX", [first], (1, 8))
    path = tmp_path / "cut.tflite"
    path.write_bytes(graph.finish(graph.operator("RELU", [middle], (1, 8))))
    output = tmp_path / "latency.json"
    done = measure(
        f"--float_model={path}", f"--quantized_model={path}", "--rounds=9",
        "--max_partitions=1", "--max_fallback=0", f"--output={output}",
    )  # fmt: skip
    report = json.loads(output.read_text())
    use = report["delegate_use"]["artifact"]
    assert use["operators"] == use["delegated"] + sum(use["fallback"].values()) == 3
    assert list(use["fallback"]) == ["LOG_SOFTMAX (float32)"]
    assert use["partitions"] == 2
    assert done.returncode == EXIT_GATE_FAILED, done.stdout
    assert "FAILED: max_partitions 1, it is 2" in done.stdout
    assert "FAILED: max_fallback 0, it is 1" in done.stdout
    assert "the delegate leaves 1 x LOG_SOFTMAX (float32)" in done.stdout


def test_what_the_delegate_takes_is_judged_before_anything_is_measured(flags, tmp_path):
    """A device that cannot measure, but says what the delegate takes."""
    said = "Replacing 4 out of 9 node(s) with delegate (X) node, yielding 3 partitions"
    device = f"--device=command:test -n '{{flags}}' && echo '{said}' # {{model}}"
    output = tmp_path / "latency.json"
    gates = ["--min_fps=1", "--max_partitions=2", "--max_arena_mb=100"]
    done = measure(*flags, device, *gates, f"--output={output}")
    assert done.returncode == EXIT_GATE_FAILED, done.stdout + done.stderr
    report = json.loads(output.read_text())
    assert report["rounds"] == 0
    assert [(gate["name"], gate["verdict"]) for gate in report["gates"]] == [
        ("max_partitions", "FAIL"), ("max_arena_mb", "PASS"), ("min_fps", "INCONCLUSIVE"),
    ]  # fmt: skip
    assert report["artifact"]["p50_ms"] is None
    assert "3 partitions; the delegate leaves operators that the device does not name" in (
        done.stdout
    )
    assert "INCONCLUSIVE: min_fps 1, not measured, as another gate fails" in done.stdout


def test_an_arena_that_is_too_large(flags):
    done = measure(*flags, "--max_arena_mb=0.1")
    assert done.returncode == EXIT_GATE_FAILED, done.stdout
    assert "FAILED: max_arena_mb 0.1, it is 1.5" in done.stdout


@pytest.mark.parametrize(
    ("threshold", "verdict", "status"),
    [(4, "PASS", 0), (0.5, "FAIL", EXIT_GATE_FAILED), (2, "INCONCLUSIVE", EXIT_INCONCLUSIVE)],
)
def test_a_90th_percentile_that_the_device_does_not_tell_is_bounded(
    flags, tmp_path, threshold, verdict, status
):
    """It lies between the median and the 95th percentile."""
    line = "count=9 first=1 curr=1 min=1 max=9 avg=1 std=1 p5=1 median=1000 p95=3000"
    output = tmp_path / "latency.json"
    device = f"--device=command:echo '{line}' # {{model}}"
    limits = ["--most_rounds=9", f"--max_p90_ms={threshold}"]
    done = measure(*flags, device, *limits, f"--output={output}")
    assert done.returncode == status, done.stdout + done.stderr
    report = json.loads(output.read_text())
    (gate,) = report["gates"]
    assert (gate["verdict"], gate["low"], gate["value"], gate["high"]) == (verdict, 1, None, 3)
    assert (report["artifact"]["p90_ms"], report["artifact"]["p95_ms"]) == (None, 3)
    assert "between 1 and 3; the device tells no more of it" in done.stdout


def test_inside_a_bazel_test_the_report_is_among_its_outputs(flags, tmp_path):
    line = "count=9 first=1 curr=1 min=1 max=9 avg=1 std=1 p5=1 median=1 p95=1"
    device = f"--device=command:echo '{line}' # {{model}}"
    done = measure(*flags, device, TEST_UNDECLARED_OUTPUTS_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "latency.json").read_text())
    assert report["gates"] == []
    assert report["passed"] is True


@pytest.mark.parametrize("rounds", [8, 1, 0, -9])
def test_too_few_rounds(flags, rounds):
    assert refusal(*flags[:2], f"--rounds={rounds}") == (
        f"measure_latency: error: --rounds={rounds}: give at least 9"
    )


def test_unknown_device(flags):
    assert refusal(*flags, "--device=pixel") == (
        "measure_latency: error: no device pixel; host, adb, adb:SERIAL, adb:NAME=VALUE and "
        "command:TEMPLATE are the ones known"
    )


@pytest.mark.parametrize("threads", [0, -1, len(usable_cpus()) + 1])
def test_threads_that_there_are_no_processors_for(flags, threads):
    assert refusal(*flags, f"--threads={threads}") == (
        f"measure_latency: error: --threads={threads}: this process may use "
        f"{len(usable_cpus())} processors"
    )


@pytest.mark.parametrize("flag", ["--rounds=many", "--min_fps=fast", "--min_fps=-1", "--min_fp=3"])
def test_flags_that_cannot_be_read(flags, flag):
    done = measure(*flags, flag)
    assert done.returncode == EXIT_BAD_INPUT
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("measure_latency: error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("which", ["float_model", "quantized_model"])
def test_models_that_cannot_be_measured(flags, face, tmp_path, which):
    graph = ModelBuilder()
    image = graph.input((1, 4, 4, 3))
    custom = graph.operator("MyTransform", [image], (1, 4, 4, 3), custom=True)
    for name, content, message in (
        ("text.tflite", b"no model at all", "not a TFLite file"),
        ("cut.tflite", face.read_bytes()[:5000], "the file is truncated or damaged"),
        ("custom.tflite", graph.finish(custom), "the runtime cannot run this model"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        output = tmp_path / "latency.json"
        line = refusal(*with_instead(flags, f"--{which}={path}", f"--output={output}"))
        assert line.startswith(f"measure_latency: error: {path}: {message}")
        assert not output.exists()
    assert refusal(*with_instead(flags, f"--{which}={tmp_path}/none.tflite")) == (
        f"measure_latency: error: {tmp_path}/none.tflite: No such file or directory"
    )
