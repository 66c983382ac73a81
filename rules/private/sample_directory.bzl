"""sample_directory: a tool's images as one directory that the build makes and caches."""

load("//rules:providers.bzl", "FloatModelInfo")

def _sample_directory_impl(ctx):
    directory = ctx.actions.declare_directory(ctx.label.name)
    arguments = ctx.actions.args()
    arguments.add_all(ctx.attr.arguments)
    arguments.add_all(ctx.files.photographs, format_each = "--photos=%s")
    inputs = list(ctx.files.photographs)
    if ctx.attr.model:
        model = ctx.attr.model[FloatModelInfo].model
        arguments.add(model, format = "--float_model=%s")
        inputs.append(model)
    for flag, target in [("detector", ctx.attr.detector), ("landmarks", ctx.attr.landmarks)]:
        if target:
            model = target[FloatModelInfo].model
            arguments.add(model, format = "--" + flag + "=%s")
            inputs.append(model)
    arguments.add("--output=" + directory.path)
    ctx.actions.run(
        executable = ctx.executable.tool,
        arguments = [arguments],
        inputs = inputs,
        outputs = [directory],
        mnemonic = "MakeSamples",
        progress_message = "Making the images of {}".format(ctx.label),
    )
    return [DefaultInfo(files = depset([directory]))]

sample_directory = rule(
    implementation = _sample_directory_impl,
    doc = "Runs a tool that writes calibration or test images into a directory.",
    attrs = {
        "arguments": attr.string_list(
            doc = "Flags of the tool; `--photos`, `--float_model`, `--detector`, " +
                  "`--landmarks` and `--output` are added.",
        ),
        "detector": attr.label(
            providers = [FloatModelInfo],
            doc = "A float_model that finds what the images are cut out around.",
        ),
        "landmarks": attr.label(
            providers = [FloatModelInfo],
            doc = "A float_model that finds it more closely.",
        ),
        "model": attr.label(
            providers = [FloatModelInfo],
            doc = "A float_model that must see its object in every image.",
        ),
        "photographs": attr.label_list(
            allow_files = True,
            doc = "Photographs that the tool works from.",
        ),
        "tool": attr.label(
            cfg = "exec",
            executable = True,
            mandatory = True,
            doc = "The program that makes the images.",
        ),
    },
)
