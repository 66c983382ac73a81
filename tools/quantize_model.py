"""Command: quantizes a float .tflite model, or the models of a .task bundle."""

import argparse
import contextlib
import dataclasses
import hashlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.command_line import new_parser, output_path, path_of_part, run, user_path, whole_file
from tools.documents.document import from_json, write_document
from tools.documents.json_file import significant
from tools.documents.known_samples import KnownSamples
from tools.documents.models import (
    DataIdentity,
    FileIdentity,
    FloatTensor,
    PassEntry,
    RecipeIdentity,
    SpeedEstimate,
)
from tools.documents.summary import BundleSummary, Summary
from tools.errors import InputError
from tools.float_master_flags import add_float_model_flags, float_master_of
from tools.progress import progress_bar
from tools.quantization.settings_flags import add_settings_flags, settings_of_flags
from tools.samples.flags import add_input_flags, preprocessing_choice
from tools.tool_versions import tool_versions

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

# What `main` imports when it runs.
IMPORTS = (
    "ai_edge_litert.interpreter",
    "litert_quantizer.quantizer",
    "tools.bundle.task_bundle",
    "tools.graph.float_master",
    "tools.quantization.pipeline",
    "tools.quantization.settings_file",
    "tools.samples.model_inputs",
    "tqdm",
)


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "quantize_model", "Quantizes a float .tflite model, and says what it did.", _EXAMPLES
    )
    add_float_model_flags(result, "--input_model", "a float .tflite, or a .task bundle")
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
        type=path_of_part,
        metavar="[MEMBER=]PATH",
        help="representative dataset: a folder or file of images, .npy or .npz; may be given "
        "several times. Schemes that quantize activations need it, others but FLOAT16 correct "
        "weights by it. A bundle's models have each their "
        "own, and PATH alone is for those that no other names",
    )
    result.add_argument(
        "--member",
        action="append",
        default=[],
        type=path_of_part,
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
        "--calibration_samples_output",
        type=output_path,
        help="JSON file: the calibration data's samples by digest, for validate_quantized_model",
    )
    result.add_argument(
        "--prepared_output",
        type=output_path,
        help="file for the float graph as it was prepared, for layer_report",
    )
    return result


def _with_pixel_ranges(settings, master: bytes, preprocessing):
    """Gives an image input of integers the range of all pixels, so that it takes bytes.

    Of the samples alone the range would be a little less, and a pixel's byte would not
    be the input's.
    """
    from tools.graph.flatbuffer import parse_model, shape_of, tensor_name
    from tools.graph.topology import Topology

    low, high = ((pixel - preprocessing.mean) / preprocessing.std for pixel in (0, 255))
    graph = Topology(parse_model(master))
    shapes = {tensor_name(graph.tensor(i)): shape_of(graph.tensor(i)) for i in graph.inputs}
    images = sorted(n for n, shape in shapes.items() if len(shape) == 4 and shape[-1] in (1, 3))
    tensors = tuple((f"^{re.escape(name)}$", low, high) for name in images)
    ranges = dataclasses.replace(settings.ranges, tensors=tensors + settings.ranges.tensors)
    return dataclasses.replace(settings, ranges=ranges)


def _gather_from(files: list[Path], samples):
    """Makes what reads statistics where `quantize` would gather them."""
    from tools.quantization.activation_statistics import read_statistics

    def gather(model, *_):
        with contextlib.ExitStack() as stack:
            opened = [(str(path), stack.enter_context(path.open("rb"))) for path in files]
            return read_statistics(opened, model, samples.sample_digests)

    return gather


def _identity(content: bytes) -> FileIdentity:
    return FileIdentity(len(content), hashlib.sha256(content).hexdigest())


def _speed_estimate(speed: Any) -> SpeedEstimate:
    """Puts a tools.quantization.speed_estimate.Speed in the summary's words."""
    estimate = speed.estimate
    return SpeedEstimate(
        delegated=len(speed.delegation.taken),
        outside=speed.delegation.fallback,
        partitions=speed.delegation.partitions,
        # No estimate is good for more.
        time_by_float_avx2=significant(estimate.avx2, 2) if estimate else None,
        time_by_float_vnni=significant(estimate.vnni, 2) if estimate else None,
    )


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

    def summary(self) -> Summary:
        """Says what was done, for the report."""
        from tools.quantization.recipes import recipe_sha256

        prepared, result = self.prepared, self.result
        calibration = None
        if prepared.data:
            samples = prepared.data.samples
            calibration = DataIdentity(samples.digest, samples.files, len(samples))
        return Summary(
            artifact=_identity(result.model),
            calibration=calibration,
            float_master=_identity(self.master),
            float_tensors=tuple(
                from_json(FloatTensor, entry, "float tensors") for entry in result.float_tensors
            ),
            passes=tuple(from_json(PassEntry, entry, "passes") for entry in result.passes),
            recipe=RecipeIdentity(len(result.recipe), recipe_sha256(result.recipe)),
            scheme=prepared.settings.scheme,
            tools=tool_versions(),
            warnings=tuple(result.warnings),
            speed=_speed_estimate(result.speed) if result.speed else None,
        )


def _calibration_samples(
    arguments: argparse.Namespace, master: bytes, where: str, calibration: list[str]
):
    """Loads the representative dataset of a float master; see `_prepare`.

    Returns:
      A tools.samples.loading.SampleSet.
    """
    from tools.samples.model_inputs import load_model_samples

    paths = [user_path(path) for path in calibration]
    samples = load_model_samples(master, where, paths, preprocessing_choice(arguments))
    if arguments.summary_output or arguments.calibration_samples_output:
        # What is written names the data by it. Found first, what is decoded for it is there
        # for the processes that calibrate.
        _ = samples.digest
    return samples


def _prepare(arguments: argparse.Namespace, master: bytes, where: str, settings, samples):
    """Prepares a float master.

    Args:
      arguments: the command line; which model is meant `master` says, one of a bundle most often.
      master: the float master.
      where: how messages name it.
      settings: tools.quantization.settings.QuantizationSettings.
      samples: the representative dataset; None where there is none, or none is needed.

    Returns:
      A tools.quantization.pipeline.Prepared.
    """
    from tools.quantization.passes import CalibrationData
    from tools.quantization.pipeline import prepare
    from tools.samples.model_inputs import preprocessing_for

    data = None
    if samples is not None:
        if settings.input_type != "float32" and samples.are_images:
            preprocessing = preprocessing_for(master, preprocessing_choice(arguments))
            settings = _with_pixel_ranges(settings, master, preprocessing)
        data = CalibrationData(samples, progress_bar())
        if arguments.calibration_statistics:
            gather = _gather_from(arguments.calibration_statistics, samples)
            data = dataclasses.replace(data, gather=gather)
    return prepare(master, settings, data, where)


def _finish(master: bytes, prepared, original_bytes: int) -> _Quantized:
    """Makes the artifact of what `_prepare` returns, and tells of its warnings.

    Args:
      master: the float master.
      prepared: what `_prepare` returns.
      original_bytes: of the file that the float master was made from. It may hold weights in
        float16, or less else.

    Returns:
      The artifact, smaller than the float master.
    """
    from tools.quantization.pipeline import finish

    result = finish(prepared)
    size = len(result.model)
    if size >= original_bytes:
        warning = (
            f"the artifact is no smaller than the file that was given ({original_bytes:,} to "
            f"{size:,} bytes), only than its fp32 form ({len(master):,} bytes)"
        )
        result = dataclasses.replace(result, warnings=[*result.warnings, warning])
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
    from tools.quantization.settings_file import read_settings

    where = str(arguments.input_model)
    how = one_by_member("member", arguments.member, list(models), where)
    result: dict[str, Any] = {}
    for model in models:
        given = how.get(model)
        if given == "keep":
            result[model] = None
        elif given is None:
            result[model] = settings_of_flags(arguments)
        else:
            is_scheme = given.upper() in SCHEMES
            result[model] = read_settings(
                None if is_scheme else user_path(given),
                given if is_scheme else None,
                (),
                arguments.input_type,
                arguments.output_type,
                arguments.runs_on,
            )
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
        "calibration_samples_output",
        "calibration_statistics",
        "recipe_output",
        "settings_output",
        "prepared_output",
    ):
        if getattr(arguments, flag):
            raise InputError(
                "flag.conflict",
                f"{where}: --{flag} is about one model and this is a bundle; --member=MEMBER=FILE "
                "gives a model settings of its own, unpack_task_bundle takes one out",
            )
    members = read_task_bundle(content, where)
    models = models_of(members, where)
    if not models:
        raise InputError("bundle.empty", f"{where}: no member of the bundle is a TFLite model")
    settings = _settings_of_members(arguments, models)
    calibration = by_member("calibration_data", arguments.calibration_data, list(models), where)
    made: dict[str, _Quantized] = {}

    def quantized(path: str, original: bytes) -> bytes:
        if settings[path] is None:
            return original
        name = f"{where}/{path}"
        try:
            master, _ = make_float_master(original, name)
            samples = None
            if path in calibration and settings[path].uses_calibration:
                samples = _calibration_samples(arguments, master, name, calibration[path])
            prepared = _prepare(arguments, master, name, settings[path], samples)
            made[path] = _finish(master, prepared, len(original))
        except InputError as error:
            raise InputError(
                error.code, f"{error} (--member={path}=keep leaves it as it is)"
            ) from None
        return made[path].result.model

    bundle = task_bundle_bytes(replace_models(members, quantized, where), where)
    with whole_file(arguments.output_model) as file:
        file.write(bundle)
    if arguments.summary_output:
        summaries = {path: one.summary() for path, one in made.items()}
        summary = BundleSummary(_identity(bundle), summaries, _identity(content))
        write_document(arguments.summary_output, summary)
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
    from tools.quantization.recipes import recipe_text
    from tools.quantization.settings import settings_text

    if not (arguments.output_model or arguments.prepared_output):
        raise InputError("flag.missing", "give --output_model, the file to write")
    if arguments.calibration_samples_output and not arguments.calibration_data:
        raise InputError(
            "flag.missing", "--calibration_samples_output lists the samples of --calibration_data"
        )
    if arguments.summary_output and not arguments.output_model:
        raise InputError(
            "flag.missing", "--summary_output tells of the artifact; give --output_model as well"
        )
    path = arguments.float_master or arguments.input_model
    where = str(path)
    original = read_bytes(path)
    if arguments.input_model and is_task_bundle(original):
        return _quantize_bundle(arguments, original)
    if arguments.member:
        raise InputError("bundle.kind", f"{where}: no task bundle, so it has no --member")
    settings = settings_of_flags(arguments)
    original_bytes = len(original)
    master = float_master_of(original, where, bool(arguments.float_master))
    # Of a large model, one copy less.
    del original
    samples, listed = None, arguments.calibration_samples_output
    if arguments.calibration_data and (settings.uses_calibration or listed):
        samples = _calibration_samples(arguments, master, where, arguments.calibration_data)
    used = samples if settings.uses_calibration else None
    prepared = _prepare(arguments, master, where, settings, used)
    made = _finish(master, prepared, original_bytes) if arguments.output_model else None
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
    if listed and samples is not None:
        write_document(listed, KnownSamples.of(samples.names, samples.sample_digests))
    if made and arguments.summary_output:
        write_document(arguments.summary_output, made.summary())
    # Inside a build nobody reads this; a person who typed the command does.
    if made and not arguments.summary_output:
        size = len(made.result.model)
        print(f"{arguments.output_model}: {settings.scheme}, {size:,} bytes")
        _print_sizes(path.name, original_bytes, made)
    return 0


if __name__ == "__main__":
    run(parser(), main, IMPORTS)
