"""Quantizes a float master with litert-quantizer's own int8 recipe, for comparison.

    stock_recipe.py --float_model=face.tflite --calibration_data=images/ --output_model=stock.tflite

The result goes through validate_quantized_model and measure_latency like any artifact.
"""

import argparse

from tools.command_line import new_parser, run, user_path, whole_file
from tools.samples.flags import add_input_flags, preprocessing_choice
from tools.samples.model_inputs import load_model_samples

_EXAMPLES = (
    "  stock_recipe --float_model=face.tflite --calibration_data=images/ --output_model=s.tflite"
)


def parser() -> argparse.ArgumentParser:
    result = new_parser("stock_recipe", "Quantizes with the library's own recipe.", _EXAMPLES)
    result.add_argument("--float_model", required=True, type=user_path, help="a float master")
    result.add_argument("--calibration_data", required=True, type=user_path, action="append")
    result.add_argument("--output_model", required=True, type=user_path, help="file to write")
    result.add_argument("--float_ends", action="store_true", help="keep input and output in float")
    add_input_flags(result)
    return result


def main(arguments: argparse.Namespace) -> int:
    from litert_quantizer import quantizer, recipe

    from tools.quantization.recipes import unquantized

    master = arguments.float_model.read_bytes()
    where, choice = str(arguments.float_model), preprocessing_choice(arguments)
    samples = load_model_samples(master, where, arguments.calibration_data, choice)
    entries = recipe.static_wi8_ai8()
    if arguments.float_ends:
        entries = [*entries, unquantized(".*", "INPUT"), unquantized(".*", "OUTPUT")]
    library = quantizer.Quantizer(master, entries)
    ranges = library.calibrate({"serving_default": list(samples)})
    with whole_file(arguments.output_model) as file:
        file.write(library.quantize(ranges).quantized_model)
    return 0


if __name__ == "__main__":
    run(parser(), main)
