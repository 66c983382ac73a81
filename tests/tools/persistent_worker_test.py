"""Commands as Bazel's persistent workers: the same results, and nothing kept between requests."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.random_models import tiny_model
from tests.tools.commands import run_command
from tools import make_float_master, quantize_model, validate_quantized_model
from tools.persistent_worker import requests_in

# Seconds, on a machine that does other things as well.
_PATIENCE = 60
_decoder = json.JSONDecoder()


class WorkerProcess:
    """A worker as Bazel starts it, and what Bazel does with it."""

    def __init__(self, file, *words, where=None):
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(p) for p in sys.path if p)
        environment.pop("BUILD_WORKING_DIRECTORY", None)
        self.process = subprocess.Popen(
            [sys.executable, file, *words, "--persistent_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=where,
            env=environment,
        )
        self._text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def send(self, *words, end="", **fields):
        """Sends a request as Bazel 4 does, with nothing behind it."""
        content = json.dumps({"arguments": list(words), **fields}) + end
        self.process.stdin.write(content.encode())
        self.process.stdin.flush()

    def receive(self):
        deadline = time.monotonic() + _PATIENCE
        while True:
            with contextlib.suppress(ValueError):
                response, end = _decoder.raw_decode(self._text)
                self._text = self._text[end:].lstrip()
                return response
            ready, _, _ = select.select([self.process.stdout], [], [], deadline - time.monotonic())
            assert ready, "no response"
            content = os.read(self.process.stdout.fileno(), 65536)
            assert content, f"the worker ended with {self.process.wait()}"
            self._text += content.decode()
            assert self._text.startswith("{"), self._text

    def ask(self, *words, **fields):
        self.send(*words, **fields)
        return self.receive()

    def memory(self):
        """Gives the worker's resident bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


_COMMAND = """
import os, random, signal, sys, time, warnings
from pathlib import Path

import numpy as np

from tools.command_line import new_parser, run, user_path, whole_file
from tools.errors import InputError

STATE = []


def state():
    return repr((
        STATE, os.getcwd(), sorted(os.environ.items()), random.random() if STATE else None,
        warnings.filters, np.geterr(), sys.stdin.read(), sys.argv, sorted(sys.modules),
    ))


def spoil():
    STATE.append(bytearray(200_000_000))
    os.chdir("/")
    os.environ["LEAKED"] = "yes"
    os.environ.pop("PATH")
    warnings.simplefilter("error")
    np.seterr(all="raise")
    sys.argv.append("leaked")
    import wave
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout = None


def hang(path):
    with whole_file(path) as file:
        file.write(b"half")
        Path(f"{path}.pid").write_text(str(os.getpid()))
        time.sleep(600)


def main(arguments):
    what = arguments.what
    if what == "state":
        print(state())
    elif what == "spoil":
        spoil()
    elif what == "print":
        print("from Python")
        os.write(1, b"from C\\n")
        os.write(2, b"\\xff on stderr\\n")
        print('{"exitCode": 0, "output": "no response", "requestId": 9}', flush=True)
    elif what == "refuse":
        raise InputError("model.kind", "it cannot be used")
    elif what == "break":
        raise ZeroDivisionError("a mistake of ours")
    elif what.startswith("signal"):
        os.kill(os.getpid(), int(what.split()[1]))
    elif what == "hang":
        hang(arguments.output)
    return arguments.status


if __name__ == "__main__":
    parser = new_parser("sample", "A command.", "")
    parser.add_argument("--what", default="")
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--output", type=user_path)
    run(parser, main, ["noisy", "there_is_none"])
"""


@pytest.fixture
def command(tmp_path):
    file = tmp_path / "sample.py"
    file.write_text(_COMMAND)
    (tmp_path / "noisy.py").write_text("import os\nprint('imported')\nos.write(1, b'from C')\n")
    return file


def test_requests_are_found_wherever_they_end():
    one = {"arguments": ['a"}{', "ü", "{"], "inputs": [{"path": "p", "digest": "d"}]}
    content = json.dumps(one, ensure_ascii=False).encode()
    for text in (content + content, content + b"\n" + content + b"\n", b" " + content * 2):
        for step in (1, 7, len(text)):
            buffer, found = bytearray(), []
            for start in range(0, len(text), step):
                buffer += text[start : start + step]
                found += requests_in(buffer)
            assert found == [one, one]
            assert not buffer.strip()


def test_the_exit_status_and_the_number_come_back(command):
    with WorkerProcess(command) as worker:
        assert worker.ask(requestId=3) == {"exitCode": 0, "output": "", "requestId": 3}
        assert worker.ask("--status=1") == {"exitCode": 1, "output": "", "requestId": 0}


def test_words_of_a_file_and_of_the_workers_own_command_line(command, tmp_path):
    (tmp_path / "flags").write_text("--what=state\n--status=4\n")
    with WorkerProcess(command, "--status=7", where=tmp_path) as worker:
        assert worker.ask()["exitCode"] == 7
        # What is given twice is refused, request by request.
        assert worker.ask("@flags")["exitCode"] == 2
        assert worker.ask()["exitCode"] == 7
    with WorkerProcess(command, where=tmp_path) as worker:
        assert worker.ask("@flags")["exitCode"] == 4


def test_what_is_printed_is_no_response(command):
    with WorkerProcess(command) as worker:
        printed = worker.ask("--what=print")["output"]
        assert worker.ask() == {"exitCode": 0, "output": "", "requestId": 0}
    for text in ("from Python", "from C", "\ufffd on stderr", "no response"):
        assert text in printed


def test_nothing_is_left_of_a_request(command):
    with WorkerProcess(command) as worker:
        before = worker.ask("--what=state")["output"]
        assert "PATH" in before
        for _ in range(3):
            assert worker.ask("--what=spoil")["exitCode"] == 0
            assert worker.ask("--what=state")["output"] == before


def test_the_worker_does_not_grow(command):
    with WorkerProcess(command) as worker:
        worker.ask()
        before = worker.memory()
        for _ in range(20):
            assert worker.ask("--what=spoil")["exitCode"] == 0
        assert worker.memory() - before < 2_000_000


def test_failures_are_answered_and_the_next_request_is_well(command):
    with WorkerProcess(command) as worker:
        for what, status, text in (
            ("refuse", 2, "sample: error: it cannot be used\n"),
            ("break", 1, "ZeroDivisionError: a mistake of ours\n"),
            (f"signal {signal.SIGSEGV}", 139, "sample: error: its process was ended by SIGSEGV\n"),
            (
                f"signal {signal.SIGKILL}",
                137,
                "sample: error: its process was ended by SIGKILL; it may have run out of memory\n",
            ),
        ):
            response = worker.ask(f"--what={what}")
            assert response["exitCode"] == status
            assert response["output"].endswith(text)
            assert worker.ask("--what=print")["exitCode"] == 0
        response = worker.ask("--unknown")
        assert response["exitCode"] == 2
        assert "unrecognized arguments: --unknown" in response["output"]


def _wait_for(condition):
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(process):
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


def _hanging(worker, output):
    """Sends a request that does not end; gives the process that it runs in."""
    worker.send("--what=hang", f"--output={output}", requestId=1)
    told = Path(f"{output}.pid")
    _wait_for(lambda: told.exists() and told.read_text())
    return int(told.read_text())


def test_a_request_that_hangs_ends_with_its_worker(command, tmp_path):
    output = tmp_path / "out.tflite"
    with WorkerProcess(command) as worker:
        process = _hanging(worker, output)
        assert _runs(process)
        worker.process.stdin.close()
        assert worker.process.wait(_PATIENCE) == 0
        _wait_for(lambda: not _runs(process))
    assert not output.exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_request_does_not_outlive_a_worker_that_is_killed(command, tmp_path, how):
    with WorkerProcess(command) as worker:
        process = _hanging(worker, tmp_path / "out.tflite")
        worker.process.send_signal(how)
        assert worker.process.wait(_PATIENCE) == -how
        _wait_for(lambda: not _runs(process))


def test_a_request_can_be_cancelled(command, tmp_path):
    with WorkerProcess(command) as worker:
        process = _hanging(worker, tmp_path / "out.tflite")
        worker.send(requestId=1, cancel=True)
        assert worker.receive() == {"requestId": 1, "wasCancelled": True}
        assert not _runs(process)
        # One that was answered already is not answered again.
        worker.send(requestId=1, cancel=True)
        assert worker.ask(requestId=2) == {"exitCode": 0, "output": "", "requestId": 2}


def test_requests_run_beside_each_other(command, tmp_path):
    with WorkerProcess(command) as worker:
        _hanging(worker, tmp_path / "out.tflite")
        assert worker.ask("--status=5", requestId=2)["exitCode"] == 5


def test_half_a_request_is_an_error(command):
    with WorkerProcess(command) as worker:
        worker.process.stdin.write(b'{"arguments": ["--what=')
        worker.process.stdin.close()
        assert worker.process.wait(_PATIENCE) == 2


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "net.tflite"
    file.write_bytes(tiny_model())
    return file


@pytest.fixture
def samples(tmp_path):
    generator = np.random.default_rng(0)
    for use in ("calibration", "test"):
        values = generator.standard_normal((16, 16, 16, 3)).astype(np.float32)
        np.save(tmp_path / f"{use}.npy", values)
    return tmp_path


def _requests(model, folder, name):
    """Command lines of all that an action of a quantized_model does, and what they write."""
    out = folder / name
    out.mkdir(exist_ok=True)
    quantized = out / "net_int8.tflite"
    return [
        (
            make_float_master,
            [
                f"--input_model={model}",
                f"--output_model={out}/master.tflite",
                f"--summary={out}/master.json",
            ],
        ),
        (
            quantize_model,
            [
                f"--input_model={model}",
                f"--output_model={quantized}",
                "--quantization_type=INT8",
                f"--calibration_data={folder}/calibration.npy",
                f"--summary_output={out}/summary.json",
                f"--recipe_output={out}/recipe.json",
            ],
        ),
        (
            validate_quantized_model,
            [
                f"--float_model={model}",
                f"--quantized_model={quantized}",
                f"--test_data={folder}/test.npy",
                f"--summary={out}/summary.json",
                f"--report={out}/report.json",
                "--report_only",
            ],
        ),
    ]


def _written(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_worker_makes_the_same_bytes_also_after_a_request_that_failed(model, samples):
    for module, words in _requests(model, samples, "alone"):
        done = run_command(module, *words, fresh=True)
        assert done.returncode == 0, done.stderr
    expected = _written(samples / "alone")
    assert len(expected) == 6
    workers = {}
    try:
        for module, _ in _requests(model, samples, ""):
            workers[module] = WorkerProcess(module.__file__)
        for name in ("first", "second"):
            for module, words in _requests(model, samples, name):
                response = workers[module].ask(*words)
                assert response["exitCode"] == 0, response["output"]
                # Refused in the middle of its work, as far as each command gets.
                broken = [f"{word}\n" if "output" in word else word for word in words]
                broken = [word.replace(str(model), str(samples / "test.npy")) for word in broken]
                assert workers[module].ask(*broken)["exitCode"] == 2
            assert _written(samples / name) == expected
    finally:
        for worker in workers.values():
            worker.__exit__()


def test_a_worker_has_imported_all_that_a_request_needs(model, samples):
    program = """
import importlib, sys
command = importlib.import_module(sys.argv[1])
for name in command.IMPORTS:
    importlib.import_module(name)
before = set(sys.modules)
assert command.main(command.parser().parse_args(sys.argv[2:])) == 0
ours = ("tools.", "ai_edge_litert.", "litert_quantizer.", "tqdm.")
print([name for name in set(sys.modules) - before if name.startswith(ours)])
"""
    file = samples / "imports.py"
    file.write_text(program)
    for module, words in _requests(model, samples, "alone"):
        done = run_command(file, module.__name__, *words, fresh=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "[]", module.__name__
