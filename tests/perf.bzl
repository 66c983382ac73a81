"""perf_test: a measurement of speed that runs in `bazel test --config=perf //...` alone."""

def _perf_test_impl(ctx):
    test = ctx.attr.test[DefaultInfo]
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = program,
        target_file = test.files_to_run.executable,
        is_executable = True,
    )
    return [DefaultInfo(executable = program, runfiles = test.default_runfiles)]

_perf_test = rule(
    implementation = _perf_test_impl,
    doc = "The program of another test.",
    test = True,
    attrs = {
        "test": attr.label(
            mandatory = True,
            doc = "The test, which is tagged manual.",
        ),
    },
)

def perf_test(name, test, visibility = None):
    """Declares what runs a manual test in `bazel test --config=perf //...`.

    A tag that .bazelrc filters would take the test out of the run that names it as well, and
    a manual one is in no `//...`. So the test is manual, and this one has the tag.

    Args:
      name: NAME_test.
      test: an fps_test that is tagged manual.
      visibility: of the target.
    """
    _perf_test(
        name = name,
        size = "medium",
        # Those of the rules' FPS tests, and the one by which .bazelrc leaves it out otherwise.
        tags = ["exclusive", "external", "in_config_perf", "local", "no-cache", "no-remote", "perf"],
        test = test,
        visibility = visibility,
    )
