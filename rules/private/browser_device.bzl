"""Declares a browser that a model's answers are judged in."""

load(":device.bzl", "MOST_SAMPLES", "device_info")
load(":launch_script.bzl", "text_flag_word")

def _browser_device_impl(ctx):
    words = ["--accelerator=" + ctx.attr.accelerator]
    if ctx.attr.chromium:
        words.append(text_flag_word("--chromium", ctx.attr.chromium))
    return device_info(ctx, ctx.attr._validate, words)

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
        "most_samples": MOST_SAMPLES,
        "_validate": attr.label(
            default = "//tools:validate_in_browser",
            cfg = "exec",
            executable = True,
        ),
    },
)
