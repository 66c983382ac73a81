"""float_model: the fp32 model that everything else is measured against."""

load("//rules:providers.bzl", "FloatModelInfo")
load(":tool_action.bzl", "JSON_WORKERS", "run_tool", "tool_arguments")

def _float_model_impl(ctx):
    master = ctx.actions.declare_file(ctx.label.name + ".tflite")
    summary = ctx.actions.declare_file(ctx.label.name + ".master.json")
    arguments = tool_arguments(ctx)
    arguments.add(ctx.file.src, format = "--input_model=%s")
    arguments.add(master, format = "--output_model=%s")
    arguments.add(summary, format = "--summary=%s")
    run_tool(
        ctx,
        ctx.executable._make_float_master,
        arguments,
        inputs = [ctx.file.src],
        outputs = [master, summary],
        mnemonic = "FloatMaster",
        progress_message = "Making the float master of {}".format(ctx.label),
    )
    task = None
    if ctx.attr.task:
        task = ctx.actions.declare_file(ctx.label.name + ".task.json")
        ctx.actions.write(task, ctx.attr.task + "\n")
    return [
        DefaultInfo(
            files = depset([master]),
            runfiles = ctx.runfiles(files = [master]),
        ),
        FloatModelInfo(
            model = master,
            original = ctx.file.src,
            preprocessing = struct(
                mean = ctx.attr.input_mean,
                resize = ctx.attr.input_resize,
                std = ctx.attr.input_std,
            ),
            summary = summary,
            task = task,
        ),
        OutputGroupInfo(
            summary = depset([summary]),
            task = depset([task] if task else []),
        ),
    ]

float_model = rule(
    implementation = _float_model_impl,
    doc = "Makes the float master of a .tflite file.",
    attrs = {
        "input_mean": attr.string(
            doc = "Subtracted from each pixel (0 to 255); empty is as the model's metadata says.",
        ),
        "input_resize": attr.string(
            default = "letterbox",
            values = ["center_crop", "letterbox", "stretch"],
            doc = "How an image of another shape becomes the model's input.",
        ),
        "input_std": attr.string(
            doc = "What the difference is divided by; empty is as the model's metadata says.",
        ),
        "src": attr.label(
            allow_single_file = [
                ".tflite",
                ".TFLITE",
            ],
            mandatory = True,
            doc = "The float model as it is distributed; fp16 and sparse weights are expanded.",
        ),
        "task": attr.string(
            doc = "JSON that says how the outputs are decoded: a task, or a list of them.",
        ),
        "_json_workers": JSON_WORKERS,
        "_make_float_master": attr.label(
            default = "//tools:make_float_master",
            cfg = "exec",
            executable = True,
        ),
    },
    provides = [FloatModelInfo],
)
