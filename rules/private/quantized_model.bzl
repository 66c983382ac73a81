"""quantized_model: the artifact, its report, and the gate that a build must pass."""

load("//rules:providers.bzl", "FloatModelInfo", "QuantizedModelInfo")
load(":tool_action.bzl", "JSON_WORKERS", "run_tool", "tool_arguments")

SCHEMES = [
    "blockwise_int4_128",
    "blockwise_int4_256",
    "blockwise_int4_32",
    "blockwise_int4_64",
    "dynamic",
    "dynamic_int4",
    "float16",
    "int16x8",
    "int2",
    "int4",
    "int8",
    "mixed",
    "weight_only_int4",
    "weight_only_int8",
]

# These need ranges of activations, hence samples.
STATIC_SCHEMES = ["int16x8", "int4", "int8", "mixed"]

def _preprocessing(arguments, preprocessing):
    if preprocessing.mean:
        arguments.add(preprocessing.mean, format = "--input_mean=%s")
    if preprocessing.std:
        arguments.add(preprocessing.std, format = "--input_std=%s")
    arguments.add(preprocessing.resize, format = "--input_resize=%s")

def _data(arguments, flag, files):
    # A directory is handed over as such: its tool reads it in sorted order.
    arguments.add_all(files, format_each = flag + "=%s", expand_directories = False)

def _quantize_arguments(ctx, float_model):
    arguments = tool_arguments(ctx)
    arguments.add(float_model.model, format = "--input_model=%s")
    if ctx.attr.scheme:
        arguments.add(ctx.attr.scheme.upper(), format = "--quantization_type=%s")
    if ctx.file.settings:
        arguments.add(ctx.file.settings, format = "--settings=%s")
    arguments.add_all(ctx.attr.layers, format_each = "--layers=%s")
    arguments.add_all(ctx.attr.keep_float, format_each = "--keep_float=%s")
    if ctx.attr.input_type:
        arguments.add(ctx.attr.input_type, format = "--input_type=%s")
    if ctx.attr.output_type:
        arguments.add(ctx.attr.output_type, format = "--output_type=%s")
    _data(arguments, "--calibration_data", ctx.files.calibration_data)
    _preprocessing(arguments, float_model.preprocessing)
    return arguments

def _layer_report(ctx, float_model, artifact):
    """Declares the layer report; its actions run only when its files are asked for."""
    name = ctx.label.name
    prepared = ctx.actions.declare_file(name + ".prepared.tflite")
    page = ctx.actions.declare_file(name + ".layers.html")
    document = ctx.actions.declare_file(name + ".layers.json")
    table = ctx.actions.declare_file(name + ".layers.txt")

    # Quantizing once more costs time, but only here; keeping the prepared graph of
    # every artifact would cost every build its bytes.
    prepare = _quantize_arguments(ctx, float_model)
    prepare.add(prepared, format = "--prepared_output=%s")
    run_tool(
        ctx,
        ctx.executable._quantize_model,
        prepare,
        inputs = [float_model.model] + ctx.files.calibration_data + ctx.files.settings,
        outputs = [prepared],
        mnemonic = "PrepareModel",
        progress_message = "Preparing the float graph of {}".format(ctx.label),
    )
    arguments = tool_arguments(ctx)
    arguments.add(float_model.model, format = "--float_model=%s")
    arguments.add(artifact, format = "--quantized_model=%s")
    arguments.add(prepared, format = "--prepared_model=%s")
    arguments.add(name, format = "--name=%s")
    _data(arguments, "--test_data", ctx.files.test_data)
    _preprocessing(arguments, float_model.preprocessing)
    arguments.add(document, format = "--json=%s")
    arguments.add(page, format = "--html=%s")
    arguments.add(table, format = "--table=%s")
    run_tool(
        ctx,
        ctx.executable._layer_report,
        arguments,
        inputs = [float_model.model, artifact, prepared] + ctx.files.test_data,
        outputs = [document, page, table],
        mnemonic = "CompareLayers",
        progress_message = "Comparing the layers of {}".format(ctx.label),
    )
    return struct(document = document, page = page, table = table)

def _quantized_model_impl(ctx):
    float_model = ctx.attr.model[FloatModelInfo]
    name = ctx.label.name
    if not ctx.attr.scheme and not ctx.file.settings:
        fail((
            "{}: give a scheme, or a settings file that names one; `bazel run {}.tune` " +
            "searches for the best and writes one for scheme auto"
        ).format(ctx.label, ctx.label))
    if not ctx.files.test_data:
        fail("{}: test_data holds no files".format(ctx.label))
    scheme = ctx.attr.scheme or "as " + ctx.file.settings.basename + " says"
    artifact = ctx.actions.declare_file(name + ".tflite")
    recipe = ctx.actions.declare_file(name + ".recipe.json")
    summary = ctx.actions.declare_file(name + ".summary.json")
    report = ctx.actions.declare_file(name + ".report.json")
    gates = ctx.actions.declare_file(name + ".gates.json")
    verdict = ctx.actions.declare_file(name + ".verdict.json")

    quantize = _quantize_arguments(ctx, float_model)
    quantize.add(artifact, format = "--output_model=%s")
    quantize.add(recipe, format = "--recipe_output=%s")
    quantize.add(summary, format = "--summary_output=%s")
    run_tool(
        ctx,
        ctx.executable._quantize_model,
        quantize,
        inputs = [float_model.model] + ctx.files.calibration_data + ctx.files.settings,
        outputs = [artifact, recipe, summary],
        mnemonic = "QuantizeModel",
        progress_message = "Quantizing {} ({})".format(ctx.label, scheme),
    )

    # The report is an action of its own that never fails for a low value: what
    # a gate refuses is still there to read.
    compare = tool_arguments(ctx)
    compare.add(float_model.model, format = "--float_model=%s")
    compare.add(artifact, format = "--quantized_model=%s")
    compare.add(float_model.original, format = "--source_model=%s")
    compare.add(summary, format = "--summary=%s")
    compare.add(name, format = "--name=%s")
    compare.add(ctx.attr.version, format = "--version=%s")
    _data(compare, "--test_data", ctx.files.test_data)
    _data(compare, "--calibration_data", ctx.files.calibration_data)
    _preprocessing(compare, float_model.preprocessing)
    inputs = [float_model.model, float_model.original, artifact, summary]
    inputs += ctx.files.test_data + ctx.files.calibration_data
    if float_model.task:
        compare.add(float_model.task, format = "--task=%s")
        inputs.append(float_model.task)
    compare.add(report, format = "--report=%s")
    compare.add("--report_only")
    run_tool(
        ctx,
        ctx.executable._validate_quantized_model,
        compare,
        inputs = inputs,
        outputs = [report],
        mnemonic = "CompareModels",
        progress_message = "Comparing {} with its float model".format(ctx.label),
    )

    ctx.actions.write(gates, ctx.attr.gates + "\n")
    check = tool_arguments(ctx)
    check.add(report, format = "--report=%s")
    check.add(gates, format = "--gates=%s")
    check.add(verdict, format = "--verdict=%s")
    run_tool(
        ctx,
        ctx.executable._check_gates,
        check,
        inputs = [report, gates],
        outputs = [verdict],
        mnemonic = "CheckGates",
        progress_message = "Checking the gates of {}".format(ctx.label),
    )

    layers = _layer_report(ctx, float_model, artifact)
    return [
        DefaultInfo(
            files = depset([artifact, report, recipe]),
            runfiles = ctx.runfiles(files = [artifact, report, recipe]),
        ),
        QuantizedModelInfo(
            float_model = float_model,
            gates = gates,
            layers = layers,
            model = artifact,
            recipe = recipe,
            report = report,
            scheme = ctx.attr.scheme or "settings",
            verdict = verdict,
            version = ctx.attr.version,
        ),
        OutputGroupInfo(
            _validation = depset([verdict]),
            layers = depset([layers.document, layers.page, layers.table]),
            recipe = depset([recipe]),
            report = depset([report]),
            verdict = depset([verdict]),
        ),
    ]

quantized_model_rule = rule(
    implementation = _quantized_model_impl,
    doc = "Quantizes a float model, compares the two, and refuses an artifact beyond its gates.",
    attrs = {
        "calibration_data": attr.label(
            allow_files = True,
            doc = "Representative dataset: images, .npy or .npz files, or a directory of them.",
        ),
        "gates": attr.string(
            mandatory = True,
            doc = "JSON: the thresholds (docs/gates.md).",
        ),
        "input_type": attr.string(
            values = ["", "float32", "int8", "uint8"],
            doc = "Type of the artifact's inputs; empty is the settings file's, or float32.",
        ),
        "keep_float": attr.string_list(
            doc = "Patterns of operators that stay float, searched in their outputs' names.",
        ),
        "layers": attr.string_list(
            doc = "PATTERN=SCHEME of operators with a scheme of their own; later ones win.",
        ),
        "model": attr.label(
            mandatory = True,
            providers = [FloatModelInfo],
            doc = "A float_model.",
        ),
        "output_type": attr.string(
            values = ["", "float32", "int8", "uint8"],
            doc = "Type of the artifact's outputs; empty is the settings file's, or float32.",
        ),
        "scheme": attr.string(
            values = [""] + SCHEMES,
            doc = "How weights and activations are stored; empty where the settings say it.",
        ),
        "settings": attr.label(
            allow_single_file = True,
            doc = "Settings JSON, layer_params, or a recipe of ai-edge-quantizer.",
        ),
        "test_data": attr.label(
            allow_files = True,
            mandatory = True,
            doc = "Held-out samples, in the same forms; none of them may be in calibration_data.",
        ),
        "version": attr.string(
            mandatory = True,
            doc = "Version of the artifact, as the team counts them.",
        ),
        "_check_gates": attr.label(
            default = "//tools:check_gates",
            cfg = "exec",
            executable = True,
        ),
        "_json_workers": JSON_WORKERS,
        "_layer_report": attr.label(
            default = "//tools:layer_report",
            cfg = "exec",
            executable = True,
        ),
        "_quantize_model": attr.label(
            default = "//tools:quantize_model",
            cfg = "exec",
            executable = True,
        ),
        "_validate_quantized_model": attr.label(
            default = "//tools:validate_quantized_model",
            cfg = "exec",
            executable = True,
        ),
    },
    provides = [QuantizedModelInfo],
)
