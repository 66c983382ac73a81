"""A model of noise, which no gate has anything to say of, and a directory that a build makes."""

load("@rules_quantize//rules:defs.bzl", "quality_gates", "quantized_model", "speed_gates")

def model_of_noise(name, test_data = "//names:test images", **kwargs):
    """Declares a quantized_model without gates.

    Args:
      name: the target.
      test_data: held-out samples.
      **kwargs: what a quantized_model takes.
    """
    quantized_model(
        name = name,
        model = "//names:net '$HOME",
        quality = quality_gates(
            max_scale_error = None,
            min_layer_correlation = None,
            tolerance = 1,
        ),
        scheme = "int8",
        speed = speed_gates(min_fps = {":host": 1}),
        test_data = test_data,
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
