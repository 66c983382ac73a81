"""A model of noise, which no gate has anything to say of, and a directory that a build makes."""

load("@rules_quantize//rules:defs.bzl", "quantized_model")

def model_of_noise(name, test_data = "//names:test images", **kwargs):
    """Declares a quantized_model without gates.

    Args:
      name: the target.
      test_data: held-out samples.
      **kwargs: what a quantized_model takes.
    """
    quantized_model(
        name = name,
        max_scale_error = None,
        min_fps = {"host": 1},
        min_layer_correlation = None,
        model = "//names:net '$HOME",
        scheme = "int8",
        test_data = test_data,
        tolerance = 1,
        version = "1",
        **kwargs
    )

def _folder_impl(ctx):
    directory = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        arguments = [directory.path] + [file.path for file in ctx.files.srcs],
        command = "folder=\"$1\" && shift && cp -- \"$@\" \"$folder\"",
        inputs = ctx.files.srcs,
        outputs = [directory],
    )
    return [DefaultInfo(files = depset([directory]))]

folder = rule(
    implementation = _folder_impl,
    attrs = {"srcs": attr.label_list(allow_files = True)},
)
