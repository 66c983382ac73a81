"""Command: runs a float model over a part of a representative dataset, for quantize_model."""

import argparse
from pathlib import Path

from tools.command_line import new_parser, output_path, run, user_path, whole_file
from tools.float_master_flags import add_float_model_flags, float_master_of
from tools.progress import progress_bar
from tools.quantization.settings_flags import add_settings_flags, settings_of_flags
from tools.samples.flags import add_input_flags, preprocessing_choice

_EXAMPLES = """\
  calibrate_model --input_model=face.tflite --quantization_type=INT8 \\
      --calibration_data=first_half/ --statistics_output=first.npz
  calibrate_model --input_model=face.tflite --quantization_type=INT8 \\
      --calibration_data=second_half/ --statistics_output=second.npz
  quantize_model --input_model=face.tflite --quantization_type=INT8 \\
      --calibration_data=first_half/ --calibration_data=second_half/ \\
      --calibration_statistics=first.npz --calibration_statistics=second.npz \\
      --output_model=face_int8.tflite
"""

# What `main` imports when it runs.
IMPORTS = (
    "ai_edge_litert.interpreter",
    "tools.graph.float_master",
    "tools.quantization.pipeline",
    "tools.quantization.settings_file",
    "tools.samples.model_inputs",
    "tqdm",
)


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "calibrate_model",
        "Runs a float .tflite model over a part of a representative dataset, and keeps what "
        "its activations did.",
        _EXAMPLES,
    )
    add_float_model_flags(result, "--input_model", "a float .tflite file")
    add_settings_flags(result)
    result.add_argument(
        "--calibration_data",
        action="append",
        type=user_path,
        default=[],
        help="as quantize_model takes it, but a part; a folder may be empty; may be given "
        "several times",
    )
    add_input_flags(result)
    result.add_argument(
        "--statistics_output", required=True, type=output_path, help=".npz file to write"
    )
    return result


def _is_empty(path: Path) -> bool:
    """Says whether a path is a folder without samples, as shard_samples may make one."""
    return path.is_dir() and all(file.name.startswith(".") for file in path.iterdir())


def main(arguments: argparse.Namespace) -> int:
    from tools.graph.flatbuffer import read_bytes
    from tools.graph.soundness import refuse_unmeasurable
    from tools.quantization.activation_statistics import write_statistics
    from tools.quantization.calibration import gather_statistics, no_statistics
    from tools.quantization.pipeline import graph_to_calibrate
    from tools.samples.model_inputs import load_model_samples

    path = arguments.float_master or arguments.input_model
    where = str(path)
    settings = settings_of_flags(arguments)
    master = float_master_of(read_bytes(path), where, bool(arguments.float_master))
    model, _, _ = graph_to_calibrate(master, settings, where)
    refuse_unmeasurable(model)
    paths = [path for path in arguments.calibration_data if not _is_empty(path)]
    if paths:
        samples = load_model_samples(master, where, paths, preprocessing_choice(arguments))
        # Found first, what is decoded for them is there for the processes that calibrate.
        digests = samples.sample_digests
        bar = progress_bar()
        statistics = gather_statistics(
            model, samples, lambda done: bar("calibrating", done, len(samples))
        )
    else:
        statistics, digests = no_statistics(model), []
    with whole_file(arguments.statistics_output) as file:
        write_statistics(statistics, model, digests, file)
    return 0


if __name__ == "__main__":
    run(parser(), main, IMPORTS)
