"""Quantization-aware training of a Keras classifier, by TensorFlow Model Optimization.

The model learns with its own quantizers in place (Jacob et al., "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018): forward, weights are
rounded to int8 a channel and activations to the range that a moving average has seen;
backward, rounding passes gradients through as they are. Its weights come to rest where
rounding does little harm.

What is made of it are two models: the weights that were learned, in float (the twin), and the
int8 model that TensorFlow makes of the same weights with the ranges that were learned.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tools.conversion.quiet_tensorflow import first_line
from tools.errors import InputError
from tools.training.labelled_images import LabelledImages


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
      float_epochs: passes over the data in float before quantizers are put in; 0 for a
        model that is trained already.
      float_learning_rate: of those, at their start.
      epochs: passes with quantizers in place.
      learning_rate: of those, at their start; it falls to 0 along a cosine.
      batch_size: samples a step.
      seed: of the order of samples, and of a model's first weights.
    """

    float_epochs: int = 0
    float_learning_rate: float = 3e-3
    epochs: int = 4
    learning_rate: float = 1e-3
    batch_size: int = 64
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class TrainedModels:
    """What training made; each is a whole .tflite file.

    Attributes:
      float_model: as it was before quantizers were put in.
      float_twin: the weights learned with quantizers, without them.
      quantized: the int8 model, with float32 inputs and outputs.
    """

    float_model: bytes
    float_twin: bytes
    quantized: bytes


def make_deterministic(seed: int) -> None:
    """Makes TensorFlow compute the same on every run: one thread, kernels in a fixed order.

    It must be called before TensorFlow computes anything.

    Args:
      seed: of all random numbers.
    """
    import tensorflow as tf
    import tf_keras

    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf_keras.utils.set_random_seed(seed)


def _fit(
    model: Any,
    data: LabelledImages,
    epochs: int,
    rate: float,
    settings: TrainingSettings,
    progress: Callable[[int], None],
) -> None:
    import tf_keras

    steps = epochs * -(-len(data.labels) // settings.batch_size)
    model.compile(
        tf_keras.optimizers.legacy.Adam(
            tf_keras.optimizers.schedules.CosineDecay(rate, max(1, steps))
        ),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    shown = tf_keras.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: progress(1))
    model.fit(data.images, data.labels, settings.batch_size, epochs, verbose=0, callbacks=[shown])


def _twin(model: Any, quantized: Any, where: str) -> Any:
    """Gives a copy of the float model the weights that its quantized form has learned."""
    import tf_keras

    learned = {}
    for variable, value in zip(quantized.weights, quantized.get_weights(), strict=True):
        parts = variable.name.split("/")
        learned["/".join(parts[-2:]).removeprefix("quant_")] = value
    twin = tf_keras.models.clone_model(model)
    values = []
    for variable in model.weights:
        name = "/".join(variable.name.split("/")[-2:])
        value = learned.get(name)
        if value is None or value.shape != tuple(variable.shape):
            raise InputError(
                "training.model",
                f"{where}: the trained model has no weights {name}; layers that are split when "
                "they are quantized (SeparableConv2D) are written as their parts",
            )
        values.append(value)
    twin.set_weights(values)
    return twin


def _tflite(model: Any, quantize: bool) -> bytes:
    import tensorflow as tf

    (source,), (name,) = model.inputs, model.input_names
    spec = tf.TensorSpec([1, *source.shape[1:]], source.dtype, name=name)

    @tf.function(autograph=False)
    def serving(image):
        return {"scores": model(image, training=False)}

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [serving.get_concrete_function(spec)], model
    )
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter.convert()


def check_model(model: Any, where: str) -> None:
    """Refuses what is not a classifier of images.

    Args:
      model: a tf_keras model.
      where: how messages name it.

    Raises:
      InputError: when it has another number of inputs or outputs, or open dimensions.
    """
    inputs, outputs = (getattr(model, ends, None) or [] for ends in ("inputs", "outputs"))
    if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4:
        raise InputError(
            "training.model",
            f"{where}: {len(inputs)} inputs and {len(outputs)} outputs; quantization-aware "
            "training here is for classifiers: one image in, one logit a class out",
        )
    if None in inputs[0].shape[1:] or len(outputs[0].shape) != 2:
        raise InputError(
            "training.model",
            f"{where}: it takes {list(inputs[0].shape)} and gives {list(outputs[0].shape)}; state "
            "the image's height and width, and end with one logit a class",
        )


def train_quantized(
    model: Any,
    data: LabelledImages,
    settings: TrainingSettings,
    progress: Callable[[int], None],
    where: str,
) -> TrainedModels:
    """Trains a classifier with its quantizers in place.

    Args:
      model: a tf_keras model that gives logits; it is trained in place.
      data: what it learns from.
      settings: how.
      progress: called with the number of steps done since the last call.
      where: how messages name the model.

    Returns:
      The models. On one thread, the same arguments give the same bytes.

    Raises:
      InputError: when a layer cannot be quantized, or labels do not fit the model.
    """
    import tensorflow_model_optimization as tfmot

    classes = model.outputs[0].shape[-1]
    if data.labels.max() >= classes or data.labels.min() < 0:
        raise InputError(
            "data.label",
            f"{where}: labels go from {data.labels.min()} to {data.labels.max()}; it has "
            f"{classes} classes",
        )
    if settings.float_epochs:
        _fit(
            model,
            data,
            settings.float_epochs,
            settings.float_learning_rate,
            settings,
            progress,
        )
    float_model = _tflite(model, quantize=False)
    try:
        quantized = tfmot.quantization.keras.quantize_model(model)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            "training.model",
            f"{where}: quantizers cannot be put into this model ({first_line(error)})",
        ) from None
    _fit(quantized, data, settings.epochs, settings.learning_rate, settings, progress)
    return TrainedModels(
        float_model=float_model,
        float_twin=_tflite(_twin(model, quantized, where), quantize=False),
        quantized=_tflite(quantized, quantize=True),
    )


def accuracy(model: bytes, data: LabelledImages) -> float:
    """Measures the share of images whose class a .tflite classifier prefers.

    Args:
      model: with one image in and logits out, float32.
      data: what it is measured on.

    Returns:
      0 to 1.
    """
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=model, num_threads=1).get_signature_runner()
    (name,) = runner.get_input_details()
    right = [
        int(np.argmax(next(iter(runner(**{name: image[None]}).values())))) == label
        for image, label in zip(data.images, data.labels, strict=True)
    ]
    return float(np.mean(right))
