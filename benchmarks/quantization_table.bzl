"""quantization_table: artifacts and their peers, or what other runtimes do with them."""

load("//rules:providers.bzl", "QuantizedModelInfo")
load("//rules/private:launch_script.bzl", "flag", "in_runfiles", "launch_script", "lines")
load("//rules/private:python_program.bzl", "runfiles_path")

def _quantization_table_impl(ctx):
    models = []
    files = []
    for name in ctx.attr.models:
        parts = ctx.attr.models[name].split(" ")
        artifacts = [t for t in ctx.attr.artifacts if t.label.name in parts]
        if not artifacts:
            fail("{}: no artifact of {}".format(ctx.label, name))
        info = artifacts[0][QuantizedModelInfo].float_model
        data = {}
        for target in ctx.attr.data:
            for use in ("calibration", "test"):
                if target.label.name == "{}_{}".format(ctx.attr.tested_with.get(name, name), use):
                    data[use] = [runfiles_path(ctx, f) for f in target.files.to_list()]
        entry = {
            "artifacts": [],
            "calibration": data.get("calibration", []),
            "float_model": runfiles_path(ctx, info.model),
            "mean": info.preprocessing.mean,
            "name": name,
            "resize": info.preprocessing.resize,
            "std": info.preprocessing.std,
            "task": runfiles_path(ctx, info.task) if info.task else None,
            "test": data["test"],
        }
        files += [info.model] + ([info.task] if info.task else [])
        for target in artifacts:
            artifact = target[QuantizedModelInfo]
            entry["artifacts"].append({
                "model": runfiles_path(ctx, artifact.model),
                "name": target.label.name,
                "scheme": artifact.scheme,
            })
            files.append(artifact.model)
        models.append(entry)
    suite = ctx.actions.declare_file(ctx.label.name + ".json")
    ctx.actions.write(suite, json.encode(models))
    words = [
        "exec " + in_runfiles(ctx, ctx.executable.tool),
        flag(ctx, "--suite", suite),
        "--runfiles=\"$runfiles\"",
    ]
    tools = [ctx.attr.tool]
    if ctx.executable.tensorflow_calibrator:
        words.append(flag(ctx, "--tensorflow_calibrator", ctx.executable.tensorflow_calibrator))
        tools.append(ctx.attr.tensorflow_calibrator)
    return launch_script(
        ctx,
        "Measures artifacts",
        lines(words + ["\"$@\""]),
        files + ctx.files.data + [suite],
        tools,
    )

quantization_table = rule(
    implementation = _quantization_table_impl,
    doc = "A program that measures artifacts by the float models and data that they are made of.",
    executable = True,
    attrs = {
        "artifacts": attr.label_list(
            mandatory = True,
            providers = [QuantizedModelInfo],
            doc = "quantized_models.",
        ),
        "data": attr.label_list(
            allow_files = True,
            doc = "NAME_calibration and NAME_test of every model.",
        ),
        "models": attr.string_dict(
            mandatory = True,
            doc = "Name of a model to the names of its artifacts, with spaces between.",
        ),
        "tensorflow_calibrator": attr.label(
            cfg = "exec",
            executable = True,
            doc = "A peer, for a tool that compares with it.",
        ),
        "tested_with": attr.string_dict(
            doc = "Name of a model to that of the model whose test data it has.",
        ),
        "tool": attr.label(
            mandatory = True,
            cfg = "exec",
            executable = True,
            doc = "What measures: it takes --suite and --runfiles.",
        ),
    },
)
