"""The same repositories for MODULE.bazel."""

load(":dependencies.bzl", "ENVIRONMENTS", "rules_quantize_dependencies")

_python_lock = tag_class(
    doc = "Gives an environment of the tools a lock of your own. Only the root module's tags count.",
    attrs = {
        "environment": attr.string(
            mandatory = True,
            values = ENVIRONMENTS,
            doc = "Which environment it is for.",
        ),
        "lock": attr.label(
            mandatory = True,
            doc = "Requirements with hashes, as `bazel run @rules_quantize//rules:lock` writes them.",
        ),
    },
)

_python = tag_class(
    doc = "Names the interpreter of the environments. Only the root module's tags count.",
    attrs = {
        "environments": attr.string_list(
            doc = "Which environments it is for; all by default.",
        ),
        "interpreter": attr.string(
            mandatory = True,
            doc = "Its absolute path, or its name on PATH.",
        ),
    },
)

def _quantize_impl(ctx):
    locks = {}
    python = ""
    pythons = {}
    for module in ctx.modules:
        if not module.is_root:
            continue
        for tag in module.tags.python_lock:
            locks[tag.environment] = tag.lock
        for tag in module.tags.python:
            for environment in tag.environments:
                pythons[environment] = tag.interpreter
            if not tag.environments:
                python = tag.interpreter
    rules_quantize_dependencies(locks = locks, python = python, pythons = pythons)

quantize = module_extension(
    implementation = _quantize_impl,
    doc = "Python environments of the tools, and the example models. All are fetched lazily.",
    tag_classes = {"python": _python, "python_lock": _python_lock},
)
