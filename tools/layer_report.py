"""Command: says which layers of a quantized model lose what, against the float model."""

import argparse

from tools.command_line import new_parser, output_path, run, user_path, whole_file
from tools.float_master_flags import add_float_model_flags, float_master_of
from tools.progress import progress_bar
from tools.samples.flags import add_input_flags, preprocessing_choice

_EXAMPLES = """\
  layer_report --float_model=face.tflite --quantized_model=face_int8.tflite \\
      --test_data=test_images/
  quantize_model --input_model=face.tflite --output_model=face_int8.tflite \\
      --quantization_type=INT8 --calibration_data=images/ --prepared_output=prepared.tflite
  layer_report --float_model=face.tflite --quantized_model=face_int8.tflite \\
      --prepared_model=prepared.tflite --test_data=test_images/ --html=layers.html

Without --prepared_model each channel of the artifact is brought to the float model's scale
by a power of two (docs/how-to/find_the_layer.md). Prints a table; --json and --html write files.
"""

# What `main` imports when it runs.
IMPORTS = (
    "ai_edge_litert.interpreter",
    "tools.graph.float_master",
    "tools.samples.model_inputs",
    "tools.similarity.layer_page",
    "tqdm",
)


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "layer_report",
        "Compares the layers of a quantized model with those of the float model.",
        _EXAMPLES,
    )
    add_float_model_flags(result, "--float_model", "a float .tflite")
    result.add_argument("--quantized_model", required=True, type=user_path, help="the artifact")
    result.add_argument(
        "--prepared_model",
        type=user_path,
        help="the float graph as it was prepared, from quantize_model --prepared_output=",
    )
    result.add_argument(
        "--test_data",
        required=True,
        action="append",
        type=user_path,
        help="a folder or file of images, .npy or .npz; may be given several times",
    )
    add_input_flags(result)
    result.add_argument(
        "--samples",
        type=int,
        default=16,
        help="how many samples, spread over all (default: %(default)s)",
    )
    result.add_argument("--json", type=output_path, help="file for the report as JSON")
    result.add_argument(
        "--html", type=output_path, help="file for the report as a page with a plot"
    )
    result.add_argument(
        "--table", type=output_path, help="file for the table, instead of printing it"
    )
    result.add_argument("--name", help="of the artifact, for the report (default: the file's)")
    return result


def main(arguments: argparse.Namespace) -> int:
    from tools.documents.document import write_document
    from tools.errors import InputError
    from tools.graph.flatbuffer import read_bytes
    from tools.samples.model_inputs import load_model_samples
    from tools.similarity.layer_page import page, text_table
    from tools.similarity.layers import LayerComparison, best_reference, layer_report_of, spread

    if arguments.samples < 1:
        raise InputError("flag.value", f"--samples={arguments.samples}: at least 1 is wanted")
    path = arguments.float_master or arguments.float_model
    float_name = str(path)
    master = float_master_of(read_bytes(path), float_name, bool(arguments.float_master))
    artifact = read_bytes(arguments.quantized_model)
    where = str(arguments.quantized_model)
    if arguments.prepared_model:
        reference = read_bytes(arguments.prepared_model)
        reference_name = str(arguments.prepared_model)
    else:
        reference_name = float_name
        reference = best_reference(master, artifact, (reference_name, where))
    choice = preprocessing_choice(arguments)
    test = load_model_samples(master, float_name, arguments.test_data, choice, named_by_folder=True)
    comparison = LayerComparison(reference, artifact, (reference_name, where))
    numbers = spread(len(test), arguments.samples)
    bar = progress_bar()
    for done, number in enumerate(numbers):
        comparison.add(test[number])
        bar("comparing layers", done + 1, len(numbers))
    report = layer_report_of(
        comparison,
        arguments.name or arguments.quantized_model.stem,
        bool(arguments.prepared_model),
        len(numbers),
        artifact,
    )
    if arguments.json:
        write_document(arguments.json, report)
    if arguments.html:
        with whole_file(arguments.html, "w") as file:
            file.write(page(report))
    if arguments.table:
        with whole_file(arguments.table, "w") as file:
            file.write(text_table(report))
    else:
        print(text_table(report), end="")
    return 0


if __name__ == "__main__":
    run(parser(), main, IMPORTS)
