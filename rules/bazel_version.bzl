"""Which Bazel runs: written down with what is registered."""

def _bazel_version_impl(repository_ctx):
    repository_ctx.file("WORKSPACE", "")
    repository_ctx.file("BUILD.bazel", "exports_files([\"version.txt\"])\n")
    repository_ctx.file("version.txt", (native.bazel_version or "unknown") + "\n", False)

bazel_version = repository_rule(
    implementation = _bazel_version_impl,
    doc = "A file with the version of the Bazel that runs.",
    # Made again whenever a server starts, as another version's would.
    local = True,
)
