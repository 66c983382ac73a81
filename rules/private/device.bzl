"""What judges a model's answers on a device, whatever device that is."""

load("//rules:providers.bzl", "QuantizedModelInfo")
load(":launch_script.bzl", "USERS_WORDS", "flag", "in_runfiles", "launch_script", "lines", "text_flag_word")

DeviceInfo = provider(
    doc = "A device that a model's answers are judged on.",
    fields = {
        "files": "list of Files that the words name.",
        "most_samples": "int: how many test samples run at most; 0 is all.",
        "name": "string: how verdicts name it.",
        "validate": "target: the program that judges.",
        "words": "list of shell words: flags of the program.",
    },
)

MOST_SAMPLES = attr.int(
    doc = "How many test samples run at most, spread over the test data, where a run " +
          "takes seconds; 0 is all. Gates that all samples pass may be too narrow for a part.",
)

def device_info(ctx, validate, words, files = []):
    """Makes a device's provider.

    Args:
      ctx: of a rule with MOST_SAMPLES as its attribute `most_samples`.
      validate: see DeviceInfo.
      words: see DeviceInfo.
      files: see DeviceInfo.

    Returns:
      A list of providers.
    """
    if ctx.attr.most_samples < 0:
        fail("{}: most_samples is {}; give a number from 0, where 0 is all".format(
            ctx.label,
            ctx.attr.most_samples,
        ))
    return [DeviceInfo(
        files = files,
        most_samples = ctx.attr.most_samples,
        name = ctx.label.name,
        validate = validate,
        words = words,
    )]

def _device_similarity_test_impl(ctx):
    info = ctx.attr.model[QuantizedModelInfo]
    device = ctx.attr.device[DeviceInfo]
    float_model = info.float_model
    files = [info.model, float_model.model, info.gates] + device.files + ctx.files.test_data
    words = [
        "exec " + in_runfiles(ctx, device.validate[DefaultInfo].files_to_run.executable),
        flag(ctx, "--float_master", float_model.model),
        flag(ctx, "--quantized_model", info.model),
        flag(ctx, "--gates", info.gates),
        text_flag_word("--name", ctx.attr.model.label.name),
        text_flag_word("--device_name", device.name),
        "--input_resize=" + float_model.preprocessing.resize,
    ] + device.words
    if device.most_samples:
        words.append("--most_samples={}".format(device.most_samples))
    if float_model.preprocessing.mean:
        words.append(text_flag_word("--input_mean", float_model.preprocessing.mean))
    if float_model.preprocessing.std:
        words.append(text_flag_word("--input_std", float_model.preprocessing.std))
    if float_model.task:
        words.append(flag(ctx, "--task", float_model.task))
        files.append(float_model.task)
    words += [flag(ctx, "--test_data", file) for file in ctx.files.test_data]
    return launch_script(
        ctx,
        "Judges the answers of {} on {}".format(ctx.attr.model.label, ctx.attr.device.label),
        lines(words + USERS_WORDS),
        files,
        [device.validate],
    )

device_similarity_test = rule(
    implementation = _device_similarity_test_impl,
    doc = "Fails when a quantized model's answers on a device are beyond its gates.",
    test = True,
    attrs = {
        "device": attr.label(
            mandatory = True,
            providers = [DeviceInfo],
            doc = "A browser_device, emulated_device or python_device.",
        ),
        "model": attr.label(
            mandatory = True,
            providers = [QuantizedModelInfo],
            doc = "A quantized_model.",
        ),
        "test_data": attr.label(
            allow_files = True,
            mandatory = True,
            doc = "That of the quantized_model.",
        ),
    },
)
