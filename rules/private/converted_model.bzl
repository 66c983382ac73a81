"""converted_model: a SavedModel or a Keras file as a float .tflite."""

load(":tool_action.bzl", "tool_arguments")

_KERAS = ("keras", "h5", "hdf5")

def _source(ctx):
    """Finds the directory or file among the files of src."""
    files = ctx.files.src
    if len(files) == 1 and (files[0].is_directory or files[0].extension in _KERAS):
        return files[0].path
    for file in files:
        if file.basename in ("saved_model.pb", "saved_model.pbtxt"):
            return file.dirname
    fail((
        "{}: src {} is neither a Keras file nor a SavedModel; give a .keras or .h5 file, a " +
        "directory, or all files of a SavedModel: glob([\"DIRECTORY/**\"])"
    ).format(ctx.label, ctx.attr.src.label))

def _converted_model_impl(ctx):
    model = ctx.actions.declare_file(ctx.label.name + ".tflite")
    summary = ctx.actions.declare_file(ctx.label.name + ".json")
    arguments = tool_arguments(ctx)
    arguments.add(_source(ctx), format = "--input_model=%s")
    arguments.add(model, format = "--output_model=%s")
    arguments.add(summary, format = "--summary=%s")
    arguments.add(ctx.attr.batch, format = "--batch=%s")
    if ctx.attr.signature:
        arguments.add(ctx.attr.signature, format = "--signature=%s")
    arguments.add_all([
        "--input_shape={}={}".format(name, ",".join(sizes))
        for name, sizes in ctx.attr.input_shapes.items()
    ])
    if ctx.attr.allow_select_tf_ops:
        arguments.add("--allow_select_tf_ops")
    ctx.actions.run(
        executable = ctx.executable._convert_model,
        arguments = [arguments],
        inputs = ctx.files.src,
        outputs = [model, summary],
        mnemonic = "ConvertModel",
        progress_message = "Converting {}".format(ctx.label),
    )
    return [
        DefaultInfo(files = depset([model]), runfiles = ctx.runfiles(files = [model])),
        OutputGroupInfo(summary = depset([summary])),
    ]

# A rule of its own, so that TensorFlow is fetched only where something is converted.
converted_model = rule(
    implementation = _converted_model_impl,
    doc = "Converts a SavedModel or a Keras file to a float .tflite, by TensorFlow's converter.",
    attrs = {
        "allow_select_tf_ops": attr.bool(
            doc = "Whether operators that only TensorFlow's select runtime has may stay.",
        ),
        "batch": attr.int(
            default = 1,
            doc = "Size of an open first dimension.",
        ),
        "input_shapes": attr.string_list_dict(
            doc = "Whole shape by input name, for inputs with other open dimensions.",
        ),
        "signature": attr.string(
            doc = "Function of a SavedModel; empty takes serving_default, or the only one.",
        ),
        "src": attr.label(
            allow_files = True,
            mandatory = True,
            doc = "A .keras or .h5 file, or a SavedModel: its directory or all its files.",
        ),
        "_convert_model": attr.label(
            default = "//tools:convert_model",
            cfg = "exec",
            executable = True,
        ),
    },
)
