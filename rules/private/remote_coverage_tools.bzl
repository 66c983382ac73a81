"""A stand-in for @remote_coverage_tools, which Bazel would fetch from GitHub.

Before Bazel 7's modules, `bazel test` loads that repository for every test,
whether coverage is asked for or not, and so fails where GitHub is not reachable.
What it holds merges the coverage of C++ and Java, of which there is none here.
"""

_BUILD = """\
filegroup(
    name = "coverage_report_generator",
    visibility = ["//visibility:public"],
)

filegroup(
    name = "lcov_merger",
    visibility = ["//visibility:public"],
)
"""

def _remote_coverage_tools_impl(rctx):
    rctx.file("BUILD.bazel", _BUILD, executable = False)

_remote_coverage_tools = repository_rule(
    implementation = _remote_coverage_tools_impl,
    doc = "Two empty targets by the names that Bazel looks for.",
)

def remote_coverage_tools():
    """Declares the stand-in; a repository that WORKSPACE declares comes before Bazel's own."""
    _remote_coverage_tools(name = "remote_coverage_tools")
