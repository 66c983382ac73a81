"""Files out of a wheel on the Python package index, without installing it."""

load("//rules/private:host_python.bzl", "PIP_ENVIRON", "host_python")

_BUILD = """\
package(default_visibility = ["//visibility:public"])

exports_files({files})
"""

def _wheel_files_impl(rctx):
    python = host_python(rctx, {}, rctx.attr.python)
    spec = {
        "requirement": rctx.attr.requirement,
        "sha256": rctx.attr.sha256,
        "platform": rctx.attr.platform,
        "python_version": rctx.attr.python_version,
        "files": rctx.attr.files,
    }
    rctx.file("wheel.json", json.encode(spec), executable = False)
    rctx.report_progress("fetching " + rctx.attr.requirement)
    result = rctx.execute(
        [
            python.path,
            "-I",
            rctx.path(rctx.attr._extractor),
            "--spec=" + str(rctx.path("wheel.json")),
            "--directory=" + str(rctx.path(".")),
        ],
        timeout = rctx.attr.timeout,
    )
    if result.return_code != 0:
        reason = result.stderr.strip() or "no answer within {} seconds".format(rctx.attr.timeout)
        fail("wheel_files {}: {}".format(rctx.attr.name, reason))
    rctx.file(
        "BUILD.bazel",
        _BUILD.format(files = json.encode(sorted(rctx.attr.files.keys()))),
        executable = False,
    )

wheel_files = repository_rule(
    implementation = _wheel_files_impl,
    doc = """Takes files out of one hash-pinned wheel.

The wheel comes through the host's own pip, so its index, proxy and credentials
hold; the file's SHA-256 is checked before anything is taken out of it. Which
wheel is taken does not depend on the host: `platform` and `python_version`
name it.
""",
    attrs = {
        "files": attr.string_dict(
            mandatory = True,
            doc = "Name in this repository to path inside the wheel.",
        ),
        "platform": attr.string(
            default = "any",
            doc = "The wheel's platform tag, such as `manylinux_2_28_x86_64`.",
        ),
        "python": attr.string(
            doc = "The interpreter whose pip fetches it, as in python_env.",
        ),
        "python_version": attr.string(
            mandatory = True,
            doc = "A Python, as MAJOR.MINOR, that the wheel is for. It need not be on the machine.",
        ),
        "requirement": attr.string(
            mandatory = True,
            doc = "`name==version`.",
        ),
        "sha256": attr.string(
            mandatory = True,
            doc = "SHA-256 of the wheel, in hexadecimal.",
        ),
        "timeout": attr.int(
            default = 1800,
            doc = "Seconds after which the download is given up.",
        ),
        "_extractor": attr.label(
            default = "//rules/private:extract_wheel_files.py",
            allow_single_file = True,
        ),
    },
    environ = PIP_ENVIRON,
)
