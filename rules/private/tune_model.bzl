"""tune_model: searches how to quantize a model, and writes a settings file into the source tree."""

load("//rules:providers.bzl", "FloatModelInfo")
load(":gate_values.bzl", "QUALITY", "gates_text")
load(":latency_device.bzl", "LATENCY_DEVICE", "device_flags")
load(
    ":launch_script.bzl",
    "USERS_WORDS",
    "flag",
    "in_runfiles",
    "launch_script",
    "lines",
    "text_flag_word",
)
load(":python_program.bzl", "shell_word")
load(":typed_label.bzl", "label_text")

def _artifact_label(ctx):
    """Names the quantized_model that the settings are for, beside this target."""
    label = label_text(ctx.label)
    return label[:label.rindex(":") + 1] + ctx.attr.artifact

def _tune_model_impl(ctx):
    float_model = ctx.attr.model[FloatModelInfo]
    gates = ctx.actions.declare_file(ctx.label.name + ".gates.json")
    ctx.actions.write(gates, gates_text(ctx.attr.quality))
    files = [float_model.model, gates] + ctx.files.calibration_data

    # float_model(name = "face", src = "face.tflite") makes another file of that name.
    linked = [float_model.original]

    package = ctx.label.package + "/" if ctx.label.package else ""
    words = [
        "exec " + in_runfiles(ctx, ctx.executable._tune_model),
        flag(ctx, "--float_master", float_model.model),
        flag(ctx, "--source_model", float_model.original, linked),
        flag(ctx, "--gates", gates),
        text_flag_word("--name", ctx.attr.artifact),
        text_flag_word("--target", _artifact_label(ctx)),
        "--input_resize=" + float_model.preprocessing.resize,
        "--optimise=" + ctx.attr.optimise,
        "--settings_output=\"$BUILD_WORKSPACE_DIRECTORY\"/" +
        shell_word(package + ctx.attr.artifact + ".settings.json"),
        "--plots=\"$BUILD_WORKSPACE_DIRECTORY/.tuning/\"",
    ]
    if ctx.attr.runs_on:
        words.append("--runs_on=" + ",".join(ctx.attr.runs_on))
    if float_model.preprocessing.mean:
        words.append(text_flag_word("--input_mean", float_model.preprocessing.mean))
    if float_model.preprocessing.std:
        words.append(text_flag_word("--input_std", float_model.preprocessing.std))
    words += [flag(ctx, "--calibration_data", file) for file in ctx.files.calibration_data]
    if float_model.task:
        words.append(flag(ctx, "--task", float_model.task))
        files.append(float_model.task)
    device_words, device_files = device_flags(ctx, ctx.attr.threads)
    words += device_words
    files += device_files
    words += [text_flag_word("--" + gate, value) for gate, value in ctx.attr.speed.items()]
    return launch_script(
        ctx,
        "Searches how to quantize {}".format(ctx.attr.model.label),
        ": \"${BUILD_WORKSPACE_DIRECTORY:?start this with \\`bazel run\\`}\"\n" +
        lines(words + USERS_WORDS),
        files,
        [ctx.attr._tune_model],
        linked,
    )

tune_model = rule(
    implementation = _tune_model_impl,
    doc = """Searches for the settings that reach an artifact's gates.

`bazel run` writes ARTIFACT.settings.json beside the BUILD file, to be reviewed and
committed, and the front of what it tried into `.tuning/` of the workspace.""",
    executable = True,
    attrs = {
        "artifact": attr.string(
            mandatory = True,
            doc = "Name of the quantized_model that the settings are for.",
        ),
        "calibration_data": attr.label(
            allow_files = True,
            mandatory = True,
            doc = "Representative dataset; every fourth sample is held out for comparison.",
        ),
        "latency_device": LATENCY_DEVICE,
        "model": attr.label(
            mandatory = True,
            providers = [FloatModelInfo],
            doc = "A float_model.",
        ),
        "optimise": attr.string(
            default = "size",
            values = ["similarity", "size", "speed"],
            doc = "What to improve among the candidates that reach the gates.",
        ),
        "quality": QUALITY,
        "runs_on": attr.string_list(
            doc = "Where the artifact runs, as the quantized_model says it.",
        ),
        "speed": attr.string_dict(
            doc = "Thresholds of min_fps and min_speedup.",
        ),
        "threads": attr.int(
            default = 1,
            doc = "Threads of the interpreter.",
        ),
        "_tune_model": attr.label(
            default = "//tools:tune_model",
            cfg = "exec",
            executable = True,
        ),
    },
)
