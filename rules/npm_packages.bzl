"""Packages of the npm registry, by their hashes, without npm."""

_BUILD = """\
package(default_visibility = ["//visibility:public"])

# A folder for each package.
filegroup(
    name = "packages",
    srcs = glob({patterns}),
)
"""

_REGISTRY = "https://registry.npmjs.org"

def _registry(rctx):
    for name in ["NPM_CONFIG_REGISTRY", "npm_config_registry"]:
        address = rctx.os.environ.get(name)
        if address:
            return address.rstrip("/")
    return _REGISTRY

def _npm_packages_impl(rctx):
    registry = _registry(rctx)
    for folder, package in rctx.attr.packages.items():
        if len(package) != 3:
            fail("npm_packages {}: {} has {}; give its name, version and SHA-256".format(
                rctx.attr.name,
                folder,
                package,
            ))
        name, version, sha256 = package
        file = name.split("/")[-1]
        rctx.download_and_extract(
            "{}/{}/-/{}-{}.tgz".format(registry, name, file, version),
            folder,
            sha256,
            "tar.gz",
            "package",
        )
    rctx.file(
        "BUILD.bazel",
        _BUILD.format(patterns = json.encode([folder + "/**" for folder in rctx.attr.packages])),
        executable = False,
    )

npm_packages = repository_rule(
    implementation = _npm_packages_impl,
    doc = """Fetches packages of the npm registry, each by its SHA-256, without what they depend on.

The repository offers `@NAME//:packages`, their files in a folder for each. They are fetched the
first time that something needs them, by Bazel itself: its settings of proxies and mirrors hold.
Where NPM_CONFIG_REGISTRY is set, that registry is asked in place of npm's.
""",
    attrs = {
        "packages": attr.string_list_dict(
            mandatory = True,
            doc = "Name of a folder to what lies there: the package's name, such as " +
                  "`@litertjs/core`, its version, and the SHA-256 of its archive.",
        ),
    },
    environ = [
        "NPM_CONFIG_REGISTRY",
        "npm_config_registry",
    ],
)
