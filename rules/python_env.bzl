"""Python environments as repositories: a hash-pinned lock in, one directory out."""

load("//rules/private:host_python.bzl", "host_python")

_BUILD = """\
# A virtual environment made from {lock}. `venv` is one directory, so that an
# action which uses it costs one link and not five thousand; `manifest.txt`
# names the hash of every file in it, so that an action's key still changes
# when one of them does.
package(default_visibility = ["//visibility:public"])

exports_files([
    "manifest.txt",
    "venv",
])

filegroup(
    name = "env",
    srcs = [
        "manifest.txt",
        "venv",
    ],
)
"""

def _python_env_impl(rctx):
    python = host_python(rctx, rctx.attr.python_version)
    lock = rctx.path(rctx.attr.lock)
    lock_name = "//{}:{}".format(rctx.attr.lock.package, rctx.attr.lock.name)
    rctx.report_progress("installing " + lock_name)
    result = rctx.execute(
        [
            python,
            "-I",
            rctx.path(rctx.attr._installer),
            "--lock=" + str(lock),
            "--lock_name=" + lock_name,
            "--python_version=" + rctx.attr.python_version,
            "--directory=" + str(rctx.path("venv")),
            "--manifest=" + str(rctx.path("manifest.txt")),
        ],
        timeout = rctx.attr.timeout,
    )
    if result.return_code != 0:
        reason = result.stderr.strip() or "no answer within {} seconds".format(rctx.attr.timeout)
        fail("python_env {}: {}".format(rctx.attr.name, reason))
    rctx.file("BUILD.bazel", _BUILD.format(lock = lock_name), executable = False)

python_env = repository_rule(
    implementation = _python_env_impl,
    doc = """Makes a Python environment from a lock with hashes.

The lock is installed by the host's own pip with `--require-hashes --no-deps`,
so pip's configuration (index-url, proxies, certificates, credentials) holds.
The repository offers `@NAME//:env`, which `python_tool` and `python_test` take.
The environment is fetched the first time that something needs it.
""",
    attrs = {
        "lock": attr.label(
            mandatory = True,
            allow_single_file = True,
            doc = "Requirements with hashes, as `bazel run //rules:lock` writes them.",
        ),
        "python_version": attr.string(
            default = "3.11",
            doc = "MAJOR.MINOR of the interpreter that the lock was made for.",
        ),
        "timeout": attr.int(
            default = 3600,
            doc = "Seconds after which the installation is given up.",
        ),
        "_installer": attr.label(
            default = "//rules/private:install_python_env.py",
            allow_single_file = True,
        ),
    },
    # Everything that tells pip where to fetch from, and which Python to use.
    environ = [
        "PATH",
        "PIP_CERT",
        "PIP_CONFIG_FILE",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "PIP_INDEX_URL",
        "PIP_PROXY",
        "RULES_QUANTIZE_PYTHON",
    ],
)
