"""Command: compares a quantized model, or the models of a .task bundle, with the float ones."""

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tools.command_line import (
    EXIT_GATE_FAILED,
    new_parser,
    output_path,
    own_command,
    path_of_part,
    run,
    user_path,
)
from tools.documents.document import read_document, write_document
from tools.documents.known_samples import KnownSamples
from tools.documents.report import BundleReport, Report, TaskFigures
from tools.documents.summary import BundleSummary, Summary
from tools.documents.verdict import Verdict
from tools.errors import InputError
from tools.float_master_flags import add_float_model_flags, float_master_of
from tools.progress import progress_bar
from tools.samples.flags import PreprocessingChoice, add_input_flags, preprocessing_choice
from tools.similarity.gate_flags import add_gate_flags, gate_flags_given, gates_of_flags
from tools.tool_versions import tool_versions

AnySummary = TypeVar("AnySummary", Summary, BundleSummary)

_EXAMPLES = """\
  validate_quantized_model --float_model=original.tflite --quantized_model=quantized.tflite \\
      --test_data=test_images/ --tolerance=0.05
  validate_quantized_model --float_model=original.tflite --quantized_model=quantized.tflite \\
      --test_data=test_images/ --calibration_data=calibration_images/ --report=report.json
  validate_quantized_model --float_model=hand.tflite --quantized_model=hand_int8.tflite \\
      --test_data=hands/ --task=hand.task.json --max_landmark_error=0.03 --min_recall=0.95 \\
      --min_sqnr_db=Identity=25 --max_degradation=worst_cosine=0.1
  validate_quantized_model --float_model=hand_landmarker.task \\
      --quantized_model=hand_landmarker_int8.task --test_data=hand_detector.tflite=hands/ \\
      --test_data=hand_landmarks_detector.tflite=hand_crops/ --tolerance=0.05 \\
      --member=hand_landmarks_detector.tflite=hand_landmarks.gates.json

A gate is a number for every output or task, or NAME=NUMBER for one (then it may be given
several times); docs/reference/gates.md says what each means. Exits with status 1 when
an artifact is beyond a gate, with 2 when something cannot be used.

Of two .task bundles each model is compared with its own of the same path, also those of bundles
in them (hand_landmarker.task/hand_detector.tflite); a model that stayed as it was needs no data.
"""

# What `main` imports when it runs.
IMPORTS = (
    "ai_edge_litert.interpreter",
    # numpy's percentiles import it.
    "numpy.ma",
    "tools.bundle.task_bundle",
    "tools.graph.float_master",
    "tools.samples.model_inputs",
    "tools.similarity.comparison",
    "tools.similarity.layers",
    "tqdm",
)


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "validate_quantized_model",
        "Compares a quantized model with the float model that it was made from, on test data.",
        _EXAMPLES,
    )
    add_float_model_flags(result, "--float_model", "a float .tflite, or a .task bundle")
    result.add_argument(
        "--quantized_model", required=True, type=user_path, help="the artifact, a bundle as well"
    )
    result.add_argument(
        "--test_data",
        required=True,
        action="append",
        type=path_of_part,
        metavar="[MEMBER=]PATH",
        help="held-out data: a folder or file of images, .npy or .npz; may be given several "
        "times. A bundle's models have each their own, and PATH alone is for those that no other "
        "names",
    )
    result.add_argument(
        "--calibration_data",
        action="append",
        default=[],
        type=path_of_part,
        metavar="[MEMBER=]PATH",
        help="what the artifact was calibrated with; test data found in it is refused",
    )
    result.add_argument(
        "--calibration_samples",
        type=user_path,
        help="in place of --calibration_data: what quantize_model wrote of it with "
        "--calibration_samples_output",
    )
    add_input_flags(result)
    add_gate_flags(result)
    result.add_argument(
        "--member",
        action="append",
        default=[],
        type=path_of_part,
        metavar="MEMBER=GATES",
        help="JSON of thresholds for one model of a bundle, in place of --gates",
    )
    result.add_argument(
        "--task",
        action="append",
        default=[],
        type=path_of_part,
        metavar="[MEMBER=]FILE",
        help="JSON: how the outputs are decoded, a task or a list of them; of a bundle, once for "
        "each model",
    )
    result.add_argument("--report", type=output_path, help="JSON file for the report")
    result.add_argument("--name", help="of the artifact, for the report (default: the file's)")
    result.add_argument("--version", default="0", help="of the artifact, for the report")
    result.add_argument(
        "--source_model",
        type=user_path,
        help="what the float model was made from (default: the float model)",
    )
    result.add_argument(
        "--summary", type=user_path, help="from quantize_model --summary_output=, for the report"
    )
    result.add_argument(
        "--time_budget",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="measure both models in turns for about so long, and warn where the artifact is "
        "slower, with the operators to blame; not of bundles, nor with --report_only; 0 measures "
        "nothing (default: %(default)s)",
    )
    result.add_argument(
        "--report_only", action="store_true", help="write the report and judge nothing"
    )
    return result


# What a table says of a task, by its type: the label of a value and its field.
_SHOWN = {
    "classification": (
        ("top-1 agreement", "top1_agreement"),
        ("top-5 agreement", "top5_agreement"),
        ("accuracy", "accuracy"),
    ),
    "detection": (
        ("score error", "score_error_mean"),
        ("box error px", "box_error_px_mean"),
        ("IoU of boxes", "box_iou_mean"),
        ("keypoint error px", "keypoint_error_px_mean"),
        ("precision", "box_precision"),
        ("recall", "box_recall"),
    ),
    "landmarks": (
        ("error px", "landmark_error_px_mean"),
        ("of the box", "landmark_error_mean"),
        ("worst px", "landmark_error_px_max"),
        ("world error mm", "world_error_mm_mean"),
        ("presence error", "presence_error_mean"),
        ("recall", "recall"),
    ),
    "segmentation": (
        ("IoU", "iou_mean"),
        ("worst IoU", "iou_min"),
        ("soft IoU", "soft_iou_mean"),
        ("worst soft IoU", "soft_iou_min"),
    ),
}


def _in_words(task: TaskFigures, figures: Mapping[str, Any]) -> str:
    """Puts the figures of a task that tell most, of the artifact or of JPEG, in a line."""
    values = [
        f"{label} {figures[field]:.4g}"
        for label, field in _SHOWN[task.type]
        if figures[field] is not None
    ]
    return ", ".join(values) or "nothing to compare"


def _print_tables(report: Report, verdict: Verdict) -> None:
    from tools.similarity.gates import table_lines

    similarity = report.similarity
    print(
        f"{report.artifact.bytes:,} bytes, {report.size.reduction:.1%} smaller than the float "
        f"master; {similarity.samples} samples"
    )
    width = max(12, *(len(output.name) for output in similarity.outputs))
    print(f"{'output':{width}}  cosine mean   min  max |error|  SQNR dB")
    for output in similarity.outputs:
        sqnr = "-" if output.sqnr_db is None else f"{output.sqnr_db:.1f}"
        print(
            f"{output.name:{width}}  {output.cosine_mean:11.4f} {output.cosine_min:5.3f}"
            f"  {output.max_abs_error:11.4g}  {sqnr:>7}"
        )
    for output in similarity.outputs:
        if output.other_shape_samples:
            print(
                f"{output.name}: in {output.other_shape_samples} of {similarity.samples} samples "
                "its size is not the float model's; nothing of it counts as alike there"
            )
    for task in similarity.tasks:
        print(
            f"{task.name}: {task.positives} of {similarity.samples} samples detected by "
            f"the float model; {_in_words(task, vars(task))}"
        )
        if task.jpeg:
            print(f"  the float model on JPEG images: {_in_words(task, task.jpeg)}")
    print("\n".join(table_lines(verdict)))


@dataclasses.dataclass(frozen=True)
class _Pair:
    """A float model and what was made from it: two files, or a member of two bundles.

    Attributes:
      name: of the artifact, for the report.
      version: of the artifact, for the report.
      float_model: the file.
      float_where: how messages name it.
      is_master: whether it is a float master already.
      artifact: the file.
      where: how messages name it.
      source: what the float model was made from.
      test_data: files and folders.
      calibration_data: likewise; empty where it is not known.
      calibration_samples: file that lists the samples of it; None where there is none.
      task: file that says how the outputs are decoded.
      summary: of the artifact, from quantize_model.
    """

    name: str
    version: str
    float_model: bytes
    float_where: str
    is_master: bool
    artifact: bytes
    where: str
    source: bytes
    test_data: Sequence[str]
    calibration_data: Sequence[str]
    calibration_samples: Path | None
    task: str | None
    summary: Summary | None


def _compared(pair: _Pair, choice: PreprocessingChoice) -> Report:
    """Makes the report of one artifact."""
    from tools.documents.json_file import read_json
    from tools.samples.model_inputs import load_model_samples
    from tools.similarity.comparison import Compared, compare_outputs, make_report, refuse_overlap
    from tools.similarity.layers import compare_layers
    from tools.similarity.model_outputs import ModelOutputs

    def samples(paths: Sequence[str]):
        files = [user_path(path) for path in paths]
        return load_model_samples(master, pair.float_where, files, choice, named_by_folder=True)

    master = float_master_of(pair.float_model, pair.float_where, pair.is_master)
    reference = ModelOutputs(master, pair.float_where)
    quantized = ModelOutputs(pair.artifact, pair.where)
    test = samples(pair.test_data)
    if pair.calibration_samples:
        refuse_overlap(read_document(pair.calibration_samples, KnownSamples), test)
    if pair.calibration_data:
        refuse_overlap(samples(pair.calibration_data), test)
    bar = progress_bar()
    similarity = compare_outputs(
        reference,
        quantized,
        test,
        read_json(user_path(pair.task)) if pair.task else None,
        lambda done: bar("comparing", done, len(test)),
        test.saved_as_jpeg(),
    )
    layers = compare_layers(master, pair.artifact, test, pair.where)
    compared = Compared(
        pair.name, pair.version, pair.artifact, master, pair.source, test, pair.where
    )
    similarity = dataclasses.replace(similarity, layers=layers)
    return make_report(compared, similarity, pair.summary, tool_versions())


def _bundle_files(paths: tuple[Path, Path], given: bytes, artifact: bytes) -> tuple:
    """Reads both bundles, which must have files of the same paths: (float, quantized) members."""
    from tools.bundle.task_bundle import files_of, read_task_bundle

    known, found = (
        files_of(read_task_bundle(content, str(path)), str(path))
        for path, content in zip(paths, (given, artifact), strict=True)
    )
    for path in known:
        if path not in found:
            raise InputError(
                "bundle.member",
                f"{paths[1]}: member {path} is missing; {paths[0]} has it, make the bundle again "
                "from that one",
            )
    for path in found:
        if path not in known:
            raise InputError(
                "bundle.member",
                f"{paths[1]}: member {path} is one that {paths[0]} does not have; give the bundle "
                "that it was made from",
            )
    return known, found


def _compare_bundles(
    arguments: argparse.Namespace, given: bytes, artifact: bytes
) -> tuple[BundleReport, dict[str, str]]:
    """Compares every model of a bundle that did not stay as it was.

    Returns:
      The bundle's report, and the files of thresholds by member.
    """
    from tools.bundle.member_flags import by_member, one_by_member
    from tools.documents.json_file import significant
    from tools.documents.report import BundleSize
    from tools.similarity.comparison import file_identity, refuse_other_summary

    where = str(arguments.quantized_model)
    if arguments.source_model:
        raise InputError(
            "flag.conflict",
            f"{where}: --source_model is about one model and this is a bundle; its models are held "
            "to those of --float_model",
        )
    if arguments.calibration_samples:
        raise InputError(
            "flag.conflict",
            f"{where}: --calibration_samples is about one model and this is a bundle; give "
            "--calibration_data=MEMBER=PATH",
        )
    paths = arguments.float_model, arguments.quantized_model
    known, found = _bundle_files(paths, given, artifact)
    kept = [path for path in known if known[path].content == found[path].content]
    models = [path for path in known if known[path].is_model]
    changed = [path for path in models if path not in kept]
    if not changed:
        raise InputError(
            "bundle.kind",
            f"{where}: every model in it is to the byte the one of {arguments.float_model}; give "
            "the quantized bundle",
        )
    test, calibration = (
        by_member(flag, getattr(arguments, flag), models, where)
        for flag in ("test_data", "calibration_data")
    )
    tasks = one_by_member("task", arguments.task, models, where)
    gates = one_by_member("member", arguments.member, models, where)
    summary = _summary(arguments, BundleSummary)
    refuse_other_summary(summary, artifact, where)
    reports = {}
    for path in changed:
        if path not in test:
            raise InputError(
                "data.missing",
                f"{where}: no test data for member {path}; give --test_data={path}=PATH",
            )
        pair = _Pair(
            name=f"{arguments.name}/{path}",
            version=arguments.version,
            float_model=known[path].content,
            float_where=f"{arguments.float_model}/{path}",
            is_master=False,
            artifact=found[path].content,
            where=f"{where}/{path}",
            source=known[path].content,
            test_data=test[path],
            calibration_data=calibration.get(path, []),
            calibration_samples=None,
            task=tasks.get(path),
            summary=summary.members.get(path) if summary else None,
        )
        try:
            reports[path] = _compared(pair, preprocessing_choice(arguments))
        except InputError as error:
            raise _of_member(path, error) from None
    report = BundleReport(
        artifact=file_identity(artifact),
        kept=tuple(kept),
        members=reports,
        name=arguments.name,
        other_files=tuple(path for path in known if path not in [*models, *kept]),
        size=BundleSize(significant(1 - len(artifact) / len(given))),
        source=file_identity(given),
        tools=tool_versions(),
        version=arguments.version,
    )
    return report, gates


def _of_member(path: str, error: InputError) -> InputError:
    """Says of which member an error is, where it does not: an image is of none."""
    return error if path in str(error) else InputError(error.code, f"member {path}: {error}")


def _judge_bundle(
    arguments: argparse.Namespace, report: BundleReport, gates: Mapping[str, str], where: str
) -> int:
    """Prints each model's table and holds it to the gates; the bundle passes if all do."""
    from tools.similarity.gates import Evidence, check_gates, failure_lines

    members = report.members
    verdicts = {}
    for path, one in members.items():
        own = argparse.Namespace(**vars(arguments))
        if path in gates:
            own.gates = user_path(gates[path])
        said = f"{_gates_named(own)} of {path}"
        verdicts[path] = check_gates(Evidence.of(one), gates_of_flags(own), said)
    print(
        f"{report.artifact.bytes:,} bytes, {report.size.reduction_vs_source:.1%} "
        f"smaller than {arguments.float_model.name}"
    )
    for path, verdict in verdicts.items():
        print(f"{path}: {'passed' if verdict.passed else 'REFUSED'}")
        _print_tables(members[path], verdict)
    for path in report.kept:
        print(f"{path}: as it was")
    for path in report.other_files:
        print(f"{path}: no model, and not as it was")
    failed = [verdict for verdict in verdicts.values() if not verdict.passed]
    if not failed:
        return 0
    lines = [f"{report.name}: refused, {len(failed)} of {len(verdicts)} models failed"]
    for verdict in failed:
        *lines_of_model, last = failure_lines(verdict, where)
        lines += lines_of_model
    print("\n".join([*lines, last]), file=sys.stderr)
    return EXIT_GATE_FAILED


def main(arguments: argparse.Namespace) -> int:
    from tools.bundle.task_bundle import is_task_bundle
    from tools.graph.flatbuffer import read_bytes

    _refuse_idle_flags(arguments)
    path = arguments.float_master or arguments.float_model
    given, artifact = read_bytes(path), read_bytes(arguments.quantized_model)
    arguments.name = arguments.name or arguments.quantized_model.stem
    of_bundles = bool(arguments.float_model) and (is_task_bundle(given) or is_task_bundle(artifact))
    gates: dict[str, str] = {}
    report: Report | BundleReport
    if of_bundles:
        report, gates = _compare_bundles(arguments, given, artifact)
    else:
        if arguments.member:
            raise InputError(
                "bundle.kind", f"{arguments.quantized_model}: no task bundle, so it has no --member"
            )
        if len(arguments.task) > 1:
            raise InputError(
                "flag.conflict", "--task is given once for a model; a file may hold a list of tasks"
            )
        pair = _Pair(
            name=arguments.name,
            version=arguments.version,
            float_model=given,
            float_where=str(path),
            is_master=bool(arguments.float_master),
            artifact=artifact,
            where=str(arguments.quantized_model),
            source=read_bytes(arguments.source_model) if arguments.source_model else given,
            test_data=arguments.test_data,
            calibration_data=arguments.calibration_data,
            calibration_samples=arguments.calibration_samples,
            task=arguments.task[0] if arguments.task else None,
            summary=_summary(arguments, Summary),
        )
        report = _compared(pair, preprocessing_choice(arguments))
    if arguments.report:
        write_document(arguments.report, report)
    if arguments.report_only:
        return 0
    where = str(arguments.report) if arguments.report else "the tables above; --report= keeps them"
    if isinstance(report, BundleReport):
        return _judge_bundle(arguments, report, gates, where)
    status = _judge(arguments, report, where)
    if arguments.time_budget:
        _warn_if_slower(arguments, path, given, artifact)
    return status


def _warn_if_slower(
    arguments: argparse.Namespace, float_path: Path, given: bytes, artifact: bytes
) -> None:
    """Measures an artifact beside the float master, and warns where it is slower."""
    from tools.latency.short_measurement import measure_shortly, profiles
    from tools.latency.slowdown import slowdown_warning

    path = arguments.quantized_model
    master = float_master_of(given, str(float_path), bool(arguments.float_master))
    models = (master, str(float_path)), (artifact, str(path))
    found = measure_shortly(*models, arguments.time_budget)
    if found is None:
        print(
            f"not timed: in {arguments.time_budget:g} seconds the models do not run often enough; "
            f"{own_command('benchmark_model', f'--model={path}', f'--against={float_path}')}"
        )
        return
    print(
        f"{found.artifact_ms:.3f} ms, {found.ratio:.2f} times the float model's time (one thread "
        "of this machine, made-up inputs)"
    )
    if found.is_slower:
        costs = profiles(models[1], models[0])
        print(slowdown_warning(path, float_path, found.ratio, costs), file=sys.stderr)


def _judge(arguments: argparse.Namespace, report: Report, where: str) -> int:
    """Prints a model's table and holds it to the gates."""
    from tools.similarity.gates import Evidence, check_gates, failure_lines

    gates = gates_of_flags(arguments)
    verdict = check_gates(Evidence.of(report), gates, _gates_named(arguments))
    _print_tables(report, verdict)
    if not verdict.passed:
        lines = failure_lines(verdict, where, _layers_command(arguments))
        print("\n".join(lines), file=sys.stderr)
        return EXIT_GATE_FAILED
    return 0


def _gates_named(arguments: argparse.Namespace) -> str:
    """Names where the gates come from: a file of them is what a user corrects."""
    return str(arguments.gates) if arguments.gates else "the gates"


def _refuse_idle_flags(arguments: argparse.Namespace) -> None:
    """Refuses flags that mean nothing: --report_only beside what it leaves without a use."""
    if not arguments.time_budget >= 0:
        raise InputError(
            "flag.value", f"--time_budget={arguments.time_budget:g}: 0 or more seconds are wanted"
        )
    if not arguments.report_only:
        return
    given = [*gate_flags_given(arguments), *(["--member"] if arguments.member else [])]
    if given:
        raise InputError(
            "flag.conflict", f"--report_only judges nothing, and {given[0]} is a gate; give one"
        )
    if not arguments.report:
        raise InputError("flag.missing", "--report_only writes the report; name it by --report=")


def _layers_command(arguments: argparse.Namespace) -> str:
    """Writes the command that says which layers lose what, with the same files."""
    given = "--float_master" if arguments.float_master else "--float_model"
    words = [
        f"{given}={arguments.float_master or arguments.float_model}",
        f"--quantized_model={arguments.quantized_model}",
        *(f"--test_data={data}" for data in arguments.test_data),
    ]
    if arguments.input_mean is not None:
        words.append(f"--input_mean={arguments.input_mean}")
    if arguments.input_std is not None:
        words.append(f"--input_std={arguments.input_std}")
    if arguments.input_resize != "letterbox":
        words.append(f"--input_resize={arguments.input_resize}")
    return own_command("layer_report", *words, f"--html={arguments.name}.layers.html")


def _summary(arguments: argparse.Namespace, kind: type[AnySummary]) -> AnySummary | None:
    return read_document(arguments.summary, kind) if arguments.summary else None


if __name__ == "__main__":
    run(parser(), main, IMPORTS)
