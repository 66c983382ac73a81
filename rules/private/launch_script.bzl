"""Shell scripts that `bazel run` and `bazel test` start: tools with files of the build as flags."""

load(":python_program.bzl", "runfiles_path")

_SCRIPT = """\
#!/bin/sh
# {what}.
set -eu
if [ -d "$0.runfiles" ]; then
    runfiles="$0.runfiles"
else
    runfiles="${{RUNFILES_DIR:-${{TEST_SRCDIR:-}}}}"
fi
case "$runfiles" in /*) ;; *) runfiles="$PWD/$runfiles" ;; esac
export RUNFILES_DIR="$runfiles"
{commands}
"""

def in_runfiles(ctx, file):
    """Names a file in the commands of a script.

    Args:
      ctx: the rule context.
      file: a File.

    Returns:
      A shell word, to be used as it is.
    """
    return "\"$runfiles/{}\"".format(runfiles_path(ctx, file))

def flag(ctx, name, file):
    """Writes a tool's flag whose value is a file.

    Args:
      ctx: the rule context.
      name: of the flag, with its dashes.
      file: a File.

    Returns:
      A shell word.
    """
    return "{}={}".format(name, in_runfiles(ctx, file))

def lines(words):
    """Writes a command with a word a line.

    Args:
      words: shell words.

    Returns:
      Shell text.
    """
    return " \\\n    ".join(words)

def launch_script(ctx, what, commands, files, tools, symlinks = {}):
    """Makes the script of an executable or test rule.

    Args:
      ctx: the rule context.
      what: what the script does, in a few words.
      commands: shell text; it finds $runfiles.
      files: Files that the commands name.
      tools: targets that the commands start.
      symlinks: paths in the workspace's runfiles to Files that stand there.

    Returns:
      The rule's providers.
    """
    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(script, _SCRIPT.format(what = what, commands = commands), is_executable = True)
    runfiles = ctx.runfiles(
        files = files + [tool[DefaultInfo].files_to_run.executable for tool in tools],
        symlinks = symlinks,
    )
    for tool in tools:
        runfiles = runfiles.merge(tool[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = script, files = depset([script]), runfiles = runfiles)]
