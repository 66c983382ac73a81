"""Declares a browser that a model's answers are judged in."""

load("//rules:providers.bzl", "QuantizedModelInfo")
load(":launch_script.bzl", "USERS_WORDS", "flag", "in_runfiles", "launch_script", "lines", "text_flag_word")

BrowserDeviceInfo = provider(
    doc = "A browser that a model's answers are judged in.",
    fields = {
        "accelerator": "string: wasm or gpu.",
        "chromium": "string: path or name of the browser; empty is the machine's.",
        "most_samples": "int: how many test samples run at most; 0 is all.",
        "name": "string: how verdicts name it.",
    },
)

def _browser_device_impl(ctx):
    if ctx.attr.most_samples < 0:
        fail("{}: most_samples is {}; give a number from 0, where 0 is all".format(
            ctx.label,
            ctx.attr.most_samples,
        ))
    return [BrowserDeviceInfo(
        name = ctx.label.name,
        accelerator = ctx.attr.accelerator,
        chromium = ctx.attr.chromium,
        most_samples = ctx.attr.most_samples,
    )]

browser_device = rule(
    implementation = _browser_device_impl,
    doc = "The machine's Chromium, in which LiteRT.js runs a model; devices of a quantized_model name it.",
    attrs = {
        "accelerator": attr.string(
            default = "wasm",
            values = ["gpu", "wasm"],
            doc = "What computes: wasm is XNNPACK in WebAssembly; gpu is LiteRT's GPU delegate " +
                  "by WebGPU, with SwiftShader in place of a GPU.",
        ),
        "chromium": attr.string(
            doc = "Path or name of the browser. The default is the machine's Chromium or Chrome.",
        ),
        "most_samples": attr.int(
            doc = "How many test samples run at most, spread over the test data, where a run " +
                  "takes seconds; 0 is all. Gates that all samples pass may be too narrow for a part.",
        ),
    },
)

def _device_similarity_test_impl(ctx):
    info = ctx.attr.model[QuantizedModelInfo]
    device = ctx.attr.device[BrowserDeviceInfo]
    float_model = info.float_model
    files = [info.model, float_model.model, info.gates] + ctx.files.test_data
    words = [
        "exec " + in_runfiles(ctx, ctx.executable._validate_in_browser),
        flag(ctx, "--float_master", float_model.model),
        flag(ctx, "--quantized_model", info.model),
        flag(ctx, "--gates", info.gates),
        text_flag_word("--name", ctx.attr.model.label.name),
        text_flag_word("--device_name", device.name),
        "--accelerator=" + device.accelerator,
        "--input_resize=" + float_model.preprocessing.resize,
    ]
    if device.chromium:
        words.append(text_flag_word("--chromium", device.chromium))
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
        [ctx.attr._validate_in_browser],
    )

device_similarity_test = rule(
    implementation = _device_similarity_test_impl,
    doc = "Fails when a quantized model's answers on a device are beyond its gates.",
    test = True,
    attrs = {
        "device": attr.label(
            mandatory = True,
            providers = [BrowserDeviceInfo],
            doc = "A browser_device.",
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
        "_validate_in_browser": attr.label(
            default = "//tools:validate_in_browser",
            cfg = "exec",
            executable = True,
        ),
    },
)
