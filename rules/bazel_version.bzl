"""Which Bazel runs: written down with what is registered, and what it can do."""

def _bazel_version_impl(repository_ctx):
    version = native.bazel_version or "unknown"

    # From version 5 on it needs no flag. A development build has no version.
    speaks_json = not version.startswith("4.")
    repository_ctx.file("WORKSPACE", "")
    repository_ctx.file("BUILD.bazel", "exports_files([\"version.txt\"])\n")
    repository_ctx.file("version.txt", version + "\n", False)
    repository_ctx.file("version.bzl", "SPEAKS_JSON_TO_WORKERS = {}\n".format(speaks_json), False)

bazel_version = repository_rule(
    implementation = _bazel_version_impl,
    doc = "A file with the version of the Bazel that runs.",
    # Made again whenever a server starts, as another version's would.
    local = True,
)
