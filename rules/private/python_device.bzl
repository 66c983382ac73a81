"""Declares devices whose own Python runs a model: any that a command reaches, and an emulated one."""

load(":device.bzl", "MOST_SAMPLES", "device_info")
load(":launch_script.bzl", "text_flag_word")
load(":python_program.bzl", "runfiles_path", "shell_word")

_VALIDATE = attr.label(
    default = "//tools:validate_on_device",
    cfg = "exec",
    executable = True,
)

def _python_device_impl(ctx):
    return device_info(
        ctx,
        ctx.attr._validate,
        [text_flag_word("--command", ctx.attr.command)],
    )

python_device = rule(
    implementation = _python_device_impl,
    doc = "A device that a command reaches, whose Python has ai-edge-litert and numpy and runs a " +
          "model; devices of a quantized_model name it.",
    attrs = {
        "command": attr.string(
            mandatory = True,
            doc = "Shell command that starts a Python there which reads its program from the " +
                  "standard input, such as `ssh pi@raspberrypi ./venv/bin/python -`.",
        ),
        "most_samples": MOST_SAMPLES,
        "_validate": _VALIDATE,
    },
)

def _emulated_device_impl(ctx):
    python = "\"$RUNFILES_DIR\"/{}/python".format(shell_word(runfiles_path(ctx, ctx.file._arm64)))
    command = "{} {} -".format(python, ctx.attr.cpu)
    return device_info(
        ctx,
        ctx.attr._validate,
        [text_flag_word("--command", command)],
        [ctx.file._arm64],
    )

emulated_device = rule(
    implementation = _emulated_device_impl,
    doc = "An arm64 Debian under QEMU on this machine, whose Python runs a model: answers as there, " +
          "at a speed that means nothing; devices of a quantized_model name it.",
    attrs = {
        "cpu": attr.string(
            default = "cortex-a76",
            values = ["cortex-a53", "cortex-a72", "cortex-a76", "neoverse-n1", "neoverse-v1"],
            doc = "The processor, which decides which of XNNPACK's kernels compute.",
        ),
        "most_samples": MOST_SAMPLES,
        "_arm64": attr.label(
            default = "@rules_quantize_arm64//:arm64",
            allow_single_file = True,
            cfg = "exec",
        ),
        "_validate": _VALIDATE,
    },
)
