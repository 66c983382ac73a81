"""Command: trains a Keras classifier with its quantizers in place."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from tools.command_line import new_parser, output_path, run, user_path, whole_file
from tools.documents.json_file import write_json
from tools.errors import InputError

_EXAMPLES = """\
  train_quantized --model=shapes.keras --train_data=train/ --test_data=test/ \\
      --output_model=shapes_int8.tflite
  train_quantized --model=classifier.py:classifier --float_epochs=16 --train_data=train.npz \\
      --epochs=4 --output_model=shapes_int8.tflite --twin_output=shapes.tflite

The model is a .keras or .h5 file of Keras 2 (tf_keras), or FILE.py:FUNCTION, a Python function
that builds one. It takes an image and gives one logit a class. Data are a folder with a folder
of images for each class, or an .npz file with the arrays images and labels. The float twin has
the weights that were learned: quantize_model quantizes it like any other model.
docs/how-to/train_with_quantizers.md has the measurements.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "train_quantized",
        "Trains a Keras classifier with quantizers in place, and writes the int8 model and its "
        "float twin.",
        _EXAMPLES,
    )
    result.add_argument("--model", required=True, help="a .keras or .h5 file, or FILE.py:FUNCTION")
    result.add_argument("--train_data", required=True, type=user_path, help="labelled images")
    result.add_argument("--test_data", type=user_path, help="held out, to measure accuracy on")
    result.add_argument("--output_model", type=output_path, help="file for TensorFlow's int8 model")
    result.add_argument("--twin_output", type=output_path, help="file for the float twin")
    result.add_argument("--float_output", type=output_path, help="file for the float model before")
    result.add_argument("--summary", type=output_path, help="JSON file: settings and accuracies")
    result.add_argument(
        "--float_epochs",
        type=int,
        default=0,
        help="passes in float first, for a model that is not trained yet (default: 0)",
    )
    result.add_argument("--float_learning_rate", type=float, default=3e-3)
    result.add_argument("--epochs", type=int, default=4, help="with quantizers (default: 4)")
    result.add_argument("--learning_rate", type=float, default=1e-3, help="at the start")
    result.add_argument("--batch_size", type=int, default=64)
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--input_mean", type=float, default=127.5, help="subtracted from pixels")
    result.add_argument("--input_std", type=float, default=127.5, help="the difference's divisor")
    result.add_argument(
        "--input_resize", choices=("letterbox", "stretch", "center_crop"), default="letterbox"
    )
    return result


def _built(path: Path, function: str):
    """Builds a model by a function of a Python file."""
    from tools.conversion.quiet_tensorflow import first_line

    if not path.is_file():
        raise InputError("file.missing", f"{path}: no such file")
    specification = importlib.util.spec_from_file_location("model_to_train", path)
    if specification is None or specification.loader is None:
        raise InputError("file.kind", f"{path}: not Python; give a file that ends in .py")
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
        return getattr(module, function)()
    except Exception as error:
        # The user's own code.
        raise InputError(
            "training.model",
            f"{path}: {function}() builds no model: {type(error).__name__}: {first_line(error)}",
        ) from None


def _model(text: str):
    from tools.conversion.keras_file import KERAS_ENDINGS, keras_version, load_keras_model

    file, colon, function = text.rpartition(":")
    if colon and file.endswith(".py"):
        return _built(user_path(file), function)
    path = user_path(text)
    if path.suffix.lower() not in KERAS_ENDINGS:
        raise InputError("file.kind", f"{text}: give a .keras or .h5 file, or FILE.py:FUNCTION")
    if not path.exists():
        raise InputError("file.missing", f"{path}: no such file")
    version = keras_version(path, str(path))
    if not version.startswith("2."):
        raise InputError(
            "training.model",
            f"{path}: written by Keras {version}; TensorFlow Model Optimization trains models of "
            "Keras 2: build it with tf_keras",
        )
    import tf_keras

    return load_keras_model(path, str(path), tf_keras)


def _check(arguments: argparse.Namespace) -> None:
    if not (arguments.output_model or arguments.twin_output):
        raise InputError("flag.missing", "give --output_model or --twin_output, the file to write")
    for flag, least in (("float_epochs", 0), ("epochs", 1), ("batch_size", 1)):
        if getattr(arguments, flag) < least:
            raise InputError(
                "flag.value", f"--{flag}={getattr(arguments, flag)}: give {least} or more"
            )


def _train(arguments: argparse.Namespace, terminal):
    from tqdm import tqdm

    from tools.samples.loading import Preprocessing
    from tools.training.labelled_images import read_labelled_images
    from tools.training.quantization_aware import (
        TrainingSettings,
        accuracy,
        check_model,
        make_deterministic,
        train_quantized,
    )

    make_deterministic(arguments.seed)
    model = _model(arguments.model)
    check_model(model, arguments.model)
    shape = model.inputs[0].shape[1:]
    how = Preprocessing(arguments.input_mean, arguments.input_std, arguments.input_resize)
    train = read_labelled_images(arguments.train_data, shape, how)
    test = arguments.test_data and read_labelled_images(arguments.test_data, shape, how)
    if test and test.classes != train.classes:
        raise InputError(
            "data.label",
            f"{arguments.test_data}: its classes are {', '.join(test.classes)}, those of the "
            f"training data {', '.join(train.classes)}",
        )
    settings = TrainingSettings(
        float_epochs=arguments.float_epochs,
        float_learning_rate=arguments.float_learning_rate,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
    )
    steps = -(-len(train.labels) // settings.batch_size)
    with tqdm(
        total=steps * (settings.float_epochs + settings.epochs),
        desc="training",
        delay=2,
        leave=False,
        file=terminal,
        disable=not terminal.isatty(),
    ) as bar:
        trained = train_quantized(model, train, settings, bar.update, arguments.model)
    models = {
        "float_model": trained.float_model,
        "float_twin": trained.float_twin,
        "quantized": trained.quantized,
    }
    accuracies = {name: accuracy(content, test) for name, content in models.items() if test}
    return models, accuracies, len(train.labels)


def main(arguments: argparse.Namespace) -> int:
    from tools.conversion.quiet_tensorflow import quiet

    _check(arguments)
    # The standard error itself is TensorFlow's while it works.
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal, quiet():
        models, accuracies, samples = _train(arguments, terminal)
    for name, path in (
        ("quantized", arguments.output_model),
        ("float_twin", arguments.twin_output),
        ("float_model", arguments.float_output),
    ):
        if path:
            with whole_file(path) as file:
                file.write(models[name])
    if arguments.summary:
        summary = {
            "accuracy": {name: round(value, 6) for name, value in accuracies.items()},
            "batch_size": arguments.batch_size,
            "bytes": {name: len(content) for name, content in models.items()},
            "epochs": arguments.epochs,
            "float_epochs": arguments.float_epochs,
            "float_learning_rate": arguments.float_learning_rate,
            "learning_rate": arguments.learning_rate,
            "samples": samples,
            "seed": arguments.seed,
        }
        write_json(arguments.summary, summary)
    else:
        for name, content in models.items():
            share = f", accuracy {accuracies[name]:.4f}" if name in accuracies else ""
            print(f"{name.replace('_', ' ')}: {len(content):,} bytes{share}")
    return 0


if __name__ == "__main__":
    run(parser(), main)
