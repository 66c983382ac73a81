"""The same repositories for MODULE.bazel."""

load(":dependencies.bzl", "rules_quantize_dependencies", "rules_quantize_example_data")

def _quantize_impl(_ctx):
    rules_quantize_dependencies()
    rules_quantize_example_data()

quantize = module_extension(
    implementation = _quantize_impl,
    doc = "Python environments of the tools, and the example models. All are fetched lazily.",
)
