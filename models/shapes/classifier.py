"""A classifier of shapes, built like MobileNet: depthwise and 1x1 convolutions, 20,000 weights.

It imports nothing of the workspace, so that a qat_model can name it.
"""

import tf_keras

# Stride and output channels of each pair of convolutions.
_BLOCKS = ((1, 24), (2, 32), (1, 32), (2, 64), (1, 64), (2, 96))


def classifier(size: int = 48, classes: int = 8) -> tf_keras.Model:
    """Builds the classifier, untrained.

    Args:
      size: of a picture in pixels.
      classes: how many there are.

    Returns:
      A model from [batch, size, size, 3], pixels as -1 to 1, to a logit a class.
    """
    layers = tf_keras.layers

    def normalized(x):
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    source = layers.Input((size, size, 3), name="image")
    x = normalized(layers.Conv2D(16, 3, 2, padding="same", use_bias=False)(source))
    for stride, channels in _BLOCKS:
        x = normalized(layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(x))
        x = normalized(layers.Conv2D(channels, 1, padding="same", use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(source, layers.Dense(classes, name="scores")(x))
