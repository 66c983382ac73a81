"""task_bundle_rule: a bundle of MediaPipe Tasks; task_bundle_member: one file of it."""

load("//rules:providers.bzl", "FloatModelInfo", "QuantizedModelInfo")

def model_of(ctx, target):
    """Finds a model's file, and how pixels become its input.

    Args:
      ctx: the rule context.
      target: a quantized_model, a float_model, or a file.

    Returns:
      struct(file, preprocessing or None).
    """
    if QuantizedModelInfo in target:
        info = target[QuantizedModelInfo]
        return struct(file = info.model, preprocessing = info.float_model.preprocessing)
    if FloatModelInfo in target:
        info = target[FloatModelInfo]
        return struct(file = info.model, preprocessing = info.preprocessing)
    files = target[DefaultInfo].files.to_list()
    if len(files) != 1:
        fail("{}: {} is {} files; a model in a bundle is one".format(
            ctx.label,
            target.label,
            len(files),
        ))
    return struct(file = files[0], preprocessing = None)

def _task_bundle_impl(ctx):
    bundle = ctx.actions.declare_file(ctx.label.name + ".task")
    arguments = ctx.actions.args()
    arguments.add(bundle, format = "--output_bundle=%s")
    inputs = []
    if ctx.file.src:
        arguments.add(ctx.file.src, format = "--input_bundle=%s")
        inputs.append(ctx.file.src)
    for number, name in enumerate(ctx.attr.names):
        model = model_of(ctx, ctx.attr.members[number])
        arguments.add(model.file, format = "--member=" + name.replace("%", "%%") + "=%s")
        inputs.append(model.file)
        how = model.preprocessing
        if how and how.mean and how.std:
            arguments.add("--input_normalization={}={},{}".format(name, how.mean, how.std))
    ctx.actions.run(
        executable = ctx.executable._make_task_bundle,
        arguments = [arguments],
        inputs = inputs,
        outputs = [bundle],
        mnemonic = "TaskBundle",
        progress_message = "Bundling {}".format(ctx.label),
    )

    # Whoever builds the bundle has its models judged.
    judged = [
        member[QuantizedModelInfo].validation
        for member in ctx.attr.members
        if QuantizedModelInfo in member
    ]
    return [
        DefaultInfo(
            files = depset([bundle]),
            runfiles = ctx.runfiles(files = [bundle]),
        ),
        OutputGroupInfo(_validation = depset(judged)),
    ]

task_bundle_rule = rule(
    implementation = _task_bundle_impl,
    doc = "Makes a `.task` bundle as MediaPipe Tasks read it.",
    attrs = {
        "members": attr.label_list(
            allow_files = True,
            doc = "What the members are: quantized_models, float_models or files.",
        ),
        "names": attr.string_list(
            doc = "Names of the members in the bundle, in their order.",
        ),
        "src": attr.label(
            allow_single_file = [".task"],
            doc = "A bundle whose other members are taken over.",
        ),
        "_make_task_bundle": attr.label(
            default = "//tools:make_task_bundle",
            cfg = "exec",
            executable = True,
        ),
    },
)

def _task_bundle_member_impl(ctx):
    ending = ctx.attr.member.split("/")[-1]
    output = ctx.actions.declare_file(ctx.label.name + "/" + ending)
    arguments = ctx.actions.args()
    arguments.add(ctx.file.bundle, format = "--input_bundle=%s")
    arguments.add("--member=" + ctx.attr.member)
    arguments.add(output, format = "--output=%s")
    ctx.actions.run(
        executable = ctx.executable._unpack_task_bundle,
        arguments = [arguments],
        inputs = [ctx.file.bundle],
        outputs = [output],
        mnemonic = "TaskBundleMember",
        progress_message = "Unpacking {}".format(ctx.label),
    )
    return [DefaultInfo(files = depset([output]), runfiles = ctx.runfiles(files = [output]))]

task_bundle_member = rule(
    implementation = _task_bundle_member_impl,
    doc = "Takes one file out of a `.task` bundle, for a float_model.",
    attrs = {
        "bundle": attr.label(
            allow_single_file = [".task"],
            mandatory = True,
            doc = "The bundle.",
        ),
        "member": attr.string(
            mandatory = True,
            doc = "The member's path: hand_detector.tflite, or inner.task/hand_detector.tflite.",
        ),
        "_unpack_task_bundle": attr.label(
            default = "//tools:unpack_task_bundle",
            cfg = "exec",
            executable = True,
        ),
    },
)
