"""Declares a device that speed is measured on."""

load(":launch_script.bzl", "flag", "text_flag_word")

LatencyDeviceInfo = provider(
    doc = "A device that speed is measured on.",
    fields = {
        "benchmark_binary": "File or None: TFLite's benchmark_model for the device.",
        "delegate": "string: xnnpack, gpu, nnapi or none.",
        "device": "string: host, adb, adb:SERIAL, adb:NAME=VALUE,... or command:TEMPLATE.",
        "name": "string: how reports name it.",
        "patience": "int: seconds to wait while other programs hold it (adb).",
        "threads": "int: of the interpreter.",
    },
)

def _latency_device_impl(ctx):
    backend, serial, command = ctx.attr.backend, ctx.attr.serial, ctx.attr.command
    properties = ctx.attr.properties
    if (serial or properties) and backend != "adb":
        fail("{}: serial and properties belong to backend adb".format(ctx.label))
    if serial and properties:
        fail("{}: give serial, or properties of all devices that may be taken".format(ctx.label))
    if ctx.attr.patience < 0:
        fail("{}: patience is {}; give seconds, from 0".format(ctx.label, ctx.attr.patience))
    if bool(command) != (backend == "command"):
        fail("{}: command belongs to backend command, and is needed there".format(ctx.label))
    if (ctx.file.benchmark_binary != None) != (backend == "adb"):
        fail("{}: benchmark_binary belongs to backend adb, and is needed there".format(ctx.label))
    detail = serial or command or ",".join(
        ["{}={}".format(property, properties[property]) for property in sorted(properties)],
    )
    return [LatencyDeviceInfo(
        name = ctx.label.name,
        benchmark_binary = ctx.file.benchmark_binary,
        delegate = ctx.attr.delegate,
        device = backend + ":" + detail if detail else backend,
        patience = ctx.attr.patience,
        threads = ctx.attr.threads,
    )]

def device_flags(ctx, threads):
    """Writes the flags of a command that measures on ctx.attr.latency_device.

    Args:
      ctx: of a rule with LATENCY_DEVICE among its attributes.
      threads: of the interpreter on the host; a device has its own.

    Returns:
      (list of words for the shell, files that they name).
    """
    if not ctx.attr.latency_device:
        return ["--threads={}".format(threads)], []
    device = ctx.attr.latency_device[LatencyDeviceInfo]
    words = [
        text_flag_word("--device", device.device),
        "--delegate=" + device.delegate,
        "--threads={}".format(device.threads),
        "--patience={}".format(device.patience),
    ]
    if not device.benchmark_binary:
        return words, []
    return words + [flag(ctx, "--benchmark_binary", device.benchmark_binary)], [device.benchmark_binary]

LATENCY_DEVICE = attr.label(
    providers = [LatencyDeviceInfo],
    doc = "A latency_device, whose threads count; the default is the host.",
)

latency_device = rule(
    implementation = _latency_device_impl,
    doc = "A device that speed is measured on; min_fps of a quantized_model names it.",
    attrs = {
        "backend": attr.string(
            mandatory = True,
            values = ["adb", "command", "host"],
            doc = "How it is reached.",
        ),
        "benchmark_binary": attr.label(
            allow_single_file = True,
            doc = "TFLite's benchmark_model for the device's ABI (adb).",
        ),
        "command": attr.string(
            doc = "Shell command with {model} and {threads} in it that prints what " +
                  "benchmark_model prints (command).",
        ),
        "delegate": attr.string(
            default = "xnnpack",
            values = ["gpu", "nnapi", "none", "xnnpack"],
            doc = "What computes.",
        ),
        "patience": attr.int(
            default = 600,
            doc = "Seconds to wait while other programs of this machine hold all devices that " +
                  "may be taken (adb). A test's own limit of time counts on meanwhile.",
        ),
        "properties": attr.string_dict(
            doc = "Of all devices that may be taken (adb): the first that nothing else measures " +
                  "on is. Names are abi, brand, device, manufacturer, model, sdk, soc and those " +
                  "of Android's getprop.",
        ),
        "serial": attr.string(
            doc = "Of the device (adb). Without it and without properties the only one that " +
                  "is connected is taken.",
        ),
        "threads": attr.int(
            default = 1,
            doc = "Threads of the interpreter.",
        ),
    },
)
