"""What a farm needs for many models, from one build that was measured.

Reads the execution log and the profile of a build, and extrapolates:

- seconds and bytes of each kind of action are means over the measured ones;
- an action that reads samples takes time in proportion to them (an upper bound: loading
  Python and the model does not), and so do the bytes of its samples;
- a float master is made once a model, every other action once an artifact;
- what makes samples is the team's own, and is shown but not extrapolated.
"""

import argparse
import gzip
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from tools.command_line import new_parser, output_path, run, user_path, whole_file
from tools.errors import InputError
from tools.farm.execution_log import Spawn, read_execution_log
from tools.samples.endings import SAMPLE_ENDINGS

_EXAMPLES = """\
  bazel build --jobs=1 --execution_log_json_file=/tmp/log.json --profile=/tmp/profile.gz \\
      //models:all
  bazel run //tools/farm:sizing -- --execution_log=/tmp/log.json --profile=/tmp/profile.gz \\
      --models=1000 --schemes=6 --samples=500 --workers=32
"""

_MASTER, _ARTIFACT = "FloatMaster", "QuantizeModel"
_OURS = {
    _MASTER,
    _ARTIFACT,
    "CalibrateModel",
    "CheckGates",
    "CompareModels",
    "MakeSamples",
    "ShardSamples",
}
_NOT_EXTRAPOLATED = {"MakeSamples"}


@dataclass(frozen=True)
class ActionCost:
    """Means over the measured actions of one kind.

    Attributes:
      mnemonic: the kind.
      actions: how many were measured.
      seconds: wall time of one.
      samples: sample files that one reads.
      sample_bytes: of these.
      output_bytes: that one writes.
    """

    mnemonic: str
    actions: int
    seconds: float
    samples: float
    sample_bytes: float
    output_bytes: float


@dataclass(frozen=True)
class FarmSize:
    """What a number of models costs.

    Attributes:
      actions: how many run when nothing is cached.
      cpu_hours: of all of them, each on one processor.
      wall_hours: on the workers, evenly shared.
      artifact_bytes: that a cache holds: every output of every action.
      sample_bytes: that a cache holds once for each model.
      environment_bytes: inputs that all actions share, once for each worker.
    """

    actions: int
    cpu_hours: float
    wall_hours: float
    artifact_bytes: int
    sample_bytes: int
    environment_bytes: int


def read_profile(path: Path) -> dict[str, list[float]]:
    """Reads how long actions took.

    Args:
      path: what `bazel build --profile` wrote, compressed or not.

    Returns:
      Progress message to seconds, one for each action that was so named.

    Raises:
      InputError: when it is no profile.
      OSError: when it cannot be read.
    """
    try:
        content = Path(path).read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        events = json.loads(content)["traceEvents"]
        seconds: dict[str, list[float]] = {}
        for event in events:
            if event.get("cat") == "action processing":
                seconds.setdefault(event["name"], []).append(event["dur"] / 1e6)
    except (
        AttributeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        gzip.BadGzipFile,
        RecursionError,
        zlib.error,
    ) as error:
        raise InputError(
            "document.kind", f"{path}: is no profile of Bazel (bazel build --profile)"
        ) from error
    return seconds


def _is_sample(path: str) -> bool:
    # What shards found is no sample, nor are pictures that a package brings.
    found = PurePosixPath(path).parent.name.endswith(".calibration")
    return PurePosixPath(path).suffix in SAMPLE_ENDINGS and not found and "/venv/" not in path


def action_costs(spawns: Sequence[Spawn], seconds: dict[str, list[float]]) -> list[ActionCost]:
    """Averages what was measured, by kind of action.

    Args:
      spawns: of the execution log; cache hits are left out.
      seconds: from `read_profile`.

    Returns:
      One for each kind of the project's actions, by name.

    Raises:
      InputError: when there is no action that made a float master or an artifact.
    """
    kinds: dict[str, list[Spawn]] = {}
    for spawn in spawns:
        if spawn.mnemonic in _OURS and not spawn.cache_hit:
            kinds.setdefault(spawn.mnemonic, []).append(spawn)
    for needed in (_MASTER, _ARTIFACT):
        if needed not in kinds:
            raise InputError(
                "build.incomplete",
                f"the execution log holds no {needed} that ran; measure after `bazel clean`, "
                "without a cache",
            )
    costs = []
    for mnemonic, those in sorted(kinds.items()):
        times = [time for spawn in those for time in seconds.get(spawn.progress, [])]
        if not times:
            raise InputError(
                "build.incomplete",
                f"the profile has no {mnemonic}: is it of the same build as the log?",
            )
        # A tool's files are listed in its runfiles as well.
        samples = [
            {(file.path, file.bytes) for file in spawn.inputs if _is_sample(file.path)}
            for spawn in those
        ]
        costs.append(
            ActionCost(
                mnemonic=mnemonic,
                actions=len(those),
                seconds=sum(times) / len(times),
                samples=sum(len(files) for files in samples) / len(those),
                sample_bytes=sum(size for files in samples for _, size in files) / len(those),
                output_bytes=sum(f.bytes for spawn in those for f in spawn.outputs) / len(those),
            )
        )
    return costs


def environment_bytes(spawns: Sequence[Spawn]) -> int:
    """Bytes of the Python environment that the actions share, each content once."""
    files = {
        file.sha256: file.bytes
        for spawn in spawns
        if spawn.mnemonic in _OURS
        for file in spawn.inputs
        if "/venv/" in file.path
    }
    return sum(files.values())


def farm_size(
    costs: Sequence[ActionCost],
    environment: int,
    models: int,
    schemes: int,
    samples: int,
    workers: int,
) -> FarmSize:
    """Extrapolates, as the module's docstring says.

    Args:
      costs: from `action_costs`.
      environment: bytes that every worker loads once.
      models: float models.
      schemes: artifacts of each.
      samples: that an action which reads samples reads.
      workers: actions that run at the same time.

    Returns:
      What that costs.
    """
    artifacts_measured = next(cost.actions for cost in costs if cost.mnemonic == _ARTIFACT)
    actions, seconds, written, largest = 0.0, 0.0, 0.0, 0.0
    for cost in costs:
        if cost.mnemonic in _NOT_EXTRAPOLATED:
            continue
        if cost.mnemonic == _MASTER:
            count: float = models
        else:
            count = models * schemes * cost.actions / artifacts_measured
        # Shards share one data set out: together they read it once.
        share = max(1.0, cost.actions / artifacts_measured)
        scale = samples / (cost.samples * share) if cost.samples else 1.0
        actions += count
        seconds += count * cost.seconds * scale
        written += count * cost.output_bytes
        if cost.samples:
            largest = max(largest, cost.sample_bytes / cost.samples)
    return FarmSize(
        actions=math.ceil(actions),
        cpu_hours=seconds / 3600,
        wall_hours=seconds / 3600 / workers,
        artifact_bytes=round(written),
        sample_bytes=round(largest * samples * models),
        environment_bytes=environment * workers,
    )


def table(costs: Sequence[ActionCost], size: FarmSize, question: str) -> str:
    """Both as text: a line for each kind of action, then the farm."""
    lines = [f"{'action':16}{'measured':>9}{'seconds':>9}{'samples':>9}{'bytes out':>12}"]
    for cost in costs:
        lines.append(
            f"{cost.mnemonic:16}{cost.actions:9}{cost.seconds:9.2f}{cost.samples:9.0f}"
            f"{cost.output_bytes:12.0f}"
        )
    gigabyte = 1e9
    lines += [
        "",
        question,
        f"  {size.actions} actions, {size.cpu_hours:.1f} processor hours, "
        f"{size.wall_hours:.1f} hours on the workers",
        f"  cache: {size.artifact_bytes / gigabyte:.1f} GB of outputs, "
        f"{size.sample_bytes / gigabyte:.1f} GB of samples",
        f"  workers: {size.environment_bytes / gigabyte:.1f} GB of Python environment in all",
    ]
    return "\n".join(lines) + "\n"


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return value


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "sizing", "Extrapolates from a measured build to a farm's models.", _EXAMPLES
    )
    result.add_argument("--execution_log", required=True, type=user_path)
    result.add_argument("--profile", required=True, type=user_path)
    result.add_argument("--models", type=_positive, default=1000, help="(%(default)s)")
    result.add_argument("--schemes", type=_positive, default=6, help="of each (%(default)s)")
    result.add_argument("--samples", type=_positive, default=500, help="of each (%(default)s)")
    result.add_argument(
        "--workers", type=_positive, default=1, help="actions at the same time (%(default)s)"
    )
    result.add_argument("--json", type=output_path, help="file for the same as JSON")
    return result


def main(arguments: argparse.Namespace) -> int:
    spawns = read_execution_log(arguments.execution_log)
    costs = action_costs(spawns, read_profile(arguments.profile))
    size = farm_size(
        costs,
        environment_bytes(spawns),
        arguments.models,
        arguments.schemes,
        arguments.samples,
        arguments.workers,
    )
    question = (
        f"{arguments.models} models x {arguments.schemes} schemes x {arguments.samples} samples "
        f"on {arguments.workers} workers:"
    )
    print(table(costs, size, question), end="")
    if arguments.json:
        document = {"actions": [asdict(cost) for cost in costs], "farm": asdict(size)}
        with whole_file(arguments.json, "w") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
    return 0


if __name__ == "__main__":
    run(parser(), main)
