"""quantized_models: one float model in several schemes, each with its own gates."""

load("//rules:defs.bzl", "quantized_model")

def quantized_models(
        name,
        model,
        schemes,
        calibration_data,
        test_data,
        tags = [],
        visibility = None,
        **kwargs):
    """Declares MODEL_SCHEME, a quantized_model, for each scheme.

    Args:
      name: all of them.
      model: name of a float_model in this package.
      schemes: dict from a scheme to a dict of arguments of `quantized_model`, its gates.
      calibration_data: for the schemes that need it.
      test_data: held-out samples.
      tags: for every target.
      visibility: of the targets.
      **kwargs: arguments that all schemes share.
    """
    for scheme, gates in schemes.items():
        arguments = dict(kwargs)
        arguments.update(gates)
        quantized_model(
            name = "{}_{}".format(model, scheme),
            calibration_data = calibration_data if scheme == "int8" else None,
            model = ":" + model,
            scheme = scheme,
            tags = tags,
            test_data = test_data,
            version = "1.0.0",
            visibility = visibility,
            **arguments
        )
    native.filegroup(
        name = name,
        srcs = [":{}_{}".format(model, scheme) for scheme in schemes],
        tags = tags,
        visibility = visibility,
    )
