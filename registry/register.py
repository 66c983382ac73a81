"""Records a quantized model, its figures and its origin in the model registry."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from registry.store import (
    StoreUnavailable,
    add_patience_flag,
    connect,
    find_store,
    locked,
    patiently,
    say_progress,
)
from tools.command_line import (
    EXIT_GATE_FAILED,
    bazel_command,
    new_parser,
    output_path,
    run,
    user_path,
)
from tools.documents.document import write_document
from tools.documents.registration import Registration
from tools.errors import InputError

_EXAMPLES = """\
  bazel run //models:face_int8.register
  bazel run //registry:register -- --report=report.json --model=face_int8.tflite
  bazel run //registry:register -- --report=report.json --model=face_int8.tflite \\
      --recipe=recipe.json --float_model=face.tflite --registered_model=face \\
      --target=//models:face_int8
  bazel run //registry:register -- --report=report.json --model=face_int8.tflite \\
      --device_verdict=device_verdict.json
  MLFLOW_TRACKING_URI=https://mlflow.example.com bazel run //models:face_int8.register"""


def parser() -> argparse.ArgumentParser:
    """Makes the command line's parser."""
    result = new_parser(
        "register",
        "Records a quantized model in MLflow: a run with its figures, and a version of a "
        "registered model. The same artifact is one version, however often it is registered. "
        "Without MLFLOW_TRACKING_URI the records go to .mlflow/ in the workspace.",
        _EXAMPLES,
    )
    result.add_argument("--report", required=True, type=user_path, help="report.json")
    result.add_argument("--model", required=True, type=user_path, help="the quantized .tflite")
    result.add_argument("--recipe", type=user_path, help="recipe.json")
    result.add_argument(
        "--registered_model", help="its name in the registry (default: the name in the report)"
    )
    result.add_argument(
        "--target", default="not built by Bazel", help="Bazel label that it was built from"
    )
    result.add_argument("--float_model", type=user_path, help="its float master, recorded too")
    result.add_argument("--source_model", type=user_path, help="what the master was made from")
    result.add_argument("--latency", type=user_path, help="latency.json")
    result.add_argument(
        "--verdict", type=user_path, help="verdict.json; failed gates never make a version"
    )
    result.add_argument(
        "--device_verdict",
        type=user_path,
        help="device_verdict.json: what the artifact does on another device, recorded as a "
        "measurement of that device",
    )
    result.add_argument(
        "--page",
        type=user_path,
        action="append",
        default=[],
        help="a page or picture to keep with the run, in pages/; may be given several times",
    )
    result.add_argument("--dry_run", action="store_true", help="print what would be written")
    result.add_argument("--bazel_version", help="recorded with the run")
    result.add_argument("--output", type=output_path, help="write what was recorded as JSON")
    add_patience_flag(result)
    result.add_argument(
        "--rerun",
        help="the command that does the same again, where it is another than this one",
    )
    return result


def main(arguments: argparse.Namespace) -> int:
    """Registers one artifact.

    Args:
      arguments: from `parser`.

    Returns:
      0, or EXIT_GATE_FAILED when a gate failed and no version was made.
    """
    from registry.record import GATES_FAILED, SourceFiles, read_record

    if arguments.device_verdict and arguments.latency:
        raise InputError(
            "flag.conflict",
            "--device_verdict, --latency: each is a measurement of its own; register one, then "
            "the other",
        )
    record = read_record(
        SourceFiles(
            report=arguments.report,
            model=arguments.model,
            recipe=arguments.recipe,
            float_model=arguments.float_model,
            source_model=arguments.source_model,
            latency=arguments.latency,
            verdict=arguments.verdict,
            device_verdict=arguments.device_verdict,
            pages=tuple(arguments.page),
        ),
        arguments.registered_model,
        arguments.target,
        _known(arguments.bazel_version),
    )
    store = find_store(os.environ)
    if arguments.dry_run:
        from registry.dry_run import plan

        print(patiently(lambda: plan(record, store), arguments.patience))
        return 0
    say_progress(f"register: recording {record.name} in {store.display_uri}")

    from registry.dashboard import refresh_or_warn
    from registry.git_lineage import read_git_lineage
    from registry.recording import Recorder

    workspace = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY") or Path.cwd())
    lineage = read_git_lineage(workspace)
    with locked(store):
        client = connect(store)
        recorder = Recorder(store, client, lineage.tags())
        try:
            recorded = patiently(lambda: recorder.record(record), arguments.patience)
        except StoreUnavailable as error:
            rerun = arguments.rerun or _own_command()
            raise InputError(
                "store.unavailable",
                f"{error} (tried for {arguments.patience:.0f} s); to go on: {rerun}",
            ) from error
        refresh_or_warn("register", store, client, record.registered_model)

    print(_summary(record, recorded, store))
    if arguments.output:
        write_document(arguments.output, _registration(record, recorded, store))
    return EXIT_GATE_FAILED if record.gates == GATES_FAILED else 0


def _own_command() -> str:
    words = sys.argv[1:]
    if "BUILD_WORKSPACE_DIRECTORY" in os.environ:
        return bazel_command("run", "//registry:register", *words)
    return shlex.join([sys.executable, sys.argv[0], *words])


def _known(text: str | None) -> str | None:
    return None if text in (None, "", "unknown") else text


def _summary(record, recorded, store) -> str:
    from registry.record import failure_lines

    what = f"{record.registered_model} version {recorded.version}"
    run_note = ""
    if recorded.version is None:
        repeated = "" if recorded.run_created else "already "
        first = f"refused; {repeated}recorded as a failed run, not a version"
    elif recorded.created:
        first = f"registered {what} ({record.name} {record.version}, {record.scheme})"
    else:
        first = f"already registered as {what}"
        run_note = " (new measurement)" if recorded.run_created else ""
    lines = [first, *failure_lines(record), f"  run      {_run_link(recorded, store)}{run_note}"]
    if recorded.parent:
        lines.append("  made of  " + recorded.parent.replace("/", " version "))
    if recorded.restored:
        lines.append(f"  restored {'; '.join(recorded.restored)}, which had been deleted")
    lines.append(f"  store    {store.display_uri}")
    if store.is_server:
        page = f"{_base(store)}/#/models/{recorded.registered_model}"
        if recorded.version:
            page += f"/versions/{recorded.version}"
        lines.append(f"  open     {page}")
    else:
        lines.append(f"  open     {bazel_command('run', '//registry:ui')}")
    return "\n".join(lines)


def _base(store) -> str:
    return store.display_uri.rstrip("/")


def _run_link(recorded, store) -> str:
    if not store.is_server:
        return recorded.run_id
    return f"{_base(store)}/#/experiments/{recorded.experiment_id}/runs/{recorded.run_id}"


def _registration(record, recorded, store) -> Registration:
    return Registration(
        artifact_sha256=record.artifact.sha256,
        created=recorded.created,
        experiment_id=recorded.experiment_id,
        failures=record.failures,
        gates=record.gates,
        parent=recorded.parent,
        registered_model=recorded.registered_model,
        restored=recorded.restored,
        run_created=recorded.run_created,
        run_id=recorded.run_id,
        tracking_uri=store.display_uri,
        version=recorded.version,
    )


if __name__ == "__main__":
    run(parser(), main)
