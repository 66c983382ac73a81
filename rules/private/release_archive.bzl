"""Packs the sources that a user of these rules needs into one archive."""

load("//rules:version.bzl", "VERSION")
load(":tool_action.bzl", "tool_arguments")

def _in_repository(file):
    path = file.short_path
    return path.split("/", 2)[2] if path.startswith("../") else path

def _release_archive_impl(ctx):
    name = "rules_quantize-" + VERSION
    archive = ctx.actions.declare_file(name + ".tar.gz")
    arguments = tool_arguments(ctx)
    arguments.add("--output=" + archive.path)
    arguments.add("--folder=" + name)
    for file in ctx.files.srcs:
        arguments.add("--file={}={}".format(_in_repository(file), file.path))
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._write_release_archive,
        inputs = ctx.files.srcs,
        mnemonic = "QuantizeRelease",
        outputs = [archive],
        progress_message = "Packing " + archive.short_path,
    )
    return [DefaultInfo(files = depset([archive]))]

release_archive = rule(
    implementation = _release_archive_impl,
    doc = "Makes rules_quantize-VERSION.tar.gz, whose bytes depend on its files alone.",
    attrs = {
        "srcs": attr.label_list(
            allow_files = True,
            mandatory = True,
            doc = "What it holds, each file at its path in this repository.",
        ),
        "_write_release_archive": attr.label(
            default = "//rules:write_release_archive",
            cfg = "exec",
            executable = True,
        ),
    },
)
