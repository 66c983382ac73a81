"""Python programs that run in a `python_env`, without a toolchain.

`py_binary` would load rules_python (and with it a C++ toolchain) from another
module; a launcher of twenty lines needs neither, on any Bazel from 4.2 on.
"""

load(":text_flag.bzl", "TextFlagInfo")

def runfiles_path(ctx, file):
    """Says where a file lies below the runfiles directory.

    Args:
      ctx: the rule context.
      file: a File.

    Returns:
      A string such as "rules_quantize/tools/quantize_model.py".
    """
    path = file.short_path
    return path[3:] if path.startswith("../") else ctx.workspace_name + "/" + path

def shell_word(text):
    """Quotes text for the shell.

    Args:
      text: any string.

    Returns:
      One word, which stands for it as it is.
    """
    return "'" + text.replace("'", "'\\''") + "'"

def _directory(files):
    for file in files:
        if file.basename == "venv":
            return file
    fail("an environment is the target `env` of a python_env repository; it holds `venv`")

def _laid_over(ctx, environments):
    """Writes the lines of the launcher that lay environments over the first one."""
    if len(environments) < 2:
        return ""
    lines = ["version=\"$(python_folder \"$venv\")\""]
    for environment in environments[1:]:
        lines.append("over {} {}".format(
            shell_word(runfiles_path(ctx, environment)),
            shell_word(environment.path),
        ))
    return "\n".join(lines) + "\n"

def _program(ctx, sources, command):
    """Makes the launcher and gathers what it needs.

    Args:
      ctx: the rule context.
      sources: Files, the program's own first.
      command: shell text; it finds $runfiles and $python.

    Returns:
      The providers.
    """
    environments = [_directory(target.files.to_list()) for target in ctx.attr.envs]

    repository = runfiles_path(ctx, sources[0]).split("/")[0]
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.expand_template(
        template = ctx.file._launcher,
        output = launcher,
        substitutions = {
            "%{command}": command,
            "%{label_word}": shell_word(str(ctx.label)),
            "%{over}": _laid_over(ctx, environments),
            "%{repository}": repository,
            "%{venv}": runfiles_path(ctx, environments[0]),
            "%{venv_path}": environments[0].path,
        },
        is_executable = True,
    )
    runfiles = ctx.runfiles(files = sources + ctx.files.data + ctx.files.envs)
    for target in ctx.attr.srcs + ctx.attr.deps + ctx.attr.data:
        runfiles = runfiles.merge(target[DefaultInfo].default_runfiles)
    return [DefaultInfo(
        executable = launcher,
        files = depset([launcher]),
        runfiles = runfiles,
    )]

_ATTRS = {
    "data": attr.label_list(
        allow_files = True,
        doc = "Files that the program finds in its runfiles.",
    ),
    "deps": attr.label_list(
        allow_files = [".py"],
        doc = "Source files that the program imports, most often filegroups.",
    ),
    "envs": attr.label_list(
        allow_files = True,
        mandatory = True,
        doc = "Environments, as `@NAME//:env`. The first one's interpreter runs the program; " +
              "packages of the others come before its own, and must be for the same Python.",
    ),
    "_launcher": attr.label(
        default = "//rules/private:launcher.sh.tpl",
        allow_single_file = True,
    ),
}

def _defaults(ctx):
    """Sets variables of the environment that the user's own leaves empty."""
    lines = []
    for flag, name in ctx.attr.defaults.items():
        value = flag[TextFlagInfo].value
        if value:
            lines.append("[ -n \"${%s:-}\" ] || export %s=%s\n" % (
                name,
                name,
                shell_word(value),
            ))
    return "".join(lines)

def _argument(ctx, argument):
    """Quotes an argument; a location in it becomes an absolute runfiles path."""
    word = shell_word(ctx.expand_location(argument, ctx.attr.data))
    return word.replace("RUNFILES/", "'\"$runfiles\"'/")

def _python_tool_impl(ctx):
    if len(ctx.files.srcs) != 1:
        fail("{}: srcs is the one file that is started; what it imports goes into deps".format(
            ctx.label,
        ))
    main = ctx.files.srcs[0]
    words = [_argument(ctx, argument) for argument in ctx.attr.arguments]
    command = "{}exec \"$python\" \"$runfiles/{}\" {}".format(
        _defaults(ctx),
        runfiles_path(ctx, main),
        " ".join(words + ["\"$@\""]),
    )
    return _program(ctx, [main] + ctx.files.deps, command)

python_tool = rule(
    implementation = _python_tool_impl,
    doc = "A Python program for `bazel run` and for actions.",
    executable = True,
    attrs = dict(
        _ATTRS,
        arguments = attr.string_list(
            doc = "Flags given before the user's own. `RUNFILES/` at the start of a path stands " +
                  "for the runfiles directory.",
        ),
        defaults = attr.label_keyed_string_dict(
            providers = [TextFlagInfo],
            doc = "Variable of the environment by the text_flag that it is set to, where it is " +
                  "not set already.",
        ),
        srcs = attr.label_list(
            allow_files = [".py"],
            mandatory = True,
            doc = "The one file that is started.",
        ),
    ),
)

_PYTEST = """\
export HYPOTHESIS_STORAGE_DIRECTORY="${{TEST_TMPDIR:-/tmp}}/hypothesis"
export TEST_EXTENT={extent}
exec "$python" -m pytest -p no:cacheprovider --rootdir="$runfiles" \\
    -o markers="nightly: runs only where the whole of a test does" {selection} \\
    ${{XML_OUTPUT_FILE:+--junitxml="$XML_OUTPUT_FILE"}} \\
    {tests} "$@"\
"""

def _run_by_pytest(ctx, whole):
    command = _PYTEST.format(
        extent = "whole" if whole else "part",
        selection = "" if whole else "-m 'not nightly'",
        tests = " ".join([
            "\"$runfiles/{}\"".format(runfiles_path(ctx, file))
            for file in ctx.files.srcs
        ]),
    )
    return _program(ctx, ctx.files.srcs + ctx.files.deps, command)

_TEST_FILES = attr.label_list(
    allow_files = [".py"],
    mandatory = True,
    doc = "Test files.",
)

def _python_test_impl(ctx):
    return _run_by_pytest(ctx, ctx.attr.whole)

python_test = rule(
    implementation = _python_test_impl,
    doc = "Test files that pytest runs.",
    test = True,
    attrs = dict(
        _ATTRS,
        srcs = _TEST_FILES,
        whole = attr.bool(
            doc = "Whether tests marked `nightly` run as well, and the variable TEST_EXTENT " +
                  "is `whole` rather than `part`.",
        ),
    ),
)

def _python_test_of_bazel_impl(ctx):
    return _run_by_pytest(ctx, True)

# `bazel run` of a test would hide the user's PATH. A Bazel with another PATH makes each Python
# environment anew, under whatever uses one at that moment.
python_test_of_bazel = rule(
    implementation = _python_test_of_bazel_impl,
    doc = "Test files that start Bazel themselves. pytest runs them by `bazel run`, with the " +
          "user's own environment; `bazel test` does not see them.",
    executable = True,
    attrs = dict(_ATTRS, srcs = _TEST_FILES),
)
