"""Times Bazel's builds of quantized models beside scripts that make the same in sequence.

In a temporary workspace with a copy of the rules, so that neither the checkout nor its
output base changes; its environments are fetched before anything is timed. All is timed in
turns, round after round:

- cold: the server is started, every artifact, report and verdict is made;
- warm: the same with a server that runs; no cache of actions in either;
- nothing changed, with a server that runs and with one that is started for it;
- a model, a calibration image, a model's gates, or a source file of one tool changed; with
  an image also an int8 artifact alone that is calibrated in shards;
- a script that calls the same commands in one process: float master, quantize, compare, gates;
- litert-quantizer's own API in one process, with its stock recipes and its calibration on
  the same samples, from float masters that are there. It compares nothing.

What a change runs is read from an execution log, of a further build that is not timed.
"""

import argparse
import base64
import collections
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tools.command_line import new_parser, run, user_path
from tools.errors import InputError

_EXAMPLES = """\
  bazel run //benchmarks:build_times
  bazel run //benchmarks:build_times -- --models=face,palm_full --output=times.json
  bazel run //benchmarks:build_times -- --models=face --schemes=int8,dynamic --rounds=1
"""
_MODELS = (
    "face",
    "face_full_range",
    "face_landmark",
    "hand_landmark_full",
    "hand_landmark_lite",
    "iris_landmark",
    "palm_full",
    "palm_lite",
    "pose",
    "pose_landmark_full",
    "selfie_segmentation",
)
# Models that see what another one sees are calibrated and tested with its samples.
_SAMPLES_OF = {
    "hand_landmark_lite": "hand_landmark_full",
    "palm_lite": "palm_full",
}
# Whether they need ranges of activations.
_SCHEMES = {"int8": True, "dynamic": False, "float16": False, "weight_only_int8": False}

_WORKSPACE = """\
workspace(name = "app")
local_repository(name = "rules_quantize", path = "{rules}")
load("@rules_quantize//rules:dependencies.bzl", "rules_quantize_dependencies")
rules_quantize_dependencies()
load("@rules_quantize//rules:dependencies.bzl", "remote_coverage_tools")
remote_coverage_tools()
"""

_BUILD = """\
load("@rules_quantize//rules:defs.bzl", "float_model", "quality_gates", "quantized_model")

# A float model by the model whose samples it takes.
_MODELS = {models}
_SCHEMES = {schemes}
_TOLERANCES = {tolerances}

[float_model(name = model, src = model + "_source.tflite") for model in _MODELS]

[filegroup(
    name = samples + use,
    srcs = glob([samples + use + "/*"]),
) for samples in {sample_sets} for use in ("_calibration", "_test")]

[quantized_model(
    name = model + "_" + scheme + kind,
    calibration_data = ":" + samples + "_calibration" if _SCHEMES[scheme] else None,
    calibration_shards = shards,
    model = ":" + model,
    quality = quality_gates(
        max_scale_error = None,
        min_layer_correlation = None,
        tolerance = _TOLERANCES[model],
    ),
    scheme = scheme,
    tags = tags,
    test_data = ":" + samples + "_test",
    version = "1",
) for model, samples in _MODELS.items() for scheme in _SCHEMES for kind, shards, tags in [
    ("", 1, []),
    ("_in_shards", {shards}, ["manual"]),
]]
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser("build_times", "Times builds beside scripts in sequence.", _EXAMPLES)
    result.add_argument("--models", default=",".join(_MODELS), help="of //models (default: all)")
    result.add_argument("--schemes", default=",".join(_SCHEMES), help="default: %(default)s")
    result.add_argument("--shards", type=int, default=4, help="of calibration (default: 4)")
    result.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    result.add_argument("--output", type=user_path, help="JSON file for the figures")
    return result


@dataclass
class Row:
    """What was timed.

    Attributes:
      name: of the row.
      seconds: wall time, one a round.
      cpu_seconds: of all processes below this one, likewise; empty for Bazel, whose server
        is none of them.
      actions: how many ran by mnemonic, where an execution log was read.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    actions: dict[str, int] | None = None


def _run(folder: Path, *command: str | Path) -> str:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BUILD_", "RUNFILES", "PYTHON", "TEST_"))
    }
    done = subprocess.run(
        command, capture_output=True, check=False, cwd=folder, env=environment, text=True
    )
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise InputError(
            "build.failed", f"{' '.join(map(str, command))}: failed in {folder}:\n{last}"
        )
    return done.stdout


class Workspace:
    """A workspace that depends on a copy of these rules, with models of //models.

    Attributes:
      folder: where it is.
      rules: where the copy is.
      models: names of the models.
      schemes: name to whether it needs calibration.
    """

    def __init__(self, folder: Path, checkout: Path, arguments: argparse.Namespace):
        self.models = arguments.models.split(",")
        self.schemes = {name: _SCHEMES[name] for name in arguments.schemes.split(",")}
        self._samples_of = {model: _SAMPLES_OF.get(model, model) for model in self.models}
        self._shards = arguments.shards
        self._tolerances = dict.fromkeys(self.models, 1.0)
        self.rules = folder / "rules"
        ignored = shutil.ignore_patterns("bazel-*", ".git")
        shutil.copytree(checkout, self.rules, ignore=ignored, symlinks=True)
        self.folder = folder / "app"
        self.folder.mkdir()
        (self.folder / "WORKSPACE").write_text(_WORKSPACE.format(rules=self.rules))
        (self.folder / "bazelw").symlink_to(self.rules / "bazelw")
        self._write_build()
        self._copy_models(checkout)
        flags = ["build --experimental_run_validations --disk_cache= --remote_cache="]
        # Bazel 4 alone knows this one, and must be told; Debian's says no version.
        known = base64.b64decode(self.bazel("help", "flags-as-proto"))
        if b"experimental_worker_allow_json_protocol" in known:
            line = (self.rules / "tools/bazel_4.bazelrc").read_text().splitlines()[-1]
            flags.append(line.replace("--//", "--@rules_quantize//"))
        (self.folder / ".bazelrc").write_text("\n".join(flags) + "\n")

    def _write_build(self) -> None:
        text = _BUILD.format(
            models=self._samples_of,
            sample_sets=self._sample_sets(),
            schemes=self.schemes,
            shards=self._shards,
            tolerances=self._tolerances,
        )
        (self.folder / "BUILD.bazel").write_text(text)

    def _sample_sets(self) -> list[str]:
        return sorted(set(self._samples_of.values()))

    def _copy_models(self, checkout: Path) -> None:
        folders = [
            samples + kind for samples in self._sample_sets() for kind in ("_calibration", "_test")
        ]
        _run(checkout, "./bazelw", "build", *(f"//models:{n}" for n in [*self.models, *folders]))
        made = Path(_run(checkout, "./bazelw", "info", "bazel-bin").strip(), "models")
        for model in self.models:
            shutil.copyfile(made / f"{model}.tflite", self.source(model))
        for name in folders:
            shutil.copytree(made / name, self.folder / name, copy_function=shutil.copyfile)

    def samples(self, model: str, use: str) -> Path:
        """Says where a model's samples are; `use` is "calibration" or "test"."""
        return self.folder / f"{self._samples_of[model]}_{use}"

    def bazel(self, *words: str | Path) -> str:
        return _run(self.folder, "./bazelw", *words)

    def build(self, *words: str) -> None:
        self.bazel("build", *(words or ["//..."]))

    def source(self, model: str) -> Path:
        return self.folder / f"{model}_source.tflite"

    def artifacts(self, folder: Path) -> dict[str, bytes]:
        names = [f"{model}_{scheme}.tflite" for model in self.models for scheme in self.schemes]
        return {name: (folder / name).read_bytes() for name in names}

    def plan(self) -> dict:
        """Says to //benchmarks:sequential_build.py what is built."""
        made = self.folder / "bazel-bin"
        return {
            "models": [
                {
                    "calibration": str(self.samples(model, "calibration")),
                    "gates": str(made),
                    "master": str(made / f"{model}.tflite"),
                    "name": model,
                    "source": str(self.source(model)),
                    "test": str(self.samples(model, "test")),
                }
                for model in self.models
            ],
            "schemes": self.schemes,
        }

    def change_model(self) -> None:
        """Makes the first model's largest constant a thousandth larger."""
        import numpy as np

        from tools.graph.flatbuffer import model_bytes, parse_model

        path = self.source(self.models[0])
        model = parse_model(path.read_bytes())
        buffers = [buffer for buffer in model.schema.buffers if buffer.data is not None]
        largest = max(buffers, key=lambda buffer: len(buffer.data))
        values = np.asarray(largest.data, np.uint8).view(np.float32) * np.float32(1.001)
        largest.data = values.view(np.uint8)
        path.write_bytes(model_bytes(model))

    def change_image(self) -> None:
        """Inverts a calibration image of the first model."""
        from PIL import Image, ImageOps

        path = min(self.samples(self.models[0], "calibration").glob("*.png"))
        with Image.open(path) as image:
            changed = ImageOps.invert(image.convert("RGB"))
        changed.save(path)

    def change_gates(self) -> None:
        self._tolerances[self.models[0]] -= 0.001
        self._write_build()

    def change_tool(self) -> None:
        with (self.rules / "tools/make_float_master.py").open("a") as file:
            file.write("# A comment.\n")


def _actions(workspace: Workspace, target: str) -> dict[str, int]:
    from tools.farm.execution_log import read_execution_log

    log = workspace.folder.parent / "log.json"
    workspace.build(target, f"--execution_log_json_file={log}")
    return dict(sorted(collections.Counter(s.mnemonic for s in read_execution_log(log)).items()))


def _in_sequence(workspace: Workspace, folder: Path, *flags: str) -> None:
    """Runs the script, in this program's own environment."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    script = Path(__file__).with_name("sequential_build.py")
    plan = workspace.folder.parent / "plan.json"
    command = [sys.executable, script, f"--plan={plan}", f"--output={folder}", *flags]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode:
        raise InputError(
            "build.failed", f"{script.name} failed: {' '.join(done.stderr.splitlines()[-3:])}"
        )


def _measure(workspace: Workspace, rounds: int) -> list[Row]:
    from tools.documents.json_file import write_json

    rows = {}

    def timed(name, work, *arguments, is_below=False):
        row = rows.setdefault(name, Row(name))
        before, start = os.times(), time.perf_counter()
        work(*arguments)
        row.seconds.append(time.perf_counter() - start)
        if is_below:
            after = os.times()
            row.cpu_seconds.append(
                after.children_user
                + after.children_system
                - before.children_user
                - before.children_system
            )
        print(f"{name}: {row.seconds[-1]:.2f} s", file=sys.stderr, flush=True)

    everything, in_shards = "//...", f"//:{workspace.models[0]}_int8_in_shards"
    changes = {
        "a model": (workspace.change_model, everything),
        "a calibration image": (workspace.change_image, everything),
        "a calibration image, in shards": (workspace.change_image, in_shards),
        "the gates of a model": (workspace.change_gates, everything),
        "tools/make_float_master.py": (workspace.change_tool, everything),
    }

    def changed(measure):
        for name, (change, target) in changes.items():
            # All else is as it was built last.
            workspace.build(everything, target)
            change()
            measure(f"changed: {name}", target)

    # Fetches the environments.
    workspace.build()
    write_json(workspace.folder.parent / "plan.json", workspace.plan())
    ours, stock = (workspace.folder.parent / name for name in ("sequence", "stock"))
    for _ in range(rounds):
        workspace.bazel("clean")
        workspace.bazel("shutdown")
        timed("cold", workspace.build)
        timed("script", _in_sequence, workspace, ours, is_below=True)
        if workspace.artifacts(ours) != workspace.artifacts(workspace.folder / "bazel-bin"):
            raise InputError("build.failed", "the script's artifacts are not those of the build")
        workspace.bazel("clean")
        timed("warm", workspace.build)
        timed("stock", _in_sequence, workspace, stock, "--stock", is_below=True)
        workspace.bazel("shutdown")
        timed("nothing changed, server started", workspace.build)
        timed("nothing changed", workspace.build)
        changed(lambda name, target: timed(name, workspace.build, target))
        workspace.build()

    def logged(name, target):
        rows[name].actions = _actions(workspace, target)

    logged("nothing changed", everything)
    changed(logged)
    return list(rows.values())


def _counts(workspace: Workspace, use: str) -> dict[str, int]:
    return {m: len(list(workspace.samples(m, use).iterdir())) for m in workspace.models}


def _circumstances(workspace: Workspace, rounds: int) -> dict:
    return {
        "artifacts": len(workspace.models) * len(workspace.schemes),
        "calibration_images": _counts(workspace, "calibration"),
        "cores": len(os.sched_getaffinity(0)),
        "load_average_before": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "rounds": rounds,
        "schemes": sorted(workspace.schemes),
        "test_images": _counts(workspace, "test"),
    }


def _document(rows: list[Row], circumstances: dict) -> dict:
    """Gives each row its median and its ratio to the script."""
    (script,) = [statistics.median(row.seconds) for row in rows if row.name == "script"]
    return circumstances | {
        "rows": [
            {
                "actions": row.actions,
                "cpu_seconds": row.cpu_seconds and round(statistics.median(row.cpu_seconds), 3),
                "name": row.name,
                "seconds": round(statistics.median(row.seconds), 3),
                "seconds_of_rounds": [round(value, 3) for value in row.seconds],
                "to_script": round(statistics.median(row.seconds) / script, 3),
            }
            for row in rows
        ]
    }


def _print_table(document: dict) -> None:
    print(f"{'':36} {'seconds':>8} {'to script':>9}  actions")
    for row in document["rows"]:
        actions = row["actions"]
        counts = "" if actions is None else "none"
        if actions:
            counts = ", ".join(f"{count} {name}" for name, count in actions.items())
        print(f"{row['name']:36} {row['seconds']:8.2f} {row['to_script']:9.2f}  {counts}")


def main(arguments: argparse.Namespace) -> int:
    from tools.documents.json_file import write_json

    checkout = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if not checkout:
        raise InputError("build.failed", "build_times starts Bazel in the checkout: use bazel run")
    for flag, known in (("models", _MODELS), ("schemes", _SCHEMES)):
        for name in getattr(arguments, flag).split(","):
            if name not in known:
                raise InputError(
                    "flag.name", f"--{flag}: there is no {name}; known are {', '.join(known)}"
                )
    for flag, least in (("rounds", 1), ("shards", 2)):
        if getattr(arguments, flag) < least:
            raise InputError("flag.value", f"--{flag}: at least {least}")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder).resolve(), Path(checkout), arguments)
        circumstances = _circumstances(workspace, arguments.rounds)
        try:
            rows = _measure(workspace, arguments.rounds)
        finally:
            workspace.bazel("clean", "--expunge")
            workspace.bazel("shutdown")
    document = _document(rows, circumstances)
    _print_table(document)
    if arguments.output:
        write_json(arguments.output, document)
    return 0


if __name__ == "__main__":
    run(parser(), main)
