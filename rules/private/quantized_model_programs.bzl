"""What is run, not built: the tests of a quantized_model, and its registration."""

load("//rules:providers.bzl", "QuantizedModelInfo")
load(":latency_device.bzl", "LATENCY_DEVICE", "LatencyDeviceInfo", "device_flags")
load(":launch_script.bzl", "flag", "in_runfiles", "launch_script", "lines")

def _similarity_test_impl(ctx):
    info = ctx.attr.model[QuantizedModelInfo]
    commands = lines([
        "exec " + in_runfiles(ctx, ctx.executable._check_gates),
        flag(ctx, "--report", info.report),
        flag(ctx, "--gates", info.gates),
        "--verdict=\"${TEST_UNDECLARED_OUTPUTS_DIR:-$TEST_TMPDIR}/verdict.json\"",
        "\"$@\"",
    ])
    return launch_script(
        ctx,
        "Checks the similarity and size of {}".format(ctx.attr.model.label),
        commands,
        [info.report, info.gates],
        [ctx.attr._check_gates],
    )

_MODEL = attr.label(
    mandatory = True,
    providers = [QuantizedModelInfo],
    doc = "A quantized_model.",
)

similarity_test = rule(
    implementation = _similarity_test_impl,
    doc = "Holds a quantized model's report to its gates.",
    test = True,
    attrs = {
        "model": _MODEL,
        "_check_gates": attr.label(
            default = "//tools:check_gates",
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
        words.append("--device_name=" + ctx.attr.latency_device[LatencyDeviceInfo].name)
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
    if ctx.attr.min_fps:
        words.append("--min_fps=" + ctx.attr.min_fps)
    if ctx.attr.min_speedup:
        words.append("--min_speedup=" + ctx.attr.min_speedup)
    for gate, value in ctx.attr.latency_gates.items():
        words.append("--{}={}".format(gate, value))
    if ctx.attr.allow_inconclusive:
        words.append("--allow_inconclusive")
    return launch_script(
        ctx,
        "Measures the speed of {}".format(ctx.attr.model.label),
        lines(words + ["\"$@\""]),
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
        latency_gates = attr.string_dict(
            doc = "Further gates by name, such as max_p90_ms, max_load_ms, " +
                  "max_first_inference_ms, max_memory_mb, max_arena_mb, max_partitions and " +
                  "max_fallback.",
        ),
        min_fps = attr.string(
            doc = "Inferences a second that the artifact must reach.",
        ),
        min_speedup = attr.string(
            doc = "How many times as fast as the float master it must be.",
        ),
        model = _MODEL,
    ),
)

def _typed(label):
    """Writes a label as a user types it: newer Bazels show the main repository as `@@`."""
    text = str(label)
    return text.lstrip("@") if text.lstrip("@").startswith("//") else text

def _register_impl(ctx):
    info = ctx.attr.model[QuantizedModelInfo]
    measured = "\"$folder/latency.json\""

    # float_model(name = "face", src = "face.tflite") makes another file of that name.
    original = info.float_model.original
    source = "{}.source/{}".format(ctx.label.name, original.basename)
    words, files = _measure(ctx, info)
    measure = lines(words + ["--output=" + measured])
    record = lines([
        in_runfiles(ctx, ctx.executable._register),
        flag(ctx, "--report", info.report),
        flag(ctx, "--model", info.model),
        flag(ctx, "--recipe", info.recipe),
        flag(ctx, "--float_model", info.float_model.model),
        "--source_model=\"$runfiles/{}/{}\"".format(ctx.workspace_name, source),
        flag(ctx, "--verdict", info.verdict),
        flag(ctx, "--page", info.layers.page),
        "--latency=" + measured,
        "--registered_model=" + ctx.attr.registered_model,
        "--target=\"{}\"".format(ctx.attr.model.label),
        "--bazel_version=\"$(cat {})\"".format(in_runfiles(ctx, ctx.file._bazel_version)),
        "--rerun=\"bazel run {}\"".format(_typed(ctx.label)),
        "\"$@\"",
    ])
    commands = "folder=$(mktemp -d)\ntrap 'rm -rf \"$folder\"' EXIT\n{}\n{}".format(
        measure,
        record,
    )
    files += [
        info.report,
        info.recipe,
        info.verdict,
        info.layers.page,
        ctx.file._bazel_version,
    ]
    return launch_script(
        ctx,
        "Measures and records {}".format(ctx.attr.model.label),
        commands,
        files,
        [ctx.attr._measure_latency, ctx.attr._register],
        {source: original},
    )

register_model = rule(
    implementation = _register_impl,
    doc = "Measures a quantized model and records it in the model registry.",
    executable = True,
    attrs = dict(
        _MEASURE_ATTRS,
        model = _MODEL,
        registered_model = attr.string(
            mandatory = True,
            doc = "Name in the registry: one for each thing that is deployed.",
        ),
        _bazel_version = attr.label(
            default = "@rules_quantize_bazel//:version.txt",
            allow_single_file = True,
        ),
        _register = attr.label(
            default = "//registry:register",
            # It runs where the user is, with the user's flags.
            cfg = "target",
            executable = True,
        ),
    ),
)
