"""quantization_table: size, speed and similarity of artifacts beside those of other quantizers."""

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
                if target.label.name == "{}_{}".format(name, use):
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
    return launch_script(
        ctx,
        "Measures artifacts and their peers",
        lines([
            "exec " + in_runfiles(ctx, ctx.executable._tool),
            flag(ctx, "--suite", suite),
            "--runfiles=\"$runfiles\"",
            flag(ctx, "--tensorflow_calibrator", ctx.executable._tensorflow_calibrator),
            "\"$@\"",
        ]),
        files + ctx.files.data + [suite],
        [ctx.attr._tool, ctx.attr._tensorflow_calibrator],
    )

quantization_table = rule(
    implementation = _quantization_table_impl,
    doc = "A program that measures artifacts and peers made from the same float model and data.",
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
        "_tensorflow_calibrator": attr.label(
            default = "//benchmarks:tensorflow_calibrator",
            cfg = "exec",
            executable = True,
        ),
        "_tool": attr.label(
            default = "//benchmarks:measure_table",
            cfg = "exec",
            executable = True,
        ),
    },
)
