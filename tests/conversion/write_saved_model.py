"""Command: writes a small SavedModel of one signature by name, or inputs for it."""

import argparse

import numpy as np

from tools.command_line import new_parser, run, user_path

_SHAPE = (24, 24, 3)


def parser() -> argparse.ArgumentParser:
    result = new_parser("write_saved_model", "Writes a small SavedModel, or inputs for it.", "")
    result.add_argument("--what", choices=("model", "calibration", "test"), required=True)
    result.add_argument("--output", type=user_path, required=True, help="folder to write")
    return result


def _write_model(folder) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(0)

    def weights(*shape):
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        return tf.Variable(rng.normal(0, scale, shape).astype(np.float32))

    module = tf.Module()
    module.kernels = [weights(3, 3, 3, 16), weights(1, 1, 16, 32), weights(32, 8)]

    @tf.function(input_signature=[tf.TensorSpec([None, *_SHAPE], tf.float32, name="image")])
    def score(image):
        x = tf.nn.relu(tf.nn.conv2d(image, module.kernels[0], 2, "SAME"))
        x = tf.nn.relu(tf.nn.conv2d(x, module.kernels[1], 1, "SAME"))
        return {"scores": tf.reduce_mean(x, axis=[1, 2]) @ module.kernels[2]}

    tf.saved_model.save(module, str(folder), signatures={"score": score})


def main(arguments: argparse.Namespace) -> int:
    from tools.conversion.quiet_tensorflow import quiet

    if arguments.what == "model":
        with quiet():
            _write_model(arguments.output)
        return 0
    arguments.output.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng({"calibration": 1, "test": 2}[arguments.what])
    np.save(arguments.output / "images.npy", rng.uniform(-1, 1, (64, *_SHAPE)).astype(np.float32))
    return 0


if __name__ == "__main__":
    run(parser(), main)
