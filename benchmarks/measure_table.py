"""Measures artifacts beside what other quantizers make of the same float models and data.

Of each model come: the float master, this project's artifacts, litert-quantizer's stock
recipes (dynamic_wi8_afp32, weight_only_wi8_afp32, static_wi8_ai8 with float input and
output), and TensorFlow's own calibrator. All are compared on the same test data and timed
in turns in one process.
"""

import argparse
import contextlib
import dataclasses
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tools.command_line import new_parser, run, user_path
from tools.documents.json_file import read_json, rounded, write_json
from tools.errors import InputError

# What articles about MediaPipe's models say of each scheme: percent smaller, times as fast.
CLAIMS = {
    "dynamic": "48%, 1.5-2x",
    "float16": "50%",
    "int8": "75%, 2.8-3.6x",
}
_EXAMPLES = """\
  bazel run //benchmarks:table
  bazel run //benchmarks:table -- --models=face --json=table.json
"""


@dataclasses.dataclass
class Variant:
    """One model file of the table.

    Attributes:
      maker: "this project", "litert-quantizer" or "TensorFlow".
      name: of the artifact or recipe.
      scheme: of its weights and activations, "float" for the master.
      content: a whole .tflite file; None where its maker refused the model.
      refusal: why.
    """

    maker: str
    name: str
    scheme: str
    content: bytes | None
    refusal: str | None = None


def parser() -> argparse.ArgumentParser:
    result = new_parser("table", "Measures artifacts beside those of other quantizers.", _EXAMPLES)
    result.add_argument("--suite", required=True, type=Path, help=argparse.SUPPRESS)
    result.add_argument("--runfiles", required=True, type=Path, help=argparse.SUPPRESS)
    result.add_argument("--tensorflow_calibrator", required=True, type=Path, help=argparse.SUPPRESS)
    result.add_argument("--models", default=".*", help="regex: which models (default: all)")
    result.add_argument("--no_peers", action="store_true", help="this project's artifacts only")
    result.add_argument("--rounds", type=int, default=11, help="at least 9 (default: %(default)s)")
    result.add_argument("--threads", type=int, default=1, help="of each interpreter")
    result.add_argument("--json", type=user_path, help="file for the figures")
    return result


def _stock(master: bytes, samples) -> list[Variant]:
    """Applies the library's own recipes to a float master."""
    from litert_quantizer import quantizer, recipe

    from tools.graph.flatbuffer import model_bytes, parse_model
    from tools.quantization.recipe_application import quiet_library
    from tools.quantization.recipes import unquantized

    # It leaves this deprecated list as it is while it numbers buffers anew.
    given = parse_model(master)
    given.schema.metadataBuffer = None
    master = model_bytes(given)
    float_ends = [unquantized(".*", "INPUT"), unquantized(".*", "OUTPUT")]
    variants = []
    for name, scheme, entries in (
        ("dynamic_wi8_afp32", "dynamic", recipe.dynamic_wi8_afp32()),
        ("weight_only_wi8_afp32", "weight_only_int8", recipe.weight_only_wi8_afp32()),
        ("static_wi8_ai8", "int8", [*recipe.static_wi8_ai8(), *float_ends]),
    ):
        if scheme == "int8" and samples is None:
            continue
        try:
            # It prints bars and sizes of its own.
            with contextlib.redirect_stdout(io.StringIO()), quiet_library():
                library = quantizer.Quantizer(master, entries)
                ranges = None
                if scheme == "int8":
                    ranges = library.calibrate({"serving_default": list(samples)})
                content = bytes(library.quantize(ranges).quantized_model)
            variants.append(Variant("litert-quantizer", name, scheme, content))
        except (ValueError, RuntimeError, KeyError, IndexError) as error:
            reason = " ".join(str(error).split())[:100]
            variants.append(Variant("litert-quantizer", name, scheme, None, reason))
    return variants


def _tensorflow(model: dict, master: bytes, arguments: argparse.Namespace) -> Variant:
    """Runs TensorFlow's calibrator, in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "master.tflite"), Path(folder, "result.tflite")
        source.write_bytes(master)
        command = [
            str(arguments.tensorflow_calibrator),
            f"--float_model={source}",
            f"--output_model={result}",
            *(f"--calibration_data={arguments.runfiles / p}" for p in model["calibration"]),
            f"--input_mean={model['mean']}",
            f"--input_std={model['std']}",
            f"--input_resize={model['resize']}",
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error:" in line]
            reason = lines[-1].split("error:", 1)[1].strip() if lines else "it crashed"
            return Variant("TensorFlow", "Calibrator", "int8", None, reason)
        return Variant("TensorFlow", "Calibrator", "int8", result.read_bytes())


def _variants(model: dict, master: bytes, samples, arguments) -> list[Variant]:
    variants = [Variant("", "float master", "float", master)]
    for artifact in model["artifacts"]:
        content = (arguments.runfiles / artifact["model"]).read_bytes()
        variants.append(Variant("this project", artifact["name"], artifact["scheme"], content))
    if not arguments.no_peers:
        variants += _stock(master, samples)
        if samples is not None:
            variants.append(_tensorflow(model, master, arguments))
    return variants


def _samples(model: dict, master: bytes, use: str, arguments: argparse.Namespace):
    from tools.samples.flags import PreprocessingChoice
    from tools.samples.model_inputs import load_model_samples

    if not model[use]:
        return None
    choice = PreprocessingChoice(float(model["mean"]), float(model["std"]), model["resize"])
    paths = [arguments.runfiles / path for path in model[use]]
    return load_model_samples(master, model["name"], paths, choice)


def measure_model(model: dict, arguments: argparse.Namespace) -> list[dict]:
    """Makes the peers of one model, and measures all variants.

    Args:
      model: of the suite: name, float_model, task, mean, std, resize, calibration, test
        and artifacts, paths relative to the runfiles.
      arguments: of the command.

    Returns:
      A row a variant: model, maker, name, scheme, bytes, reduction (fraction), fps,
      speedup with its 95% interval (speedup_low, speedup_high), cosine (name of output
      to mean and worst), tasks; or refusal.
    """
    from tools.documents.document import to_json
    from tools.similarity.comparison import compare_outputs
    from tools.similarity.model_outputs import ModelOutputs

    master = (arguments.runfiles / model["float_model"]).read_bytes()
    calibration = _samples(model, master, "calibration", arguments)
    test = _samples(model, master, "test", arguments)
    task = read_json(arguments.runfiles / model["task"]) if model["task"] else None
    variants = _variants(model, master, calibration, arguments)
    rows, timed = [], []
    reference = ModelOutputs(master, model["name"])
    for variant in variants:
        row = {"model": model["name"], "maker": variant.maker, "name": variant.name}
        row["scheme"] = variant.scheme
        rows.append(row)
        if variant.content is None:
            row["refusal"] = variant.refusal
            continue
        row["bytes"] = len(variant.content)
        row["reduction"] = rounded(1 - len(variant.content) / len(master))
        try:
            outputs = ModelOutputs(variant.content, variant.name)
            similarity = to_json(compare_outputs(reference, outputs, test, task))
        except InputError as error:
            row["refusal"] = str(error)
            continue
        row["cosine"] = {
            output["name"]: {"mean": output["cosine_mean"], "worst": output["cosine_min"]}
            for output in similarity["outputs"]
        }
        row["tasks"] = similarity["tasks"]
        timed.append((row, variant.content))
    _time([row for row, _ in timed], [content for _, content in timed], arguments)
    return rows


def _time(rows: list[dict], contents: list[bytes], arguments: argparse.Namespace) -> None:
    """Measures models in turns, the first being what others are compared with."""
    from tools.latency.backend import Options
    from tools.latency.decision import median_bounds
    from tools.latency.devices import open_backend

    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{number}.tflite") for number in range(len(contents))]
        for file, content in zip(files, contents, strict=True):
            file.write_bytes(content)
        with open_backend("host", files, Options(arguments.threads)) as backend:
            rounds = [backend.measure_round(number) for number in range(arguments.rounds)]
    medians = np.array([[run.p50_ms for run in one.runs] for one in rounds])
    for row, own in zip(rows, medians.T, strict=True):
        ratios = medians[:, 0] / own
        low, high = median_bounds(ratios, 0.025)
        row["fps"] = rounded(1000 / float(np.median(own)), 5)
        row["speedup"] = rounded(float(np.median(ratios)), 4)
        row["speedup_low"], row["speedup_high"] = rounded(low, 4), rounded(high, 4)


def _task_text(tasks: list[dict]) -> str:
    """Puts a task's most telling figures in a few words."""
    words = []
    for task in tasks:
        for key, form in (
            ("score_error_mean", "score error {:.3f}"),
            ("box_error_px_mean", "box error {:.2f} px"),
            ("landmark_error_px_mean", "landmarks {:.2f} px"),
            ("iou_mean", "IoU {:.3f}"),
            ("soft_iou_mean", "soft IoU {:.3f}"),
        ):
            if task.get(key) is not None:
                words.append(form.format(task[key]))
    return ", ".join(words)


def print_rows(rows: list[dict]) -> None:
    """Prints one model's rows."""
    print(f"\n{rows[0]['model']}")
    print(
        f"  {'':45}{'bytes':>11}{'smaller':>9}{'FPS':>9}{'speed':>8}  {'interval':14}{'cosine':16}"
    )
    for row in rows:
        title = f"{row['maker']}: {row['name']}" if row["maker"] else row["name"]
        if "fps" not in row:
            size = f"{row['bytes']:>11,}" if "bytes" in row else f"{'':>11}"
            print(f"  {title:45}{size}  {row['refusal']}")
            continue
        cosines = "/".join(f"{value['mean']:.4f}".lstrip("0") for value in row["cosine"].values())
        interval = f"{row['speedup_low']:.2f}-{row['speedup_high']:.2f}"
        print(
            f"  {title:45}{row['bytes']:>11,}{row['reduction']:>9.1%}{row['fps']:>9.1f}"
            f"{row['speedup']:>7.2f}x  {interval:14}{cosines}  {_task_text(row['tasks'])}"
        )
        claim = CLAIMS.get(row["scheme"])
        if row["maker"] == "this project" and claim:
            print(f"    {'articles say: ' + claim:43}")


def main(arguments: argparse.Namespace) -> int:
    from tools.latency.decision import LEAST_ROUNDS
    from tools.latency.device import describe_host, usable_cpus

    if arguments.rounds < LEAST_ROUNDS:
        raise InputError("flag.value", f"--rounds={arguments.rounds}: give at least {LEAST_ROUNDS}")
    try:
        wanted = re.compile(arguments.models)
    except re.error as error:
        raise InputError(
            "flag.value", f"--models={arguments.models}: no regular expression: {error}"
        ) from None
    suite = read_json(arguments.suite)
    models = [model for model in suite if wanted.search(model["name"])]
    if not models:
        names = ", ".join(model["name"] for model in suite)
        raise InputError("flag.name", f"--models={arguments.models}: matches none of {names}")
    host = describe_host(arguments.threads, usable_cpus()[-arguments.threads :])
    print(f"{host['cpu']}, {arguments.threads} thread(s), {host['runtime']}")
    rows = []
    for model in models:
        if sys.stderr.isatty():
            print(f"measuring {model['name']}", file=sys.stderr)
        rows += measure_model(model, arguments)
        print_rows([row for row in rows if row["model"] == model["name"]])
        sys.stdout.flush()
    if arguments.json:
        document = {"claims": CLAIMS, "device": host, "kind": "rules_quantize.table"}
        write_json(arguments.json, document | {"rows": rows, "schema_version": 1})
    return 0


if __name__ == "__main__":
    run(parser(), main)
