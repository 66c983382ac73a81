"""Python environments as repositories: a hash-pinned lock in, one directory out."""

load("//rules/private:host_python.bzl", "PIP_ENVIRON", "host_python", "wheels_by_platform")

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

# In place of an environment that cannot be had: what needs it is skipped by `bazel test //...`,
# and refused by name, with these lines and the constraint's label, when it is asked for.
_NO_BUILD = """\
# {refusal}.
package(default_visibility = ["//visibility:public"])

constraint_setting(name = "python")

constraint_value(
    name = "{constraint}",
    constraint_setting = ":python",
)

# A filegroup of Bazel 4 has no target_compatible_with.
genrule(
    name = "env",
    outs = ["no_environment"],
    cmd = "false",
    target_compatible_with = [":{constraint}"],
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

    # For programs over whose environment this one is laid.
    rctx.file("venv/elsewhere", folder + "/venv\n", executable = False)
    rctx.file("manifest.txt", rctx.read(folder + "/manifest.txt"), executable = False)
    return True

def _wheels(rctx, lock):
    return wheels_by_platform(rctx.read(rctx.path(lock)))

def _pythons_below(rctx, python):
    """Finds with which other Pythons programs run that this environment is laid over.

    The newest that TensorFlow has wheels for may be older than the newest that pytest has.
    """
    found = []
    for lock, named in rctx.attr.over.items():
        other = host_python(rctx, _wheels(rctx, lock), named).path
        if other and other != python and other not in found:
            found.append(other)
    return found

def _install(rctx, lock_name, python):
    rctx.report_progress("installing " + lock_name)
    result = rctx.execute(
        [
            python,
            "-I",
            rctx.path(rctx.attr._installer),
            "--lock=" + str(rctx.path(rctx.attr.lock)),
            "--lock_name=" + lock_name,
            "--directory=" + str(rctx.path("venv")),
            "--manifest=" + str(rctx.path("manifest.txt")),
        ] + ["--also_for=" + other for other in _pythons_below(rctx, python)],
        timeout = rctx.attr.timeout,
    )
    if result.return_code != 0:
        reason = result.stderr.strip() or "no answer within {} seconds".format(rctx.attr.timeout)
        fail("python_env {}: {}".format(rctx.attr.name, reason))

def _python_env_impl(rctx):
    lock_name = "//{}:{}".format(rctx.attr.lock.package, rctx.attr.lock.name)
    build = _BUILD.format(lock = lock_name)
    if not _installed_elsewhere(rctx):
        python = host_python(rctx, _wheels(rctx, rctx.attr.lock), rctx.attr.python)
        if python.path:
            _install(rctx, lock_name, python.path)
        else:
            refusal = "{} cannot be installed here: {}".format(lock_name, python.refusal)

            # buildifier: disable=print
            print("python_env {}: {}".format(rctx.attr.name, refusal))
            build = _NO_BUILD.format(refusal = refusal, constraint = python.constraint)
    rctx.file("BUILD.bazel", build, executable = False)

python_env = repository_rule(
    implementation = _python_env_impl,
    doc = """Makes a Python environment from a lock with hashes.

The lock is installed by the host's own pip with `--require-hashes --no-deps`,
so pip's configuration (index-url, proxies, certificates, credentials) holds.
The repository offers `@NAME//:env`, which `python_tool` and `python_test` take.
The environment is fetched the first time that something needs it.

It is made with the interpreters that RULES_QUANTIZE_PYTHON names (a path or a name on PATH;
several with `:` between them), else the one of `python`, else the newest on PATH. Of these the
first is taken for which the lock's packages have wheels, as the lock says at its top. Where
there is none, targets that need the environment are incompatible: patterns such as `//...`
skip them.

Where --repo_env=RULES_QUANTIZE_ENVIRONMENTS names a folder that holds LOCK/venv,
that environment is used where it lies and is no input of actions: workers must have
it at the same path, in a container image (docs/how-to/farm_and_cache.md says how it is made).
""",
    attrs = {
        "lock": attr.label(
            mandatory = True,
            allow_single_file = True,
            doc = "Requirements with hashes, as `bazel run //rules:lock` writes them.",
        ),
        "over": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "Locks of the environments over which programs lay this one, with the " +
                  "`python` of each. Where one of them is made with another Python, packages " +
                  "for that one are installed here too.",
        ),
        "python": attr.string(
            doc = "An interpreter's absolute path, or its name on PATH. By default it is the " +
                  "newest of python3.14 to python3.11 and python3.",
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
    environ = PIP_ENVIRON + ["RULES_QUANTIZE_ENVIRONMENTS"],
)
