"""Command: searches how to quantize a model, and writes what it found as a settings file."""

import argparse
import sys
import tempfile
from pathlib import Path

from tools.command_line import (
    EXIT_GATE_FAILED,
    new_parser,
    output_folder,
    output_path,
    own_command,
    run,
    user_path,
    whole_file,
)
from tools.errors import DeviceFailedError, InputError
from tools.float_master_flags import add_float_model_flags, float_master_of
from tools.latency.device_flags import add_device_flags, device_options
from tools.latency.gate_flags import add_speed_gate_flags
from tools.progress import progress_bar
from tools.quantization.settings_flags import add_runs_on_flag
from tools.samples.flags import add_input_flags, preprocessing_choice
from tools.similarity.gate_definitions import DEFAULTS
from tools.similarity.gate_flags import add_gate_flags, gates_of_flags
from tools.tool_versions import tool_versions

_EXAMPLES = """\
  tune_model --float_model=face.tflite --calibration_data=./images/ --min_speedup=1.3 \\
      --tolerance=0.05 --optimise=size --settings_output=face.settings.json
  tune_model --float_model=face.tflite --calibration_data=./images/ --stop_at_first \\
      --settings_output=face.settings.json

The settings file is for review and for version control; quantize_model --settings= and
quantized_model(settings = ...) apply it. An interrupted search goes on where it was.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "tune_model",
        "Searches schemes, choices and mixed recipes for the best artifact that reaches a goal.",
        _EXAMPLES,
    )
    add_float_model_flags(result, "--float_model", "a float .tflite")
    result.add_argument("--source_model", type=user_path, help="what it was made from")
    result.add_argument(
        "--calibration_data",
        required=True,
        action="append",
        type=user_path,
        help="representative dataset: a folder or file of images, .npy or .npz; every fourth "
        "sample is held out for comparison; may be given several times",
    )
    add_input_flags(result)
    result.add_argument("--task", type=user_path, help="JSON file: how outputs are decoded")
    add_gate_flags(result)
    add_speed_gate_flags(result, ("min_fps", "min_speedup"))
    add_runs_on_flag(result)
    result.add_argument(
        "--optimise",
        default="size",
        help="size, speed or similarity: what to improve beyond the goal (default: %(default)s)",
    )
    result.add_argument(
        "--stop_at_first", action="store_true", help="end with the first stage that reaches it"
    )
    add_device_flags(result)
    result.add_argument("--rounds", type=int, default=9, help="of a timing (default: %(default)s)")
    result.add_argument(
        "--most_rounds",
        type=int,
        default=21,
        help="while a candidate's speed is undecided (default: %(default)s)",
    )
    result.add_argument(
        "--samples", type=int, default=32, help="to hold out at the most (default: %(default)s)"
    )
    result.add_argument(
        "--candidates", type=int, default=300, help="to make at the most (default: %(default)s)"
    )
    result.add_argument("--name", help="of the artifact (default: the settings file's)")
    result.add_argument("--target", help="of a BUILD file that the settings are for, as a label")
    result.add_argument(
        "--settings_output", required=True, type=output_path, help="settings file to write"
    )
    result.add_argument(
        "--plots", type=output_folder, help="folder for NAME.front.png, .html and .json"
    )
    result.add_argument(
        "--journal",
        type=output_folder,
        help="folder for what is known so far (default: user's cache)",
    )
    return result


def _goal(arguments: argparse.Namespace):
    from tools.tuning.goal import Goal

    gates = gates_of_flags(arguments)
    if gates["tolerance"] is None:
        # Without any gate on similarity the smallest artifact would be the worst.
        gates["tolerance"] = DEFAULTS["tolerance"]
    return Goal(gates, arguments.min_speedup, arguments.min_fps, arguments.optimise)


def _latency(master: bytes, goal, folder: Path, arguments: argparse.Namespace):
    """Makes the function that times an artifact against the float master."""
    import numpy as np

    from tools.latency.decision import Verdict, median_bounds
    from tools.latency.devices import open_backend
    from tools.latency.measurement import gates_of, measure_and_decide, values_of

    files = [folder / "float_master.tflite", folder / "candidate.tflite"]
    files[0].write_bytes(master)
    gates = gates_of({"min_fps": goal.min_fps, "min_speedup": goal.min_speedup})

    def measure(content: bytes) -> dict:
        files[1].write_bytes(content)
        with open_backend(arguments.device, files, device_options(arguments)) as backend:
            judged, rounds = measure_and_decide(
                backend, gates, arguments.rounds, arguments.most_rounds
            )
        values = values_of(rounds)
        speedups, rates = (
            values[name][np.isfinite(values[name])] for name in ("min_speedup", "min_fps")
        )
        if not speedups.size:
            raise DeviceFailedError(
                "device.unsteady", f"{arguments.device}: no round was undisturbed"
            )
        low, high = median_bounds(speedups, 0.025)
        return {
            "fps": float(np.median(rates)),
            "high": high,
            "low": low,
            "missed": [one.gate.name for one in judged if one.verdict is not Verdict.PASS],
            "speedup": float(np.median(speedups)),
        }

    return measure


def _device(arguments: argparse.Namespace, model: Path) -> str:
    """Describes the device; one that is not there is found out before the search.

    Of a pool the search stays with the device that was described.
    """
    from tools.latency.devices import open_backend

    options = device_options(arguments)
    with open_backend(arguments.device, [model], options) as backend:
        device = backend.describe()
    if device["backend"] == "adb":
        arguments.device = device["name"]
    return f"{device['name']}, {device['cpu']}, {arguments.threads} thread(s)"


def _print_front(front, others, picked, goal, master_bytes: int) -> None:
    from tools.tuning.goal import missed_by

    width = max(len(c.name) for c in front)
    print(f"{'candidate':{width}}{'bytes':>12}{'smaller':>9}{'speed':>8}  {'interval':11}cosine")
    for candidate in front:
        low, high = candidate.speedup_interval
        missed = missed_by(goal, candidate)
        note = "<- chosen" if candidate is picked else ""
        note = note or (f"misses {', '.join(missed)}" if missed else "")
        print(
            f"{candidate.name:{width}}{candidate.bytes:>12,}"
            f"{1 - candidate.bytes / master_bytes:>9.1%}{candidate.speedup:>7.2f}x  "
            f"{low:.2f}-{high:.2f}  {candidate.cosine:.4f}  {note}"
        )
    print(f"{len(front)} on the front of {len(front) + len(others)} timed")


def _front_document(front, others, picked, goal, device: str, master_bytes: int) -> dict:
    from tools.tuning.goal import missed_by

    def entry(candidate, on_front: bool) -> dict:
        return {
            "bytes": candidate.bytes,
            "chosen": candidate is picked,
            "cosine": candidate.cosine,
            "fps": candidate.fps,
            "missed": missed_by(goal, candidate),
            "name": candidate.name,
            "on_front": on_front,
            "settings": candidate.settings,
            "sha256": candidate.sha256,
            "speedup": candidate.speedup,
            "speedup_interval": list(candidate.speedup_interval),
        }

    return {
        "candidates": [entry(c, True) for c in front] + [entry(c, False) for c in others],
        "device": device,
        "float_master_bytes": master_bytes,
        "kind": "rules_quantize.front",
        "schema_version": 1,
    }


def _evaluator(arguments: argparse.Namespace, goal, device: str, journal_folder: Path, timed: Path):
    """Reads the model and its samples, and opens the journal.

    Args:
      arguments: the command line.
      goal: tools.tuning.goal.Goal.
      device: what `_device` says.
      journal_folder: where journals are kept.
      timed: a folder for the models that are timed.

    Returns:
      (tools.tuning.evaluation.Evaluator, its journal).
    """
    import hashlib

    from tools.documents.json_file import read_json
    from tools.graph.flatbuffer import read_bytes
    from tools.samples.model_inputs import load_model_samples
    from tools.tuning.evaluation import Evaluator, TunedModel, split
    from tools.tuning.journal import Journal, code_digest

    path = arguments.float_master or arguments.float_model
    where = str(path)
    master = float_master_of(read_bytes(path), where, bool(arguments.float_master))
    choice = preprocessing_choice(arguments)
    samples = load_model_samples(
        master, where, arguments.calibration_data, choice, named_by_folder=True
    )
    calibration, held_out = split(samples, arguments.samples, with_jpeg=bool(arguments.task))
    model = TunedModel(
        master=master,
        calibration=calibration,
        held_out=held_out,
        task=read_json(arguments.task) if arguments.task else None,
        source_bytes=len(read_bytes(arguments.source_model)) if arguments.source_model else None,
        where=where,
    )
    journal = Journal(
        journal_folder,
        {
            "calibration": samples.digest,
            "code": code_digest(),
            "device": device,
            "held_out": len(held_out),
            "master": hashlib.sha256(master).hexdigest(),
            "task": model.task,
            "tools": tool_versions(),
        },
    )
    if len(journal):
        print(f"going on from {len(journal)} results in {journal.path}", file=sys.stderr)
    latency = _latency(master, goal, timed, arguments)
    return Evaluator(model, goal, journal, latency), journal


def _next_step(arguments: argparse.Namespace) -> str:
    """Says what applies the settings: a line of a BUILD file, or a command."""
    settings = arguments.settings_output
    if arguments.target:
        return (
            f'next: review and commit it; with `scheme = "auto",` in {arguments.target}, '
            f"`bazel build {arguments.target}` applies it"
        )
    given = "--float_master" if arguments.float_master else "--input_model"
    path = arguments.float_master or arguments.float_model
    command = own_command(
        "quantize_model",
        f"{given}={path}",
        f"--settings={settings}",
        *(f"--calibration_data={data}" for data in arguments.calibration_data),
        f"--output_model={settings.with_name(settings.name.split('.')[0] + '.tflite')}",
    )
    return f"next: review and commit it; it is applied by\n  {command}"


def main(arguments: argparse.Namespace) -> int:
    from tools.documents.json_file import write_json
    from tools.latency.decision import LEAST_ROUNDS
    from tools.quantization.settings import (
        QuantizationSettings,
        settings_from_json,
        settings_text,
    )
    from tools.tuning.front_plot import write_plots
    from tools.tuning.goal import chosen
    from tools.tuning.journal import default_directory
    from tools.tuning.search import Search, front_of

    if arguments.rounds < LEAST_ROUNDS:
        raise InputError("flag.value", f"--rounds={arguments.rounds}: give at least {LEAST_ROUNDS}")
    if arguments.samples < 1 or arguments.candidates < 4:
        raise InputError("flag.value", "--samples takes at least 1 and --candidates at least 4")
    goal = _goal(arguments)
    device = _device(arguments, arguments.float_master or arguments.float_model)
    with tempfile.TemporaryDirectory() as folder:
        evaluator, journal = _evaluator(
            arguments, goal, device, arguments.journal or default_directory(), Path(folder)
        )
        search = Search(
            evaluator,
            goal,
            arguments.candidates,
            arguments.stop_at_first,
            progress_bar(),
            arguments.runs_on or QuantizationSettings.runs_on,
        )
        measured = search.run()
    journal.close()
    where, master_bytes = evaluator.model.where, len(evaluator.model.master)
    if not measured:
        raise InputError("scheme.fits_none", f"{where}: no scheme can be applied to this model")
    front = front_of(measured)
    others = [c for c in measured if not any(c is f for f in front)]
    picked = chosen(goal, measured)
    if picked is not None and not any(picked is c for c in front):
        front.append(picked)
        others = [c for c in others if c is not picked]
    name = arguments.name or arguments.settings_output.name.split(".")[0]
    _print_front(front, others, picked, goal, master_bytes)
    if arguments.plots:
        document = _front_document(front, others, picked, goal, device, master_bytes)
        files = write_plots(
            arguments.plots, name, front, others, picked, goal, master_bytes, device
        )
        write_json(arguments.plots / f"{name}.front.json", document)
        for path in [*files, arguments.plots / f"{name}.front.json"]:
            print(path)
    if picked is None:
        print(
            f"tune_model: {where}: no candidate reaches the goal; nothing written. Loosen it, "
            "or give more calibration data",
            file=sys.stderr,
        )
        return EXIT_GATE_FAILED
    with whole_file(arguments.settings_output, "w") as file:
        file.write(settings_text(settings_from_json(picked.settings)))
    print(f"{arguments.settings_output}: {picked.name}")
    print(_next_step(arguments))
    return 0


if __name__ == "__main__":
    run(parser(), main)
