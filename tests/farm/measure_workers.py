#!/usr/bin/env python3
"""Times a build of sharded actions on a remote execution cluster of 1, 2, ... workers.

    tests/farm/measure_workers.py --model=pose_landmark_full --workers=1,2,4 --rounds=3

The cluster is that of run_on_buildgrid.py, on 127.0.0.1. An int8 artifact is calibrated in
shards, an action each, that run beside each other. The numbers of workers take turns in
every round; Bazel's outputs are removed before each build and no result is taken from the
cluster's cache, while the blobs that were uploaded stay, as on a farm that is in use. Needs
Debian, its package postgresql, and root.
"""

import argparse
import gzip
import json
import os
import shutil
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.farm import loopback
from tests.farm.buildgrid_cluster import Cluster, cluster
from tools.farm.execution_log import read_execution_log

_PACKAGE = "farm_measure"

_BUILD = """\
load("//rules:defs.bzl", "quality_gates", "quantized_model")

[filegroup(
    name = use,
    srcs = glob([use + "/*"]),
) for use in ("calibration", "test")]

quantized_model(
    name = "sharded",
    calibration_data = ":calibration",
    calibration_shards = {shards},
    model = "//models:{model}",
    quality = quality_gates(
        max_scale_error = None,
        min_layer_correlation = None,
        tolerance = 1,
    ),
    scheme = "int8",
    test_data = ":test",
    version = "1",
)

[platform(
    name = "workers_{{}}".format(count),
    constraint_values = [
        "@platforms//cpu:x86_64",
        "@platforms//os:linux",
    ],
    exec_properties = {{"pool": "of_{{}}".format(count)}},
) for count in {counts}]
"""

# How many held-out images are compared: the artifact is not what is measured.
_TEST_IMAGES = 4

# Where the environment is: an input of each action, or on the workers already.
_PLACES = ("inputs", "workers")


def numbers(text: str) -> list[int]:
    return sorted({int(word) for word in text.split(",")})


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    result.add_argument("--model", default="pose_landmark_full", help="of //models, with samples")
    result.add_argument("--shards", type=int, default=32, help="default: %(default)s")
    result.add_argument("--workers", type=numbers, default=[1, 2], help="default: 1,2")
    result.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    result.add_argument(
        "--environment",
        choices=(*_PLACES, "both"),
        default="both",
        help="as declared inputs, on the workers, or one after the other (default)",
    )
    result.add_argument("--output", type=Path, help="JSON file for the figures")
    return result


def cpu_seconds(process: int) -> float:
    """CPU time of a process and all that it started and that it waited for, until now."""
    ticks = 0
    for one in loopback.process_tree(process):
        try:
            status = Path(f"/proc/{one}/stat").read_text()
        except OSError:
            continue
        # utime, stime, and those of children that ended.
        ticks += sum(int(word) for word in status.rpartition(")")[2].split()[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def sharded_seconds(profile: Path) -> float:
    """Reads from Bazel's profile how long it was from the first shard's start to the last's end."""
    events = json.loads(gzip.decompress(profile.read_bytes()))["traceEvents"]
    shards = [
        (event["ts"], event["ts"] + event["dur"])
        for event in events
        if event.get("cat") == "action processing" and event["name"].startswith("Calibrating ")
    ]
    return (max(end for _, end in shards) - min(start for start, _ in shards)) / 1e6


class Measurement:
    """Builds of one checkout, and what they took."""

    def __init__(self, checkout: loopback.Checkout, grid: Cluster, shards: int) -> None:
        self._checkout = checkout
        self._grid = grid
        self._shards = shards
        self._bazel = int(checkout.build("server_pid", command="info").split()[0])
        self._postgresql = next(
            one
            for one in loopback.process_tree(os.getpid())
            if Path(f"/proc/{one}/comm").read_text().strip() == "postgres"
        )

    def _cpu(self) -> dict[str, float]:
        """CPU seconds by what used them; the whole machine's is "all"."""
        used = {
            "bazel": cpu_seconds(self._bazel),
            "server": cpu_seconds(self._grid.server.pid),
            "postgresql": cpu_seconds(self._postgresql),
            "worker caches": sum(cpu_seconds(one.cache.pid) for one in self._grid.workers),
            "runners and actions": sum(cpu_seconds(one.pid) for one in self._grid.workers),
        }
        with Path("/proc/stat").open() as file:
            busy = [int(word) for word in file.readline().split()[1:]]
        # All but idle and waiting for disks.
        used["all"] = (sum(busy[:8]) - busy[3] - busy[4]) / os.sysconf("SC_CLK_TCK")
        return used

    def build(self, *flags: str, where: set[str]) -> dict:
        """Builds once.

        Args:
          *flags: that say where.
          where: which runners are to run the shards.

        Returns:
          Seconds of the build and of its sharded part, and CPU seconds by who used them.
        """
        self._checkout.build(command="clean")
        log, profile = self._checkout.home / "log.json", self._checkout.home / "profile.gz"
        before = self._cpu()
        start = time.monotonic()
        self._checkout.build(
            *flags,
            f"--execution_log_json_file={log}",
            f"--profile={profile}",
            f"//{_PACKAGE}:sharded",
        )
        seconds = time.monotonic() - start
        after = self._cpu()
        ran = [one.runner for one in read_execution_log(log) if one.mnemonic == "CalibrateModel"]
        if len(ran) != self._shards or not set(ran) <= where:
            raise loopback.FarmError(f"{len(ran)} shards ran as {sorted(set(ran))}")
        return {
            "seconds": seconds,
            "sharded_seconds": sharded_seconds(profile),
            "cpu_seconds": {name: after[name] - before[name] for name in after},
        }

    def on_workers(self, count: int) -> dict:
        return self.build(
            *self._grid.bazel_flags,
            f"--extra_execution_platforms=//{_PACKAGE}:workers_{count}",
            "--noremote_accept_cached",
            where={"remote"},
        )

    def here(self) -> dict:
        return self.build(where={"worker", "linux-sandbox", "processwrapper-sandbox"})


def measure(folder: Path, arguments: argparse.Namespace) -> dict:
    python = loopback.readable_python()
    environments = folder / "environments"
    loopback.install_environment(environments, python)
    checkout = loopback.Checkout(folder / "clone/rules_quantize", "root", folder / "home", python)
    try:
        make_package(checkout, arguments)
        with cluster(folder) as grid:
            grid.have_workers(max(arguments.workers), arguments.workers)
            found = {}
            places = _PLACES if arguments.environment == "both" else (arguments.environment,)
            for place in places:
                settings = f"build --repo_env=RULES_QUANTIZE_ENVIRONMENTS={environments}\n"
                (checkout.folder / "user.bazelrc").write_text(settings * (place == "workers"))
                loopback.say(f"the environment: {place}")
                found[place] = rounds(Measurement(checkout, grid, arguments.shards), arguments)
                report(found[place])
            return found
    finally:
        checkout.remove()


def make_package(checkout: loopback.Checkout, arguments: argparse.Namespace) -> None:
    """Declares what is built; the images are made before, and are source files."""
    package = checkout.folder / _PACKAGE
    images = {use: f"//models:{arguments.model}_{use}" for use in ("calibration", "test")}
    checkout.build(*images.values())
    made = checkout.path("bazel-bin") / "models"
    for use, count in (("calibration", None), ("test", _TEST_IMAGES)):
        (package / use).mkdir(parents=True)
        for image in sorted((made / f"{arguments.model}_{use}").iterdir())[:count]:
            shutil.copy(image, package / use)
    package.joinpath("BUILD.bazel").write_text(
        _BUILD.format(model=arguments.model, shards=arguments.shards, counts=arguments.workers)
    )


def rounds(measurement: Measurement, arguments: argparse.Namespace) -> dict[str, list[dict]]:
    """Measures all in turns, after builds that fill caches and do not count."""
    found: dict[str, list[dict]] = {}
    measurement.on_workers(max(arguments.workers))
    measurement.here()
    for number in range(arguments.rounds):
        for count in arguments.workers:
            found.setdefault(f"{count} workers", []).append(measurement.on_workers(count))
        found.setdefault("no farm", []).append(measurement.here())
        for name, builds in found.items():
            loopback.say(f"round {number + 1}, {name}: {json.dumps(builds[-1])}")
    return found


def report(found: dict[str, list[dict]]) -> None:
    first = next(iter(found))
    for name, builds in found.items():
        words = [f"{name:12}"]
        for what in ("seconds", "sharded_seconds"):
            median = statistics.median(build[what] for build in builds)
            base = statistics.median(build[what] for build in found[first])
            words.append(f"{what} {median:.1f} ({base / median:.2f} x {first})")
        for who in builds[0]["cpu_seconds"]:
            used = statistics.median(build["cpu_seconds"][who] for build in builds)
            words.append(f"{who} {used:.1f}")
        print("   " + "  ".join(words), flush=True)


def main() -> None:
    arguments = parser().parse_args()

    def test(folder: Path) -> None:
        found = measure(folder, arguments)
        if arguments.output:
            arguments.output.write_text(json.dumps(found, indent=2) + "\n")

    loopback.as_root("for the user that PostgreSQL runs as", test)


if __name__ == "__main__":
    main()
