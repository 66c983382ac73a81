"""tune_model: searches how to quantize a model, and writes a settings file into the source tree."""

load("//rules:providers.bzl", "FloatModelInfo")
load(":python_program.bzl", "runfiles_path")

_SCRIPT = """\
#!/bin/sh
# Searches how to quantize {label}.
set -eu
if [ -d "$0.runfiles" ]; then
    runfiles="$0.runfiles"
else
    runfiles="$RUNFILES_DIR"
fi
case "$runfiles" in /*) ;; *) runfiles="$PWD/$runfiles" ;; esac
export RUNFILES_DIR="$runfiles"
: "${{BUILD_WORKSPACE_DIRECTORY:?start this with \\`bazel run\\`}}"
exec {words} "$@"
"""

def _flag(ctx, name, file):
    return "--{}=\"$runfiles/{}\"".format(name, runfiles_path(ctx, file))

def _tune_model_impl(ctx):
    float_model = ctx.attr.model[FloatModelInfo]
    gates = ctx.actions.declare_file(ctx.label.name + ".gates.json")
    ctx.actions.write(gates, ctx.attr.gates + "\n")
    files = [float_model.model, float_model.original, gates, ctx.executable._tune_model]
    files += ctx.files.calibration_data

    package = ctx.label.package + "/" if ctx.label.package else ""
    words = [
        "\"$runfiles/{}\"".format(runfiles_path(ctx, ctx.executable._tune_model)),
        _flag(ctx, "float_model", float_model.model),
        _flag(ctx, "source_model", float_model.original),
        _flag(ctx, "gates", gates),
        "--name=" + ctx.attr.artifact,
        "--input_mean=" + float_model.preprocessing.mean,
        "--input_std=" + float_model.preprocessing.std,
        "--input_resize=" + float_model.preprocessing.resize,
        "--optimise=" + ctx.attr.optimise,
        "--threads={}".format(ctx.attr.threads),
        "--settings_output=\"$BUILD_WORKSPACE_DIRECTORY/{}{}.settings.json\"".format(
            package,
            ctx.attr.artifact,
        ),
        "--plots=\"$BUILD_WORKSPACE_DIRECTORY/.tuning/\"",
    ]
    words += [_flag(ctx, "calibration_data", file) for file in ctx.files.calibration_data]
    if float_model.task:
        words.append(_flag(ctx, "task", float_model.task))
        files.append(float_model.task)
    if ctx.attr.min_fps:
        words.append("--min_fps=" + ctx.attr.min_fps)
    if ctx.attr.min_speedup:
        words.append("--min_speedup=" + ctx.attr.min_speedup)
    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        script,
        _SCRIPT.format(label = ctx.attr.model.label, words = " \\\n    ".join(words)),
        is_executable = True,
    )
    runfiles = ctx.runfiles(files = files)
    runfiles = runfiles.merge(ctx.attr._tune_model[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = script, files = depset([script]), runfiles = runfiles)]

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
        "gates": attr.string(
            mandatory = True,
            doc = "JSON: the thresholds (docs/gates.md).",
        ),
        "min_fps": attr.string(
            doc = "Inferences a second that the artifact must reach.",
        ),
        "min_speedup": attr.string(
            doc = "How many times as fast as the float master it must be.",
        ),
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
