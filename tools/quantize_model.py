"""Command: quantizes a float .tflite model, or the models of a .task bundle."""

import argparse
import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import re
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.command_line import new_parser, output_path, run, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = """\
  quantize_model --input_model=face.tflite --output_model=face_int8.tflite \\
      --quantization_type=INT8 --calibration_data=./calibration_images/
  quantize_model --input_model=face.tflite --output_model=face_fp16.tflite \\
      --quantization_type=FLOAT16
  quantize_model --input_model=net.tflite --output_model=net_int8.tflite \\
      --quantization_type=INT8 --calibration_data=samples.npz --recipe_output=recipe.json
  quantize_model --input_model=net.tflite --output_model=net_mixed.tflite \\
      --quantization_type=INT8 --calibration_data=samples.npz \\
      --keep_float=attention --layers='^conv_7;=weight_only_int4'
  quantize_model --input_model=net.tflite --output_model=net_mixed.tflite \\
      --settings=net.settings.json --calibration_data=samples.npz
  quantize_model --input_model=hand_landmarker.task --output_model=hand_landmarker_int8.task \\
      --quantization_type=INT8 --member=hand_detector.tflite=DYNAMIC \\
      --calibration_data=hand_landmarks_detector.tflite=./hand_crops/

The model that comes out takes and gives float32, as MediaPipe's graphs need, unless
--input_type and --output_type say otherwise. Patterns of layers are regular expressions,
searched in the names of an operator's outputs, each followed by ";".

Of a .task bundle every model is quantized, those of bundles in it too (their paths are like
hand_landmarker.task/hand_detector.tflite); what else it holds stays as it is.
"""

SUMMARY_SCHEMA_VERSION = 1
# What `load_model_samples` and `progress_bar` import when they run.
SAMPLE_IMPORTS = (
    "ai_edge_litert.interpreter",
    "tools.graph.model_metadata",
    "tools.samples.loading",
    "tqdm",
)
# What `main` imports.
IMPORTS = (
    *SAMPLE_IMPORTS,
    "tools.bundle.task_bundle",
    "tools.graph.float_master",
    "litert_quantizer.quantizer",
    "tools.quantization.pipeline",
    "tools.quantization.settings_file",
)
_TOOLS = ("ai-edge-litert", "litert-quantizer", "numpy", "pillow")


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


def _layer(text: str) -> tuple[str, str]:
    pattern, equals, scheme = text.rpartition("=")
    if not (pattern and equals and scheme):
        raise argparse.ArgumentTypeError(f"{text} is no REGEX=SCHEME")
    return pattern, scheme


def add_settings_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say how to quantize."""
    parser.add_argument(
        "--quantization_type",
        help="INT8 (also FULL_INTEGER), DYNAMIC, FLOAT16, WEIGHT_ONLY_INT8, WEIGHT_ONLY_INT4, "
        "MIXED, INT16X8, INT4, DYNAMIC_INT4, INT2, or BLOCKWISE_INT4_32, _64, _128, _256; may be "
        "left out where a settings file names it",
    )
    files = parser.add_mutually_exclusive_group()
    for flag, what in (
        ("--settings", "file that says how to quantize: settings JSON, layer_params, or a recipe"),
        ("--recipe", "the same; litert-quantizer's recipes are applied as they stand"),
    ):
        files.add_argument(flag, dest="settings", type=user_path, help=what)
    parser.add_argument(
        "--layers",
        action="append",
        type=_layer,
        default=[],
        metavar="REGEX=SCHEME",
        help="scheme of the operators that the pattern matches, such as weight_only_int4 or "
        "float; may be given several times, later ones go over earlier ones",
    )
    parser.add_argument(
        "--keep_float",
        action="append",
        default=[],
        metavar="REGEX",
        help="the same as --layers=REGEX=float, after those",
    )
    for end in ("input", "output"):
        parser.add_argument(
            f"--{end}_type",
            choices=("float32", "int8", "uint8"),
            help=f"of the artifact's {end}s (default: float32)",
        )


def read_settings_flags(arguments: argparse.Namespace):
    """Reads the flags of `add_settings_flags`.

    Returns:
      A tools.quantization.settings.QuantizationSettings.

    Raises:
      InputError: when they contradict each other, or a file cannot be used.
    """
    from tools.quantization.settings_file import read_settings

    layers = arguments.layers + [(pattern, "float") for pattern in arguments.keep_float]
    return read_settings(
        arguments.settings,
        arguments.quantization_type,
        tuple(layers),
        arguments.input_type,
        arguments.output_type,
    )


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "quantize_model", "Quantizes a float .tflite model, and says what it did.", _EXAMPLES
    )
    result.add_argument(
        "--input_model", required=True, type=user_path, help="a float .tflite, or a .task bundle"
    )
    result.add_argument(
        "--output_model",
        type=output_path,
        help="file to write; without it, --prepared_output stops before anything is quantized",
    )
    add_settings_flags(result)
    result.add_argument(
        "--calibration_data",
        action="append",
        default=[],
        metavar="[MEMBER=]PATH",
        help="representative dataset, for schemes that quantize activations: a folder or file "
        "of images, .npy or .npz; may be given several times. A bundle's models have each their "
        "own, and PATH alone is for those that no other names",
    )
    result.add_argument(
        "--member",
        action="append",
        default=[],
        metavar="MEMBER=HOW",
        help="how one model of a bundle is quantized: a scheme, a settings file, or keep",
    )
    result.add_argument(
        "--calibration_statistics",
        action="append",
        type=user_path,
        default=[],
        help="what calibrate_model wrote of a part of the calibration data, which is then not "
        "run again; give those of all parts",
    )
    add_input_flags(result)
    result.add_argument(
        "--recipe_output", type=output_path, help="file for the recipe, in litert-quantizer's form"
    )
    result.add_argument(
        "--settings_output", type=output_path, help="JSON file: every choice that was made"
    )
    result.add_argument("--summary_output", type=output_path, help="JSON file: what was done")
    result.add_argument(
        "--prepared_output",
        type=output_path,
        help="file for the float graph as it was prepared, for layer_report",
    )
    return result


def tool_versions() -> dict[str, str]:
    """Names the versions that a model's bytes depend on; Python's is none of them."""
    return {name: importlib.metadata.version(name) for name in _TOOLS}


def _preprocessing(arguments: argparse.Namespace, master: bytes):
    """Finds how pixels become the model's input: by flags, metadata, or the usual way."""
    from tools.graph.model_metadata import normalization
    from tools.samples.loading import Preprocessing

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
    return Preprocessing(mean, std, arguments.input_resize)


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
    from tools.quantization.calibration import input_specifications
    from tools.samples.loading import InputSpec, load_samples

    inputs = [
        InputSpec(name, shape, dtype)
        for name, shape, dtype in input_specifications(master, str(arguments.input_model))
    ]
    return load_samples(paths, inputs, _preprocessing(arguments, master))


def _with_pixel_ranges(arguments: argparse.Namespace, master: bytes, settings):
    """Gives an image input of integers the range of all pixels, so that it takes bytes.

    Of the samples alone the range would be a little less, and a pixel's byte would not
    be the input's.
    """
    from tools.graph.flatbuffer import parse_model, shape_of, tensor_name
    from tools.graph.topology import Topology

    preprocessing = _preprocessing(arguments, master)
    low, high = ((pixel - preprocessing.mean) / preprocessing.std for pixel in (0, 255))
    graph = Topology(parse_model(master))
    shapes = {tensor_name(graph.tensor(i)): shape_of(graph.tensor(i)) for i in graph.inputs}
    images = sorted(n for n, shape in shapes.items() if len(shape) == 4 and shape[-1] in (1, 3))
    tensors = tuple((f"^{re.escape(name)}$", low, high) for name in images)
    ranges = dataclasses.replace(settings.ranges, tensors=tensors + settings.ranges.tensors)
    return dataclasses.replace(settings, ranges=ranges)


def progress_bar():
    """Makes a callback that draws a bar on a terminal, for work of over two seconds."""
    from tqdm import tqdm

    # Its own lock is for bars of several processes: a semaphore, which Python 3.14 warns of when a
    # worker's request ends.
    tqdm.set_lock(threading.RLock())
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


def _gather_from(files: list[Path], samples):
    """Makes what reads statistics where `quantize` would gather them."""
    from tools.quantization.activation_statistics import read_statistics

    def gather(model, *_):
        with contextlib.ExitStack() as stack:
            opened = [(str(path), stack.enter_context(path.open("rb"))) for path in files]
            return read_statistics(opened, model, samples.sample_digests)

    return gather


def _identity(content: bytes) -> dict:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@dataclasses.dataclass(frozen=True)
class _Quantized:
    """A model and what it was made from.

    Attributes:
      master: the float master.
      prepared: the tools.quantization.pipeline.Prepared.
      result: the tools.quantization.pipeline.QuantizationResult.
    """

    master: bytes
    prepared: Any
    result: Any

    def summary(self) -> dict:
        """Says what was done, for the report."""
        from tools.quantization.recipes import recipe_sha256

        prepared, result = self.prepared, self.result
        samples = prepared.data and prepared.data.samples
        return {
            "artifact": _identity(result.model),
            "calibration": samples
            and {"digest": samples.digest, "files": samples.files, "samples": len(samples)},
            "float_master": _identity(self.master),
            "float_tensors": result.float_tensors,
            "passes": result.passes,
            "recipe": {"entries": len(result.recipe), "sha256": recipe_sha256(result.recipe)},
            "schema_version": SUMMARY_SCHEMA_VERSION,
            "scheme": prepared.settings.scheme,
            "tools": tool_versions(),
            "warnings": result.warnings,
        }


def _prepare(arguments: argparse.Namespace, master: bytes, settings, calibration: list[str]):
    """Prepares the master of the model that `arguments.input_model` names.

    Returns:
      A tools.quantization.pipeline.Prepared.
    """
    from tools.quantization.passes import CalibrationData
    from tools.quantization.pipeline import prepare

    data = None
    if calibration and settings.needs_calibration:
        samples = load_model_samples(arguments, master, [user_path(path) for path in calibration])
        if settings.input_type != "float32" and samples.are_images:
            settings = _with_pixel_ranges(arguments, master, settings)
        if arguments.summary_output:
            # The summary names the data by it. Found first, what is decoded for it is there
            # for the processes that calibrate.
            _ = samples.digest
        data = CalibrationData(samples, progress_bar())
        if arguments.calibration_statistics:
            gather = _gather_from(arguments.calibration_statistics, samples)
            data = dataclasses.replace(data, gather=gather)
    return prepare(master, settings, data, str(arguments.input_model))


def _finish(master: bytes, prepared) -> _Quantized:
    """Makes the artifact of what `_prepare` returns, and tells of its warnings."""
    from tools.quantization.pipeline import finish

    result = finish(prepared)
    for warning in result.warnings:
        print(f"quantize_model: warning: {prepared.model.where}: {warning}", file=sys.stderr)
    return _Quantized(master, prepared, result)


def _print_sizes(name: str, original_bytes: int, made: _Quantized) -> None:
    smaller = 1 - len(made.result.model) / original_bytes
    against_master = 1 - len(made.result.model) / len(made.master)
    print(
        f"  {smaller:.1%} smaller than {name} ({original_bytes:,} bytes), "
        f"{against_master:.1%} than its fp32 form ({len(made.master):,} bytes)"
    )
    for entry in made.result.passes:
        print(f"  {entry['name']}: {entry['detail']}")


def _settings_of_members(arguments: argparse.Namespace, models: Iterable[str]) -> dict:
    """Reads how each model of a bundle is to be quantized; None for those that stay."""
    from tools.bundle.member_flags import one_by_member
    from tools.quantization.scheme_names import SCHEMES

    where = str(arguments.input_model)
    how = one_by_member("member", arguments.member, list(models), where)
    result = {}
    for model in models:
        given = how.get(model)
        if given == "keep":
            result[model] = None
            continue
        one = argparse.Namespace(**vars(arguments))
        if given is not None:
            is_scheme = given.upper() in SCHEMES
            one.quantization_type = given if is_scheme else None
            one.settings = None if is_scheme else user_path(given)
        result[model] = read_settings_flags(one)
    return result


def _quantize_bundle(arguments: argparse.Namespace, content: bytes) -> int:
    """Quantizes every model of a bundle by its own settings."""
    from tools.bundle.member_flags import by_member
    from tools.bundle.task_bundle import (
        models_of,
        read_task_bundle,
        replace_models,
        task_bundle_bytes,
    )
    from tools.graph.float_master import make_float_master

    where = str(arguments.input_model)
    for flag in (
        "layers",
        "keep_float",
        "calibration_statistics",
        "recipe_output",
        "settings_output",
        "prepared_output",
    ):
        if getattr(arguments, flag):
            raise InputError(
                f"{where}: --{flag} is about one model and this is a bundle; --member=MEMBER=FILE "
                "gives a model settings of its own, unpack_task_bundle takes one out"
            )
    members = read_task_bundle(content, where)
    models = models_of(members, where)
    if not models:
        raise InputError(f"{where}: no member of the bundle is a TFLite model")
    settings = _settings_of_members(arguments, models)
    calibration = by_member("calibration_data", arguments.calibration_data, list(models), where)
    made: dict[str, _Quantized] = {}

    def quantized(path: str, original: bytes) -> bytes:
        if settings[path] is None:
            return original
        one = argparse.Namespace(**vars(arguments) | {"input_model": f"{where}/{path}"})
        try:
            master, _ = make_float_master(original, one.input_model)
            prepared = _prepare(one, master, settings[path], calibration.get(path, []))
            made[path] = _finish(master, prepared)
        except InputError as error:
            raise InputError(f"{error} (--member={path}=keep leaves it as it is)") from None
        return made[path].result.model

    bundle = task_bundle_bytes(replace_models(members, quantized, where), where)
    with whole_file(arguments.output_model) as file:
        file.write(bundle)
    if arguments.summary_output:
        summary = {
            "artifact": _identity(bundle),
            "members": {path: one.summary() for path, one in made.items()},
            "schema_version": SUMMARY_SCHEMA_VERSION,
            "source": _identity(content),
        }
        with whole_file(arguments.summary_output, "w") as file:
            file.write(json.dumps(summary, indent=2, sort_keys=True) + "\n")
        return 0
    print(f"{arguments.output_model}: {len(bundle):,} bytes")
    print(f"  {1 - len(bundle) / len(content):.1%} smaller than {arguments.input_model.name}")
    for path, model in models.items():
        if path in made:
            one = made[path]
            print(f"{path}: {one.prepared.settings.scheme}, {len(one.result.model):,} bytes")
            _print_sizes(path, len(model), one)
        else:
            print(f"{path}: kept, {len(model):,} bytes")
    return 0


def main(arguments: argparse.Namespace) -> int:
    from tools.bundle.task_bundle import is_task_bundle
    from tools.graph.flatbuffer import read_bytes
    from tools.graph.float_master import make_float_master
    from tools.quantization.recipes import recipe_text
    from tools.quantization.settings import settings_text

    if not (arguments.output_model or arguments.prepared_output):
        raise InputError("give --output_model, the file to write")
    if arguments.summary_output and not arguments.output_model:
        raise InputError("--summary_output tells of the artifact; give --output_model as well")
    original = read_bytes(arguments.input_model)
    if is_task_bundle(original):
        return _quantize_bundle(arguments, original)
    if arguments.member:
        raise InputError(f"{arguments.input_model}: no task bundle, so it has no --member")
    settings = read_settings_flags(arguments)
    original_bytes = len(original)
    master, _ = make_float_master(original, str(arguments.input_model))
    # Of a large model, one copy less.
    del original
    prepared = _prepare(arguments, master, settings, arguments.calibration_data)
    made = _finish(master, prepared) if arguments.output_model else None
    if arguments.prepared_output:
        with whole_file(arguments.prepared_output) as file:
            file.write(prepared.content())
    if made:
        with whole_file(arguments.output_model) as file:
            file.write(made.result.model)
    if arguments.recipe_output:
        with whole_file(arguments.recipe_output, "w") as file:
            file.write(recipe_text(prepared.recipe))
    if arguments.settings_output:
        with whole_file(arguments.settings_output, "w") as file:
            file.write(settings_text(prepared.settings))
    if arguments.summary_output:
        with whole_file(arguments.summary_output, "w") as file:
            file.write(json.dumps(made.summary(), indent=2, sort_keys=True) + "\n")
    # Inside a build nobody reads this; a person who typed the command does.
    if made and not arguments.summary_output:
        size = len(made.result.model)
        print(f"{arguments.output_model}: {settings.scheme}, {size:,} bytes")
        _print_sizes(arguments.input_model.name, original_bytes, made)
    return 0


if __name__ == "__main__":
    run(parser(), main, IMPORTS)
