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

def _quantize_impl(ctx):
    locks = {}
    for module in ctx.modules:
        for tag in module.tags.python_lock:
            if module.is_root:
                locks[tag.environment] = tag.lock
    rules_quantize_dependencies(locks = locks)

quantize = module_extension(
    implementation = _quantize_impl,
    doc = "Python environments of the tools, and the example models. All are fetched lazily.",
    tag_classes = {"python_lock": _python_lock},
)
