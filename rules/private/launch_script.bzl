"""Shell scripts that `bazel run` and `bazel test` start: tools with files of the build as flags."""

load(":python_program.bzl", "runfiles_path", "shell_word")

# What is typed after the target. Such a flag takes the place of the rule's own; a flag that is
# typed twice is refused (tools/command_line.py).
USERS_WORDS = ["--end_of_rule", "\"$@\""]

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
{links}{commands}
"""

# A tool is given the file that a link stands for, since a file's own name matters: it names a
# sample. Where that one is out of reach the link itself does.
_OWN_PATH = """\
own_path() {{
    path="$1"
    while [ -L "$path" ]; do
        case "$path" in
        */{folder}/*) path="$(readlink "$path")" ;;
        *) break ;;
        esac
    done
    [ -e "$path" ] || path="$1"
    echo "$path"
}}
"""

_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/"

def _plain(path):
    """Gives a path without letters that are a trouble to somebody; itself where it has none."""
    plain = "".join([letter if letter in _PLAIN else "_" for letter in path.elems()])
    return path if plain == path else "{}.{}".format(plain, hash(path) % 1000000007)

def _executable_name(ctx):
    # MLflow finds nothing below runfiles, which are named after this, with % in their name.
    return _plain(ctx.label.name)

def _needs_link(file, linked):
    """Whether runfiles or a script cannot have a file by its own name.

    Bazel 4 makes no runfiles where a path in them holds a space. Debian's Bazel 7, where the
    machine has no Latin-1 locale, writes letters beyond ASCII of a file's name as others.
    """
    odd = [True for letter in file.path.elems() if letter == " " or letter > "~"]
    return file in linked or bool(odd)

def _link_name(ctx, file):
    return "{}.links/{}".format(_executable_name(ctx), _plain(runfiles_path(ctx, file)))

def _link(ctx, file):
    """Declares the link by which runfiles hold a file that they cannot by its own name."""
    name = _link_name(ctx, file)
    if not file.is_directory:
        link = ctx.actions.declare_file(name)
        ctx.actions.symlink(output = link, target_file = file)
        return link

    # Bazel 4 makes no links to directories of the build. The samples' names begin inside.
    link = ctx.actions.declare_directory(name)
    ctx.actions.run(
        executable = "/bin/cp",
        arguments = ["-R", "-L", file.path + "/.", link.path],
        inputs = [file],
        outputs = [link],
        mnemonic = "CopyDirectory",
        progress_message = "Copying {} for {}".format(file.short_path, ctx.label),
    )
    return link

def in_runfiles(ctx, file, linked = []):
    """Names a file in the commands of a script.

    Args:
      ctx: the rule context.
      file: a File.
      linked: as given to `launch_script`.

    Returns:
      A shell word, to be used as it is.
    """
    if not _needs_link(file, linked):
        return "\"$runfiles\"/" + shell_word(runfiles_path(ctx, file))
    package = ctx.label.package + "/" if ctx.label.package else ""
    workspace = ctx.label.workspace_name or ctx.workspace_name
    path = "{}/{}{}".format(workspace, package, _link_name(ctx, file))
    return "\"$(own_path \"$runfiles\"/{})\"".format(shell_word(path))

def flag(ctx, name, file, linked = []):
    """Writes a tool's flag whose value is a file.

    Args:
      ctx: the rule context.
      name: of the flag, with its dashes.
      file: a File.
      linked: as given to `launch_script`.

    Returns:
      A shell word.
    """
    return "{}={}".format(name, in_runfiles(ctx, file, linked))

def text_flag_word(name, text):
    """Writes a tool's flag whose value is text.

    Args:
      name: of the flag, with its dashes.
      text: any string.

    Returns:
      A shell word.
    """
    return "{}={}".format(name, shell_word(text))

def lines(words):
    """Writes a command with a word a line.

    Args:
      words: shell words.

    Returns:
      Shell text.
    """
    return " \\\n    ".join(words)

def launch_script(ctx, what, commands, files, tools = [], linked = []):
    """Makes the script of an executable or test rule.

    Args:
      ctx: the rule context.
      what: what the script does, in a few words.
      commands: shell text; it finds $runfiles.
      files: Files that the commands name.
      tools: targets that the commands start.
      linked: Files that may have the same path as another: a source file and what is made
        of it. The commands name them as `linked` too.

    Returns:
      The rule's providers.
    """
    script = ctx.actions.declare_file(_executable_name(ctx))
    held, links = [], ""
    for file in {file: None for file in files + linked}:
        if _needs_link(file, linked):
            links = _OWN_PATH.format(folder = shell_word(_executable_name(ctx) + ".links"))
            held.append(_link(ctx, file))
        else:
            held.append(file)
    ctx.actions.write(
        script,
        _SCRIPT.format(what = what, links = links, commands = commands),
        is_executable = True,
    )
    runfiles = ctx.runfiles(
        files = held + [tool[DefaultInfo].files_to_run.executable for tool in tools],
    )
    for tool in tools:
        runfiles = runfiles.merge(tool[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = script, files = depset([script]), runfiles = runfiles)]
