"""Measures on an Android device through adb, with TFLite's benchmark_model.

The models and benchmark_model are pushed into a folder of their own, which is removed at the
end, or by the next measurement where the device went away before. A round is one run of
benchmark_model for each model. Where the device says that it throttles, nothing is judged: it
is waited for, within a limit.
"""

import contextlib
import math
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tools.errors import DeviceFailedError, InputError, NoDeviceError
from tools.graph.flatbuffer import read_model
from tools.graph.made_up_inputs import MadeUpInputs
from tools.latency.adb_devices import (
    PASSING,
    READY,
    Request,
    candidates,
    listed,
    read_properties,
    read_request,
)
from tools.latency.backend import Backend, Options, Round, RunStatistics, turns
from tools.latency.benchmark_output import (
    BenchmarkOutput,
    read_result,
    read_text,
    unconsumed_flags,
)
from tools.latency.delegate_use import parse_delegate_use
from tools.latency.device_lock import first_idle
from tools.latency.operator_profile import read_operator_profile

_FOLDER = "/data/local/tmp"
_PREFIX = "rules_quantize."

# ELF e_machine by the ABI's name in ro.product.cpu.abi, and by what `uname -m` says.
_MACHINES = {
    "arm64-v8a": 183, "aarch64": 183, "armeabi-v7a": 40, "armv7l": 40, "armv8l": 40,
    "x86_64": 62, "x86": 3, "i686": 3, "riscv64": 243,
}  # fmt: skip
_ABI_OF = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86", 243: "riscv64"}

_END = "rules_quantize_status="

# Android's THERMAL_STATUS_MODERATE: from there on the system slows things down.
_THROTTLING = 2

# Newer builds only; without them the text has what is needed.
_OPTIONAL_FLAGS = {"enable_op_profiling", "result_file_path", "report_peak_memory_footprint"}

# Of a measurement, of one run that says what the delegate takes, and of a profile.
_MEASURED = {
    "num_runs": "30",
    "min_secs": "0.5",
    "max_secs": "30",
    "warmup_runs": "1",
    "warmup_min_secs": "0.2",
}
_PROFILED = _MEASURED | {"enable_op_profiling": "true"}
_PROBED = _PROFILED | {"num_runs": "1", "min_secs": "0", "warmup_min_secs": "0"}


def _limit(name: str, default: float) -> float:
    """Seconds; the environment says otherwise, as for a device that is known to be slow."""
    text = os.environ.get(name)
    try:
        return float(text) if text else default
    except ValueError:
        raise InputError("device.setting", f"{name}={text}: not a number of seconds") from None


def _owner() -> str:
    """Names this machine."""
    return re.sub(r"[^0-9A-Za-z-]", "-", socket.gethostname()) or "unknown"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


class Adb:
    """The adb command, for one device, which this process holds until `release`."""

    def __init__(self, request: Request, patience: float):
        """Finds the device, and waits while others hold all that are asked for.

        Args:
          request: which devices may be taken.
          patience: seconds to wait at most.

        Raises:
          NoDeviceError: when there is none that may be used, or several and nothing says which.
        """
        program = shutil.which(os.environ.get("ADB", "adb"))
        if not program:
            raise NoDeviceError(
                "device.none", "no adb on PATH; Debian: apt-get install adb, or set ADB"
            )
        self._program = program
        self.serial = ""
        properties: dict[str, dict[str, str]] = {}

        def properties_of(serial: str) -> dict[str, str]:
            if serial not in properties:
                said = self.run("-s", serial, "shell", "getprop").stdout
                properties[serial] = read_properties(said)
            return properties[serial]

        self._lock = first_idle(
            lambda: candidates(self._settled(request.serial), request, properties_of),
            str(request),
            patience,
        )
        self.serial = self._lock.serial

    def release(self) -> None:
        """Lets other programs have the device."""
        self._lock.release()

    def _settled(self, serial: str) -> dict[str, str]:
        """Lists the devices, after a moment for those that still connect."""
        end = time.monotonic() + _limit("RULES_QUANTIZE_CONNECT_SECONDS", 10)
        while True:
            devices = listed(self.run("devices", seconds=30))
            looked_at = {devices.get(serial)} if serial else set(devices.values())
            waiting = looked_at & PASSING and READY not in looked_at
            if not waiting or time.monotonic() >= end:
                return devices
            time.sleep(0.5)

    def run(self, *words: str, seconds: float = 60) -> subprocess.CompletedProcess:
        """Runs adb.

        Raises:
          DeviceFailedError: when it takes too long, or the device goes away.
        """
        which = ["-s", self.serial] if self.serial else []
        try:
            done = subprocess.run(
                [self._program, *which, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeviceFailedError(
                "device.timeout", f"{self._name()}: no end of `{words[0]}` after {seconds:g} s"
            ) from None
        if done.returncode and re.search(
            r"device offline|device '.*' not found|no devices|error: closed|protocol fault",
            done.stderr,
        ):
            raise self._gone()
        return done

    def _name(self) -> str:
        return f"adb:{self.serial}" if self.serial else "adb"

    def _gone(self) -> DeviceFailedError:
        return DeviceFailedError(
            "device.gone", f"{self._name()}: the device went away while it was used"
        )

    def is_there(self) -> bool:
        """Says whether the device still answers."""
        try:
            return self.run("get-state", seconds=10).stdout.strip() == "device"
        except DeviceFailedError:
            return False

    def shell(self, command: str, seconds: float = 60) -> subprocess.CompletedProcess:
        """Runs a command on the device.

        Raises:
          DeviceFailedError: as `run`.
        """
        # A connection that breaks may end like a command that went well.
        done = self.run("shell", f"( {command}\n); echo {_END}$?", seconds=seconds)
        said, mark, status = done.stdout.rpartition(_END)
        if not mark or not status.strip().isdigit():
            raise self._gone()
        return subprocess.CompletedProcess(done.args, int(status), said, done.stderr)

    def push(self, source: Path, target: str) -> None:
        """Copies a file to the device.

        Raises:
          DeviceFailedError: when it is full, or refuses.
        """
        done = self.run("push", str(source), target, seconds=300)
        if done.returncode:
            said = " ".join((done.stdout + done.stderr).split())
            if "No space left" in said:
                raise DeviceFailedError(
                    "device.failed",
                    f"adb:{self.serial}: its storage is full; {_FOLDER} has no room for "
                    f"{source.name} ({source.stat().st_size:,} bytes)",
                )
            raise DeviceFailedError(
                "device.failed",
                f"adb:{self.serial}: cannot push {source.name}: {said[-200:] or 'no reason given'}",
            )


class AndroidBackend(Backend):
    """A device that adb reaches."""

    def __init__(self, asked_for: str, models: Sequence[Path], options: Options):
        """Finds the device, checks that it can be judged, and copies what is needed.

        Args:
          asked_for: as `tools.latency.adb_devices.read_request` takes it.
          models: .tflite files.
          options: how the device runs them.

        Raises:
          NoDeviceError: when there is none, or others hold all that are asked for.
          DeviceFailedError: when it fails, or does not cool.
          InputError: when the binary is not one for it.
        """
        if not options.benchmark_binary:
            raise InputError(
                "flag.missing",
                "adb: give --benchmark_binary=, TFLite's benchmark_model for its ABI",
            )
        if options.threads < 1:
            raise InputError("flag.value", f"--threads={options.threads}: at least 1")
        self._options = options
        self._models = list(models)
        self._value_ranges = [MadeUpInputs(read_model(path)).value_range_flags() for path in models]
        self._optional = set(_OPTIONAL_FLAGS)
        self._run_seconds = _limit("RULES_QUANTIZE_RUN_SECONDS", 120)
        self._adb = Adb(read_request(asked_for), options.patience)
        self._folder = f"{_FOLDER}/{_PREFIX}{_owner()}.{os.getpid()}.{secrets.token_hex(6)}"
        try:
            self._remove_leftovers()
            self._facts = self._read_facts()
            self._check_abi(options.benchmark_binary)
            self._before = self._cool_state()
            made = self._adb.shell(f"mkdir -p {self._folder}")
            if made.returncode:
                raise DeviceFailedError(
                    "device.failed",
                    f"adb:{self._adb.serial}: cannot make {self._folder}: {made.stderr.strip()}",
                )
            self._adb.push(options.benchmark_binary, f"{self._folder}/benchmark_model")
            for number, source in enumerate(models):
                self._adb.push(source, f"{self._folder}/{number}.tflite")
            self._adb.shell(f"chmod 755 {self._folder}/benchmark_model")
        except BaseException:
            self.close()
            raise

    def _remove_leftovers(self) -> None:
        """Removes what measurements left that lost the device, and ends what they started.

        A folder's name says whose it is: that of a process of this machine is a leftover when
        the process is no more, another machine's when it is an hour old.
        """
        listed = self._adb.shell(f"ls -d {_FOLDER}/{_PREFIX}* 2>/dev/null").stdout.split()
        old = self._adb.shell(
            f"find {_FOLDER} -maxdepth 1 -name '{_PREFIX}*' -mmin +60 2>/dev/null"
        ).stdout.split()
        for folder in listed:
            owner, _, rest = folder.rpartition(_PREFIX)[2].partition(".")
            process = rest.split(".")[0]
            mine = owner == _owner() and process.isdigit()
            if folder in old or (mine and not _is_running(int(process))):
                self._remove(folder)

    def _remove(self, folder: str) -> None:
        self._adb.shell(
            f"if [ -f {folder}/pid ]; then kill -9 $(cat {folder}/pid); fi 2>/dev/null; "
            f"rm -rf {folder}",
            seconds=20,
        )

    def _property(self, name: str) -> str:
        done = self._adb.shell(f"getprop {name} 2>/dev/null")
        return done.stdout.strip() if done.returncode == 0 else ""

    def _read_facts(self) -> dict:
        abi = self._property("ro.product.cpu.abi") or self._adb.shell("uname -m").stdout.strip()
        cores = self._adb.shell("nproc 2>/dev/null").stdout.strip()
        soc = " ".join(
            filter(None, map(self._property, ("ro.soc.manufacturer", "ro.soc.model")))
        ) or self._property("ro.board.platform")
        return {
            "abi": abi,
            "cores": int(cores) if cores.isdigit() else None,
            "fingerprint": self._property("ro.build.fingerprint"),
            "model": self._property("ro.product.model"),
            "soc": soc,
        }

    def _check_abi(self, binary: Path) -> None:
        with open(binary, "rb") as file:
            head = file.read(20)
        if head[:4] != b"\x7fELF":
            return
        machine = int.from_bytes(head[18:20], "big" if head[5] == 2 else "little")
        abi = self._facts["abi"]
        fits = {_MACHINES.get(abi)}
        # 64-bit processors run 32-bit programs too; what the system says of them decides.
        fits |= {_MACHINES.get(one) for one in self._property("ro.product.cpu.abilist").split(",")}
        if abi in _MACHINES and machine not in fits:
            raise InputError(
                "benchmark.binary",
                f"{binary}: built for {_ABI_OF.get(machine, f'machine {machine}')}, the device "
                f"adb:{self._adb.serial} is {abi}; give the benchmark_model of that ABI",
            )

    def _state(self) -> dict:
        thermal = self._adb.shell("dumpsys thermalservice 2>/dev/null").stdout
        battery = self._adb.shell("dumpsys battery 2>/dev/null").stdout

        def number(pattern: str, text: str) -> int | None:
            found = re.search(pattern, text)
            return int(found[1]) if found else None

        temperature = number(r"temperature: (-?\d+)", battery)
        return {
            "battery_celsius": None if temperature is None else temperature / 10,
            "battery_percent": number(r"level: (\d+)", battery),
            "thermal_status": number(r"Thermal Status: (\d+)", thermal),
        }

    def _cool_state(self) -> dict:
        """Waits until the device does not throttle."""
        limit = _limit("RULES_QUANTIZE_COOL_SECONDS", 300)
        end = time.monotonic() + limit
        while True:
            state = self._state()
            if (state["thermal_status"] or 0) < _THROTTLING:
                return state
            if time.monotonic() >= end:
                raise DeviceFailedError(
                    "device.unsteady",
                    f"adb:{self._adb.serial}: it throttles (thermal status "
                    f"{state['thermal_status']}) and did not cool in {limit:g} s; nothing is "
                    "judged",
                )
            time.sleep(min(5, max(0.1, end - time.monotonic())))

    def _flags(self, number: int, how: dict[str, str]) -> dict[str, str]:
        delegate = self._options.delegate
        flags = (
            how
            | self._value_ranges[number]
            | {
                "graph": f"{self._folder}/{number}.tflite",
                "num_threads": str(self._options.threads),
                # Whether it is on by default differs between builds.
                "use_xnnpack": "true" if delegate == "xnnpack" else "false",
                "report_peak_memory_footprint": "true",
                "result_file_path": f"{self._folder}/result.pb",
            }
        )
        if delegate in ("gpu", "nnapi"):
            flags[f"use_{delegate}"] = "true"
        return {k: v for k, v in flags.items() if k not in _OPTIONAL_FLAGS - self._optional}

    def _where(self, number: int) -> str:
        return f"adb:{self._adb.serial}: {self._models[number].name}"

    def _said(self, number: int, how: dict[str, str]) -> str:
        """Runs benchmark_model on a model, and returns what it printed."""
        where = self._where(number)
        words = (
            shlex.quote(f"--{name}={value}") for name, value in self._flags(number, how).items()
        )
        command = (
            f"cd {self._folder} && rm -f result.pb && {{ ./benchmark_model {' '.join(words)} "
            "2>&1 & echo $! >pid; wait $!; status=$?; rm -f pid; exit $status; }"
        )
        try:
            done = self._adb.shell(command, seconds=self._run_seconds)
        except DeviceFailedError:
            if not self._adb.is_there():
                raise DeviceFailedError(
                    "device.gone", f"{where}: the device went away in the middle of a run"
                ) from None
            raise DeviceFailedError(
                "device.timeout",
                f"{where}: benchmark_model hangs; no end after {self._run_seconds:g} s",
            ) from None
        said = done.stdout + done.stderr
        if done.returncode:
            last = (said.strip().splitlines() or ["it said nothing"])[-1]
            if re.search(r"Exec format error|not executable|cannot execute|Syntax error", said):
                raise InputError(
                    "benchmark.binary",
                    f"{self._options.benchmark_binary}: the device adb:{self._adb.serial} "
                    f"({self._facts['abi']}) cannot run it; give the benchmark_model of that ABI",
                )
            raise DeviceFailedError(
                "device.failed", f"{where}: benchmark_model ended with {done.returncode}: {last}"
            )
        unknown = set(unconsumed_flags(said))
        if unknown and unknown <= self._optional:
            # An older build. What it measured is right, but the next one says so plainly.
            self._optional -= unknown
            return self._said(number, how)
        return said

    def _run(self, number: int) -> RunStatistics:
        where = self._where(number)
        measured = read_text(self._said(number, _MEASURED), where)
        if "result_file_path" in self._optional:
            measured = self._pulled(where) or measured
        return measured.statistics()

    def _pulled(self, where: str) -> BenchmarkOutput | None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "result.pb")
            done = self._adb.run("pull", f"{self._folder}/result.pb", str(file))
            if done.returncode or not file.exists():
                return None
            return read_result(file.read_bytes(), where)

    def measure_round(self, number: int) -> Round:
        if number:
            self._cool_state()
        found = {which: self._run(which) for which in turns(len(self._models), number)}
        state = self._state()
        if (state["thermal_status"] or 0) >= _THROTTLING:
            nothing = RunStatistics(math.nan)
            return Round((nothing,) * len(found), note="the device throttled")
        return Round(tuple(found[which] for which in range(len(found))))

    def describe(self) -> dict:
        facts = self._facts
        return facts | {
            "after": self._state(),
            "backend": "adb",
            "before": self._before,
            "cpu": facts["soc"] or facts["model"] or facts["abi"],
            "delegate": self._options.delegate,
            "name": f"adb:{self._adb.serial}",
            "runtime": f"benchmark_model, {self._options.delegate}",
            "serial": self._adb.serial,
            "threads": self._options.threads,
        }

    def delegate_use(self) -> list[dict | None]:
        if self._options.delegate == "none":
            return [None] * len(self._models)
        return [
            parse_delegate_use(self._said(number, _PROBED), path)
            for number, path in enumerate(self._models)
        ]

    def operator_times(self) -> list[list[dict]]:
        found = []
        for number in range(len(self._models)):
            said = self._said(number, _PROFILED)
            if "enable_op_profiling" not in self._optional:
                raise InputError(
                    "benchmark.binary",
                    f"{self._options.benchmark_binary}: it does not know --enable_op_profiling; "
                    "give a newer benchmark_model",
                )
            found.append(read_operator_profile(said, self._where(number)))
        return found

    def close(self) -> None:
        """Ends what still runs, removes the folder where the device is reached, and lets go."""
        try:
            with contextlib.suppress(DeviceFailedError):
                self._remove(self._folder)
        finally:
            self._adb.release()
