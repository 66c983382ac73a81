"""Command: quantizes a float .tflite model."""

import argparse
import hashlib
import importlib.metadata
import json
import platform
import sys
from pathlib import Path

from tools.command_line import new_parser, run, user_path, whole_file

_EXAMPLES = """\
  quantize_model --input_model=face.tflite --output_model=face_int8.tflite \\
      --quantization_type=INT8 --calibration_data=./calibration_images/
  quantize_model --input_model=face.tflite --output_model=face_fp16.tflite \\
      --quantization_type=FLOAT16
  quantize_model --input_model=net.tflite --output_model=net_int8.tflite \\
      --quantization_type=INT8 --calibration_data=samples.npz --recipe_output=recipe.json

The model that comes out takes and gives float32, as MediaPipe's graphs need.
"""

SUMMARY_SCHEMA_VERSION = 1
_TOOLS = ("ai-edge-litert", "ai-edge-quantizer", "numpy", "pillow")


def add_input_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say how an image becomes the model's input."""
    parser.add_argument(
        "--input_mean",
        type=float,
        help="subtracted from each pixel (default: the model's metadata, else 127.5)",
    )
    parser.add_argument(
        "--input_std",
        type=float,
        help="what the difference is divided by (default: the model's metadata, else 127.5)",
    )
    parser.add_argument(
        "--input_resize",
        choices=("letterbox", "stretch", "center_crop"),
        default="letterbox",
        help="how an image of another shape becomes the input (default: %(default)s)",
    )


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "quantize_model", "Quantizes a float .tflite model, and says what it did.", _EXAMPLES
    )
    result.add_argument("--input_model", required=True, type=user_path, help="a float .tflite file")
    result.add_argument("--output_model", required=True, type=user_path, help="file to write")
    result.add_argument(
        "--quantization_type",
        required=True,
        help="INT8 (also FULL_INTEGER), DYNAMIC, FLOAT16 or WEIGHT_ONLY_INT8",
    )
    result.add_argument(
        "--calibration_data",
        action="append",
        type=user_path,
        default=[],
        help="representative dataset for INT8: a folder or file of images, .npy or .npz; "
        "may be given several times",
    )
    add_input_flags(result)
    result.add_argument(
        "--recipe_output", type=user_path, help="file for the recipe, in ai-edge-quantizer's form"
    )
    result.add_argument("--summary_output", type=user_path, help="JSON file: what was done")
    return result


def tool_versions() -> dict[str, str]:
    """Names the versions that a model's bytes depend on."""
    versions = {name: importlib.metadata.version(name) for name in _TOOLS}
    return versions | {"python": ".".join(platform.python_version_tuple()[:2])}


def load_model_samples(arguments: argparse.Namespace, master: bytes, paths: list[Path]):
    """Loads images or arrays as the model's inputs.

    Args:
      arguments: with the flags of `add_input_flags`.
      master: the float master.
      paths: files or folders.

    Returns:
      A tools.samples.loading.SampleSet.

    Raises:
      InputError: when the data cannot be used.
    """
    from tools.graph.input_normalization import normalization
    from tools.quantization.calibration import input_specifications
    from tools.samples.loading import InputSpec, Preprocessing, load_samples

    stated = normalization(master)
    if stated is None and None in (arguments.input_mean, arguments.input_std):
        stated = (127.5, 127.5)
        if sys.stderr.isatty():
            print(
                "The model's metadata does not say how its input is normalised: taking "
                "(pixel - 127.5) / 127.5; --input_mean and --input_std say otherwise.",
                file=sys.stderr,
            )
    mean = arguments.input_mean if arguments.input_mean is not None else stated[0]
    std = arguments.input_std if arguments.input_std is not None else stated[1]
    inputs = [
        InputSpec(name, shape, dtype)
        for name, shape, dtype in input_specifications(master, str(arguments.input_model))
    ]
    return load_samples(paths, inputs, Preprocessing(mean, std, arguments.input_resize))


def progress_bar():
    """Makes a callback that draws a bar on a terminal, for work of over two seconds."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in bars:
            bars[what] = tqdm(
                total=total, desc=what, delay=2, leave=False, disable=not sys.stderr.isatty()
            )
        bars[what].update(done - bars[what].n)
        if done == total:
            bars.pop(what).close()

    return show


def _identity(content: bytes) -> dict:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def main(arguments: argparse.Namespace) -> int:
    from tools.graph.flatbuffer import read_bytes
    from tools.graph.float_master import make_float_master
    from tools.quantization.pipeline import quantize
    from tools.quantization.recipes import recipe_sha256, recipe_text
    from tools.quantization.settings import QuantizationSettings

    where = str(arguments.input_model)
    settings = QuantizationSettings(arguments.quantization_type)
    scheme = settings.scheme
    original = read_bytes(arguments.input_model)
    master, _ = make_float_master(original, where)
    samples = None
    if arguments.calibration_data and scheme == "int8":
        samples = load_model_samples(arguments, master, arguments.calibration_data)
    result = quantize(master, settings, samples, progress_bar(), where)
    with whole_file(arguments.output_model) as file:
        file.write(result.model)
    if arguments.recipe_output:
        with whole_file(arguments.recipe_output, "w") as file:
            file.write(recipe_text(result.recipe))
    if arguments.summary_output:
        summary = {
            "artifact": _identity(result.model),
            "calibration": samples
            and {"digest": samples.digest, "files": samples.files, "samples": len(samples)},
            "float_master": _identity(master),
            "float_tensors": result.float_tensors,
            "passes": result.passes,
            "recipe": {"entries": len(result.recipe), "sha256": recipe_sha256(result.recipe)},
            "schema_version": SUMMARY_SCHEMA_VERSION,
            "scheme": scheme,
            "tools": tool_versions(),
        }
        with whole_file(arguments.summary_output, "w") as file:
            file.write(json.dumps(summary, indent=2, sort_keys=True) + "\n")
    # Inside a build nobody reads this; a person who typed the command does.
    if not arguments.summary_output:
        smaller = 1 - len(result.model) / len(original)
        against_master = 1 - len(result.model) / len(master)
        print(f"{arguments.output_model}: {scheme}, {len(result.model):,} bytes")
        print(
            f"  {smaller:.1%} smaller than {arguments.input_model.name} ({len(original):,} bytes), "
            f"{against_master:.1%} than its fp32 form ({len(master):,} bytes)"
        )
        for entry in result.passes:
            print(f"  {entry['name']}: {entry['detail']}")
    return 0


if __name__ == "__main__":
    run(parser(), main)
