"""model_bundle_rule: variants of one model, with the manifest by which an app chooses."""

load("//rules:providers.bzl", "QuantizedModelInfo")
load(":task_bundle.bzl", "model_of")

def _model_bundle_impl(ctx):
    name = ctx.label.name
    bundle = ctx.actions.declare_file(name + ".zip")
    manifest = ctx.actions.declare_file(name + ".manifest.json")
    specification = ctx.actions.declare_file(name + ".specification.json")
    ctx.actions.write(specification, ctx.attr.specification + "\n")
    arguments = ctx.actions.args()
    arguments.add(bundle, format = "--output_bundle=%s")
    arguments.add(manifest, format = "--manifest_output=%s")
    arguments.add("--name=" + name)
    arguments.add("--version=" + ctx.attr.version)
    arguments.add(specification, format = "--specification=%s")
    inputs = [specification]
    judged = []
    for number, variant in enumerate(ctx.attr.names):
        target = ctx.attr.variants[number]
        model = model_of(ctx, target).file
        arguments.add(model, format = "--variant=" + variant.replace("%", "%%") + "=%s")
        inputs.append(model)
        if QuantizedModelInfo in target:
            report = target[QuantizedModelInfo].report
            arguments.add(report, format = "--report=" + variant.replace("%", "%%") + "=%s")
            inputs.append(report)
            judged.append(target[QuantizedModelInfo].validation)
    if ctx.file.measured_fps:
        arguments.add(ctx.file.measured_fps, format = "--measured_fps=%s")
        inputs.append(ctx.file.measured_fps)
    ctx.actions.run(
        executable = ctx.executable._make_model_bundle,
        arguments = [arguments],
        inputs = inputs,
        outputs = [bundle, manifest],
        mnemonic = "ModelBundle",
        progress_message = "Bundling the variants of {}".format(ctx.label),
    )
    return [
        DefaultInfo(
            files = depset([bundle]),
            runfiles = ctx.runfiles(files = [bundle]),
        ),
        # Whoever builds the bundle has its variants judged.
        OutputGroupInfo(
            _validation = depset(judged),
            manifest = depset([manifest]),
        ),
    ]

model_bundle_rule = rule(
    implementation = _model_bundle_impl,
    doc = "Packs variants of a model and the manifest by which an app chooses among them.",
    attrs = {
        "measured_fps": attr.label(
            allow_single_file = [".json"],
            doc = "Frames a second that somebody measured on devices (docs/how-to/bundles.md).",
        ),
        "names": attr.string_list(
            mandatory = True,
            doc = "Names of the variants, the best first.",
        ),
        "specification": attr.string(
            mandatory = True,
            doc = "JSON: policy and requires.",
        ),
        "variants": attr.label_list(
            allow_files = [
                ".tflite",
                ".TFLITE",
            ],
            mandatory = True,
            doc = "The variants: quantized_models, float_models or files.",
        ),
        "version": attr.string(
            mandatory = True,
            doc = "Version of the bundle, as the team counts them.",
        ),
        "_make_model_bundle": attr.label(
            default = "//tools:make_model_bundle",
            cfg = "exec",
            executable = True,
        ),
    },
)
