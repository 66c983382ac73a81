"""What is run, not built: the tests of a quantized_model, and its registration."""

load("//rules:providers.bzl", "QuantizedModelInfo")
load(":latency_device.bzl", "LATENCY_DEVICE", "LatencyDeviceInfo", "device_flags")
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
load(":typed_label.bzl", "label_text", "typed_label")

def _similarity_test_impl(ctx):
    info = ctx.attr.model[QuantizedModelInfo]
    return launch_script(
        ctx,
        "Says what the gates say of {}".format(ctx.attr.model.label),
        "cat {}\nexec {} {}".format(
            in_runfiles(ctx, info.gate_table),
            in_runfiles(ctx, ctx.executable._hold_to_gates),
            in_runfiles(ctx, info.refusal),
        ),
        [info.gate_table, info.refusal, ctx.executable._hold_to_gates],
    )

_MODEL = attr.label(
    mandatory = True,
    providers = [QuantizedModelInfo],
    doc = "A quantized_model.",
)

similarity_test = rule(
    implementation = _similarity_test_impl,
    doc = "Fails when a quantized model is beyond its gates.",
    test = True,
    attrs = {
        "model": _MODEL,
        "_hold_to_gates": attr.label(
            default = "//rules/private:hold_to_gates.sh",
            allow_single_file = True,
            cfg = "exec",
            executable = True,
        ),
    },
)

def _measure(ctx, info):
    """Writes the command that measures; returns its words and the files that they name."""
    words = [
        in_runfiles(ctx, ctx.executable._measure_latency),
        flag(ctx, "--float_model", info.float_model.model),
        flag(ctx, "--quantized_model", info.model),
        "--rounds={}".format(ctx.attr.rounds),
    ]
    if ctx.attr.latency_device:
        words.append(text_flag_word(
            "--device_name",
            ctx.attr.latency_device[LatencyDeviceInfo].name,
        ))
    device_words, device_files = device_flags(ctx, ctx.attr.threads)
    return words + device_words, [info.model, info.float_model.model] + device_files

_MEASURE_ATTRS = {
    "latency_device": LATENCY_DEVICE,
    "rounds": attr.int(
        default = 11,
        doc = "Rounds, each of float master and artifact in turn; at least 9.",
    ),
    "threads": attr.int(
        default = 1,
        doc = "Threads of the interpreter.",
    ),
    "_measure_latency": attr.label(
        default = "//tools:measure_latency",
        cfg = "exec",
        executable = True,
    ),
}

def _fps_test_impl(ctx):
    info = ctx.attr.model[QuantizedModelInfo]
    words, files = _measure(ctx, info)
    words[0] = "exec " + words[0]
    words += [text_flag_word("--" + gate, value) for gate, value in ctx.attr.gates.items()]
    if ctx.attr.allow_inconclusive:
        words.append("--allow_inconclusive")
    return launch_script(
        ctx,
        "Measures the speed of {}".format(ctx.attr.model.label),
        lines(words + USERS_WORDS),
        files,
        [ctx.attr._measure_latency],
    )

fps_test = rule(
    implementation = _fps_test_impl,
    doc = "Measures float master and artifact, interleaved, and holds the artifact to its targets.",
    test = True,
    attrs = dict(
        _MEASURE_ATTRS,
        allow_inconclusive = attr.bool(
            doc = "Whether a gate that stays undecided passes with a warning.",
        ),
        gates = attr.string_dict(
            mandatory = True,
            doc = "Thresholds by gate, from speed_gates.",
        ),
        model = _MODEL,
    ),
)

# A rule that registers a set gives a folder in this variable. What is measured, and the flags
# that would be given to the register command, stay there for it.
_OF_A_SET = "RULES_QUANTIZE_REGISTRATION"

def _record(ctx, what, judge, measured, more_files, tools, pages):
    """Makes the script that measures and then records.

    Args:
      ctx: the rule context.
      what: what the script does, in a few words.
      judge: shell text that writes `$folder/FILE`.
      measured: flags that name what was written.
      more_files: Files that `judge` names.
      tools: targets that `judge` starts.
      pages: Files that are kept beside.

    Returns:
      The rule's providers.
    """
    info = ctx.attr.model[QuantizedModelInfo]
    named_after = info.float_model.model.basename[:-len(".tflite")]

    # float_model(name = "face", src = "face.tflite") makes another file of that name.
    linked = [info.float_model.original]
    flags = [
        flag(ctx, "--report", info.report),
        flag(ctx, "--model", info.model),
        flag(ctx, "--recipe", info.recipe),
        flag(ctx, "--float_model", info.float_model.model),
        flag(ctx, "--source_model", info.float_model.original, linked),
        flag(ctx, "--verdict", info.verdict),
    ] + [flag(ctx, "--page", page) for page in pages] + measured + [
        text_flag_word("--registered_model", ctx.attr.registered_model or named_after),
        text_flag_word("--target", label_text(ctx.attr.model.label)),
        "--bazel_version=\"$(cat {})\"".format(in_runfiles(ctx, ctx.file._bazel_version)),
        text_flag_word("--rerun", "bazel run " + typed_label(ctx.label)),
    ]
    commands = "\n".join([
        "folder=\"${%s:-}\"" % _OF_A_SET,
        "if [ -z \"$folder\" ]; then",
        "    folder=$(mktemp -d)",
        "    trap 'rm -rf \"$folder\"' EXIT",
        "fi",
        judge,
        "if [ -n \"${%s:-}\" ]; then" % _OF_A_SET,
        lines(["    printf '%s\\0'"] + flags + [">\"$folder/flags\""]),
        "    exit",
        "fi",
        lines([in_runfiles(ctx, ctx.executable._register)] + flags + USERS_WORDS),
    ])
    files = more_files + pages + [
        info.float_model.model,
        info.model,
        info.recipe,
        info.report,
        info.verdict,
        ctx.file._bazel_version,
    ]
    return launch_script(ctx, what, commands, files, tools + [ctx.attr._register], linked)

def _register_impl(ctx):
    info = ctx.attr.model[QuantizedModelInfo]
    words, files = _measure(ctx, info)
    return _record(
        ctx,
        "Measures and records {}".format(ctx.attr.model.label),
        lines(words + ["--output=\"$folder/latency.json\""]),
        ["--latency=\"$folder/latency.json\""],
        files,
        [ctx.attr._measure_latency],
        [info.layers.page],
    )

def _register_device_verdict_impl(ctx):
    # 1 says that a gate failed there: that is recorded. Others have no verdict.
    judge = "\n".join([
        "status=0",
        lines([
            in_runfiles(ctx, ctx.executable.judge),
            "--output=\"$folder/device_verdict.json\" || status=$?",
        ]),
        "[ \"$status\" -le 1 ] || exit \"$status\"",
    ])
    return _record(
        ctx,
        "Judges {} on a device and records that".format(ctx.attr.model.label),
        judge,
        ["--device_verdict=\"$folder/device_verdict.json\""],
        [],
        [ctx.attr.judge],
        [],
    )

def _register_all_impl(ctx):
    commands = ["folder=$(mktemp -d)", "trap 'rm -rf \"$folder\"' EXIT"]
    for number, target in enumerate(ctx.attr.models):
        place = "\"$folder/{}\"".format(number)
        commands += [
            "mkdir {}".format(place),
            "echo {} >{}/target".format(shell_word(label_text(target.label)), place),
            "{}={} {} || echo {} >&2".format(
                _OF_A_SET,
                place,
                in_runfiles(ctx, target[DefaultInfo].files_to_run.executable),
                shell_word("{}: was not measured".format(label_text(target.label))),
            ),
        ]
    commands.append(lines([
        in_runfiles(ctx, ctx.executable._register_all),
        "--registrations=\"$folder\"",
    ] + USERS_WORDS))
    return launch_script(
        ctx,
        "Measures and records a set of models",
        "\n".join(commands),
        [],
        ctx.attr.models + [ctx.attr._register_all],
    )

register_all_models = rule(
    implementation = _register_all_impl,
    doc = "Measures and records a set of quantized models, and goes on after one that fails.",
    executable = True,
    attrs = {
        "models": attr.label_list(
            mandatory = True,
            allow_empty = False,
            doc = "The targets that register one model each, NAME.register.",
        ),
        "_register_all": attr.label(
            default = "//registry:register_all",
            # It runs where the user is, with the user's flags.
            cfg = "target",
            executable = True,
        ),
    },
)

_RECORDED_ATTRS = {
    "model": _MODEL,
    "registered_model": attr.string(
        doc = "Name in the registry: one for each thing that is deployed. The default is " +
              "the float model's name.",
    ),
    "_bazel_version": attr.label(
        default = "@rules_quantize_bazel//:version.txt",
        allow_single_file = True,
    ),
    "_register": attr.label(
        default = "//registry:register",
        # It runs where the user is, with the user's flags.
        cfg = "target",
        executable = True,
    ),
}

register_device_verdict = rule(
    implementation = _register_device_verdict_impl,
    doc = "Judges a quantized model's answers on a device and records that in the model registry.",
    executable = True,
    attrs = dict(
        _RECORDED_ATTRS,
        judge = attr.label(
            mandatory = True,
            cfg = "target",
            executable = True,
            doc = "The test that judges the answers on the device.",
        ),
    ),
)

register_model = rule(
    implementation = _register_impl,
    doc = "Measures a quantized model and records it in the model registry.",
    executable = True,
    attrs = dict(_MEASURE_ATTRS, **_RECORDED_ATTRS),
)
