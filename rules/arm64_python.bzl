"""An arm64 Debian's Python with packages of a lock, and the QEMU that runs it on this machine."""

load("//rules/private:host_python.bzl", "PIP_ENVIRON", "host_python")

_BUILD = """\
# QEMU, a Debian and packages of {lock}, as one directory: `python` in it starts that Python.
package(default_visibility = ["//visibility:public"])

exports_files(["arm64"])
"""

def _arm64_python_impl(rctx):
    # Any of the host's will do: packages are not installed for it.
    python = host_python(rctx, {}, rctx.attr.python)
    lock_name = "//{}:{}".format(rctx.attr.lock.package, rctx.attr.lock.name)
    rctx.report_progress("fetching an arm64 Debian and QEMU")
    result = rctx.execute(
        [
            python.path,
            "-I",
            rctx.path(rctx.attr._installer),
            "--directory=" + str(rctx.path("arm64")),
            "--keyring=" + rctx.attr.keyring,
            "--lock=" + str(rctx.path(rctx.attr.lock)),
            "--lock_name=" + lock_name,
            "--mirror=" + rctx.os.environ.get("RULES_QUANTIZE_DEBIAN_MIRROR", rctx.attr.mirror),
        ] + ["--package=" + package for package in rctx.attr.packages],
        timeout = rctx.attr.timeout,
    )
    if result.return_code != 0:
        reason = result.stderr.strip() or "no answer within {} seconds".format(rctx.attr.timeout)
        fail("arm64_python {}: {}".format(rctx.attr.name, reason))
    rctx.file("BUILD.bazel", _BUILD.format(lock = lock_name), executable = False)

arm64_python = repository_rule(
    implementation = _arm64_python_impl,
    doc = """Fetches Python for arm64, and QEMU to run it with on a Debian or Ubuntu machine.

The machine's own apt fetches Debian 13's packages as they are on that day, after it has checked
Debian's signature, into a folder of this repository: it needs no root rights, and installs
nothing. The host's pip fetches the Python packages by the hashes of the lock. The repository
offers `@NAME//:arm64`, which emulated devices take, and is fetched the first time that something
needs it; `bazel sync --only=NAME` fetches it anew.

Where RULES_QUANTIZE_DEBIAN_MIRROR is set, packages come from there.
""",
    attrs = {
        "keyring": attr.string(
            default = "/usr/share/keyrings/debian-archive-keyring.gpg",
            doc = "Keys of those who may sign Debian's packages; the machine's own by default.",
        ),
        "lock": attr.label(
            mandatory = True,
            allow_single_file = True,
            doc = "Requirements with hashes, as `bazel run //rules:lock` writes them.",
        ),
        "mirror": attr.string(
            default = "http://deb.debian.org/debian",
            doc = "Address of Debian's packages.",
        ),
        "packages": attr.string_list(
            mandatory = True,
            doc = "Names in the lock of what is installed.",
        ),
        "python": attr.string(
            doc = "The interpreter whose pip fetches packages, as in python_env.",
        ),
        "timeout": attr.int(
            default = 3600,
            doc = "Seconds after which the installation is given up.",
        ),
        "_installer": attr.label(
            default = "//rules/private:install_arm64_python.py",
            allow_single_file = True,
        ),
    },
    environ = PIP_ENVIRON + ["RULES_QUANTIZE_DEBIAN_MIRROR"],
)
