#!/usr/bin/env python3
"""Builds on a remote execution cluster on 127.0.0.1, and takes parts of it away.

    tests/farm/run_on_buildgrid.py [--bazel_7_root=DIR]

BuildGrid is the server, BuildBox's workers run the actions (buildgrid_cluster.py). Shown
are: the same bytes as local, with the environment as declared inputs; a cache that lost
half of its blobs; the server started again, between builds and in the middle of one; a
worker killed in the middle of an action; the environment on the workers, whose actions
bubblewrap isolates; and, where run_on_bazel_7.sh has made a Debian in DIR, Bazel 7. Needs
Debian, its package postgresql, and root.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.farm import loopback
from tests.farm.buildgrid_cluster import Cluster, Worker, cluster
from tools.farm.execution_log import read_execution_log

_PACKAGE = "farm_check"

# What an action asks of the worker that runs it, actions to kill a worker in, and one that
# passes where it sees neither this checkout nor a network, and may not write to the system.
_BUILD = """\
load("//rules:defs.bzl", "float_model")

[
    float_model(
        name = "killed_{}".format(number),
        src = "@mediapipe_models//:face_detection_full_range_sparse.tflite",
    )
    for number in range(4)
]

filegroup(
    name = "killed",
    srcs = [":killed_{}".format(number) for number in range(4)],
)

genrule(
    name = "isolated",
    outs = ["isolated.txt"],
    cmd = "[ ! -e {checkout} ] && [ ! -w /usr ] && [ $$(grep -c : /proc/net/dev) = 1 ] && touch $@",
)

platform(
    name = "worker",
    constraint_values = [
        "@platforms//cpu:x86_64",
        "@platforms//os:linux",
    ],
    exec_properties = {"pool": "quantize"},
)
"""


class Farm:
    """A checkout that builds on the cluster."""

    def __init__(self, checkout: loopback.Checkout, grid: Cluster) -> None:
        self.checkout = checkout
        self.grid = grid

    def build(self, what: str, *more: str) -> dict[str, int]:
        """Builds on the cluster.

        Args:
          what: a target.
          *more: flags.

        Returns:
          How many actions each runner ran.
        """
        log = self.checkout.home / "log.json"
        start = time.monotonic()
        flags = [
            *self.grid.bazel_flags,
            f"--extra_execution_platforms=//{_PACKAGE}:worker",
            f"--execution_log_json_file={log}",
            *more,
        ]
        self.checkout.build(*flags, what)
        seconds = time.monotonic() - start
        runners: dict[str, int] = {}
        for spawn in read_execution_log(log):
            runners[spawn.runner] = runners.get(spawn.runner, 0) + 1
        loopback.say(f"{what}: {seconds:.0f} s, {runners}")
        return runners

    def digests(self, folder: str) -> dict[str, str]:
        """SHA-256 of each artifact and document in a folder of bazel-bin."""
        return digests(self.checkout.path("bazel-bin") / folder)

    def forget(self) -> None:
        """Removes what was built here, so that only the farm has it."""
        self.checkout.build(command="clean")

    def during(self, what: str, disturb: Callable[[Worker], None], *more: str) -> dict[str, int]:
        """Builds, and calls `disturb` while a worker runs an action.

        Args:
          what: a target, for which a float master is made.
          disturb: takes the worker that makes it.
          *more: flags.

        Returns:
          How many actions each runner ran.

        Raises:
          FarmError: when no worker ever did, or the build failed.
        """
        disturbed: list[str] = []

        def wait_and_disturb() -> None:
            end = time.monotonic() + 120
            while time.monotonic() < end and not disturbed:
                for worker in self.grid.workers:
                    if worker.is_running("make_float_master"):
                        disturbed.append(worker.name)
                        disturb(worker)
                        return
                time.sleep(0.05)

        thread = threading.Thread(target=wait_and_disturb)
        thread.start()
        try:
            built = self.build(what, *more)
        finally:
            thread.join()
        loopback.check(bool(disturbed), f"{what}: disturbed while an action ran")
        return built


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each artifact and document in a folder."""
    return {
        path.name: loopback.run(["sha256sum", path]).split()[0]
        for path in sorted(folder.glob("*"))
        if path.suffix in (".tflite", ".json")
    }


def start_again(grid: Cluster) -> None:
    """Kills the server, as a power cut would, and starts it."""
    grid.server.stop(signal.SIGKILL)
    grid.server.start()


def all_remote(runners: dict[str, int]) -> bool:
    return set(runners) == {"remote"}


def lose_blobs(grid: Cluster) -> tuple[int, int]:
    """Removes every second blob of the server's storage.

    Returns:
      How many it removed, of how many.
    """
    blobs = sorted(path for path in grid.storage.rglob("*") if path.is_file())
    for blob in blobs[::2]:
        blob.unlink()
    return len(blobs[::2]), len(blobs)


def test(folder: Path, bazel_7_root: Path | None) -> None:
    python = loopback.readable_python()
    checkout = loopback.Checkout(folder / "clone/rules_quantize", "root", folder / "home", python)
    (checkout.folder / _PACKAGE).mkdir()
    package = checkout.folder / _PACKAGE / "BUILD.bazel"
    package.write_text(_BUILD.replace("{checkout}", str(checkout.folder)))
    environments = folder / "environments"
    loopback.install_environment(environments, python)
    try:
        with cluster(folder) as grid:
            local = check_farm(Farm(checkout, grid), environments)
            if bazel_7_root:
                check_bazel_7(grid, python, bazel_7_root, local)
    finally:
        checkout.remove()


def check_farm(farm: Farm, environments: Path) -> dict[str, str]:
    """Checks all that Bazel 4 does there.

    Returns:
      The digests of a local build.
    """
    grid = farm.grid
    artifact = "//models:face_float16"
    farm.checkout.build(artifact)
    local = farm.digests("models")

    loopback.say("the environment as declared inputs")
    grid.have_workers(2)
    farm.forget()
    runners = farm.build(artifact)
    loopback.check(all_remote(runners), f"all of {runners} actions ran remotely")
    loopback.check(
        len(local) >= 6 and farm.digests("models") == local, "the bytes of a local build"
    )
    farm.forget()
    runners = farm.build(artifact)
    loopback.check(set(runners) == {"remote cache hit"}, "built again, all come from the cache")

    loopback.say("a cache that lost half of its blobs")
    lost, blobs = lose_blobs(grid)
    farm.forget()
    runners = farm.build(artifact)
    loopback.check(
        "remote" in runners and farm.digests("models") == local,
        f"{lost} of {blobs} blobs lost: what is missing is made again, the same bytes",
    )

    loopback.say("the server started again, which forgets what it knew of results")
    grid.server.stop()
    grid.server.start()
    farm.forget()
    farm.build(artifact)
    loopback.check(farm.digests("models") == local, "the next build passed, the same bytes")

    loopback.say("the server killed in the middle of an action, and started again")
    farm.forget()
    runners = farm.during(
        artifact, lambda _: start_again(grid), "--noremote_accept_cached", "--remote_retries=30"
    )
    loopback.check(
        all_remote(runners) and farm.digests("models") == local,
        "Bazel asked again until it answered, the same bytes",
    )

    loopback.say("a worker killed in the middle of an action")
    runners = farm.during(f"//{_PACKAGE}:killed", Worker.kill)
    loopback.check(all_remote(runners), "the build passed, all of its actions ran remotely")

    loopback.say("the environment on the workers, actions isolated by bubblewrap")
    grid.have_workers(0)
    grid.have_workers(2, shown=[environments])
    settings = f"build --repo_env=RULES_QUANTIZE_ENVIRONMENTS={environments}\n"
    (farm.checkout.folder / "user.bazelrc").write_text(settings)
    runners = farm.build(f"//{_PACKAGE}:isolated")
    loopback.check(all_remote(runners), "an action sees no checkout and no network")
    farm.forget()
    # What takes no environment would come from the cache.
    runners = farm.build(artifact, "--noremote_accept_cached")
    loopback.check(
        all_remote(runners) and farm.digests("models") == local,
        f"all of {runners} actions ran remotely, the same bytes",
    )
    return local


def check_bazel_7(grid: Cluster, python: Path, root: Path, local: dict[str, str]) -> None:
    """Builds with Bazel 7, as a module, in a Debian that run_on_bazel_7.sh has made in `root`."""
    loopback.say("Bazel 7, the environment as declared inputs, actions isolated by bubblewrap")
    script = loopback.WORKSPACE / "tests/bazel_matrix/run_on_bazel_7.sh"
    bazel = [script, f"--root={root}", "--mode=bzlmod", "--"]
    log = "matrix/log.json"
    flags = [
        *grid.bazel_flags,
        *("--remote_default_exec_properties=pool=quantize", "--remote_download_outputs=all"),
        "--noremote_accept_cached",
        f"--execution_log_json_file=/{log}",
    ]
    environment = os.environ | {"RULES_QUANTIZE_PYTHON": str(python)}
    start = time.monotonic()
    loopback.run([*bazel, "clean"], env=environment)
    loopback.run([*bazel, "build", *flags, "//models:face_float16"], env=environment)
    loopback.say(f"//models:face_float16: {time.monotonic() - start:.0f} s")
    runners = [spawn.runner for spawn in read_execution_log(root / log)]
    bases = root / Path.home().relative_to("/") / ".cache/bazel"
    (built,) = bases.glob("*/*/execroot/_main/bazel-out/k8-fastbuild/bin/models")
    loopback.check(
        set(runners) == {"remote"} and digests(built) == local,
        f"all of its {len(runners)} actions ran remotely, the bytes of Bazel 4's local build",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--bazel_7_root", type=Path, help="--root of an earlier run_on_bazel_7.sh")
    arguments = parser.parse_args()
    loopback.as_root(
        "for the user that PostgreSQL runs as",
        lambda folder: test(folder, arguments.bazel_7_root),
    )


if __name__ == "__main__":
    main()
