"""program_wheel: programs of this project as a wheel, for those who install with pip."""

load("//rules:version.bzl", "VERSION")

def _place(file):
    """Says where a file lies in its repository, whichever that is called here."""
    path = file.short_path
    return "/".join(path.split("/")[2:]) if path.startswith("../") else path

def _program_wheel_impl(ctx):
    wheel = ctx.actions.declare_file("rules_quantize-{}-py3-none-any.whl".format(VERSION))
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add(ctx.file.pyproject, format = "--pyproject=%s")
    arguments.add(ctx.file.licence, format = "--licence=%s")
    arguments.add_all(ctx.files.locks, format_each = "--lock=%s")
    arguments.add("--file=__init__.py={}".format(ctx.file.package.path))
    arguments.add("--file=__main__.py={}".format(ctx.file.entry_point.path))
    for file in depset(ctx.files.srcs + ctx.files.locks).to_list():
        arguments.add("--file=programs/{}={}".format(_place(file), file.path))
    arguments.add(wheel, format = "--wheel=%s")
    ctx.actions.run(
        executable = ctx.executable._make_wheel,
        arguments = [arguments],
        inputs = depset(
            [ctx.file.pyproject, ctx.file.licence, ctx.file.package, ctx.file.entry_point] +
            ctx.files.locks + ctx.files.srcs,
        ),
        mnemonic = "Wheel",
        outputs = [wheel],
        progress_message = "Packing {}".format(wheel.basename),
    )
    return [DefaultInfo(
        files = depset([wheel]),
        runfiles = ctx.runfiles(files = [wheel]),
    )]

program_wheel = rule(
    implementation = _program_wheel_impl,
    doc = "Packs programs as rules_quantize-VERSION-py3-none-any.whl. The bytes depend on the " +
          "files alone.",
    attrs = {
        "entry_point": attr.label(
            allow_single_file = [".py"],
            mandatory = True,
            doc = "The package's __main__.py, whose `command` starts the programs.",
        ),
        "licence": attr.label(
            allow_single_file = True,
            mandatory = True,
            doc = "Text of the licence.",
        ),
        "locks": attr.label_list(
            allow_files = [".lock"],
            mandatory = True,
            doc = "Locks that the requirements take their versions from; they are packed too.",
        ),
        "package": attr.label(
            allow_single_file = [".py"],
            mandatory = True,
            doc = "The package's __init__.py.",
        ),
        "pyproject": attr.label(
            allow_single_file = [".toml"],
            mandatory = True,
            doc = "What says the name, the version and the requirements.",
        ),
        "srcs": attr.label_list(
            allow_files = True,
            mandatory = True,
            doc = "The programs and what they read; each lies in `programs` as in this repository.",
        ),
        "_make_wheel": attr.label(
            default = "//rules:make_wheel",
            executable = True,
            cfg = "exec",
        ),
    },
)
