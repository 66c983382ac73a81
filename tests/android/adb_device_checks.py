"""What is measured through adb, against a real adbd; run_on_adbd.sh starts it.

The device is a Debian of its own in PHONE_ROOT with adbd in it; the processes here are in
a network namespace of their own.
"""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import tools.benchmark_model
import tools.measure_latency
from tests.model_files import model_path
from tests.random_models import ModelBuilder
from tests.tools.commands import with_instead
from tools.command_line import EXIT_BAD_INPUT, EXIT_GATE_FAILED
from tools.errors import DeviceFailedError, NoDeviceError
from tools.graph.float_master import make_float_master

ROOT = Path(os.environ["PHONE_ROOT"])
STORAGE = ROOT / "data/local/tmp"
SHIM = "/phone/loopback_only.so"


def listening() -> str:
    return subprocess.run(
        ["ss", "-Hltn"], capture_output=True, text=True, check=True
    ).stdout + subprocess.run(
        ["ss", "-Hl", "--vsock"], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip


def adb(*words: str) -> str:
    done = subprocess.run(["adb", *words], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


class Daemon:
    """One adbd, which listens on 127.0.0.1 only."""

    def __init__(self, port: int):
        self.port, self.serial = port, f"127.0.0.1:{port}"
        assert (ROOT / SHIM[1:]).exists(), "adbd is not started without it"
        command = ["chroot", ROOT, "env", "-i", "PATH=/phone:/usr/bin:/bin", f"ADBD_PORT={port}"]
        command += [f"LD_PRELOAD={SHIM}", "/usr/lib/android-sdk/platform-tools/adbd"]
        log = ROOT / "phone/adbd.log"
        with open(log, "w") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said)
        end = time.monotonic() + 20
        while f"127.0.0.1]:{port} " not in listening():
            assert time.monotonic() < end, f"{self.process.poll()}: {log.read_text()[-2000:]}"
            time.sleep(0.1)
        for line in listening().splitlines():
            if f":{port} " in line:
                assert "127.0.0.1]" in line, line
                assert "v_str" not in line, line
        self.connect()

    def connect(self) -> None:
        end = time.monotonic() + 20
        while f"{self.serial}\tdevice" not in adb("devices"):
            assert time.monotonic() < end, adb("devices")
            adb("connect", self.serial)
            time.sleep(0.2)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def daemon(port: int = 5601):
    one = Daemon(port)
    try:
        yield one
    finally:
        one.stop()
        adb("disconnect", one.serial)


@pytest.fixture
def phone():
    with daemon() as one:
        yield one
    # Nothing is left on the device, however it went.
    assert list(STORAGE.iterdir()) == []


@pytest.fixture(autouse=True)
def plain_phone():
    for name in ("flags", "mode", "properties.5602", "thermal"):
        (ROOT / "phone" / name).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def flags(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    master, _ = make_float_master(model_path("face_detection_short_range").read_bytes())
    (folder / "face.tflite").write_bytes(master)
    model = folder / "face.tflite"
    return [
        f"--float_model={model}",
        f"--quantized_model={model}",
        "--rounds=9",
        "--most_rounds=9",
        f"--benchmark_binary={ROOT}/phone/benchmark_model",
    ]


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> Path:
    """XNNPACK has no LOG_SOFTMAX."""
    graph = ModelBuilder()
    last = graph.input((1, 64, 64, 8))
    for name in ("RELU", "LOG_SOFTMAX", "RELU"):
        last = graph.operator(name, [last], (1, 64, 64, 8))
    path = tmp_path_factory.mktemp("cut") / "cut.tflite"
    path.write_bytes(graph.finish(last))
    return path


def started(*flags: str, program=tools.measure_latency, **environment: str) -> subprocess.Popen:
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, program.__file__, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=variables | environment,
    )


def measure(
    *flags: str, program=tools.measure_latency, **environment: str
) -> subprocess.CompletedProcess:
    with started(*flags, program=program, **environment) as process:
        try:
            said = process.communicate(timeout=150)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


def refusal(status: int, *flags: str, **environment: str) -> str:
    done = measure(*flags, **environment)
    assert done.returncode == status, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line.removeprefix("measure_latency: error: ")


def test_measures(phone, flags, tmp_path):
    output = tmp_path / "latency.json"
    done = measure(
        *flags, "--device=adb", "--min_fps=0.01", "--min_speedup=1e6", f"--output={output}"
    )
    assert done.returncode == EXIT_GATE_FAILED, done.stdout + done.stderr
    report = json.loads(output.read_text())
    assert [gate["verdict"] for gate in report["gates"]] == ["PASS", "FAIL"]
    assert report["artifact"]["p50_ms"] > 0.05
    assert report["rounds"] == 9
    device = report["device"]
    assert device["model"] == "Debian phone"
    assert device["abi"] == "x86_64"
    assert device["fingerprint"] == "debian/phone:forky"
    assert device["before"]["battery_percent"] == 80
    assert device["after"] == {"battery_celsius": 25.0, "battery_percent": 80, "thermal_status": 0}
    use = report["delegate_use"]["artifact"]
    assert (use["partitions"], use["fallback"]) == (1, {})
    assert use["operators"] == use["delegated"] > 50
    assert device["serial"] == phone.serial
    assert report["artifact"]["p90_ms"] is None
    assert report["artifact"]["p95_ms"] > report["artifact"]["p50_ms"]


def test_tokens_are_those_of_the_table(phone, flags, tmp_path):
    graph = ModelBuilder()
    tokens = graph.tensor((1, 8), "the tokens", schema.TensorType.INT32)
    graph.subgraph.inputs.append(tokens)
    table = graph.constant(np.ones((3, 8), np.float32))
    last = graph.operator("GATHER", [table, tokens], (1, 8, 8), schema.GatherOptionsT())
    model = tmp_path / "tokens.tflite"
    model.write_bytes(graph.finish(last))
    models = [f"--float_model={model}", f"--quantized_model={model}"]
    done = measure(*flags[2:], *models, "--device=adb", "--min_fps=0.01")
    assert done.returncode == 0, done.stdout + done.stderr
    said = (ROOT / "phone" / "flags").read_text()
    assert "--input_layer_value_range=the tokens,0,2" in said


def test_operators_that_fall_back_are_named_before_anything_is_measured(phone, flags, cut):
    done = measure(
        *with_instead(flags, f"--quantized_model={cut}"),
        "--device=adb",
        "--min_fps=0.01",
        "--max_fallback=0",
    )
    assert done.returncode == EXIT_GATE_FAILED, done.stdout + done.stderr
    assert "FAILED: max_fallback 0, it is 1" in done.stdout
    assert "2 partitions; the delegate leaves 1 x LOG_SOFTMAX (float32)" in done.stdout
    assert "INCONCLUSIVE: min_fps 0.01, not measured" in done.stdout
    # One run of each model said so.
    assert (ROOT / "phone/flags").read_text().count("--num_runs=1 ") == 2
    assert (ROOT / "phone/flags").read_text().count("\n") == 2


def test_operators_that_cost_most(phone, flags, cut, tmp_path):
    output = tmp_path / "benchmark.json"
    (binary,) = [flag for flag in flags if flag.startswith("--benchmark_binary=")]
    done = measure(
        f"--model={cut}", "--device=adb", "--rounds=9", "--per_op", binary, f"--output={output}",
        program=tools.benchmark_model,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    operators = json.loads(output.read_text())["model"]["operators"]
    assert [one["kind"] for one in operators] == ["TfLiteXNNPackDelegate"] * 2 + ["LOG_SOFTMAX"]
    assert "cut.tflite: 3 operators, " in done.stdout


def test_an_old_benchmark_model_has_no_result_file(phone, flags):
    (ROOT / "phone/mode").write_text("old")
    done = measure(*flags, f"--device=adb:{phone.serial}", "--min_fps=0.01", "--max_fallback=0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed: max_fallback 0, it is 0" in done.stdout
    (binary,) = [flag for flag in flags if flag.startswith("--benchmark_binary=")]
    (model,) = [flag for flag in flags if flag.startswith("--float_model=")]
    done = measure(
        model.replace("float_", ""), binary, "--device=adb", "--per_op",
        program=tools.benchmark_model,
    )  # fmt: skip
    assert done.returncode == EXIT_BAD_INPUT, done.stdout + done.stderr
    assert "it does not know --enable_op_profiling; give a newer benchmark_model" in done.stderr


def test_no_device(flags):
    status = NoDeviceError.exit_status
    assert refusal(status, *flags, "--device=adb") == (
        "adb: no device; connect one, and allow USB debugging on it"
    )
    assert refusal(status, *flags, "--device=adb:0123") == (
        "adb:0123: not there; adb sees no device at all"
    )
    assert refusal(status, *flags, "--device=adb", ADB="no-such-adb").startswith("no adb on PATH")


def test_two_devices_and_no_serial(phone, flags):
    with daemon(5602) as other:
        line = refusal(NoDeviceError.exit_status, *flags, "--device=adb")
    assert line == (
        f"adb: 2 devices ({phone.serial}, {other.serial}); say which, by adb:SERIAL or by a "
        "property that all that may be taken have: adb:model=NAME"
    )


def measured_on(output: Path) -> str:
    return json.loads(output.read_text())["device"]["serial"]


def test_devices_by_property(phone, flags, tmp_path):
    (ROOT / "phone/properties.5602").write_text(
        "[ro.product.model]: [Pixel 8]\n[ro.soc.manufacturer]: [Google]\n"
        "[ro.soc.model]: [Tensor G3]\n[ro.product.cpu.abi]: [x86_64]\n"
    )
    output = tmp_path / "latency.json"
    with daemon(5602) as other:
        asked_for = "--device=adb:model=pixel_8,soc=Tensor G3"
        done = measure(*flags, asked_for, f"--output={output}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert measured_on(output) == other.serial
        line = refusal(NoDeviceError.exit_status, *flags, "--device=adb:model=Pixel 9")
    assert line == (
        f"adb:model=Pixel 9: none fits; adb sees {phone.serial} (model=Debian phone), "
        f"{other.serial} (model=Pixel 8, soc=Google Tensor G3, abi=x86_64)"
    )


def test_jobs_share_a_rack(phone, flags, tmp_path):
    """Two run at once on two devices that are alike; a third waits for the first that is free."""
    (ROOT / "phone/mode").write_text("hang")
    outputs = [tmp_path / f"{number}.json" for number in range(3)]
    words = [*flags, "--device=adb:model=debian_phone"]
    with daemon(5602) as other:
        jobs = [started(*words, f"--output={output}") for output in outputs[:2]]
        end = time.monotonic() + 60
        while len(list(STORAGE.glob("*/pid"))) < 2:
            assert time.monotonic() < end, [one.poll() for one in jobs]
            time.sleep(0.1)
        line = refusal(
            NoDeviceError.exit_status, *flags, f"--device=adb:{other.serial}", "--patience=0"
        )
        assert f"adb:{other.serial}: {other.serial} is held by measure_latency.py (process " in line
        third = started(*words, f"--output={outputs[2]}")
        waits = third.stderr.readline()
        # What runs hangs, and is ended; what runs after that does not.
        (ROOT / "phone/mode").unlink()
        for file in STORAGE.glob("*/pid"):
            os.kill(int(file.read_text()), signal.SIGKILL)
        ended = [one.communicate(timeout=100) for one in [*jobs, third]]
    assert [one.returncode for one in [*jobs, third]] == [5, 5, 0], ended
    for job in jobs:
        held = rf"127.0.0.1:560[12] is held by measure_latency.py \(process {job.pid} on \S+\)"
        assert re.search(held, waits)
    assert waits.startswith("adb:model=debian_phone: ")
    assert waits.endswith("; waits up to 600 s\n")
    assert measured_on(outputs[2]) in (phone.serial, other.serial)


def test_unauthorized(flags):
    """adbd of Debian asks for no key; this is adb's handshake with a device that does."""
    token = struct.pack("<6I", 0x48545541, 1, 0, 20, 0, 0x48545541 ^ 0xFFFFFFFF) + bytes(20)
    server = socket.create_server(("127.0.0.1", 5603))

    def asks_for_a_key():
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as file:
                while header := file.read(24):
                    command, kind, _, length, _, _ = struct.unpack("<6I", header)
                    file.read(length)
                    # A public key (3) waits for somebody to accept it.
                    if command != 0x48545541 or kind != 3:
                        connection.sendall(token)

    threading.Thread(target=asks_for_a_key, daemon=True).start()
    adb("connect", "127.0.0.1:5603")
    try:
        line = refusal(NoDeviceError.exit_status, *flags, "--device=adb:127.0.0.1:5603")
    finally:
        adb("disconnect", "127.0.0.1:5603")
    assert line == ("adb:127.0.0.1:5603: unauthorized; unlock the device and allow this computer")


def pid_of_a_run() -> int:
    """Waits until benchmark_model runs."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for file in STORAGE.glob("*/pid"):
            if file.read_text().strip():
                return int(file.read_text())
        time.sleep(0.05)
    raise TimeoutError("benchmark_model was not started")


def test_what_is_left_when_it_goes_away_is_removed_by_the_next_run(flags):
    (ROOT / "phone/mode").write_text("hang")
    found = []
    with daemon() as one:
        pulls = threading.Thread(target=lambda: (found.append(pid_of_a_run()), one.stop()))
        pulls.start()
        line = refusal(DeviceFailedError.exit_status, *flags, "--device=adb")
        pulls.join()
    assert line == f"adb:{one.serial}: face.tflite: the device went away in the middle of a run"
    (left,) = STORAGE.iterdir()
    # Another's is left alone, until it is an hour old.
    others = [STORAGE / f"rules_quantize.elsewhere.1.{name}" for name in ("new", "old")]
    for folder in others:
        folder.mkdir()
    os.utime(others[1], (time.time() - 3700,) * 2)
    (ROOT / "phone/mode").unlink()
    with daemon():
        done = measure(*flags, "--device=adb", "--min_fps=0.01")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not left.exists()
    assert list(STORAGE.iterdir()) == [others[0]]
    others[0].rmdir()
    with pytest.raises(ProcessLookupError):
        os.kill(found[0], 0)


def test_a_run_that_hangs(phone, flags):
    (ROOT / "phone/mode").write_text("hang")
    found = []
    watches = threading.Thread(target=lambda: found.append(pid_of_a_run()))
    watches.start()
    line = refusal(
        DeviceFailedError.exit_status, *flags, "--device=adb", RULES_QUANTIZE_RUN_SECONDS="4"
    )
    watches.join()
    assert line == (f"adb:{phone.serial}: face.tflite: benchmark_model hangs; no end after 4 s")
    with pytest.raises(ProcessLookupError):
        os.kill(found[0], 0)


def test_full_storage(phone, flags):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", STORAGE], check=True)
    try:
        line = refusal(DeviceFailedError.exit_status, *flags, "--device=adb")
        assert list(STORAGE.iterdir()) == []
    finally:
        subprocess.run(["umount", STORAGE], check=True)
    assert line.startswith(f"adb:{phone.serial}: its storage is full; /data/local/tmp has no room")


def test_a_binary_for_another_processor(phone, flags, tmp_path):
    binary = tmp_path / "benchmark_model"
    binary.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, 183) + bytes(99))
    others = with_instead(flags, f"--benchmark_binary={binary}")
    line = refusal(EXIT_BAD_INPUT, *others, "--device=adb")
    assert line == (
        f"{binary}: built for arm64-v8a, the device adb:{phone.serial} is x86_64; give the "
        "benchmark_model of that ABI"
    )


def test_a_throttling_device_is_waited_for(phone, flags):
    (ROOT / "phone/thermal").write_text("3")
    line = refusal(
        DeviceFailedError.exit_status, *flags, "--device=adb", RULES_QUANTIZE_COOL_SECONDS="1"
    )
    assert line == (
        f"adb:{phone.serial}: it throttles (thermal status 3) and did not cool in 1 s; "
        "nothing is judged"
    )
    threading.Timer(3, (ROOT / "phone/thermal").write_text, ["0"]).start()
    done = measure(*flags, "--device=adb", "--min_fps=0.01")
    assert done.returncode == 0, done.stdout + done.stderr
