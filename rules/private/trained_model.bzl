"""trained_model: a Keras classifier, trained further with its quantizers in place."""

load(":tool_action.bzl", "tool_arguments")

def _train_data(ctx):
    """Finds the .npz file, or the folder that holds a folder for each class."""
    files = ctx.files.train_data
    if len(files) == 1 and (files[0].is_directory or files[0].extension == "npz"):
        return files[0].path
    folders = {file.dirname.rpartition("/")[0]: True for file in files}
    if len(folders) != 1:
        fail((
            "{}: train_data {} is neither an .npz file nor a folder for each class; give a " +
            "directory, or all images of it: glob([\"DIRECTORY/*/*\"])"
        ).format(ctx.label, ctx.attr.train_data.label))
    return folders.keys()[0]

def _trained_model_impl(ctx):
    twin = ctx.actions.declare_file(ctx.label.name + ".tflite")
    quantized = ctx.actions.declare_file(ctx.label.name + ".tensorflow_int8.tflite")
    summary = ctx.actions.declare_file(ctx.label.name + ".json")
    model = ctx.file.model.path
    if bool(ctx.attr.function) != (ctx.file.model.extension == "py"):
        fail("{}: function names what builds the model in a .py file; model is {}".format(
            ctx.label,
            ctx.file.model.basename,
        ))
    if ctx.attr.function:
        model += ":" + ctx.attr.function
    arguments = tool_arguments(ctx)
    arguments.add(model, format = "--model=%s")
    arguments.add(_train_data(ctx), format = "--train_data=%s")
    arguments.add(twin, format = "--twin_output=%s")
    arguments.add(quantized, format = "--output_model=%s")
    arguments.add(summary, format = "--summary=%s")
    arguments.add_all([
        "--{}={}".format(flag, value)
        for flag, value in sorted(ctx.attr.settings.items())
    ])
    ctx.actions.run(
        executable = ctx.executable._train_quantized,
        arguments = [arguments],
        inputs = ctx.files.train_data + [ctx.file.model],
        outputs = [twin, quantized, summary],
        mnemonic = "TrainQuantized",
        progress_message = "Training {}".format(ctx.label),
    )
    return [
        DefaultInfo(files = depset([twin]), runfiles = ctx.runfiles(files = [twin])),
        OutputGroupInfo(
            summary = depset([summary]),
            tensorflow_int8 = depset([quantized]),
        ),
    ]

trained_model = rule(
    implementation = _trained_model_impl,
    doc = "Trains a Keras classifier with its quantizers in place, and builds its float twin.",
    attrs = {
        "function": attr.string(
            doc = "Function of a .py file that builds the model.",
        ),
        "model": attr.label(
            allow_single_file = [".h5", ".keras", ".py"],
            mandatory = True,
            doc = "A Keras 2 file, or a Python file that builds the model and imports nothing " +
                  "of the workspace.",
        ),
        "settings": attr.string_dict(
            doc = "Further flags of train_quantized by name.",
        ),
        "train_data": attr.label(
            allow_files = True,
            mandatory = True,
            doc = "A folder of images for each class, or an .npz file.",
        ),
        "_train_quantized": attr.label(
            default = "//tools:train_quantized",
            cfg = "exec",
            executable = True,
        ),
    },
)
