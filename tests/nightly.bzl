"""What takes long: a part of it runs by default, the whole of it in `bazel test //tests:nightly`.

The tag `nightly` comes with `manual`, which keeps a target out of `//...`: a filter in .bazelrc
would take it out of the suite as well.
"""

load("//rules/private:python_program.bzl", "python_test")

NIGHTLY = ["manual", "nightly"]

def python_test_in_parts(
        name,
        size,
        nightly_size,
        data = [],
        nightly_data = [],
        tags = [],
        **kwargs):
    """Declares a test of which a part runs by default, and its whole beside it.

    Args:
      name: NAME_test runs a part; NAME_nightly_test runs all.
      size: of NAME_test.
      nightly_size: of NAME_nightly_test.
      data: for both.
      nightly_data: for NAME_nightly_test alone.
      tags: for both.
      **kwargs: what a python_test takes, for both.
    """
    python_test(
        name = name,
        size = size,
        data = data,
        tags = tags,
        **kwargs
    )
    python_test(
        name = name[:-len("_test")] + "_nightly_test",
        size = nightly_size,
        data = data + nightly_data,
        tags = tags + NIGHTLY,
        whole = True,
        **kwargs
    )

def nightly_suite(name = "nightly"):
    """Declares the suite of all tests above it in a BUILD file, nightly ones included.

    Tests that are manual for another reason, such as packages of the system, stay out, and so
    do those that need a browser and measurements of speed (`--config=perf`).

    Args:
      name: the suite.
    """
    tests = []
    for rule in native.existing_rules().values():
        tags = rule["tags"]
        left_out = "perf" in tags or ("manual" in tags and "nightly" not in tags)
        left_out = left_out or rule["kind"] == "device_similarity_test"
        if rule["kind"].endswith("_test") and not left_out:
            tests.append(":" + rule["name"])
    native.test_suite(
        name = name,
        tags = ["manual"],
        tests = sorted(tests),
        visibility = ["//tests:__pkg__"],
    )
