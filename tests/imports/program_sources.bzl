"""What programs find in their runfiles, for a test that compares it with what they import."""

_SourcesInfo = provider(
    doc = "A Python program's own files.",
    fields = {
        "main": "File: the one that is started.",
        "sources": "list of Files: all of this repository that end in .py.",
    },
)

def _collect_impl(target, ctx):
    runfiles = target[DefaultInfo].default_runfiles.files.to_list()
    return [_SourcesInfo(
        main = ctx.rule.files.srcs[0],
        sources = [
            file
            for file in runfiles
            if file.extension == "py" and not file.short_path.startswith("../")
        ],
    )]

_collect = aspect(
    implementation = _collect_impl,
    doc = "Reads what a python_tool has.",
)

def _program_sources_impl(ctx):
    lines = []
    for program in ctx.attr.programs:
        info = program[_SourcesInfo]
        paths = [file.short_path for file in [info.main] + info.sources]
        lines.append("\t".join([str(program.label)] + paths))
    output = ctx.actions.declare_file(ctx.label.name + ".tsv")
    ctx.actions.write(output, "\n".join(lines) + "\n")
    return [DefaultInfo(
        files = depset([output]),
        runfiles = ctx.runfiles(files = [output]),
    )]

program_sources = rule(
    implementation = _program_sources_impl,
    doc = "Writes NAME.tsv with a line for each program: its label, the file that is started, " +
          "and the Python files of this repository in its runfiles.",
    attrs = {
        "programs": attr.label_list(
            aspects = [_collect],
            doc = "Targets of `python_tool`.",
        ),
    },
)
