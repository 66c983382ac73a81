"""Registers one artifact by the flags of a command line: alone, or one of a set."""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from registry.store import StoreUnavailable, connect, find_store, locked, say_progress, with_retries
from tools.command_line import bazel_command, output_path, user_path
from tools.documents.document import write_document
from tools.documents.registration import Registration
from tools.errors import InputError


@dataclass(frozen=True)
class Registered:
    """What came of one registration.

    Attributes:
      text: what was recorded, for people.
      line: the same in a few words.
      passed: whether no gate had failed.
    """

    text: str
    line: str
    passed: bool


def add_registration_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say what is registered."""
    parser.add_argument("--report", required=True, type=user_path, help="report.json")
    parser.add_argument("--model", required=True, type=user_path, help="the quantized .tflite")
    parser.add_argument("--recipe", type=user_path, help="recipe.json")
    parser.add_argument(
        "--registered_model", help="its name in the registry (default: the name in the report)"
    )
    parser.add_argument(
        "--target", default="not built by Bazel", help="Bazel label that it was built from"
    )
    parser.add_argument("--float_model", type=user_path, help="its float master, recorded too")
    parser.add_argument("--source_model", type=user_path, help="what the master was made from")
    parser.add_argument("--latency", type=user_path, help="latency.json")
    parser.add_argument(
        "--verdict", type=user_path, help="verdict.json; failed gates never make a version"
    )
    parser.add_argument(
        "--device_verdict",
        type=user_path,
        help="device_verdict.json: what the artifact does on another device, recorded as a "
        "measurement of that device",
    )
    parser.add_argument(
        "--page",
        type=user_path,
        action="append",
        default=[],
        help="a page or picture to keep with the run, in pages/; may be given several times",
    )
    parser.add_argument("--bazel_version", help="recorded with the run")
    parser.add_argument("--output", type=output_path, help="write what was recorded as JSON")
    parser.add_argument(
        "--rerun",
        help="the command that does the same again, where it is another than this one",
    )


def register(
    arguments: argparse.Namespace, patience: float, dry_run: bool, rerun: Callable[[], str]
) -> Registered:
    """Registers one artifact.

    Args:
      arguments: with the flags of `add_registration_flags`.
      patience: seconds to wait for a server that does not answer.
      dry_run: whether to say what would be written, and write nothing.
      rerun: gives the command that does the same again, where the flags name none.

    Returns:
      What was recorded.

    Raises:
      InputError: a file cannot be read or the store cannot be used.
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
    if dry_run:
        from registry.dry_run import plan

        planned = with_retries(lambda: plan(record, store), patience)
        return Registered(planned, planned.partition("\n")[0], record.gates != GATES_FAILED)
    say_progress(f"register: recording {record.name} in {store.display_uri}")

    from registry.dashboard import refresh_or_warn
    from registry.git_lineage import read_git_lineage
    from registry.recording import RegistrationWriter

    workspace = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY") or Path.cwd())
    lineage = read_git_lineage(workspace)
    with locked(store):
        client = connect(store)
        recorder = RegistrationWriter(store, client, lineage.tags())
        try:
            recorded = with_retries(lambda: recorder.write(record), patience)
        except StoreUnavailable as error:
            again = arguments.rerun or rerun()
            raise InputError(
                "store.unavailable",
                f"{error} (tried for {patience:.0f} s); to go on: {again}",
            ) from error
        refresh_or_warn("register", store, client, record.registered_model)

    if arguments.output:
        write_document(arguments.output, _registration(record, recorded, store))
    summary = _summary(record, recorded, store)
    return Registered(summary, summary.partition("\n")[0], record.gates != GATES_FAILED)


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
