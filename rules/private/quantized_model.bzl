"""quantized_model: the artifact, its report, and the gate that a build must pass."""

load("//rules:providers.bzl", "FloatModelInfo", "QuantizedModelInfo")
load(":gate_values.bzl", "QUALITY", "gates_text")
load(":tool_action.bzl", "JSON_WORKERS", "run_tool", "tool_arguments")
load(":typed_label.bzl", "typed_label")

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

# Where artifacts run.
RUNS_ON = ["cpu", "gpu"]

def _preprocessing(arguments, preprocessing):
    if preprocessing.mean:
        arguments.add(preprocessing.mean, format = "--input_mean=%s")
    if preprocessing.std:
        arguments.add(preprocessing.std, format = "--input_std=%s")
    arguments.add(preprocessing.resize, format = "--input_resize=%s")

def _data(arguments, flag, files):
    # A directory is handed over as such: its tool reads it in sorted order.
    arguments.add_all(files, format_each = flag + "=%s", expand_directories = False)

def _how(ctx):
    """Reads how the model is quantized.

    Returns:
      struct(scheme, settings, settings_files, shards): "" or None for what is not given, the
      settings in a list, and in how many parts the calibration data is calibrated.
    """
    scheme, settings = ctx.attr.scheme, ctx.file.settings
    if scheme == "auto":
        if settings:
            fail("{}: scheme auto takes {}.settings.json; leave settings out".format(
                ctx.label,
                ctx.label.name,
            ))
        scheme, settings = "", ctx.file.settings_of_search
    if not scheme and not settings:
        fail((
            "{}: give a scheme, or a settings file that names one; `bazel run {}` " +
            "searches for the best and writes one for scheme auto"
        ).format(ctx.label, typed_label(ctx.label, ".tune")))
    schemes = [scheme] + [layer.rpartition("=")[-1] for layer in ctx.attr.layers]
    for place in ctx.attr.runs_on:
        if place not in RUNS_ON:
            fail("{}: runs_on has no {}; there are {}".format(ctx.label, place, ", ".join(RUNS_ON)))
    static = [one for one in schemes if one in STATIC_SCHEMES]
    if static and not ctx.attr.calibration_data:
        fail("{}: scheme {} needs calibration_data".format(ctx.label, static[0]))
    if ctx.attr.calibration_shards < 1:
        fail("{}: calibration_shards is a number from 1 on".format(ctx.label))
    return struct(
        scheme = scheme,
        settings = settings,
        settings_files = [settings] if settings else [],
        # Only ranges of activations need it; a settings file may ask for them.
        shards = ctx.attr.calibration_shards if static or settings else 1,
    )

def _settings_arguments(ctx, how, float_model):
    arguments = tool_arguments(ctx)
    arguments.add(float_model.model, format = "--float_master=%s")
    if how.scheme:
        arguments.add(how.scheme.upper(), format = "--quantization_type=%s")
    if how.settings:
        arguments.add(how.settings, format = "--settings=%s")
    arguments.add_all(ctx.attr.layers, format_each = "--layers=%s")
    arguments.add_all(ctx.attr.keep_float, format_each = "--keep_float=%s")
    if ctx.attr.input_type:
        arguments.add(ctx.attr.input_type, format = "--input_type=%s")
    if ctx.attr.output_type:
        arguments.add(ctx.attr.output_type, format = "--output_type=%s")
    if ctx.attr.runs_on:
        arguments.add_joined(
            [place for place in RUNS_ON if place in ctx.attr.runs_on],
            format_joined = "--runs_on=%s",
            join_with = ",",
        )
    _preprocessing(arguments, float_model.preprocessing)
    return arguments

def _shard_of(path, count):
    """Chooses a shard for a file.

    Starlark's hashes of names that count up differ little in their last bits: by a power of two,
    200 numbered images fell into 20 of 32 shards. A prime comes first.

    Args:
      path: of the file.
      count: how many shards there are.

    Returns:
      A number from 0 to count - 1.
    """
    return hash(path) % 1021 % count

def _calibration_shards(ctx, count):
    """Shares the calibration data out, so that a new file changes one shard and no other.

    Args:
      ctx: the rule context.
      count: how many shards there are.

    Returns:
      A list of Files for each shard: files as the hash of their paths says, and a
      directory's parts as the hash of the paths in it does, which are not known here.
    """
    shards = [[] for _ in range(count)]
    for file in ctx.files.calibration_data:
        if not file.is_directory:
            shards[_shard_of(file.short_path, count)].append(file)
            continue
        folder = "{}.calibration/{}".format(ctx.label.name, file.short_path)
        parts = [
            ctx.actions.declare_directory("{}/{}".format(folder, number))
            for number in range(count)
        ]
        arguments = tool_arguments(ctx)
        _data(arguments, "--samples", [file])
        _data(arguments, "--output", parts)
        run_tool(
            ctx,
            ctx.executable._shard_samples,
            arguments,
            inputs = [file],
            outputs = parts,
            mnemonic = "ShardSamples",
            progress_message = "Sharing out the samples of {}".format(ctx.label),
        )
        for shard, part in zip(shards, parts):
            shard.append(part)
    return shards

def _calibrate(ctx, how, float_model):
    """Declares an action for each shard; a part that did not change is not calibrated again.

    Returns:
      Files of statistics; none where quantizing runs the data itself.
    """
    if how.shards < 2:
        return []
    results = []
    for number, files in enumerate(_calibration_shards(ctx, how.shards)):
        if not files:
            continue
        result = ctx.actions.declare_file("{}.calibration/{}.npz".format(ctx.label.name, number))
        arguments = _settings_arguments(ctx, how, float_model)
        _data(arguments, "--calibration_data", files)
        arguments.add(result, format = "--statistics_output=%s")
        run_tool(
            ctx,
            ctx.executable._calibrate_model,
            arguments,
            inputs = [float_model.model] + files + how.settings_files,
            outputs = [result],
            mnemonic = "CalibrateModel",
            progress_message = "Calibrating {} (part {})".format(ctx.label, number),
        )
        results.append(result)
    return results

def _quantize(ctx, how, float_model, statistics, outputs, mnemonic, progress_message):
    """Declares an action that quantizes.

    Args:
      ctx: the rule context.
      how: from `_how`.
      float_model: FloatModelInfo.
      statistics: Files from `_calibrate`.
      outputs: dict from a flag to the File that it names.
      mnemonic: of the action.
      progress_message: of the action.
    """
    arguments = _settings_arguments(ctx, how, float_model)
    _data(arguments, "--calibration_data", ctx.files.calibration_data)
    _data(arguments, "--calibration_statistics", statistics)
    for flag, file in outputs.items():
        arguments.add(file, format = flag + "=%s")
    run_tool(
        ctx,
        ctx.executable._quantize_model,
        arguments,
        inputs = [float_model.model] + ctx.files.calibration_data + how.settings_files + statistics,
        outputs = outputs.values(),
        mnemonic = mnemonic,
        progress_message = progress_message,
    )

def _layer_report(ctx, how, float_model, statistics, artifact):
    """Declares the layer report; its actions run only when its files are asked for."""
    name = ctx.label.name
    prepared = ctx.actions.declare_file(name + ".prepared.tflite")
    page = ctx.actions.declare_file(name + ".layers.html")
    document = ctx.actions.declare_file(name + ".layers.json")
    table = ctx.actions.declare_file(name + ".layers.txt")

    # Preparing once more costs time, but only here; keeping the prepared graph of
    # every artifact would cost every build its bytes.
    _quantize(
        ctx,
        how,
        float_model,
        statistics,
        {"--prepared_output": prepared},
        "PrepareModel",
        "Preparing the float graph of {}".format(ctx.label),
    )
    arguments = tool_arguments(ctx)
    arguments.add(float_model.model, format = "--float_master=%s")
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
    how = _how(ctx)
    if not ctx.files.test_data:
        fail("{}: test_data holds no files".format(ctx.label))
    scheme = how.scheme or "as " + how.settings.basename + " says"
    artifact = ctx.actions.declare_file(name + ".tflite")
    recipe = ctx.actions.declare_file(name + ".recipe.json")
    summary = ctx.actions.declare_file(name + ".summary.json")
    report = ctx.actions.declare_file(name + ".report.json")
    gates = ctx.actions.declare_file(name + ".gates.json")
    verdict = ctx.actions.declare_file(name + ".verdict.json")
    gate_table = ctx.actions.declare_file(name + ".gates.txt")
    refusal = ctx.actions.declare_file(name + ".refusal.txt")
    validation = ctx.actions.declare_file(name + ".passed")

    # The comparison finds test samples in it without reading the calibration data once more.
    known_samples = []
    if ctx.files.calibration_data:
        known_samples.append(ctx.actions.declare_file(name + ".calibration_samples.json"))
    statistics = _calibrate(ctx, how, float_model)
    outputs = {
        "--output_model": artifact,
        "--recipe_output": recipe,
        "--summary_output": summary,
    }
    outputs.update({"--calibration_samples_output": file for file in known_samples})
    _quantize(
        ctx,
        how,
        float_model,
        statistics,
        outputs,
        "QuantizeModel",
        "Quantizing {} ({})".format(ctx.label, scheme),
    )

    # The report is an action of its own that never fails for a low value: what
    # a gate refuses is still there to read.
    compare = tool_arguments(ctx)
    compare.add(float_model.model, format = "--float_master=%s")
    compare.add(artifact, format = "--quantized_model=%s")
    compare.add(float_model.original, format = "--source_model=%s")
    compare.add(summary, format = "--summary=%s")
    compare.add(name, format = "--name=%s")
    compare.add(ctx.attr.version, format = "--version=%s")
    _data(compare, "--test_data", ctx.files.test_data)
    _data(compare, "--calibration_samples", known_samples)
    _preprocessing(compare, float_model.preprocessing)
    inputs = [float_model.model, float_model.original, artifact, summary]
    inputs += ctx.files.test_data + known_samples
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

    ctx.actions.write(gates, gates_text(ctx.attr.quality))
    check = tool_arguments(ctx)
    check.add(report, format = "--report=%s")
    check.add(gates, format = "--gates=%s")
    check.add(verdict, format = "--verdict=%s")
    check.add(gate_table, format = "--table=%s")
    check.add(refusal, format = "--refusal=%s")
    check.add(
        # Without validation: the refusal would end this build too. Bazel 4 to 9 know the flag.
        "bazel build --noexperimental_run_validations --output_groups=layers " +
        typed_label(ctx.label),
        format = "--layers_command=%s",
    )
    run_tool(
        ctx,
        ctx.executable._check_gates,
        check,
        inputs = [report, gates],
        outputs = [verdict, gate_table, refusal],
        mnemonic = "CheckGates",
        progress_message = "Checking the gates of {}".format(ctx.label),
    )

    # Whether the build fails is for an action that makes nothing else: the verdict is there for
    # the similarity test, the registry and whoever asks for it, whatever it says.
    ctx.actions.run(
        executable = ctx.executable._hold_to_gates,
        arguments = [refusal.path, validation.path],
        inputs = [refusal],
        outputs = [validation],
        mnemonic = "HoldToGates",
        progress_message = "Holding {} to its gates".format(ctx.label),
    )

    layers = _layer_report(ctx, how, float_model, statistics, artifact)
    return [
        DefaultInfo(
            files = depset([artifact, report, recipe]),
            runfiles = ctx.runfiles(files = [artifact, report, recipe]),
        ),
        QuantizedModelInfo(
            float_model = float_model,
            gate_table = gate_table,
            gates = gates,
            layers = layers,
            model = artifact,
            recipe = recipe,
            refusal = refusal,
            report = report,
            scheme = how.scheme or "settings",
            validation = validation,
            verdict = verdict,
            version = ctx.attr.version,
        ),
        OutputGroupInfo(
            _validation = depset([validation]),
            layers = depset([layers.document, layers.page, layers.table]),
            recipe = depset([recipe]),
            report = depset([report]),
            verdict = depset([verdict, gate_table]),
        ),
    ]

quantized_model_rule = rule(
    implementation = _quantized_model_impl,
    doc = "Quantizes a float model, compares the two, and refuses an artifact beyond its gates.",
    attrs = {
        "calibration_data": attr.label(
            allow_files = True,
            doc = "Representative dataset: images, .npy or .npz files, or a directory of them. " +
                  "Schemes with ranges need it; others but float16 correct weights by it.",
        ),
        "calibration_shards": attr.int(
            default = 1,
            doc = "Parts that the calibration data is calibrated in, each an action of its own.",
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
        "quality": QUALITY,
        "runs_on": attr.string_list(
            doc = "Where the artifact runs; empty is the settings file's, or cpu and gpu.",
        ),
        "scheme": attr.string(
            values = ["", "auto"] + SCHEMES,
            doc = "How weights and activations are stored; empty where the settings say it, " +
                  "auto where settings_of_search do.",
        ),
        "settings": attr.label(
            allow_single_file = True,
            doc = "Settings JSON, layer_params, or a recipe of litert-quantizer.",
        ),
        "settings_of_search": attr.label(
            allow_single_file = True,
            doc = "What NAME.tune found, for the scheme auto.",
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
        "_calibrate_model": attr.label(
            default = "//tools:calibrate_model",
            cfg = "exec",
            executable = True,
        ),
        "_check_gates": attr.label(
            default = "//tools:check_gates",
            cfg = "exec",
            executable = True,
        ),
        "_hold_to_gates": attr.label(
            default = "//rules/private:hold_to_gates.sh",
            allow_single_file = True,
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
        "_shard_samples": attr.label(
            default = "//tools:shard_samples",
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
