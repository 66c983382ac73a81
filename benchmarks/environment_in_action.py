"""Measures what a Python environment costs an action, by how it enters the action.

Makes a workspace of its own, in which actions do nothing but `import numpy` in an
environment that is there already, and times them one at a time:

    environment_in_action.py --bazel=bazel --venv=.../rules_quantize_litert/venv

The environment enters as one directory, or file by file (a glob); the sandbox lies on
the disk or in memory, or there is none. The ways take turns; medians are printed.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

_RULE = """\
def _impl(ctx):
    outs = []
    for number in range(ctx.attr.count):
        out = ctx.actions.declare_file("{}_{}".format(ctx.label.name, number))
        python = [f for f in ctx.files.env if f.path.endswith(ctx.attr.python)][0].path
        ctx.actions.run_shell(
            inputs = ctx.files.env,
            outputs = [out],
            command = "$1 -c 'import numpy' && echo $2 > $3",
            arguments = [python + ctx.attr.suffix, ctx.attr.salt, out.path],
            use_default_shell_env = True,
        )
        outs.append(out)
    return [DefaultInfo(files = depset(outs))]

actions = rule(
    implementation = _impl,
    attrs = {
        "count": attr.int(),
        "env": attr.label(allow_files = True),
        "python": attr.string(),
        "salt": attr.string(),
        "suffix": attr.string(),
    },
)
"""

_BUILD = """\
load(":actions.bzl", "actions")
filegroup(name = "files", srcs = glob(["venv/**"]))
actions(name = "directory_actions", count = {count}, env = "venv", python = "venv",
        suffix = "/bin/python", salt = "{salt}")
actions(name = "files_actions", count = {count}, env = ":files", python = "venv/bin/python",
        salt = "{salt}")
"""

_PLACES = {
    "sandbox on disk": [],
    "sandbox in memory": ["--sandbox_base=/dev/shm"],
    "no sandbox": ["--spawn_strategy=local"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bazel", default="bazel", help="the Bazel to measure")
    parser.add_argument("--venv", required=True, type=Path, help="a virtual environment")
    parser.add_argument("--count", type=int, default=8, help="actions a build (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--flag", action="append", default=[], help="for every build")
    arguments = parser.parse_args()
    times: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        (workspace / "WORKSPACE").write_text('workspace(name = "measured")\n')
        (workspace / "MODULE.bazel").write_text("")
        (workspace / "actions.bzl").write_text(_RULE)
        (workspace / "venv").symlink_to(arguments.venv.resolve())
        bazel = [arguments.bazel, f"--output_base={folder}.output"]

        def build(salt: str, entry: str, flags: list[str]) -> float:
            text = _BUILD.format(count=arguments.count, salt=salt)
            (workspace / "BUILD.bazel").write_text(text)
            target = f"//:{entry}_actions"
            # Analysed first, so that only actions are timed.
            common = ["--jobs=1", "--color=no", "--curses=no", *arguments.flag, *flags, target]
            for command in (["build", "--nobuild"], ["build"]):
                start = time.perf_counter()
                built = subprocess.run(
                    [*bazel, *command, *common], cwd=workspace, capture_output=True, text=True
                )
                if built.returncode:
                    raise SystemExit(built.stderr)
            return (time.perf_counter() - start) / arguments.count

        try:
            ways = list(itertools.product(("directory", "files"), _PLACES))
            for number in range(-1, arguments.rounds):
                for entry, place in ways:
                    seconds = build(f"{os.getpid()}.{number}", entry, _PLACES[place])
                    # The first round fills Bazel's knowledge of the files.
                    if number >= 0:
                        times.setdefault((entry, place), []).append(seconds)
        finally:
            subprocess.run([*bazel, "shutdown"], cwd=workspace, check=False)
            subprocess.run(["rm", "-rf", f"{folder}.output"], check=False)
    for (entry, place), values in times.items():
        print(f"{entry:10} {place:18} {statistics.median(values):7.3f} s an action")


if __name__ == "__main__":
    main()
