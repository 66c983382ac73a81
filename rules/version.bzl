"""The version of these rules, by semver.org. MODULE.bazel and pyproject.toml say the same."""

VERSION = "0.1.0"
