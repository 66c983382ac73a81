"""Actions that run one of the project's tools, in a persistent worker where Bazel has them."""

_JsonWorkersInfo = provider(
    doc = "Whether the Bazel that runs speaks JSON to its workers.",
    fields = {
        "spoken": "bool",
    },
)

def _json_workers_setting_impl(ctx):
    return [_JsonWorkersInfo(spoken = ctx.build_setting_value)]

_json_workers_setting = rule(
    implementation = _json_workers_setting_impl,
    doc = "A flag: whether the Bazel that runs speaks JSON to its workers.",
    build_setting = config.bool(flag = True),
)

def json_workers_flag(name, visibility):
    """Declares the flag; Bazel 4 must be told, later ones speak JSON always.

    Args:
      name: the target.
      visibility: of the target.
    """
    _json_workers_setting(
        name = name,
        # Debian's Bazels have no version, but Bazel 5 brought this function.
        build_setting_default = hasattr(native, "subpackages"),
        visibility = visibility,
    )

# The attribute `_json_workers` of a rule that calls `run_tool`.
JSON_WORKERS = attr.label(
    default = "//rules:json_workers",
    providers = [_JsonWorkersInfo],
)

# Where another strategy than `worker` is chosen, or none of these is known, the same
# command line starts the tool for this action alone.
_WORKER = {
    "requires-worker-protocol": "json",
    "supports-worker-cancellation": "1",
    "supports-workers": "1",
}

def tool_arguments(ctx):
    """Begins the command line of a tool.

    Args:
      ctx: the rule context.

    Returns:
      Args, for `run_tool`.
    """
    arguments = ctx.actions.args()

    # A flag a line in a file: a representative dataset may be thousands of
    # files, more than a command line holds. A worker takes its request from it.
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")

    # Bazel 4 writes there each byte of a name as a letter of its own. What it makes of this
    # letter tells the tool (tools/command_line.py).
    arguments.add("--written_as=é")
    return arguments

def _may_be_worked_on(ctx, outputs):
    """Whether a worker can be given the request.

    Bazel 4 reads the words out of the file of flags, and does not find that file where its
    name, which is an output's, has letters beyond ASCII.
    """
    beyond = [True for output in outputs for letter in output.path.elems() if letter > "~"]
    return ctx.attr._json_workers[_JsonWorkersInfo].spoken and not beyond

def run_tool(ctx, tool, arguments, outputs, **kwargs):
    """Declares an action that runs a tool.

    Args:
      ctx: the context of a rule with the attribute `_json_workers`.
      tool: the executable, a python_tool whose command is a worker as well.
      arguments: from `tool_arguments`.
      outputs: Files.
      **kwargs: inputs, mnemonic and progress_message.
    """
    ctx.actions.run(
        executable = tool,
        arguments = [arguments],
        execution_requirements = _WORKER if _may_be_worked_on(ctx, outputs) else {},
        outputs = outputs,
        **kwargs
    )
