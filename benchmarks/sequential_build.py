"""Makes what a build of quantized models makes, by calls one after the other.

With --stock, litert-quantizer's own recipes and calibration quantize the float masters
instead, and nothing is compared.
"""

import argparse
import contextlib
import io
from pathlib import Path

from tools import check_gates, make_float_master, quantize_model, validate_quantized_model
from tools.command_line import new_parser, run, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = """\
  sequential_build --plan=plan.json --output=artifacts/
  sequential_build --plan=plan.json --output=artifacts/ --stock

bazel run //benchmarks:build_times writes the plan.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser("sequential_build", "Quantizes models one after the other.", _EXAMPLES)
    result.add_argument("--plan", required=True, type=user_path, help="JSON: models and schemes")
    result.add_argument("--output", required=True, type=user_path, help="an empty folder")
    result.add_argument("--stock", action="store_true", help="by litert-quantizer's own API")
    return result


def _call(command, *words: str) -> None:
    status = command.main(command.parser().parse_args(words))
    if status:
        raise InputError(
            "build.failed", f"{command.__name__} {' '.join(words)}: exit status {status}"
        )


def _build(model: dict, schemes: dict[str, bool], output: Path) -> None:
    """Makes one model's float master, artifacts, reports and verdicts."""
    master = output / f"{model['name']}.tflite"
    _call(
        make_float_master,
        f"--input_model={model['source']}",
        f"--output_model={master}",
        f"--summary={master.with_suffix('.master.json')}",
    )
    for scheme, is_calibrated in schemes.items():
        name = f"{model['name']}_{scheme}"
        artifact, summary, report = (
            output / f"{name}.{ending}" for ending in ("tflite", "summary.json", "report.json")
        )
        samples = output / f"{name}.calibration_samples.json"
        data, known = [], []
        if is_calibrated:
            data = [
                f"--calibration_data={model['calibration']}",
                f"--calibration_samples_output={samples}",
            ]
            known = [f"--calibration_samples={samples}"]
        _call(
            quantize_model,
            f"--float_master={master}",
            f"--quantization_type={scheme.upper()}",
            f"--output_model={artifact}",
            f"--recipe_output={output / name}.recipe.json",
            f"--summary_output={summary}",
            *data,
        )
        _call(
            validate_quantized_model,
            f"--float_master={master}",
            f"--quantized_model={artifact}",
            f"--source_model={model['source']}",
            f"--summary={summary}",
            f"--name={name}",
            "--version=1",
            f"--test_data={model['test']}",
            f"--report={report}",
            "--report_only",
            *known,
        )
        _call(
            check_gates,
            f"--report={report}",
            f"--gates={model['gates']}/{name}.gates.json",
            f"--verdict={output / name}.verdict.json",
        )


def _quantize_as_the_library_does(model: dict, schemes: dict[str, bool], output: Path) -> None:
    from litert_quantizer import quantizer, recipe

    from tools.graph.flatbuffer import model_bytes, parse_model, read_bytes
    from tools.quantization.recipes import float16, unquantized
    from tools.samples.flags import PreprocessingChoice
    from tools.samples.model_inputs import load_model_samples

    float_ends = [unquantized(".*", "INPUT"), unquantized(".*", "OUTPUT")]
    recipes = {
        "dynamic": recipe.dynamic_wi8_afp32(),
        # The library has the algorithm, and no recipe of its own for it.
        "float16": [float16()],
        "int8": [*recipe.static_wi8_ai8(), *float_ends],
        "weight_only_int8": recipe.weight_only_wi8_afp32(),
    }
    # It leaves this deprecated list as it is while it numbers buffers anew.
    given = parse_model(read_bytes(Path(model["master"])))
    given.schema.metadataBuffer = None
    master = model_bytes(given)
    for scheme, is_calibrated in schemes.items():
        if scheme not in recipes:
            raise InputError(
                "scheme.unknown", f"{scheme}: the library has no recipe for it; leave it out"
            )
        ranges = None
        library = quantizer.Quantizer(master, recipes[scheme])
        if is_calibrated:
            paths = [Path(model["calibration"])]
            samples = load_model_samples(master, model["name"], paths, PreprocessingChoice())
            ranges = library.calibrate({"serving_default": list(samples)})
        with whole_file(output / f"{model['name']}_{scheme}.tflite") as file:
            file.write(library.quantize(ranges).quantized_model)


def main(arguments: argparse.Namespace) -> int:
    from tools.documents.json_file import read_json

    plan = read_json(arguments.plan)
    build = _quantize_as_the_library_does if arguments.stock else _build
    # The library prints bars and sizes of its own.
    with contextlib.redirect_stdout(io.StringIO()):
        for model in plan["models"]:
            build(model, plan["schemes"], arguments.output)
    return 0


if __name__ == "__main__":
    run(parser(), main)
