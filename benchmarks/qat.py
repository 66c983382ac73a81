"""Command: what int8 costs a classifier, and what quantization-aware training wins back."""

import argparse
import json
import sys

import numpy as np

from tools.command_line import new_parser, run, user_path, whole_file

_EXAMPLES = """\
  qat                                     a few minutes of one core
  qat --output=qat.json --seed=1
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "qat",
        "Trains a classifier of rendered shapes in float, quantizes it, and trains it with "
        "quantizers in place; prints accuracy and size of each.",
        _EXAMPLES,
    )
    result.add_argument("--train", type=int, default=12000, help="pictures (default: %(default)s)")
    result.add_argument("--test", type=int, default=4000, help="pictures (default: %(default)s)")
    result.add_argument("--float_epochs", type=int, default=16)
    result.add_argument("--epochs", type=int, default=4, help="with quantizers")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--output", type=user_path, help="JSON file to write as well")
    return result


def _stock(master: bytes, samples: list) -> bytes:
    from litert_quantizer import quantizer, recipe

    from tools.quantization.recipes import unquantized

    # Float ends, as every other model here has.
    entries = [*recipe.static_wi8_ai8(), unquantized(".*", "INPUT"), unquantized(".*", "OUTPUT")]
    library = quantizer.Quantizer(master, entries)
    ranges = library.calibrate({"serving_default": samples})
    return library.quantize(ranges).quantized_model


def _measure(arguments: argparse.Namespace) -> list[tuple[str, bytes, float]]:
    from models.shapes.classifier import classifier
    from scenes.shapes import shapes
    from tools.graph.float_master import make_float_master
    from tools.quantization.pipeline import quantize
    from tools.quantization.settings_file import read_settings
    from tools.training.labelled_images import LabelledImages
    from tools.training.quantization_aware import (
        TrainingSettings,
        accuracy,
        make_deterministic,
        train_quantized,
    )

    def data(count, seed):
        images, labels = shapes(count, seed)
        return LabelledImages((images.astype(np.float32) - 127.5) / 127.5, labels, ())

    make_deterministic(arguments.seed)
    # Other pictures for each, and others again for another seed.
    train, test = (
        data(getattr(arguments, k), 2 * arguments.seed + n) for n, k in ((1, "train"), (2, "test"))
    )
    settings = TrainingSettings(
        float_epochs=arguments.float_epochs, epochs=arguments.epochs, seed=arguments.seed
    )
    trained = train_quantized(classifier(), train, settings, lambda _: None, "classifier")
    samples = [{"image": image[None]} for image in train.images[:300]]

    def ours(model, scheme):
        return quantize(make_float_master(model)[0], read_settings(None, scheme), samples).model

    before, _ = make_float_master(trained.float_model)
    twin, _ = make_float_master(trained.float_twin)
    models = {
        "float": before,
        "int8 after training, stock recipe": _stock(before, samples),
        "int8 after training": ours(before, "INT8"),
        "int4 after training": ours(before, "INT4"),
        "trained with quantizers: float twin": twin,
        "trained with quantizers: int8 by TensorFlow": trained.quantized,
        "trained with quantizers: int8 of the twin": ours(twin, "INT8"),
        "trained with quantizers: int4 of the twin": ours(twin, "INT4"),
    }
    return [(name, bytes(model), accuracy(bytes(model), test)) for name, model in models.items()]


def main(arguments: argparse.Namespace) -> int:
    from tools.conversion.quiet_tensorflow import quiet

    with quiet():
        rows = _measure(arguments)
    reference = rows[0][2]
    print(f"{'model':44} {'accuracy':>8} {'lost':>7} {'bytes':>8}")
    for name, model, share in rows:
        print(f"{name:44} {share:8.4f} {reference - share:7.4f} {len(model):8,}")
    if arguments.output:
        table = [{"accuracy": a, "bytes": len(m), "model": n} for n, m, a in rows]
        with whole_file(arguments.output, "w") as file:
            file.write(json.dumps(table, indent=2) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    run(parser(), main)
