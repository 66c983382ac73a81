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

# Stands for an environment that every machine has at the same path.
_INTERPRETER = """\
#!/bin/sh
exec '{venv}/bin/python' "$@"
"""

def _installed_elsewhere(rctx):
    """Uses an environment of the machine (or of a worker's image) where there is one.

    Args:
      rctx: the repository context.

    Returns:
      Whether there is.
    """
    root = rctx.os.environ.get("RULES_QUANTIZE_ENVIRONMENTS")
    if not root:
        return False
    if not rctx.path(root).exists:
        fail("python_env {}: RULES_QUANTIZE_ENVIRONMENTS={} is no folder".format(
            rctx.attr.name,
            root,
        ))
    folder = root + "/" + rctx.attr.lock.name.rpartition(".")[0]
    if not rctx.path(folder).exists:
        return False
    lock = rctx.read(rctx.path(rctx.attr.lock))
    if rctx.read(folder + "/requirements.lock") != lock:
        fail("python_env {}: {} was made from another lock than {}; make it again".format(
            rctx.attr.name,
            folder,
            rctx.attr.lock,
        ))
    rctx.file("venv/bin/python", _INTERPRETER.format(venv = folder + "/venv"))
    rctx.file("manifest.txt", rctx.read(folder + "/manifest.txt"), executable = False)
    return True

def _install(rctx, lock_name):
    python = host_python(rctx, rctx.attr.python_version)
    lock = rctx.path(rctx.attr.lock)
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

def _python_env_impl(rctx):
    lock_name = "//{}:{}".format(rctx.attr.lock.package, rctx.attr.lock.name)
    if not _installed_elsewhere(rctx):
        _install(rctx, lock_name)
    rctx.file("BUILD.bazel", _BUILD.format(lock = lock_name), executable = False)

python_env = repository_rule(
    implementation = _python_env_impl,
    doc = """Makes a Python environment from a lock with hashes.

The lock is installed by the host's own pip with `--require-hashes --no-deps`,
so pip's configuration (index-url, proxies, certificates, credentials) holds.
The repository offers `@NAME//:env`, which `python_tool` and `python_test` take.
The environment is fetched the first time that something needs it.

Where --repo_env=RULES_QUANTIZE_ENVIRONMENTS names a folder that holds LOCK/venv,
that environment is used where it lies and is no input of actions: workers must have
it at the same path, in a container image (docs/farm.md says how it is made).
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
        "RULES_QUANTIZE_ENVIRONMENTS",
        "RULES_QUANTIZE_PYTHON",
    ],
)
