"""Command: runs artifacts by each runtime that this machine has, and writes a table of it.

The runtimes are this host's, LiteRT.js in Chromium (wasm, and gpu by WebGPU with SwiftShader) and
an arm64 Debian under QEMU. Each answers a few test samples, evenly spread; answers are compared
with the same artifact's on the host, and with the float master's there. One that the machine lacks
is left out. The table grows row by row, and a row of the same artifact is not made again.
"""

import argparse
import contextlib
import csv
import fnmatch
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tools.browser.browser_model import open_in_browser
from tools.browser.packages import packages_folder
from tools.command_line import new_parser, output_path, run, whole_file
from tools.devices.device_model import DeviceModel, ModelFailedError
from tools.devices.python_model import PythonModel
from tools.errors import InputError, NoDeviceError
from tools.samples.flags import PreprocessingChoice
from tools.samples.model_inputs import load_model_samples
from tools.samples.spread import SpreadSamples
from tools.similarity.model_outputs import ModelOutputs, RunModel, paired

_EXAMPLES = """\
  bazel run //benchmarks:runtimes -- --table=runtimes.csv --markdown=runtimes.md
  bazel run //benchmarks:runtimes -- --table=runtimes.csv --only=face_*
"""
_CPU = "cortex-a76"
_RUNTIMES = ("host", "wasm", "gpu", "arm64")
_COLUMNS = (
    "artifact",
    "runtime",
    "sha256",
    "samples",
    "taken",
    "cosine_to_host",
    "cosine_to_float",
    "speedup",
    "program",
    "detail",
)


def parser() -> argparse.ArgumentParser:
    result = new_parser("runtimes", "Runs artifacts by each runtime.", _EXAMPLES)
    result.add_argument("--suite", required=True, type=Path, help="JSON of the rule")
    result.add_argument("--runfiles", required=True, type=Path, help="folder of its paths")
    result.add_argument("--table", required=True, type=output_path, help="CSV; it is resumed")
    result.add_argument("--markdown", type=output_path, help="file for the table of the docs")
    result.add_argument("--only", default="*", help="pattern of the artifacts' names")
    result.add_argument(
        "--samples", type=int, default=4, help="of the test data (default: %(default)s)"
    )
    return result


def _cosines(reference: list[list[np.ndarray]], found: list[list[np.ndarray]]) -> list[float]:
    """Gives each output's mean cosine similarity over the samples."""
    result = []
    for number in range(len(reference[0])):
        each = []
        for ours, theirs in zip(reference, found, strict=True):
            left = ours[number].astype(np.float64).ravel()
            right = theirs[number].astype(np.float64).ravel()
            length = float(np.linalg.norm(left) * np.linalg.norm(right))
            # Two outputs of zeros are alike.
            each.append(float(left @ right) / length if length else float(not (left - right).any()))
        result.append(float(np.mean(each)))
    return result


class _Master:
    """A float master, test samples, and its answers to them on the host."""

    def __init__(self, entry: Mapping[str, Any], runfiles: Path, most: int):
        path = runfiles / entry["float_model"]
        self.content = path.read_bytes()
        self.model = ModelOutputs(self.content, str(path))
        choice = PreprocessingChoice(
            *(float(entry[name]) if entry[name] else None for name in ("mean", "std")),
            entry["resize"],
        )
        paths = [runfiles / one for one in entry["test"]]
        self.samples = list(
            SpreadSamples(load_model_samples(self.content, str(path), paths, choice), most)
        )
        self.answers = [self.model(sample) for sample in self.samples]

    def answers_of(self, model: RunModel) -> list[list[np.ndarray]]:
        """Runs an artifact; gives its outputs in the order of the master's."""
        names, order = paired(self.model, model)
        given = [{theirs: one[ours] for theirs, ours in names.items()} for one in self.samples]
        if isinstance(model, DeviceModel):
            model.announce(given)
        answers = [model(sample) for sample in given]
        return [[outputs[position] for position in order] for outputs in answers]


def _opened(runtime: str, content: bytes, where: str):
    """Opens an artifact on a device, for a `with` block."""
    if runtime != "arm64":
        return open_in_browser(
            content, where, "gpu" if runtime == "gpu" else "wasm", packages_folder()
        )
    found = sorted(Path(os.environ["RUNFILES_DIR"]).glob("*rules_quantize_arm64/arm64/python"))
    if not found:
        raise NoDeviceError("device.none", f"{where}: no arm64 Python; start this with Bazel")
    command = f"{shlex.quote(str(found[0]))} {_CPU} -"
    return contextlib.nullcontext(PythonModel(content, where, command))


def _on_device(runtime: str, content: bytes, where: str, master: _Master) -> dict[str, Any]:
    """Runs an artifact on a device; gives a row's fields, without the artifact's."""
    host = master.answers_of(ModelOutputs(content, where))
    if runtime == "host":
        return {"taken": "whole", "cosine_to_host": [1.0] * len(host[0]),
                "cosine_to_float": _cosines(master.answers, host)}  # fmt: skip
    with _opened(runtime, content, where) as model:
        row: dict[str, Any] = {}
        try:
            found = master.answers_of(model)
            row["cosine_to_host"] = _cosines(host, found)
            row["cosine_to_float"] = _cosines(master.answers, found)
            speed = model.measure(master.content, paired(master.model, model)[0])
            row["speedup"] = speed.speedup if speed else ""
        except ModelFailedError:
            row["detail"] = model.fault
        device = model.describe_device(runtime)
        row["program"] = f"{device.program}, {device.runtime}, {device.adapter}".rstrip(", ")
        row["taken"] = "refused" if model.refusal else "whole" if model.whole else "partly"
        return row


class _Table:
    """The rows, and their file."""

    def __init__(self, path: Path):
        self._path = path
        self.rows: dict[tuple[str, str], dict[str, str]] = {}
        if path.exists():
            with path.open(newline="") as file:
                for row in csv.DictReader(file):
                    self.rows[row["artifact"], row["runtime"]] = row

    def set(self, row: Mapping[str, Any]) -> None:
        """Adds or replaces a row, and writes the file."""
        texts = {name: row.get(name, "") for name in _COLUMNS}
        for name in ("cosine_to_host", "cosine_to_float"):
            texts[name] = " ".join(f"{cosine:.6f}" for cosine in row.get(name, []))
        self.rows[row["artifact"], row["runtime"]] = {k: str(v) for k, v in texts.items()}
        with whole_file(self._path, "w") as file:
            writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows[key] for key in self.rows)


def _cell(row: Mapping[str, str] | None) -> str:
    """Writes what a runtime does with an artifact: the worst output's cosines, and the speed."""
    if row is None:
        return ""
    if not row["cosine_to_host"]:
        return f"**{row['taken'] if row['taken'] == 'refused' else 'no answers'}**"
    to_host, to_float = (
        min(float(one) for one in row[name].split())
        for name in ("cosine_to_host", "cosine_to_float")
    )
    if row["runtime"] == "host":
        return f"{to_float:.4f}"
    part = ", in part" if row["taken"] == "partly" and row["runtime"] != "wasm" else ""
    speed = f", {float(row['speedup']):.2f}x" if row["speedup"] else ""
    return f"{to_host:.4f}, {to_float:.4f}{speed}{part}"


def _markdown(rows: Mapping[tuple[str, str], Mapping[str, str]]) -> str:
    """Writes the table of the docs."""
    lines = [
        f"| {' | '.join(['artifact', *_RUNTIMES])} |",
        f"|{' --- |' * (1 + len(_RUNTIMES))}",
    ]
    for artifact in dict.fromkeys(artifact for artifact, _ in rows):
        cells = [_cell(rows.get((artifact, runtime))) for runtime in _RUNTIMES]
        lines.append(f"| {' | '.join([artifact, *cells])} |")
    return "\n".join(lines) + "\n"


def main(arguments: argparse.Namespace) -> int:
    table = _Table(arguments.table)
    lacking: set[str] = set()
    tried = 0
    for entry in json.loads(arguments.suite.read_text()):
        chosen = [one for one in entry["artifacts"] if fnmatch.fnmatch(one["name"], arguments.only)]
        master = None
        for artifact in chosen:
            tried += 1
            content = (arguments.runfiles / artifact["model"]).read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            for runtime in _RUNTIMES:
                known = table.rows.get((artifact["name"], runtime), {})
                if runtime in lacking or known.get("sha256") == sha256:
                    continue
                master = master or _Master(entry, arguments.runfiles, arguments.samples)
                try:
                    row = _on_device(runtime, content, artifact["name"], master)
                except NoDeviceError as error:
                    print(f"{runtime} is left out: {error}", file=sys.stderr)
                    lacking.add(runtime)
                    continue
                row |= {"artifact": artifact["name"], "runtime": runtime, "sha256": sha256,
                        "samples": len(master.samples)}  # fmt: skip
                table.set(row)
                print(artifact["name"], runtime, _cell(table.rows[artifact["name"], runtime]))
    if not tried:
        raise InputError("flag.value", f"--only={arguments.only}: there is no such artifact")
    if arguments.markdown:
        with whole_file(arguments.markdown, "w") as file:
            file.write(_markdown(table.rows))
    return 0


if __name__ == "__main__":
    run(parser(), main)
