"""Command: compares a quantized model with the float model that it was made from."""

import argparse
import sys

from tools.command_line import EXIT_GATE_FAILED, new_parser, run, user_path
from tools.errors import InputError
from tools.quantize_model import (
    SAMPLE_IMPORTS,
    add_input_flags,
    load_model_samples,
    progress_bar,
    tool_versions,
)
from tools.similarity.gate_flags import add_gate_flags, gates_of_flags

_EXAMPLES = """\
  validate_quantized_model --float_model=original.tflite --quantized_model=quantized.tflite \\
      --test_data=test_images/ --tolerance=0.05
  validate_quantized_model --float_model=original.tflite --quantized_model=quantized.tflite \\
      --test_data=test_images/ --calibration_data=calibration_images/ --report=report.json
  validate_quantized_model --float_model=hand.tflite --quantized_model=hand_int8.tflite \\
      --test_data=hands/ --task=hand.task.json --max_landmark_error=0.03 --min_recall=0.95 \\
      --min_sqnr=Identity=25 --max_degradation=worst_cosine=0.1

A gate is a number for every output or task, or NAME=NUMBER for one (then it may be given
several times); docs/gates.md says what each means. Exits with status 1 when an artifact is
beyond a gate, with 2 when something cannot be used.
"""

# What `main` imports when it runs.
IMPORTS = (
    *SAMPLE_IMPORTS,
    "tools.graph.float_master",
    "tools.similarity.comparison",
    "tools.similarity.layers",
)


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "validate_quantized_model",
        "Compares a quantized model with the float model that it was made from, on test data.",
        _EXAMPLES,
    )
    result.add_argument("--float_model", required=True, type=user_path, help="a float .tflite")
    result.add_argument("--quantized_model", required=True, type=user_path, help="the artifact")
    result.add_argument(
        "--test_data",
        required=True,
        action="append",
        type=user_path,
        help="held-out data: a folder or file of images, .npy or .npz; may be given several times",
    )
    result.add_argument(
        "--calibration_data",
        action="append",
        type=user_path,
        default=[],
        help="what the artifact was calibrated with; test data found in it is refused",
    )
    add_input_flags(result)
    add_gate_flags(result)
    result.add_argument(
        "--task", type=user_path, help="JSON: how the outputs are decoded, a task or a list of them"
    )
    result.add_argument("--report", type=user_path, help="JSON file for the report")
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
        ("precision", "box_precision"),
        ("recall", "box_recall"),
    ),
    "landmarks": (
        ("error px", "landmark_error_px_mean"),
        ("of the box", "landmark_error_mean"),
        ("worst px", "landmark_error_px_max"),
        ("world error", "world_error_mean"),
        ("presence error", "presence_error_mean"),
        ("recall", "recall"),
    ),
    "segmentation": (("IoU", "iou_mean"), ("worst IoU", "iou_min")),
}


def _print_table(report: dict, verdict: dict) -> None:
    from tools.report import tasks_of

    size, similarity = report["size"], report["similarity"]
    print(
        f"{report['artifact']['bytes']:,} bytes, {size['reduction']:.1%} smaller than the float "
        f"master; {similarity['samples']} samples"
    )
    width = max(12, *(len(output["name"]) for output in similarity["outputs"]))
    print(f"{'output':{width}}  cosine mean   min  max |error|  SQNR dB  within tolerance")
    failed = {
        gate["output"] for gate in verdict["gates"] if not gate["passed"] and "output" in gate
    }
    for output in similarity["outputs"]:
        sqnr = "-" if output["sqnr_db"] is None else f"{output['sqnr_db']:.1f}"
        print(
            f"{output['name']:{width}}  {output['cosine_mean']:11.4f} {output['cosine_min']:5.3f}"
            f"  {output['max_abs_error']:11.4g}  {sqnr:>7}  "
            f"{'NO' if output['name'] in failed else 'yes'}"
        )
    for task in tasks_of(report):
        values = [
            f"{label} {task[field]:.4g}"
            for label, field in _SHOWN[task["type"]]
            if task[field] is not None
        ]
        print(
            f"{task['name']}: {task['positives']} of {similarity['samples']} samples detected by "
            f"the float model; {', '.join(values) or 'nothing to compare'}"
        )


def main(arguments: argparse.Namespace) -> int:
    from tools.graph.flatbuffer import read_bytes
    from tools.graph.float_master import make_float_master
    from tools.report import read_json, write_json
    from tools.similarity.comparison import compare_outputs, make_report, refuse_overlap
    from tools.similarity.gates import check_gates, failure_lines
    from tools.similarity.layers import compare_layers
    from tools.similarity.model_outputs import ModelOutputs

    given = read_bytes(arguments.float_model)
    master, _ = make_float_master(given, str(arguments.float_model))
    artifact = read_bytes(arguments.quantized_model)
    reference = ModelOutputs(master, str(arguments.float_model))
    quantized = ModelOutputs(artifact, str(arguments.quantized_model))
    arguments.input_model = arguments.float_model
    test = load_model_samples(arguments, master, arguments.test_data)
    if arguments.calibration_data:
        refuse_overlap(load_model_samples(arguments, master, arguments.calibration_data), test)
    bar = progress_bar()
    similarity = compare_outputs(
        reference,
        quantized,
        test,
        read_json(arguments.task) if arguments.task else None,
        lambda done: bar("comparing", done, len(test)),
    )
    similarity["layers"] = compare_layers(master, artifact, test, str(arguments.quantized_model))
    report = make_report(
        name=arguments.name or arguments.quantized_model.stem,
        version=arguments.version,
        artifact=artifact,
        master=master,
        source=read_bytes(arguments.source_model) if arguments.source_model else given,
        similarity=similarity,
        test=test,
        summary=_summary(arguments),
        tools=tool_versions(),
        where=str(arguments.quantized_model),
    )
    if arguments.report:
        write_json(arguments.report, report)
    if arguments.report_only:
        return 0
    verdict = check_gates(report, gates_of_flags(arguments), "the gates")
    _print_table(report, verdict)
    if not verdict["passed"]:
        where = str(arguments.report) if arguments.report else "the table above; --report= keeps it"
        print("\n".join(failure_lines(verdict, where)), file=sys.stderr)
        return EXIT_GATE_FAILED
    return 0


def _summary(arguments: argparse.Namespace) -> dict | None:
    if not arguments.summary:
        return None
    from tools.report import read_json

    summary = read_json(arguments.summary)
    if not isinstance(summary, dict) or not isinstance(summary.get("artifact"), dict):
        raise InputError(
            f"{arguments.summary}: not a summary; quantize_model --summary_output= writes one"
        )
    return summary


if __name__ == "__main__":
    run(parser(), main, IMPORTS)
